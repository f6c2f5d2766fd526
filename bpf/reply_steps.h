/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A walk over what a server writes at once: its answers are framed, get header fields where a rule asks for them, and
 * where KRL_REPLY_METERS is 1 are metered. */
#ifndef KMESH_RL_REPLY_STEPS_H
#define KMESH_RL_REPLY_STEPS_H

#include "maps.h"
#include "llm_reply.h"
#include "lib/answer.h"
#include "lib/form.h"
#include "lib/reply_walk.h"
#include "lib/resize.h"
#include "lib/slot.h"

/* Steps of a walk over a message: bpf_loop() goes no further. */
#define KRL_REPLY_STEPS (8 * 1024 * 1024)

/* Answers that may begin in one message, and what follows them. */
#define KRL_REPLY_HEADS (KRL_REPLY_MAX_WAITING + 1)

/* A message up to here is made one piece, so that it leaves as one segment, where it fits into one; of a larger
 * one, its beginning. */
#define KRL_REPLY_MERGED 65536

/* A message up to here that is one piece is written anew, with the fields in it. */
#define KRL_REPLY_WHOLE 1024

/* Bytes that are made readable at a time where the kernel has them in pieces. */
#define KRL_REPLY_PULLED 4096

/* Bytes that are read without asking for others: the verifier lets a program go no further. */
#define KRL_REPLY_REACH 0x7ff8

/* Make bytes from walk.off on readable. */
static __always_inline int krl_reply_pull(struct krl_replying *replying)
{
	struct krl_reply_walk *w = &replying->conn->reply_walk;
	__u32 end = w->len - w->off > KRL_REPLY_PULLED ? w->off + KRL_REPLY_PULLED : w->len;

	if (bpf_msg_pull_data(replying->msg, w->off, end, 0))
		return -1;
	if (!w->off)
		replying->first = end;
	w->base = w->off;
	w->pulled = 1;
	return 0;
}

/* How far walk.off is behind the first byte that can be read, as a number that the verifier lets be added to the
 * packet's start: the register that was compared is the one that is added. */
static __always_inline __u32 krl_reply_at(const struct krl_reply_walk *w)
{
	__u32 at = w->off - w->base;

	if (at > KRL_REPLY_REACH)
		at = KRL_REPLY_REACH;
	KRL_OPAQUE(at);
	return at;
}

static long krl_reply_walk_step(__u32 i, void *ctx)
{
	struct sk_msg_md *msg = ((struct krl_replying *)ctx)->msg;
	struct krl_llm *llm = krl_replying_llm(ctx);
	struct krl_conn *conn = ((struct krl_replying *)ctx)->conn;
	struct krl_reply *r = &conn->reply;
	struct krl_reply_walk *w = &conn->reply_walk;
	__u32 at, answered, n;
	char *data, *end;
	int event;

	if (w->off >= w->len)
		return 1;
	/* What no request waits for is no answer: the kernel's own come along here as well. */
	if (!krl_reply_waits(r) && !r->skip) {
		w->off = w->len;
		return 1;
	}
	data = (char *)(long)msg->data;
	end = (char *)(long)msg->data_end;
	at = krl_reply_at(w);
	data += at;
	if (at == KRL_REPLY_REACH || data + 1 > end) {
		if ((at || !w->pulled) && !krl_reply_pull(ctx))
			return 0;
		w->event = KRL_REPLY_UNREADABLE;
		return 1;
	}
	answered = r->answered;
	event = KRL_REPLY_NOTHING;
	/* A stream may be cut between two chunks. */
	n = llm && !llm->cuts && !r->skip && data + 8 <= end ? krl_reply_next_chunk(r, krl_load_word(data)) : 0;
	if (n)
		w->off += n;
	else if (!llm || !r->skip)
		w->off += krl_reply_step(r, data, end, &event);
	else if (krl_reply_read(ctx, data, end))
		event = KRL_REPLY_UNREADABLE;
	if (llm)
		event = krl_reply_meter(ctx, answered, event);
	w->event = event;
	if (r->skip && !llm) {
		if (r->skip >= w->len - w->off)
			return 1;
		w->off += r->skip;
		r->skip = 0;
	}
	return event != KRL_REPLY_NOTHING;
}

/* Is all up to walk.off in the first piece of the message? The program could read that from the start. */
static __always_inline int krl_reply_is_first(const struct sk_msg_md *msg, const struct krl_reply_walk *w)
{
	return !w->pulled && w->off < KRL_REPLY_REACH &&
	       (char *)(long)msg->data + krl_reply_at(w) <= (char *)(long)msg->data_end;
}

/* May @text be put at walk.off? Of bytes that the kernel does not take, it would tell the server a wrong number
 * (net/ipv4/tcp_bpf.c, tcp_bpf_send_verdict, counts what is left of the message). */
static __always_inline int krl_reply_fits(const struct krl_reply_walk *w, __u32 text_len)
{
	return text_len <= KRL_HEADERS_BYTES && w->off + text_len <= w->sure;
}

/* Put @form at walk.off, where a status line ended. Returns 0; or -1 with the message as it was, or with
 * walk.drops set when it is not. */
