/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the server writes over HTTP/2: each frame is stepped over by its length, so that the kernel knows where it may
 * put one of its own. */
#include "maps.h"
#include "http2_reply.h"
#include "lib/conns.h"
#include "lib/kernel.h"
#include "lib/reply_walk.h"

/* Frames that may begin in one message; of one that has more, the rest is not followed. */
#define KRL_H2_REPLY_STEPS 65536

struct krl_h2_replying {
	struct sk_msg_md *msg;
	struct krl_conn *conn;
};

/* Put what the client is to be told at walk.off. Returns 0; or -1 with the message as it was, or with walk.drops set
 * when it is not. */
static __always_inline int krl_h2_insert(struct sk_msg_md *msg, struct krl_conn *conn)
{
	struct krl_reply_walk *w = &conn->reply_walk;
	struct krl_h2 *h = &conn->h2;
	char *data, *end;
	__u32 lost, n, i;

	lost = __sync_lock_test_and_set(&h->lost, 0);
	n = krl_h2_write(h, conn->h2_text, lost, 0);
	/* As in reply.bpf.c: of bytes that the kernel does not take, it would tell the server a wrong number; and some
	 * kernels lose bytes when something is pushed into another piece than the first. */
	if (w->off + n > w->sure || (w->off && bpf_msg_pull_data(msg, 0, w->off, 0)) ||
	    bpf_msg_push_data(msg, w->off, n, 0)) {
		__sync_fetch_and_add(&h->lost, lost);
		return -1;
	}
	if (bpf_msg_pull_data(msg, w->off, w->off + n, 0)) {
		w->drops = 1;
		return -1;
	}
	data = (char *)(long)msg->data;
	end = (char *)(long)msg->data_end;
	for (i = 0; i < KRL_H2_TELL_BYTES; i++) {
		if (i >= n || data + 1 > end)
			break;
		*data++ = conn->h2_text[i];
	}
	if (!h->told)
		krl_count(KRL_REASON_HTTP2_GOAWAY);
	h->told = 1;
	h->asked = 0;
	w->off += n;
	w->len += n;
	conn->reply.taken_seq = conn->reply.at_seq + w->off;
	return 0;
}

/* Add bytes of the message to the header of a frame. Returns how many, 0 when they cannot be read. */
static __always_inline __u32 krl_h2_reply_head(struct sk_msg_md *msg, struct krl_conn *conn)
{
	struct krl_reply_walk *w = &conn->reply_walk;
	struct krl_h2_head *head = &conn->h2.server;
	__u32 n = w->len - w->off;
	char *data, *end;

	if (n > KRL_H2_HEAD_BYTES)
		n = KRL_H2_HEAD_BYTES;
	if (bpf_msg_pull_data(msg, w->off, w->off + n, 0))
		return 0;
	data = (char *)(long)msg->data;
	end = (char *)(long)msg->data_end;
	if (!head->len && data + KRL_H2_HEAD_BYTES <= end) {
		krl_h2_head_load(head, data);
		return KRL_H2_HEAD_BYTES;
	}
	if (data + 1 > end)
		return 0;
	krl_h2_head_add(head, *data);
	return 1;
}

static long krl_h2_reply_step(__u32 i, void *ctx)
{
	struct krl_h2_replying *r = ctx;
	struct krl_conn *conn = r->conn;
	struct krl_reply_walk *w = &conn->reply_walk;
	struct krl_h2 *h = &conn->h2;
	__u32 n, skip;

	if (w->off >= w->len)
		return 1;
	if (krl_h2_wants(h) && krl_h2_between(h) && !w->tried) {
		w->tried = 1;
		if (!krl_h2_insert(r->msg, conn))
			return 0;
		if (w->drops)
			return 1;
	}
	n = krl_h2_reply_head(r->msg, conn);
	if (!n) {
		w->event = KRL_REPLY_UNREADABLE;
		return 1;
	}
	w->off += n;
	if (h->server.len < KRL_H2_HEAD_BYTES)
		return 0;
	skip = krl_h2_server_frame(h);
	if (skip >= w->len - w->off) {
		conn->reply.skip = skip;
		return 1;
	}
	w->off += skip;
	return 0;
}

/* Is the message one of the kernel's, as krl_h2_write() has it? */
static __always_inline int krl_h2_reply_own(struct sk_msg_md *msg, const struct krl_h2 *h)
{
	char *data, *end;

	if (!h->underway || msg->size != h->underway || bpf_msg_pull_data(msg, 0, KRL_H2_HEAD_BYTES, 0))
		return 0;
	data = (char *)(long)msg->data;
	end = (char *)(long)msg->data_end;
	return data + KRL_H2_HEAD_BYTES <= end && !data[0] && !data[1] && !data[4] &&
	       (data[KRL_H2_TYPE_AT] == KRL_H2_GOAWAY || data[KRL_H2_TYPE_AT] == KRL_H2_WINDOW_UPDATE);
}

__noinline int krl_h2_reply(struct sk_msg_md *msg)
{
	struct krl_h2_replying replying = { .msg = msg };
	struct krl_conn *conn;
	struct sock *sk;
	__u64 over;
	__u32 seq;

	conn = krl_msg_conn(msg, &sk);
	if (!conn || !sk)
		return SK_PASS;
	replying.conn = conn;
	seq = krl_sock_write_seq(sk);
	over = krl_reply_resume(&conn->reply, seq);
	if (conn->reply.state != KRL_REPLY_HTTP2)
		return SK_PASS;
	/* The server was quicker than the worker that brings this, and has a frame underway. */
	if (krl_h2_reply_own(msg, &conn->h2)) {
		conn->h2.underway = 0;
		if (over || !krl_h2_between(&conn->h2))
			return SK_DROP;
	}
	if (over >= msg->size)
		return SK_PASS;
	krl_reply_walk_begin(conn, sk, seq, over, msg->size);
	bpf_loop(KRL_H2_REPLY_STEPS, krl_h2_reply_step, &replying, 0);
	krl_reply_walk_end(conn, seq);
	return conn->reply_walk.drops ? SK_DROP : SK_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
