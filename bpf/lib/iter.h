/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The contexts of iterators: over TCP sockets (net/ipv4/tcp_ipv4.c, bpf_iter__tcp), and over a socket map
 * (net/core/sock_map.c, bpf_iter__sockmap). */
#ifndef KMESH_RL_ITER_H
#define KMESH_RL_ITER_H

#include "flow.h"
#include "kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

struct bpf_iter__sockmap {
	struct bpf_iter_meta *meta;
	__u64 *key;
	struct sock *sk;
};

#pragma clang attribute pop

/* The addresses of @skc's two ends. */
static __always_inline void krl_iter_addresses(struct sock_common *skc, __u8 ret_local[16], __u8 ret_remote[16])
{
	if (skc->skc_family == KRL_AF_INET6) {
		bpf_probe_read_kernel(ret_local, 16, &skc->skc_v6_rcv_saddr);
		bpf_probe_read_kernel(ret_remote, 16, &skc->skc_v6_daddr);
	} else {
		krl_flow_put_ipv4(ret_local, skc->skc_rcv_saddr);
		krl_flow_put_ipv4(ret_remote, skc->skc_daddr);
	}
}

/* The cgroup whose sockets are covered; see maps.bpf.c. */
extern const volatile __u64 krl_cgroup_id;

#endif
