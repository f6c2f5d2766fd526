/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What becomes of an skb that a server's socket received, and of its connection: it goes on to the server, is dropped, or
 * answered from the kernel. */
#ifndef KMESH_RL_VERDICT_H
#define KMESH_RL_VERDICT_H

#include "maps.h"
#include "lib/admit.h"
#include "lib/alive.h"
#include "lib/answer.h"
#include "lib/ended.h"
#include "lib/kernel.h"
#include "lib/pad.h"
#include "lib/protocols.h"
#include "lib/reader.h"
#include "lib/refusal.h"
#include "lib/select.h"

/* Drop the skb; the server need not know. Left out when more skbs wait, since the kernel stops taking
 * them at an error (net/ipv4/tcp.c, tcp_read_skb) and goes on only with the next that arrives. */
static __always_inline int krl_drop(struct __sk_buff *skb, const struct krl_conn *conn, struct sock *sk)
{
	__u32 zero = 0;

	if (!krl_sock_backlog(sk) && bpf_sk_redirect_hash(skb, &krl_sink, &zero, 0) == SK_PASS)
		return SK_PASS;
	krl_note_woken(conn);
	return SK_DROP;
}

/* Write the compact answer over the skb, exactly as long, and send it back on its own socket. */
static __noinline int krl_answer_in_place(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie)
{
	struct krl_text *t = &conn->text;
	__u32 len;
	int err;

	err = krl_answer_write_compact(t, &conn->answer, skb->len);
	if (err < 0)
		goto lost;
	if (err > 0)
		conn->phase = KRL_PHASE_CLOSED;
	len = KRL_BOUNDED(t->len, KRL_TEXT_BYTES);
	if (bpf_skb_store_bytes(skb, 0, t->bytes, len, 0))
		goto lost;
	if (krl_pad(skb, len, skb->len - 4) || bpf_skb_store_bytes(skb, skb->len - 4, "\r\n\r\n", 4, 0))
		goto lost;
	krl_count(KRL_REASON_ANSWER_COMPACT);
	return bpf_sk_redirect_hash(skb, &krl_sockets, &cookie, 0);
lost:
	krl_count(KRL_REASON_ANSWER_LOST);
	return SK_DROP;
}

/* Leave conn->answer to the agent, so that the server is not woken for nothing: always when the agent
 * carries answers in batches, since that is cheaper then, and for a server that waits in a blocking
 * recv(), which would get EAGAIN. Returns 0, or -1 without an agent that would see to it. */
static __always_inline int krl_leave_answer(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie,
					    const struct krl_config *config)
{
	__u64 now_ns = bpf_ktime_get_boot_ns();
	struct krl_load *load;
	__u32 zero = 0;
	int batched;

	load = bpf_map_lookup_elem(&krl_load, &zero);
	if (!load)
		return -1;
	__sync_fetch_and_add(&load->answers, 1);
	batched = now_ns < config->batch_until_ns;
	if (!batched && (!conn->blocks || !krl_agent_awake(config, now_ns)))
		return -1;
	/* The sink goes with the agent, at once when that is killed. */
	if (bpf_sk_redirect_hash(skb, &krl_sink, &zero, 0) != SK_PASS || krl_queue_answer(conn, cookie))
		return -1;
	__sync_fetch_and_add(&load->left, 1);
	krl_count(KRL_REASON_ANSWER_CARRIED);
	if (!batched)
		krl_send_event(cookie, KRL_EVENT_CARRY);
	return 0;
}

/* Send conn->answer in place of this skb. */
static __noinline int krl_answer(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie,
				 struct sock *sk)
{
	__u32 zero = 0, responder;
	struct krl_config *config;

