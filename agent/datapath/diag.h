/* SPDX-License-Identifier: Apache-2.0 */
/* The TCP sockets of a network namespace, as the kernel lists them (sock_diag(7), net/ipv4/inet_diag.c). */
#ifndef KMESH_RL_DATAPATH_DIAG_H
#define KMESH_RL_DATAPATH_DIAG_H

#include <netinet/tcp.h>

#include <kmesh_rl/abi.h>

/* A set of states, for krl_diag_each(). A socket that is half open is in TCP_SYN_RECV. */
#define KRL_DIAG_STATE(state) (1U << (state))

struct krl_diag_socket {
	struct krl_flow flow;
	__u64 cookie;
	__u64 cgroup_id;	/* 0: this kernel does not say */
	__u8 state;		/* TCP_ESTABLISHED and so on */
};

/* Call @fn for each socket in one of @states that is in the network namespace that the agent is in, until one call does not
 * return 0. Returns what the last call did, 0 or -errno. */
int krl_diag_each(__u32 states, int (*fn)(void *ctx, const struct krl_diag_socket *socket), void *ctx);

#endif
