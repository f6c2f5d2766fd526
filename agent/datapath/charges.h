/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to model servers whose connection is not looked at any more: what they reserved is given back, and what is
 * known of the connection is forgotten. */
#ifndef KMESH_RL_DATAPATH_CHARGES_H
#define KMESH_RL_DATAPATH_CHARGES_H

#include <uv.h>

#include "internal.h"

struct krl_charge_sweeper;

/* On @loop until krl_charge_sweeper_close(), before @datapath is closed. @command_fd is the agent's end of the command
 * pair, borrowed. 0, or -ENOMEM. */
int krl_charge_sweeper_open(struct krl_datapath *datapath, uv_loop_t *loop, int command_fd,
			    struct krl_charge_sweeper **ret);

/* Accepts NULL. */
void krl_charge_sweeper_close(struct krl_charge_sweeper *sweeper);

#endif