	conn->phase = conn->answer.close ? KRL_PHASE_CLOSED : KRL_PHASE_OPEN;
	conn->answer_seq = krl_sock_write_seq(sk);
	conn->answered = 1;
	config = bpf_map_lookup_elem(&krl_config, &zero);
	if (config && config->responders) {
		if (!krl_leave_answer(skb, conn, cookie, config))
			return krl_drop(skb, conn, sk);
		krl_note_woken(conn);
		responder = bpf_get_smp_processor_id() % config->responders;
		if (bpf_sk_redirect_hash(skb, &krl_bounce, &responder, 0) == SK_PASS) {
			if (!krl_queue_answer(conn, cookie))
				return SK_PASS;
			krl_count(KRL_REASON_ANSWER_LOST);
			return SK_DROP;
		}
	} else {
		krl_note_woken(conn);
	}
	return krl_answer_in_place(skb, conn, cookie);
}

/* May an answer from the kernel go out now without overtaking one that the server owes? A client
 * that waits for each answer has all that was written when it sends the next request; of one
 * that once did not wait, it cannot be known here. Nor is there more than one answer of the kernel's
 * underway to a client that reads none: those would pile up in the pair that others need. */
static __always_inline int krl_nothing_owed(const struct krl_conn *conn, struct sock *sk)
{
	if (conn->answered && krl_sock_write_seq(sk) == conn->answer_seq)
		return 0;
	if (!conn->admitted)
		return krl_sock_acked(sk);
	return !conn->pipelined && !conn->interim && krl_sock_answered(sk, conn->admit_seq);
}

/* Refuse what is in this skb and after it: answer now, or when the server has said all it owes. More
 * is likely on its way. Of a torn request the server says nothing more: the kernel's answer takes the
 * place of its own, unless something was said; then the connection just ends. */
static __always_inline int krl_refuse_last(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie,
					   struct sock *sk, int nothing_owed)
{
	conn->answer.close = 1;
	conn->late = KRL_LATE_TRIES;
	if (conn->torn)
		nothing_owed = !conn->pipelined && krl_sock_write_seq(sk) == conn->admit_seq;
	if (nothing_owed)
		return krl_answer(skb, conn, cookie, sk);
	conn->phase = KRL_PHASE_DRAIN;
	krl_send_event(cookie, KRL_EVENT_DRAIN);
	return krl_drop(skb, conn, sk);
}

/* Bytes while an answer is on its way: the client did not wait for it. It becomes the last one; whoever
 * is later here, this program or the responder, has the connection ended. */
static __always_inline int krl_not_waited(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie,
					  struct sock *sk)
{
	conn->answer.close = 1;
	conn->phase = KRL_PHASE_CLOSED;
	if (!__sync_fetch_and_or(&conn->answer.queued, 0))
		krl_send_event(cookie, KRL_EVENT_CLOSE);
	return krl_drop(skb, conn, sk);
}

static __always_inline int krl_unjudged(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie,
					struct sock *sk, __u32 reason, int nothing_owed)
{
	if (!krl_refuse_unjudged(conn, reason))
		return SK_PASS;
	return krl_refuse_last(skb, conn, cookie, sk, nothing_owed);
}

/* The connection is in KRL_PHASE_H2. */
static __always_inline int krl_go_on_http2(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie,
					   struct sock *sk, int nothing_owed)
{
	bpf_tail_call(skb, &krl_programs, KRL_PROGRAM_HTTP2);
	return krl_unjudged(skb, conn, cookie, sk, KRL_REASON_READ_FAILED, nothing_owed);
}

/* The preface of HTTP/2, of which this skb may have more. */
static __always_inline int krl_http2_begin(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie,
					   struct sock *sk, int nothing_owed)
{
	krl_protocols_note(&conn->endpoint, KRL_SPEAKS_HTTP2);
	krl_h2_begin(&conn->h2, conn->http.flags & KRL_HTTP_UPGRADE_ASKED);
	conn->http.state = KRL_HTTP_START;
	conn->phase = KRL_PHASE_H2;
	conn->h2.begins = 1;
	return krl_go_on_http2(skb, conn, cookie, sk, nothing_owed);
}

