/* SPDX-License-Identifier: Apache-2.0 */
/* Removing the buckets of values that are full again: such a bucket says what a new one would. */
#ifndef KMESH_RL_DATAPATH_SWEEP_H
#define KMESH_RL_DATAPATH_SWEEP_H

#include <stdbool.h>

#include <uv.h>

#include <kmesh_rl/abi.h>

struct krl_sweeper;

/* On @loop until krl_sweeper_close(). @buckets_fd is krl_buckets, @command_fd the agent's end of the command
 * pair; both are borrowed, as @rules and @load are. 0, or -errno. */
int krl_sweeper_open(uv_loop_t *loop, int buckets_fd, int command_fd, const struct krl_rule *rules,
		     const struct krl_load *load, struct krl_sweeper **ret);

/* Accepts NULL. */
void krl_sweeper_close(struct krl_sweeper *sweeper);

#endif