static __noinline int krl_reply_insert(struct krl_replying *r, struct krl_answer_text *text, const struct krl_form *form)
{
	struct krl_reply_walk *w = &r->conn->reply_walk;
	struct sk_msg_md *msg = r->msg;
	char *data, *data_end;
	__u32 len, end;

	krl_write_form(text, form, &r->conn->headers);
	len = w->len + text->len;
	end = w->off + text->len;
	/* What comes before is made one piece: kernels without commit f72eed9b84fb lose bytes
	 * when something is pushed into another piece than the first. */
	if (!krl_reply_fits(w, text->len) || (!krl_reply_is_first(msg, w) && bpf_msg_pull_data(msg, 0, w->off, 0)))
		return -1;
	w->base = 0;
	w->pulled = 1;
	if (bpf_msg_push_data(msg, w->off, text->len, 0))
		return -1;
	r->first = w->off;
	w->len = len;
	/* Each piece would leave as a segment of its own. */
	if (len > KRL_REPLY_MERGED || w->off > KRL_REPLY_REACH || bpf_msg_pull_data(msg, 0, len, 0)) {
		/* What was pushed is one piece: nothing is allocated that might be missing. */
		if (bpf_msg_pull_data(msg, w->off, end, 0)) {
			w->drops = 1;
			return -1;
		}
		w->base = w->off;
	}
	data = (char *)(long)msg->data;
	data_end = (char *)(long)msg->data_end;
	data += krl_reply_at(w);
	krl_answer_copy(data, data_end, text, KRL_HEADERS_BYTES);
	w->off = end;
	if (w->base && !bpf_msg_pull_data(msg, 0, end, 0))
		w->base = 0;
	return 0;
}

/* Is the message one piece that can be read, and short? */
static __always_inline int krl_reply_is_whole(const struct sk_msg_md *msg, const struct krl_reply_walk *w)
{
	__u32 len = (long)msg->data_end - (long)msg->data;

	return !w->base && len == w->len && len <= KRL_REPLY_WHOLE;
}

/* As krl_reply_insert(), of a message that is whole: all of it is written anew, into one piece that is put before it, for
 * half of the pages and copies. */
static __noinline int krl_reply_rewrite(struct krl_replying *r, struct krl_answer_text *text, const struct krl_form *form)
{
	struct krl_reply_walk *w = &r->conn->reply_walk;
	struct sk_msg_md *msg = r->msg;
	__u32 len = w->len, off = KRL_MASKED(w->off, 2 * KRL_REPLY_WHOLE), end, all;
	char *data = (char *)(long)msg->data;

	if (len > KRL_REPLY_WHOLE || off > len)
		return -1;
	text->len = 0;
	krl_answer_append(text, data, off);
	krl_append_form(text, form, &r->conn->headers);
	end = text->len;
	if (!krl_reply_fits(w, end - off))
		return -1;
	krl_answer_append(text, data + off, KRL_MASKED(len - off, 2 * KRL_REPLY_WHOLE));
	all = text->len;
	if (bpf_msg_push_data(msg, 0, all, 0))
		return -1;
	krl_answer_copy((char *)(long)msg->data, (char *)(long)msg->data_end, text, KRL_REPLY_WHOLE + KRL_HEADERS_BYTES);
	if (krl_message_pop_behind(msg, all, len)) {
		w->drops = 1;
		return -1;
	}
	w->len = all;
	w->off = end;
	return 0;
}

static __noinline int krl_reply_add(struct krl_replying *r)
{
	struct krl_reply_walk *w = &r->conn->reply_walk;
	__u64 key = r->conn->headers.form;
	const struct krl_form *form;
	struct krl_text_slot *slot;
	__u32 len = w->len;
	int lost = 1;

	form = key ? bpf_map_lookup_elem(&krl_forms, &key) : 0;
	if (!form)
		return 0;
	slot = krl_text_slot_take();
	if (slot) {
		lost = krl_reply_is_whole(r->msg, w) ? krl_reply_rewrite(r, &slot->text, form)
						     : krl_reply_insert(r, &slot->text, form);
		slot->busy = 0;
	}
	if (lost) {
		krl_count(KRL_REASON_HEADERS_LOST);
		return 0;
	}
	r->conn->reply.taken_seq = r->conn->reply.at_seq + w->off;
	r->conn->reply.added = w->len - len;
	return 0;
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
	krl_reply_add(r);
	return !!w->drops;
}

/* Walk over the message, which is at @seq; its first @over bytes are of no interest. */
static __always_inline void krl_reply_follow(struct krl_replying *replying, struct sock *sk, __u32 seq, __u32 over)
{
	struct krl_reply *r = &replying->conn->reply;
	__u64 skip = krl_replying_llm(replying) ? r->skip : 0;

	krl_reply_walk_begin(replying->conn, sk, seq, over, replying->msg->size);
	r->skip = skip;
	bpf_loop(KRL_REPLY_HEADS, krl_reply_head, replying, 0);
	krl_reply_walk_end(replying->conn, seq);
	if (replying->conn->reply_walk.event == KRL_REPLY_UNREADABLE)
		krl_count(KRL_REASON_REPLY_UNREAD);
}

#endif
