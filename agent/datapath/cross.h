/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of bpf/cross.bpf.c, over the socket maps of another version. */
#ifndef KMESH_RL_DATAPATH_CROSS_H
#define KMESH_RL_DATAPATH_CROSS_H

#include "internal.h"

/* The map of sockets by cookie that is pinned as @name below @pins. Its descriptor, which the caller closes; -ENOENT: there is
 * none; -EPROTO: it is something else; or -errno. */
int krl_cross_open_map(const char *pins, const char *name);

/* Load them over what is below @pins. What that version has not, or not as this one, is left out. 0 and what is to be closed,
 * or -errno. */
int krl_cross_load(const struct krl_datapath *dp, const char *pins, struct kmesh_rl **ret);

struct krl_cross_result {
	size_t taken;	/* connections that came over, those without an endpoint aside */
	size_t left;	/* that did not, yet */
};

/* Take over what rests. 0 and what was done, which is added to @ret->taken, or -errno. */
int krl_cross_run(struct kmesh_rl *cross, struct krl_cross_result *ret);

#endif
