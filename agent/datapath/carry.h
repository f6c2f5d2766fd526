/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams that carry the answers which the kernel left to the agent, so that no server is woken for a
 * request that it never sees. A few answers are carried one by one; many, in batches. */
#ifndef KMESH_RL_DATAPATH_CARRY_H
#define KMESH_RL_DATAPATH_CARRY_H

#include <stdbool.h>

#include <uv.h>

#include <kmesh_rl/abi.h>

struct krl_carry {
	int fd;				/* the agent's end of a responder pair; borrowed */
	int queue_fd;			/* krl_answers; borrowed */
	struct krl_config *config;
	const struct krl_load *load;
	uv_timer_t *timer;		/* owned by the loop's owner */
	bool batching;
	__u64 answers;			/* of the load, when last looked at */
	__u64 carried;			/* of what was left to the agent */
};

/* Start with what @carry->load says now, and carry what waits since an agent was killed. All members
 * above answers are set. */
void krl_carry_start(struct krl_carry *carry);

/* Carry the last, and promise no more. */
void krl_carry_stop(struct krl_carry *carry);

/* Carry what was left to the agent. */
void krl_carry_waiting(struct krl_carry *carry);

/* To be called every KRL_CARRY_TICK_MS: see whether batches pay, and to answers whose datagram was lost. */
#define KRL_CARRY_TICK_MS 100
void krl_carry_tick(struct krl_carry *carry);

/* Carry the answers that an agent of another version, which was killed, left in the maps below @pins: its programs write
 * them. Returns 0, also where those maps are not as they are in this version; or -errno. */
int krl_carry_left(const char *pins);

#endif
