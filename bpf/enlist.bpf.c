/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Walks over the enrolled sockets after an edit: connections that were open before it get the header fields that
 * their endpoint has now. */
#include "maps.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock;

struct bpf_iter__sockmap {
	__u64 *key;
	struct sock *sk;
};

#pragma clang attribute pop

SEC("iter/sockmap")
int krl_enlist(struct bpf_iter__sockmap *ctx)
{
	__u64 *key = ctx->key, cookie;
	struct sock *sk = ctx->sk;
	struct krl_endpoint *endpoint;
	struct krl_conn *conn;

	if (!key || !sk)
		return 0;
	cookie = *key;
	conn = bpf_map_lookup_elem(&krl_conns, &cookie);
	endpoint = conn ? bpf_map_lookup_elem(&krl_endpoints, &conn->endpoint) : 0;
	if (endpoint && endpoint->flags & KRL_ENDPOINT_HEADERS)
		bpf_map_update_elem(&krl_writers, &cookie, sk, BPF_NOEXIST);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
