/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rows of krl_conns. */
#ifndef KMESH_RL_CONNS_H
#define KMESH_RL_CONNS_H

#include "../maps.h"
#include "kernel.h"

/* Too large for the stack. */
static const struct krl_conn krl_new_conn;

/* A fresh row for the socket @cookie, in place of one of before it was let go. Its rules are those of @key as it is
 * configured. NULL, counted: there is no room for it. */
static __always_inline struct krl_conn *krl_conn_new(__u64 cookie, const struct krl_endpoint_key *key,
						     __u64 netns_cookie)
{
	struct krl_conn *conn;

	bpf_map_update_elem(&krl_conns, &cookie, &krl_new_conn, BPF_ANY);
	conn = bpf_map_lookup_elem(&krl_conns, &cookie);
	if (!conn) {
		krl_count(KRL_REASON_CONN_TABLE_FULL);
		return 0;
	}
	conn->endpoint = *key;
	conn->judge.key.netns_cookie = netns_cookie;
	__builtin_memcpy(conn->judge.key.addr, key->addr, sizeof(key->addr));
	conn->judge.key.port = key->port;
	return conn;
}

/* The row is of a connection that is open already, on the socket @tcp of a server, or of a client where it @sends. Does it
 * rest: is nothing of a request or of an answer on its way? */
static __always_inline void krl_conn_place(struct krl_conn *conn, struct sock *tcp, int sends, int rests)
{
	conn->phase = rests ? KRL_PHASE_OPEN : KRL_PHASE_JOINING;
	/* One that has said nothing is at its beginning. */
	if (sends || ((struct tcp_sock *)tcp)->bytes_received) {
		conn->joining = 1;
		conn->http.flags = KRL_HTTP_NOT_FIRST;
	}
	conn->admit_seq = sends ? krl_sock_rcv_nxt(tcp) : krl_sock_write_seq(tcp);
	conn->sending.at_seq = krl_sock_write_seq(tcp);
}

/* Its socket is in no socket map. */
static __always_inline void krl_conn_not_enrolled(__u64 cookie)
{
	bpf_map_delete_elem(&krl_conns, &cookie);
	krl_count(KRL_REASON_NOT_ENROLLED);
}

/* The row of the socket that @msg is written to, which is @ret_sk. NULL: there is none. */
static __always_inline struct krl_conn *krl_msg_conn(struct sk_msg_md *msg, struct sock **ret_sk)
{
	struct sock *sk = krl_msg_sock(msg);
	__u64 cookie;

	*ret_sk = sk;
	if (!sk)
		return 0;
	cookie = krl_sock_cookie(sk);
	return bpf_map_lookup_elem(&krl_conns, &cookie);
}

#endif
