/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Enrols the accepted sockets of protected endpoints, those that were connected to where requests are limited as they
 * go out, and no others; sees connections end that are counted. */
#include "maps.h"
#include "lib/caller.h"
#include "lib/conns.h"
#include "lib/dialled.h"
#include "lib/endpoint.h"
#include "lib/incoming.h"
#include "lib/kernel.h"
#include "lib/meter.h"
#include "lib/protocols.h"
#include "lib/reader.h"

/* What the server writes goes through krl_reply, from its first byte on. */
static __always_inline void krl_follow_server(struct bpf_sock_ops *ops, struct krl_conn *conn, __u32 flags, __u64 cookie)
{
	krl_reply_begin(&conn->reply, ops->snd_nxt);
	conn->reply.state = KRL_REPLY_HTTP2;
	if (!bpf_sock_hash_update(ops, &krl_writers, &cookie, BPF_NOEXIST))
		return;
	conn->reply.state = KRL_REPLY_UNKNOWN;
	if (flags & KRL_ENDPOINT_FOLLOWED)
		krl_count(KRL_REASON_HEADERS_LOST);
}

/* A row for the socket, as krl_conn_new() has it, until the socket closes. */
static __always_inline struct krl_conn *krl_enrol(struct bpf_sock_ops *ops, __u64 cookie,
						  const struct krl_endpoint_key *key, __u64 netns_cookie)
{
	struct krl_conn *conn = krl_conn_new(cookie, key, netns_cookie);

	/* The flag first: a socket that closes must always find its row removed. */
	if (conn)
		bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	return conn;
}

static __always_inline void krl_enrol_accepted(struct bpf_sock_ops *ops, const struct krl_flow *flow)
{
	struct krl_endpoint_key key = { .port = flow->local_port };
	struct krl_endpoint *endpoint;
	struct krl_conn *conn;
	__u64 cookie;

	if (!krl_port_bit(&krl_served_ports, flow->local_port))
		return;
	__builtin_memcpy(key.addr, flow->local, sizeof(key.addr));
	endpoint = krl_find_endpoint(&key);
	if (!endpoint)
		return;
	cookie = bpf_get_socket_cookie(ops);
	conn = krl_enrol(ops, cookie, &key, flow->netns_cookie);
	if (!conn)
		return;
	if (bpf_sock_hash_update(ops, &krl_sockets, &cookie, BPF_NOEXIST)) {
		krl_conn_not_enrolled(cookie);
		return;
	}
	if (krl_protocols_follow(conn) || endpoint->flags & KRL_ENDPOINT_FOLLOWED)
		krl_follow_server(ops, conn, endpoint->flags, cookie);
}

/* A client that blocks would get EAGAIN by a verdict on what it receives (net/ipv4/tcp_bpf.c, tcp_bpf_recvmsg_parser);
 * one that does not is served by it. */
static __always_inline void krl_enrol_receiver(struct bpf_sock_ops *ops, __u64 cookie)
{
	struct sock *tcp;

	if (!krl_config_has(KRL_CONFIG_RECEIVERS))
		return;
	tcp = krl_ops_sock(ops);
	if (tcp && !krl_sock_blocks(tcp))
		bpf_sock_hash_update(ops, &krl_receivers, &cookie, BPF_NOEXIST);
}

static __always_inline void krl_enrol_connected(struct bpf_sock_ops *ops)
{
	struct krl_endpoint_key key = { .hook = KRL_HOOK_SEND }, *dialled;
	struct bpf_sock *sk = ops->sk;
	struct krl_endpoint *endpoint;
	struct krl_conn *conn;
	struct krl_flow flow;
	__u64 cookie;

	if (KRL_LIKELY(!krl_config_has(KRL_CONFIG_DIALS)))
		return;
	krl_flow_of_ops(ops, &flow);
	dialled = sk ? bpf_sk_storage_get(&krl_dialled, sk, 0, 0) : 0;
	/* Another program may have made another peer of what was dialled. */
	if (dialled) {
		key = *dialled;
	} else if (krl_port_is_dialled(flow.remote_port)) {
		__builtin_memcpy(key.addr, flow.remote, sizeof(key.addr));
		key.port = flow.remote_port;
	} else {
		return;
	}
	endpoint = krl_find_endpoint(&key);
	if (!endpoint || !krl_caller_rules(endpoint->policy, flow.netns_cookie))
		return;
	cookie = bpf_get_socket_cookie(ops);
	conn = krl_enrol(ops, cookie, &key, flow.netns_cookie);
	if (!conn)
		return;
	/* What went out in the SYN, krl_send will not see: it finds another place than this. */
	conn->sending.at_seq = ops->snd_nxt - !!ops->data_segs_out;
	conn->admit_seq = ops->rcv_nxt;
	if (bpf_sock_hash_update(ops, &krl_senders, &cookie, BPF_NOEXIST))
		krl_conn_not_enrolled(cookie);
	else
		krl_enrol_receiver(ops, cookie);
}

