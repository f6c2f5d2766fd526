/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The two ends of a connection, from the contexts of programs; IPv4 and v4-mapped IPv6 alike as ::ffff:a.b.c.d. */
#ifndef KMESH_RL_FLOW_H
#define KMESH_RL_FLOW_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <kmesh_rl/abi.h>

#include "compiler.h"

#define KRL_AF_INET 2
#define KRL_AF_INET6 10
#define KRL_IPPROTO_TCP 6

static __always_inline void krl_flow_put_ipv4(__u8 ret[16], __u32 addr)
{
	__u32 *words = (__u32 *)ret;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = addr;
}

static __always_inline int krl_flow_is_ipv4(const __u8 addr[16])
{
	const __u32 *words = (const __u32 *)addr;

	return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

/* All but the network namespace. KRL_FORGET(), or clang joins the loads of two branches into one at a computed offset,
 * which the verifier refuses on a context. */
static __always_inline void krl_flow_of_lookup(struct bpf_sk_lookup *ctx, struct krl_flow *ret)
{
	__u32 *local = (__u32 *)ret->local, *remote = (__u32 *)ret->remote;

	if (ctx->family == KRL_AF_INET6) {
		local[0] = ctx->local_ip6[0];
		local[1] = ctx->local_ip6[1];
		local[2] = ctx->local_ip6[2];
		local[3] = ctx->local_ip6[3];
		remote[0] = ctx->remote_ip6[0];
		remote[1] = ctx->remote_ip6[1];
		remote[2] = ctx->remote_ip6[2];
		remote[3] = ctx->remote_ip6[3];
		KRL_FORGET();
	} else {
		krl_flow_put_ipv4(ret->local, ctx->local_ip4);
		krl_flow_put_ipv4(ret->remote, ctx->remote_ip4);
	}
	ret->local_port = ctx->local_port;
	ret->remote_port = bpf_ntohs(ctx->remote_port);
	ret->pad = 0;
}

static __always_inline void krl_flow_of_ops(struct bpf_sock_ops *ops, struct krl_flow *ret)
{
	__u32 *local = (__u32 *)ret->local, *remote = (__u32 *)ret->remote;

	if (ops->family == KRL_AF_INET6) {
		local[0] = ops->local_ip6[0];
		local[1] = ops->local_ip6[1];
		local[2] = ops->local_ip6[2];
		local[3] = ops->local_ip6[3];
		remote[0] = ops->remote_ip6[0];
		remote[1] = ops->remote_ip6[1];
		remote[2] = ops->remote_ip6[2];
		remote[3] = ops->remote_ip6[3];
		KRL_FORGET();
	} else {
		krl_flow_put_ipv4(ret->local, ops->local_ip4);
		krl_flow_put_ipv4(ret->remote, ops->remote_ip4);
	}
	ret->local_port = ops->local_port;
	ret->remote_port = bpf_ntohl(ops->remote_port);
	ret->pad = 0;
	ret->netns_cookie = bpf_get_netns_cookie(ops);
}

static __always_inline int krl_flow_same(const struct krl_flow *a, const struct krl_flow *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;
	__u64 differ = 0;
	__u32 i;

	for (i = 0; i < sizeof(*a) / sizeof(*x); i++)
		differ |= x[i] ^ y[i];
	return !differ;
}

#endif
