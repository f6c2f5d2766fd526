/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that are loaded when the first rule asks for them: the verifier takes as long for these as for all others
 * together, at each start of the agent. Until then, those of an agent before go on. */
#ifndef KMESH_RL_DATAPATH_LATE_H
#define KMESH_RL_DATAPATH_LATE_H

#include "internal.h"

/* Have @skel loaded without them. 0, or -errno. */
int krl_late_leave_out(struct kmesh_rl *skel);

/* The descriptor of the program @which, which @datapath keeps; it is loaded over the maps of @datapath when it was not
 * yet. Or -errno, as libbpf has it. */
int krl_late_program(struct krl_datapath *datapath, enum krl_late which);

/* Is @err, of a program that was loaded, the verifier's answer, that stays as long as the kernel does? Short of memory or of
 * descriptors, it may be taken later. */
bool krl_late_is_refusal(int err);

/* Write into @ret_error that @what failed by @err, and where the kernel refused a program, which one and how. Returns @err, or
 * -ENOTSUP where it refused. */
int krl_late_error(const struct krl_datapath *datapath, int err, const char *what, struct krl_error *ret_error);

/* Run that program, of type tc, once for @packet of @bytes, 14 at least. Returns what it returns, or -errno. */
int krl_late_run(struct krl_datapath *datapath, enum krl_late which, const void *packet, __u32 bytes);

/* Is it loaded? */
static inline bool krl_late_is_there(const struct krl_datapath *datapath, enum krl_late which)
{
	return datapath->late[which];
}

/* Release those of @datapath. */
void krl_late_close(struct krl_datapath *datapath);

#endif
