/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What becomes of a message that a client writes, as TCP and the kernel's sk_msg have it: it goes out, is held back, is
 * taken away, or turned into the answer. These four return the verdict; @seq is where in the stream the message is. */
#ifndef KMESH_RL_MESSAGE_H
#define KMESH_RL_MESSAGE_H

#include "resize.h"
#include "room.h"
#include "slot.h"
#include "write.h"

/* Where in the stream the message is. Returns how many of its bytes were framed already, or -1: others went out. */
static __always_inline int krl_message_place(struct krl_conn *conn, __u32 seq)
{
	__s32 over = conn->sending.at_seq - seq;

	if (over >= 0)
		return over;
	/* The kernel took part of a message, and did not ask about the rest. */
	return krl_http_skip(&conn->http, -over) == (__u32)-over ? 0 : -1;
}

/* How many bytes of the message may be judged: those that go out in any case when they are admitted. 0: none now. */
static __always_inline __u32 krl_message_room(struct sk_msg_md *msg, struct krl_conn *conn, struct sock *sk)
{
	__u32 first = (long)msg->data_end - (long)msg->data;
	__u32 sure = krl_sock_sure(sk, first, conn->sending.pieces);

	if (sure)
		return sure < conn->sending.size ? sure : conn->sending.size;
	/* One byte is taken or not: a writer that blocks waits for that. */
	return !krl_sock_full(sk) || conn->http.state == KRL_HTTP_BODY || conn->http.state == KRL_HTTP_CHUNK_DATA;
}

/* Let the first @n bytes of the message go. No more than what the kernel takes in any case: of the rest of what it
 * takes in part, it would not ask again (psock->eval). */
static __always_inline int krl_message_pass(struct sk_msg_md *msg, struct krl_conn *conn, __u32 seq, __u32 n)
{
	conn->sending.at_seq = seq + n;
	bpf_msg_apply_bytes(msg, n);
	return SK_PASS;
}

/* Of a head that is written in pieces, the bytes that are held back for the rest. */
#define KRL_CORKED_BYTES 16384

/* Messages that are held back before they are made one piece: the kernel has room for 16 pieces, and holds nothing
 * back when that is used up (net/ipv4/tcp_bpf.c, tcp_bpf_send_verdict). */
#define KRL_CORKED_PIECES 8

/* The message ends in a head: hold it back, so that nothing of a request that will be refused becomes a packet; or let
 * it go where it is too long for that. */
static __always_inline int krl_message_hold(struct sk_msg_md *msg, struct krl_conn *conn, struct sock *sk, __u32 seq)
{
	__u32 size = conn->sending.size, len = conn->scan.len;

	/* Room for all of it as well when the rest comes in more pieces. */
	if (len < size || size >= KRL_CORKED_BYTES || size >= krl_sock_sure(sk, 0, KRL_CORKED_PIECES) ||
	    conn->sending.torn) {
		conn->sending.torn = 1;
		return krl_message_pass(msg, conn, seq, len);
	}
	/* What was pulled may not be written behind (net/core/filter.c, sk_msg_reset_curr, leaves the place to the
	 * next piece). */
	if (conn->scan.pulled || ++conn->sending.pieces >= KRL_CORKED_PIECES) {
		conn->sending.pieces = 0;
		if (bpf_msg_pull_data(msg, 0, size, 0)) {
			conn->sending.torn = 1;
			return krl_message_pass(msg, conn, seq, size);
		}
	}
	conn->sending.at_seq = seq + size;
	conn->sending.corked = 1;
	bpf_msg_cork_bytes(msg, size + 1);
	return SK_PASS;
}

/* Take the whole message away; what is left of it is sent, which is nothing. */
static __always_inline int krl_message_drop(struct sk_msg_md *msg, struct krl_conn *conn, __u32 seq)
{
	conn->sending.at_seq = seq;
	if (!bpf_msg_pop_data(msg, 0, conn->sending.size, 0))
		return SK_PASS;
	krl_count(KRL_REASON_ANSWER_LOST);
	return SK_DROP;
}

/* Turn the first @n bytes of the message into conn->answer, for the client to read. What was held back goes with the
 * message: of that, the kernel forgets the rest (tcp_bpf_send_verdict, cork). */
static __noinline int krl_message_answer(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, __u32 n)
{
	struct krl_text_slot *slot;
	__u32 len;
	int err;

	if (conn->sending.corked) {
		if (n < conn->sending.size)
			conn->answer.close = 1;
		n = conn->sending.size;
		conn->sending.corked = 0;
	}
	conn->phase = conn->answer.close ? KRL_PHASE_CLOSED : KRL_PHASE_OPEN;
	slot = krl_text_slot_take();
	if (!slot)
		goto lost;
	krl_write_answer(&slot->text, conn);
	len = slot->text.len & (KRL_ANSWER_BYTES - 1);
	err = krl_message_resize(msg, n, len);
	if (!err)
		krl_answer_copy((char *)(long)msg->data, (char *)(long)msg->data_end, &slot->text, KRL_ANSWER_BYTES);
	slot->busy = 0;
	if (err)
		goto lost;
	bpf_msg_apply_bytes(msg, len);
	if (conn->answer.close) {
		conn->late = KRL_LATE_TRIES;
		krl_send_event(cookie, KRL_EVENT_CLOSE);
	}
	return bpf_msg_redirect_hash(msg, &krl_senders, &cookie, BPF_F_INGRESS);
lost:
	krl_count(KRL_REASON_ANSWER_LOST);
	return SK_DROP;
}

#endif
