/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Enrols the accepted sockets of protected endpoints, and no others. */
#include "maps.h"
#include "lib/endpoint.h"
#include "lib/kernel.h"
#include "lib/reader.h"

#define KRL_TCP_ESTABLISHED 1
#define KRL_TCP_CLOSE 7

/* The local end as an endpoint key: IPv4 and v4-mapped IPv6 alike as ::ffff:a.b.c.d. */
static __always_inline void krl_local_key(struct bpf_sock_ops *ops, struct krl_endpoint_key *key)
{
	__u32 *words = (__u32 *)key->addr;

	if (ops->family == KRL_AF_INET6) {
		words[0] = ops->local_ip6[0];
		words[1] = ops->local_ip6[1];
		words[2] = ops->local_ip6[2];
		words[3] = ops->local_ip6[3];
		/* Or clang joins the two loads of words[3] into one at a computed offset, which the
		 * verifier refuses on a context. */
		KRL_FORGET();
	} else {
		words[0] = 0;
		words[1] = 0;
		words[2] = bpf_htonl(0xffff);
		words[3] = ops->local_ip4;
	}
	key->port = ops->local_port;
}

/* Too large for the stack. */
static const struct krl_conn krl_new_conn;

static __always_inline void krl_enrol(struct bpf_sock_ops *ops)
{
	struct krl_endpoint_key key = {};
	struct krl_endpoint *endpoint;
	struct krl_conn *conn;
	__u64 cookie;

	krl_local_key(ops, &key);
	endpoint = krl_find_endpoint(&key);
	if (!endpoint)
		return;
	cookie = bpf_get_socket_cookie(ops);
	bpf_map_update_elem(&krl_conns, &cookie, &krl_new_conn, BPF_ANY);
	conn = bpf_map_lookup_elem(&krl_conns, &cookie);
	if (!conn) {
		krl_count(KRL_REASON_CONN_TABLE_FULL);
		return;
	}
	conn->endpoint = key;
	conn->judge.key.netns_cookie = bpf_get_netns_cookie(ops);
	__builtin_memcpy(conn->judge.key.addr, key.addr, sizeof(key.addr));
	conn->judge.key.port = key.port;
	/* The flag first: a socket that closes must always find its row removed. */
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	if (bpf_sock_hash_update(ops, &krl_sockets, &cookie, BPF_NOEXIST)) {
		bpf_map_delete_elem(&krl_conns, &cookie);
		krl_count(KRL_REASON_NOT_ENROLLED);
		return;
	}
	if (endpoint->flags & KRL_ENDPOINT_HEADERS &&
	    bpf_sock_hash_update(ops, &krl_writers, &cookie, BPF_NOEXIST))
		krl_count(KRL_REASON_HEADERS_LOST);
}

/* The connection ends, and the server has it still: after a single request, this is the second look. */
static __always_inline void krl_last_look(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;
	struct krl_conn *conn;
	struct sock *tcp;
	__u64 cookie;

	cookie = bpf_get_socket_cookie(ops);
	conn = bpf_map_lookup_elem(&krl_conns, &cookie);
	tcp = sk ? (struct sock *)bpf_skc_to_tcp_sock(sk) : 0;
	if (conn && tcp)
		krl_look_at_reader(conn, tcp);
}

SEC("sockops")
int krl_sockops(struct bpf_sock_ops *ops)
{
	__u64 cookie;

	switch (ops->op) {
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		krl_enrol(ops);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (ops->args[0] == KRL_TCP_ESTABLISHED)
			krl_last_look(ops);
		if (ops->args[1] != KRL_TCP_CLOSE)
			break;
		cookie = bpf_get_socket_cookie(ops);
		bpf_map_delete_elem(&krl_conns, &cookie);
		bpf_map_delete_elem(&krl_matches, &cookie);
		break;
	}
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
