/* SPDX-License-Identifier: Apache-2.0 */
/* The network namespaces in which connections that come in are judged. Each has a program of a few instructions, which
 * knows the namespace's cookie, at a link that is pinned: no descriptor of a namespace is kept, which would keep it
 * alive. */
#ifndef KMESH_RL_DATAPATH_GUARD_H
#define KMESH_RL_DATAPATH_GUARD_H

#include "internal.h"

/* Take over what the agent before has set below @bpffs. 0, or -errno. */
int krl_guard_adopt(struct krl_datapath *datapath, const char *bpffs, struct krl_error *ret_error);

/* Once the endpoints are written: guard the namespaces in which somebody listens on a port of one whose connections
 * count, and no others. 0, or -errno. */
int krl_guard_update(struct krl_datapath *datapath);

/* Somebody listens in the namespace with @cookie on such a port; and once all that is known: guard those. */
void krl_guard_listens(struct krl_datapath *datapath, __u64 cookie);
void krl_guard_listening(struct krl_datapath *datapath);

/* Is the namespace with @cookie guarded, and not gone? */
bool krl_guard_is_alive(const struct krl_datapath *datapath, __u64 cookie);

/* On @loop until krl_guard_close(): let go of namespaces that are gone, and look for those that were missed. 0, or
 * -ENOMEM. */
struct krl_guard;

int krl_guard_open(struct krl_datapath *datapath, uv_loop_t *loop, struct krl_guard **ret);

/* Accepts NULL. */
void krl_guard_close(struct krl_guard *guard);

/* Release what the functions above left in @datapath. */
void krl_guard_forget(struct krl_datapath *datapath);

#endif
