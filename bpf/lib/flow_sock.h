/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets that the agent names, in programs that it runs. */
#ifndef KMESH_RL_FLOW_SOCK_H
#define KMESH_RL_FLOW_SOCK_H

#include "flow.h"

/* The socket of @flow in the network namespace that the agent is in, half open ones included, to be released; or NULL. */
static __always_inline struct bpf_sock *krl_flow_sock(struct __sk_buff *skb, const struct krl_flow *flow)
{
	const __u32 *local = (const __u32 *)flow->local, *remote = (const __u32 *)flow->remote;
	struct bpf_sock_tuple tuple = {};

	if (krl_flow_is_ipv4(flow->local)) {
		tuple.ipv4.saddr = remote[3];
		tuple.ipv4.daddr = local[3];
		tuple.ipv4.sport = bpf_htons(flow->remote_port);
		tuple.ipv4.dport = bpf_htons(flow->local_port);
		return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	__builtin_memcpy(tuple.ipv6.saddr, remote, 16);
	__builtin_memcpy(tuple.ipv6.daddr, local, 16);
	tuple.ipv6.sport = bpf_htons(flow->remote_port);
	tuple.ipv6.dport = bpf_htons(flow->local_port);
	return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

#endif
