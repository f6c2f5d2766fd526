/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that the kernel answers with "not yet": to end a connection after its last answer, or to send
 * an answer when the server has been quiet. Each is repeated until the kernel says that it is done. */
#ifndef KMESH_RL_DATAPATH_PENDING_H
#define KMESH_RL_DATAPATH_PENDING_H

#include <uv.h>

#include <kmesh_rl/abi.h>

#define KRL_PENDING_CHAINS 1024

struct krl_pending {
	int fd;			/* the agent's end of the command pair; borrowed */
	uv_timer_t *timer;	/* owned by the loop's owner */
	unsigned int count;
	struct krl_pending_command *chains[KRL_PENDING_CHAINS];	/* by cookie */
};

/* Send @command, one of KRL_COMMAND_CLOSE and KRL_COMMAND_DRAIN, for @cookie now and every 100 ms, in
 * place of what was pending for that connection. */
void krl_pending_add(struct krl_pending *pending, __u64 cookie, __u32 command);

/* The kernel is done with @cookie. */
void krl_pending_remove(struct krl_pending *pending, __u64 cookie);

/* Give all up. */
void krl_pending_clear(struct krl_pending *pending);

/* Send one command to the kernel. 0, or -errno, which is logged. */
int krl_pending_send(const struct krl_pending *pending, __u64 cookie, __u32 command);

#endif
