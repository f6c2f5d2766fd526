/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The server's answers to admitted requests, as it writes them: where a rule asks for it, they get header fields
 * that tell what is left of the limit. */
#include "maps.h"
#include "lib/answer.h"
#include "lib/kernel.h"
#include "lib/slot.h"

/* Steps of a walk over a message: no head is longer. */
#define KRL_REPLY_STEPS 65536

/* Answers that may begin in one message. */
#define KRL_REPLY_HEADS 64

/* A message up to here is made one piece, so that it leaves as one segment; of a larger one, its beginning. */
#define KRL_REPLY_MERGED 16384

/* No fields are longer (agent/policy/form.c). */
#define KRL_HEADERS_BYTES 512

/* Bytes that are made readable at a time where the kernel has them in pieces. */
#define KRL_REPLY_PULLED 4096

/* Where the verifier lets a program look, of what the kernel has in one piece. */
#define KRL_REPLY_SEEN 0x7fff

struct krl_replying {
	struct sk_msg_md *msg;
	struct krl_conn *conn;
};

/* Make bytes from walk.off on readable. */
static __always_inline int krl_reply_pull(struct sk_msg_md *msg, struct krl_reply_walk *w)
{
	__u32 end = w->len - w->off > KRL_REPLY_PULLED ? w->off + KRL_REPLY_PULLED : w->len;

	if (bpf_msg_pull_data(msg, w->off, end, 0))
		return -1;
	w->base = w->off;
	return 0;
}

static long krl_reply_walk_step(__u32 i, void *ctx)
{
	struct sk_msg_md *msg = ((struct krl_replying *)ctx)->msg;
	struct krl_conn *conn = ((struct krl_replying *)ctx)->conn;
	struct krl_reply *r = &conn->reply;
	struct krl_reply_walk *w = &conn->reply_walk;
	char *data, *end;
	__u32 at;
	int event;

	if (w->off >= w->len)
		return 1;
	data = (char *)(long)msg->data;
	end = (char *)(long)msg->data_end;
	at = w->off - w->base;
	if (at > KRL_REPLY_SEEN)
		at = KRL_REPLY_SEEN;
	data += at;
	if (data + 1 > end) {
		if (at && !krl_reply_pull(msg, w))
			return 0;
		w->event = KRL_REPLY_UNREADABLE;
		return 1;
	}
	w->off += krl_reply_step(r, data, end, &event);
	w->event = event;
	if (r->skip) {
		if (r->skip >= w->len - w->off)
			return 1;
		w->off += r->skip;
		r->skip = 0;
	}
	return event != KRL_REPLY_NOTHING;
}

struct krl_reply_writing {
	struct krl_answer_text *text;
	const struct krl_form *form;
	const struct krl_answer *answer;
};

static long krl_reply_write_piece(__u32 i, void *ctx)
{
	struct krl_reply_writing *w = ctx;

	return krl_answer_piece(w->text, w->form, w->answer, i);
}

/* Write the text at @at, where there is room for it. */
static __always_inline void krl_reply_copy(struct sk_msg_md *msg, __u32 at, const struct krl_answer_text *text)
{
	char *data = (char *)(long)msg->data, *end = (char *)(long)msg->data_end;
	__u32 i, n;

	if (at > KRL_REPLY_SEEN)
		return;
	data += at;
	for (i = 0; i < KRL_HEADERS_BYTES; i += 8) {
		if (i + 8 > text->len || data + 8 > end)
			break;
		*(__u64 *)data = krl_load_word(text->bytes + i);
		data += 8;
	}
	for (n = 0; n < 7; n++) {
		if (i + n >= text->len || data + 1 > end)
			break;
		*data = text->bytes[(i + n) & (KRL_ANSWER_BYTES - 1)];
		data++;
	}
}

/* Put the text at walk.off, where a status line ended. Returns SK_DROP when the message is not what it was and
 * cannot be mended. */
