/* SPDX-License-Identifier: Apache-2.0 */
/* The TCP sockets of a network namespace, as the kernel lists them (sock_diag(7), net/ipv4/inet_diag.c). */
#ifndef KMESH_RL_DATAPATH_DIAG_H
#define KMESH_RL_DATAPATH_DIAG_H

#include <netinet/tcp.h>

#include <bpf/libbpf.h>
#include <kmesh_rl/abi.h>

/* A set of states, for krl_diag_each(). A socket that is half open is in TCP_SYN_RECV. */
#define KRL_DIAG_STATE(state) (1U << (state))

struct krl_diag_socket {
	struct krl_flow flow;
	__u64 cookie;
	__u64 cgroup_id;	/* 0: this kernel does not say */
	__u32 ifindex;		/* of the device that it is bound to, or 0 */
	__u8 state;		/* TCP_ESTABLISHED and so on; of one in TIME_WAIT, also TCP_FIN_WAIT2 */
};

/* Call @fn for each socket in one of @states that is in the network namespace that the agent is in, until one call does not
 * return 0. Returns what the last call did, 0 or -errno. */
int krl_diag_each(__u32 states, int (*fn)(void *ctx, const struct krl_diag_socket *socket), void *ctx);

/* Run @program, one of type tc, for @socket in the network namespace that the agent is in, with @bytes of @packet, at least
 * 14, which it may write to. 0 and what it returned, or -errno. */
int krl_diag_run(const struct bpf_program *program, const struct krl_diag_socket *socket, void *packet, __u32 bytes,
		 __u32 *ret_said);

#endif
