/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an edit changes for enrolled sockets: run by the agent for each, with its cookie as the packet. */
#include "maps.h"
#include "lib/endpoint.h"
#include "lib/kernel.h"

/* Connections that were open before the edit get the header fields that their endpoint has now. */
SEC("tc")
int krl_enlist(struct __sk_buff *skb)
{
	struct krl_endpoint *endpoint;
	struct krl_conn *conn;
	struct bpf_sock *sk;
	__u64 cookie;

	if (bpf_skb_load_bytes(skb, 0, &cookie, sizeof(cookie)))
		return 0;
	conn = bpf_map_lookup_elem(&krl_conns, &cookie);
	endpoint = conn ? bpf_map_lookup_elem(&krl_endpoints, &conn->endpoint) : 0;
	if (!endpoint || !(endpoint->flags & KRL_ENDPOINT_FOLLOWED))
		return 0;
	sk = bpf_map_lookup_elem(&krl_sockets, &cookie);
	if (!sk)
		return 0;
	bpf_map_update_elem(&krl_writers, &cookie, sk, BPF_NOEXIST);
	bpf_sk_release(sk);
	return 0;
}

/* Of a client, what it has not read of the kernel's answers would be lost, and what is held back of its request. */
static __always_inline int krl_release_sender(const struct krl_conn *conn, __u64 cookie, struct sock *sk)
{
	int held = conn->sending.corked && krl_http_in_head(&conn->http);
	__u8 one = 1;

	if ((conn->phase != KRL_PHASE_OPEN && conn->phase != KRL_PHASE_OPAQUE && conn->phase != KRL_PHASE_JOINING) ||
	    held || !krl_sock_read_answers(sk))
		return KRL_RELEASED_LATER;
	bpf_map_update_elem(&krl_loose, &cookie, &one, BPF_ANY);
	bpf_map_delete_elem(&krl_receivers, &cookie);
	bpf_map_delete_elem(&krl_senders, &cookie);
	return KRL_RELEASED;
}

static __always_inline int krl_release_server(const struct krl_conn *conn, __u64 cookie, struct sock *sk)
{
	__u8 one = 1;

	if (krl_sock_blocks(sk))
		return KRL_RELEASED;
	if ((conn->phase != KRL_PHASE_OPEN && conn->phase != KRL_PHASE_OPAQUE && conn->phase != KRL_PHASE_JOINING &&
	     conn->phase != KRL_PHASE_H2) ||
	    conn->answer.queued || !krl_sock_unread_nothing(sk))
		return KRL_RELEASED_LATER;
	if (!krl_sock_in_step(sk))
		return KRL_RELEASED;
	bpf_map_update_elem(&krl_loose, &cookie, &one, BPF_ANY);
	bpf_map_delete_elem(&krl_writers, &cookie);
	bpf_map_delete_elem(&krl_sockets, &cookie);
	return KRL_RELEASED;
}

/* Connections whose endpoint is gone are let go, when nothing of them waits to be read: what is in the socket map's
 * queue then would be lost. Those whose server may wait in a blocking recv(), which would say EAGAIN, and those of which
 * TCP has lost count stay until they close. The row in krl_conns stays, for a program that runs on another CPU; the agent
 * removes those in krl_loose whose socket is not enrolled. Returns enum krl_released. */
SEC("tc")
int krl_release(struct __sk_buff *skb)
{
	struct krl_endpoint_key endpoint;
	int sends, said = KRL_RELEASED;
	struct krl_conn *conn;
	struct bpf_sock *sk;
	struct sock *tcp;
	__u64 cookie;

	if (bpf_skb_load_bytes(skb, 0, &cookie, sizeof(cookie)))
		return KRL_RELEASED;
	conn = bpf_map_lookup_elem(&krl_conns, &cookie);
	if (!conn)
		return KRL_RELEASED;
	endpoint = conn->endpoint;
	if (krl_find_endpoint(&endpoint))
		return KRL_RELEASED;
	sends = endpoint.hook == KRL_HOOK_SEND;
	if (sends)
		sk = bpf_map_lookup_elem(&krl_senders, &cookie);
	else
		sk = bpf_map_lookup_elem(&krl_sockets, &cookie);
	if (!sk)
		return KRL_RELEASED;
	tcp = (struct sock *)bpf_skc_to_tcp_sock(sk);
	if (tcp)
		said = sends ? krl_release_sender(conn, cookie, tcp) : krl_release_server(conn, cookie, tcp);
	bpf_sk_release(sk);
	return said;
}

char _license[] SEC("license") = "Dual BSD/GPL";
