/* SPDX-License-Identifier: Apache-2.0 */
/* Walking over the enrolled sockets: what an edit changes for connections that are open. */
#ifndef KMESH_RL_DATAPATH_WALK_H
#define KMESH_RL_DATAPATH_WALK_H

#include "internal.h"

/* Have what servers write go through krl_reply where their endpoint wants it. 0, or -errno. */
int krl_walk_enlist(struct krl_datapath *datapath);

/* Let the connections go whose endpoint is gone; those that cannot be yet, a second later. */
void krl_walk_release(struct krl_datapath *datapath);

/* On @loop until krl_tidy_close(), before @datapath is closed: what is still to be let go, and rows of connections
 * that have ended. 0, or -ENOMEM. */
struct krl_tidy;

int krl_tidy_open(struct krl_datapath *datapath, uv_loop_t *loop, struct krl_tidy **ret);

/* Accepts NULL. */
void krl_tidy_close(struct krl_tidy *tidy);

#endif