static __always_inline int krl_scan_ended(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie,
					  struct sock *sk, int nothing_owed)
{
	if (!conn->scan.failed && conn->scan.event == KRL_HTTP_H2)
		return krl_http2_begin(skb, conn, cookie, sk, nothing_owed);
	if (!krl_refuse_ended(conn))
		return SK_PASS;
	return krl_refuse_last(skb, conn, cookie, sk, nothing_owed);
}

/* An skb while the body of a refused request is dropped: its 429 goes out at the body's end, so that
 * the client has sent all of it before it can send the next request. */
static __always_inline int krl_swallow(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie,
				       struct sock *sk)
{
	krl_scan(skb, conn);
	if (conn->scan.failed || conn->scan.event || conn->scan.begins) {
		conn->answer.close = 1;
		conn->late = KRL_LATE_TRIES;
		return krl_answer(skb, conn, cookie, sk);
	}
	if (conn->http.state != KRL_HTTP_START)
		return krl_drop(skb, conn, sk);
	conn->judge.now_ns = bpf_ktime_get_boot_ns();
	return krl_answer(skb, conn, cookie, sk);
}

/* Is the place in the server's answers known as a request comes? Bytes that were not seen are noticed here, or the next
 * answer would tell nothing. */
static __always_inline void krl_find_reply(struct krl_reply *r, struct sock *sk, int nothing_owed)
{
	__u64 left;

	if (r->state != KRL_REPLY_FRAMED)
		return;
	left = krl_reply_resume(r, krl_sock_write_seq(sk));
	if (r->state != KRL_REPLY_FRAMED) {
		krl_count(KRL_REASON_REPLY_UNREAD);
	} else if (left && left == r->added && nothing_owed) {
		/* The kernel took nothing of the answer with its fields, and let it pass unseen when it was written again. */
		krl_count(KRL_REASON_HEADERS_LOST);
		r->at_seq = r->taken_seq;
		r->skip = 0;
	}
}

/* What the header fields of the server's answer tell: of the request that was judged last. */
static __always_inline void krl_fill_told(struct krl_conn *conn)
{
	const struct krl_judge *judge = &conn->judge;
	struct krl_answer *a = &conn->headers;

	a->form = judge->headers;
	a->remaining = judge->left;
	a->retry_after_s = krl_seconds(judge->left_wait_ns);
	a->reset_s = krl_seconds(krl_unix_ns(judge->now_ns + judge->left_wait_ns));
}

/* ... and to which answers they go. */
static __always_inline void krl_fill_headers(struct krl_conn *conn, struct sock *sk, int nothing_owed)
{
	krl_find_reply(&conn->reply, sk, nothing_owed);
	if (conn->reply.state == KRL_REPLY_UNKNOWN && nothing_owed)
		krl_reply_begin(&conn->reply, krl_sock_write_seq(sk));
	/* The client has not waited for the kernel's answer: that may be taken for the server's. */
	if (conn->answered && krl_sock_write_seq(sk) == conn->answer_seq)
		krl_reply_forget(&conn->reply);
	if (conn->reply.state == KRL_REPLY_FRAMED)
		krl_reply_expect(&conn->reply, conn->scan.heads, conn->scan.head_bits);
	krl_fill_told(conn);
}

/* The connection's first request. */
static __always_inline void krl_speaks_http1(struct krl_conn *conn)
{
	conn->spoken = 1;
	krl_protocols_note(&conn->endpoint, KRL_SPEAKS_HTTP1);
	if (conn->reply.state == KRL_REPLY_HTTP2)
		conn->reply.state = KRL_REPLY_UNKNOWN;
}

/* The requests whose heads end in this skb go to the server. */
static __always_inline void krl_note_admitted(struct krl_conn *conn, struct sock *sk)
{
	conn->pipelined |= conn->scan.begins > 1 || conn->scan.heads > 1 ||
			   (conn->admitted && !krl_sock_answered(sk, conn->admit_seq));
	conn->admit_seq = krl_sock_write_seq(sk);
	conn->admitted = 1;
	conn->interim = !!(conn->scan.flags & KRL_HTTP_EXPECT);
}

#endif