/* The connection ends, and the server has it still: after a single request, this is the second look. Of a client that
 * wrote something, and krl_send saw nothing, it is the first. */
static __always_inline void krl_last_look(struct bpf_sock_ops *ops)
{
	struct krl_conn *conn;
	struct sock *tcp;
	__u64 cookie;

	cookie = bpf_get_socket_cookie(ops);
	conn = bpf_map_lookup_elem(&krl_conns, &cookie);
	tcp = krl_ops_sock(ops);
	if (!conn || !tcp)
		return;
	if (conn->endpoint.hook == KRL_HOOK_STREAM)
		krl_look_at_reader(conn, tcp);
	else if (conn->phase == KRL_PHASE_OPEN && !conn->http.flags &&
		 conn->sending.at_seq != krl_sock_write_seq(tcp))
		krl_count(KRL_REASON_UNSEEN);
}

/* A SYN is answered: what krl_incoming took for it is well taken. */
static __always_inline void krl_incoming_begins(struct bpf_sock_ops *ops)
{
	struct krl_incoming *in;
	struct krl_flow flow;

	if (!krl_port_counts(ops->local_port))
		return;
	krl_flow_of_ops(ops, &flow);
	in = krl_incoming_confirm(&flow);
	if (in)
		krl_held_reserve(&flow, &in->held);
}

/* An accepted connection, which krl_incoming has judged, if it could. */
static __always_inline void krl_incoming_is_open(struct bpf_sock_ops *ops, const struct krl_flow *flow)
{
	struct krl_endpoint_key key = { .port = flow->local_port, .hook = KRL_HOOK_LOOKUP };
	__u64 netns_cookie = flow->netns_cookie, cookie;
	struct krl_incoming *in;

	if (!krl_port_counts(flow->local_port))
		return;
	/* After a SYN cookie, this is the first that is known of it. */
	in = krl_incoming_confirm(flow);
	if (krl_holds()) {
		cookie = bpf_get_socket_cookie(ops);
		if (in)
			krl_held_keep(cookie, &in->held);
		else
			krl_held_move(flow, cookie);
		krl_held_follow(ops);
	}
	__builtin_memcpy(key.addr, flow->local, sizeof(key.addr));
	if (!bpf_map_lookup_elem(&krl_guarded, &netns_cookie) && krl_find_endpoint(&key))
		krl_count(KRL_REASON_UNGUARDED);
}

/* Somebody listens where the agent is to be. */
static __always_inline void krl_listens(struct bpf_sock_ops *ops)
{
	__u64 netns_cookie;

	if (!krl_port_counts(ops->local_port))
		return;
	netns_cookie = bpf_get_netns_cookie(ops);
	if (!bpf_map_lookup_elem(&krl_guarded, &netns_cookie))
		krl_send_event(netns_cookie, KRL_EVENT_LISTEN);
}

SEC("sockops")
int krl_sockops(struct bpf_sock_ops *ops)
{
	struct krl_flow flow;
	struct krl_conn *conn;
	__u64 cookie;

	switch (ops->op) {
	case BPF_SOCK_OPS_RWND_INIT:
		if (!ops->is_fullsock)
			krl_incoming_begins(ops);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		krl_flow_of_ops(ops, &flow);
		krl_incoming_is_open(ops, &flow);
		krl_enrol_accepted(ops, &flow);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		krl_enrol_connected(ops);
		break;
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		krl_listens(ops);
		break;
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		krl_held_follow(ops);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (ops->args[0] == KRL_TCP_ESTABLISHED)
			krl_last_look(ops);
		if (ops->args[1] != KRL_TCP_CLOSE)
			break;
		cookie = bpf_get_socket_cookie(ops);
		conn = bpf_map_lookup_elem(&krl_conns, &cookie);
		if (conn) {
			krl_protocols_ended(conn);
			if (conn->llm)
				krl_meter_close(&conn->reply, cookie);
		}
		bpf_map_delete_elem(&krl_conns, &cookie);
		bpf_map_delete_elem(&krl_matches, &cookie);
		krl_held_drop(cookie);
		break;
	}
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