static __always_inline int krl_reply_insert(struct sk_msg_md *msg, struct krl_reply_walk *w,
					    const struct krl_answer_text *text)
{
	__u32 len = w->len + text->len, end = w->off + text->len;

	if (text->len > KRL_HEADERS_BYTES || bpf_msg_push_data(msg, w->off, text->len, 0)) {
		krl_count(KRL_REASON_HEADERS_LOST);
		return SK_PASS;
	}
	if (bpf_msg_pull_data(msg, 0, len <= KRL_REPLY_MERGED ? len : end, 0)) {
		krl_count(KRL_REASON_HEADERS_LOST);
		return bpf_msg_pop_data(msg, w->off, text->len, 0) ? SK_DROP : SK_PASS;
	}
	krl_reply_copy(msg, w->off, text);
	w->base = 0;
	w->len = len;
	w->off = end;
	return SK_PASS;
}

/* What is written next goes out at once: of bytes that do not fit, the kernel would tell the server a wrong
 * number (net/ipv4/tcp_bpf.c, tcp_bpf_send_verdict, counts what is left of the message). */
static __always_inline int krl_reply_fits(struct sock *sk, __u32 len)
{
	return krl_sock_room(sk) > (len < KRL_REPLY_MERGED ? len : KRL_REPLY_MERGED) + KRL_ANSWER_BYTES;
}

static __noinline int krl_reply_add(struct krl_replying *r)
{
	struct krl_reply_writing writing = { .answer = &r->conn->headers };
	struct krl_reply_walk *w = &r->conn->reply_walk;
	__u64 key = r->conn->headers.form;
	struct krl_text_slot *slot;
	int verdict;

	writing.form = key ? bpf_map_lookup_elem(&krl_forms, &key) : 0;
	if (!writing.form)
		return SK_PASS;
	slot = krl_text_slot_take();
	if (!slot) {
		krl_count(KRL_REASON_HEADERS_LOST);
		return SK_PASS;
	}
	slot->text.len = 0;
	slot->text.at = 0;
	writing.text = &slot->text;
	bpf_loop(writing.form->piece_count, krl_reply_write_piece, &writing, 0);
	verdict = krl_reply_insert(r->msg, w, &slot->text);
	slot->busy = 0;
	return verdict;
}

/* Up to the end of the next status line, or of the message. */
static long krl_reply_head(__u32 i, void *ctx)
{
	struct krl_replying *r = ctx;
	struct krl_reply_walk *w = &r->conn->reply_walk;

	w->event = KRL_REPLY_NOTHING;
	bpf_loop(KRL_REPLY_STEPS, krl_reply_walk_step, r, 0);
	if (w->event != KRL_REPLY_LINE)
		return 1;
	if (w->adds && krl_reply_add(r) != SK_PASS) {
		w->drops = 1;
		return 1;
	}
	return 0;
}

SEC("sk_msg")
int krl_reply(struct sk_msg_md *msg)
{
	struct krl_replying replying = { .msg = msg };
	struct krl_reply_walk *w;
	struct krl_conn *conn;
	struct krl_reply *r;
	struct sock *sk;
	__u64 cookie;
	__u32 seq;

	sk = krl_msg_sock(msg);
	if (!sk)
		return SK_PASS;
	cookie = krl_sock_cookie(sk);
	conn = bpf_map_lookup_elem(&krl_conns, &cookie);
	if (!conn || conn->reply.state != KRL_REPLY_FRAMED)
		return SK_PASS;
	r = &conn->reply;
	w = &conn->reply_walk;
	seq = krl_sock_write_seq(sk);
	if (krl_reply_resume(r, seq) >= msg->size)
		return SK_PASS;
	if (r->state == KRL_REPLY_LOST) {
		krl_count(KRL_REASON_REPLY_UNREAD);
		return SK_PASS;
	}
	__builtin_memset(w, 0, sizeof(*w));
	w->len = msg->size;
	w->off = r->skip;
	r->skip = 0;
	/* The kernel's own answers come along here as well. */
	if (w->off || krl_reply_waits(r)) {
		w->adds = krl_reply_fits(sk, w->len);
		replying.conn = conn;
		bpf_loop(KRL_REPLY_HEADS, krl_reply_head, &replying, 0);
		if (w->drops)
			return SK_DROP;
		if (w->event == KRL_REPLY_UNREADABLE || (!w->event && !r->skip && w->off < w->len))
			krl_count(KRL_REASON_REPLY_UNREAD);
		if (w->event || (!r->skip && w->off < w->len))
			r->state = KRL_REPLY_LOST;
	} else {
		w->off = w->len;
	}
	r->at_seq = seq + w->off;
	return SK_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
