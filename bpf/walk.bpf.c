/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Walks over the enrolled sockets after an edit. */
#include "maps.h"
#include "lib/endpoint.h"
#include "lib/iter.h"
#include "lib/kernel.h"

/* Connections that were open before the edit get the header fields that their endpoint has now. */
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
	if (endpoint && endpoint->flags & KRL_ENDPOINT_FOLLOWED)
		bpf_map_update_elem(&krl_writers, &cookie, sk, BPF_NOEXIST);
	return 0;
}

/* Of a client, what it has not read of the kernel's answers would be lost, and what is held back of its request. */
static __always_inline int krl_release_sender(struct seq_file *seq, const struct krl_conn *conn, __u64 cookie,
					      struct sock *sk)
{
	int held = conn->sending.corked && krl_http_in_head(&conn->http);
	__u8 one = 1;

	if ((conn->phase != KRL_PHASE_OPEN && conn->phase != KRL_PHASE_OPAQUE && conn->phase != KRL_PHASE_JOINING) ||
	    held || !krl_sock_read_answers(sk)) {
		bpf_seq_write(seq, &one, sizeof(one));
		return 0;
	}
	bpf_map_update_elem(&krl_loose, &cookie, &one, BPF_ANY);
	bpf_map_delete_elem(&krl_receivers, &cookie);
	bpf_map_delete_elem(&krl_senders, &cookie);
	return 0;
}

/* Connections whose endpoint is gone are let go, when nothing of them waits to be read: what is in the socket map's
 * queue then would be lost. Those whose server may wait in a blocking recv(), which would say EAGAIN, and those of which
 * TCP has lost count stay until they close. Writes a byte for each that has to wait. The row in krl_conns stays, for a
 * program that runs on another CPU; the agent removes those in krl_loose whose socket is not enrolled. */
SEC("iter/sockmap")
int krl_release(struct bpf_iter__sockmap *ctx)
{
	__u64 *key = ctx->key, cookie;
	struct krl_endpoint_key endpoint;
	struct sock *sk = ctx->sk, *tcp;
	struct krl_conn *conn;
	__u8 one = 1;

	if (!key || !sk)
		return 0;
	cookie = *key;
	conn = bpf_map_lookup_elem(&krl_conns, &cookie);
	if (!conn)
		return 0;
	endpoint = conn->endpoint;
	if (krl_find_endpoint(&endpoint))
		return 0;
	if (endpoint.hook == KRL_HOOK_SEND)
		return krl_release_sender(ctx->meta->seq, conn, cookie, sk);
	if (krl_sock_blocks(sk))
		return 0;
	if ((conn->phase != KRL_PHASE_OPEN && conn->phase != KRL_PHASE_OPAQUE && conn->phase != KRL_PHASE_JOINING &&
	     conn->phase != KRL_PHASE_H2) ||
	    conn->answer.queued || !krl_sock_unread_nothing(sk)) {
		bpf_seq_write(ctx->meta->seq, &one, sizeof(one));
		return 0;
	}
	tcp = (struct sock *)bpf_skc_to_tcp_sock(sk);
	if (!tcp || !krl_sock_in_step(tcp))
		return 0;
	bpf_map_update_elem(&krl_loose, &cookie, &one, BPF_ANY);
	bpf_map_delete_elem(&krl_writers, &cookie);
	bpf_map_delete_elem(&krl_sockets, &cookie);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
