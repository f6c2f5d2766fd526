/* SPDX-License-Identifier: Apache-2.0 */
/* What connections hold of maxConnections, compared with the sockets there are. The kernel keeps it itself, but for what
 * it is not told: connections that were open before the rule, those that never got beyond the SYN, and all of it that
 * happened where the programs were not. */
#ifndef KMESH_RL_DATAPATH_RECOUNT_H
#define KMESH_RL_DATAPATH_RECOUNT_H

#include "internal.h"

/* Count the connections in that are open, with @edited those too that hold something already, and give back what is held
 * by none. 0, or -errno. */
int krl_recount(struct krl_datapath *datapath, bool edited);

/* On @loop until krl_recounter_close(): do so when there is a reason to. 0, or -ENOMEM. */
struct krl_recounter;

int krl_recounter_open(struct krl_datapath *datapath, uv_loop_t *loop, struct krl_recounter **ret);

/* Accepts NULL. */
void krl_recounter_close(struct krl_recounter *recounter);

#endif
