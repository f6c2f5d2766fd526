/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of krl_reply that is for the answers of model servers: they are metered, and cut where a budget is spent. */
#ifndef KMESH_RL_LLM_REPLY_H
#define KMESH_RL_LLM_REPLY_H

#include "lib/answer.h"
#include "lib/kernel.h"
#include "lib/meter.h"
#include "lib/resize.h"
#include "lib/room.h"
#include "lib/slot.h"

struct krl_replying {
	struct sk_msg_md *msg;
	struct krl_conn *conn;
	struct krl_llm *llm;	/* of a model server, else NULL */
	__u64 cookie;
	__u32 first;		/* bytes at least of the message's first piece; 0: not known */
};

/* Have the window hold what of the body is there from @data on. Returns 0, or -1 when that cannot be read. */
static __always_inline int krl_reply_fill(struct krl_replying *replying, const char *data, const char *end)
{
	struct krl_reply_walk *w = &replying->conn->reply_walk;
	struct krl_reply *r = &replying->conn->reply;
	struct krl_llm *llm = replying->llm;
	__u64 n = end - data;

	if (n > KRL_WINDOW_BYTES)
		n = KRL_WINDOW_BYTES;
	if (n > w->len - w->off)
		n = w->len - w->off;
	if (n > r->skip)
		n = r->skip;
	n = KRL_BOUNDED(n, KRL_WINDOW_BYTES);
	llm->at = 0;
	llm->end = n;
	return bpf_probe_read_kernel(llm->window.bytes, n, data) ? -1 : 0;
}

/* Step over bytes of a model server's answer's body, and read them if it is metered. The first is at @data. Returns 0,
 * or -1 when they cannot be read. */
static __always_inline int krl_reply_read(struct krl_replying *replying, const char *data, const char *end)
{
	struct krl_reply_walk *w = &replying->conn->reply_walk;
	struct krl_reply *r = &replying->conn->reply;
	struct krl_llm *llm = replying->llm;
	__u64 n;

	if (llm->metered) {
		if (llm->at >= llm->end || (llm->at && llm->end - llm->at < KRL_LLM_ALIKE_BYTES &&
					    krl_llm_usage_begins(&llm->usage)))
			return krl_reply_fill(replying, data, end);
		n = krl_llm_usage_step(&llm->usage, &llm->window, llm->at, llm->end);
		llm->at += n;
	} else {
		n = w->len - w->off < r->skip ? w->len - w->off : r->skip;
	}
	w->off += n;
	r->skip -= n;
	return 0;
}

/* A step went on in the answer of a model server, of which there were @answered before. Returns the event that remains. */
static __always_inline int krl_reply_meter(struct krl_replying *replying, __u32 answered, int event)
{
	const struct krl_reply_walk *w = &replying->conn->reply_walk;
	struct krl_reply *r = &replying->conn->reply;
	struct krl_llm *llm = replying->llm;

	if (r->answered != answered)
		krl_meter_begin(llm, r, replying->cookie);
	if (event == KRL_REPLY_LAST && llm->answering && r->status >= 200) {
		r->skip = KRL_METER_REST;
		event = KRL_REPLY_NOTHING;
	}
	if (llm->answering && !r->skip && r->http.state == KRL_HTTP_START)
		krl_meter_end(llm, r, replying->cookie, 1);
	if (event == KRL_REPLY_NOTHING && llm->answering && (w->off <= w->sure || w->off == w->len) &&
	    krl_meter_cuts(llm, r, replying->cookie))
		event = KRL_REPLY_CUT;
	return event;
}

/* The answer of a model server that is underway goes on at @seq. */
static __always_inline struct krl_llm *krl_reply_llm(struct krl_replying *replying, struct sock *sk, __u32 seq)
{
	const struct krl_reply *r = &replying->conn->reply;
	struct krl_llm *llm;

	replying->cookie = krl_sock_cookie(sk);
	llm = bpf_map_lookup_elem(&krl_llms, &replying->cookie);
	if (!llm)
		return 0;
	/* The kernel keeps it from run to run. */
	bpf_msg_apply_bytes(replying->msg, 0);
	llm->at = llm->end = 0;
	if (llm->answering && (__s32)(seq - r->at_seq) > 0)
		llm->gap = 1;
	return llm;
}

/* Let the message of a model server pass, no more of it at once than the kernel takes in any case: behind what it takes in
 * part it would let something pass unseen (fact 11 of docs/architecture.md). A writer that blocks waits for one byte. */
static __always_inline int krl_reply_pass_metered(struct krl_replying *replying, struct sock *sk)
{
	__u32 size = replying->msg->size, sure = krl_sock_sure(sk, replying->first, 0), tail;

	if (size <= sure)
		return SK_PASS;
	tail = krl_sock_tail(sk, replying->first);
	if (sure < tail)
		sure = tail;
	if (size > sure)
		bpf_msg_apply_bytes(replying->msg, sure ? sure : 1);
	return SK_PASS;
}

/* The last event of a stream that is cut. Clients of OpenAI's and of Anthropic's APIs take it for an error. */
#define KRL_CUT_EVENT                                                                              \
	"event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"The token budget is spent.\","     \
	"\"type\":\"tokens\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}\n\n"
#define KRL_CUT_BYTES 512

_Static_assert(sizeof(KRL_CUT_EVENT) - 1 == 0x90, "the size of the chunk");

/* Put the last event, and the end of the body, in place of the message. Returns 0, or -1 when that cannot be done now. */
static __always_inline int krl_reply_cut_write(struct krl_replying *replying, struct sock *sk)
{
	struct sk_msg_md *msg = replying->msg;
	struct krl_text_slot *slot = krl_text_slot_take();
	__u32 len;
	int err;

	if (!slot)
		return -1;
	slot->text.len = 0;
	if (replying->conn->reply.http.flags & KRL_HTTP_CHUNKED)
		krl_answer_str(&slot->text, "90\r\n" KRL_CUT_EVENT "\r\n0\r\n\r\n");
	else
		krl_answer_str(&slot->text, KRL_CUT_EVENT);
	len = slot->text.len & (KRL_CUT_BYTES - 1);
	err = len <= krl_sock_sure(sk, ~0U, 0) ? krl_message_resize(msg, msg->size, len) : -1;
	if (!err)
		krl_answer_copy((char *)(long)msg->data, (char *)(long)msg->data_end, &slot->text, KRL_CUT_BYTES);
	slot->busy = 0;
	return err;
}

/* The answer was cut ahead of this message: the first such gives way to the last event, the others to nothing, until the
 * connection is ended. */
static __noinline int krl_reply_cut(struct krl_replying *replying, struct sock *sk, __u32 seq)
{
	struct krl_conn *conn = replying->conn;
	struct krl_llm *llm = replying->llm;

	if (llm->cut == KRL_LLM_CUT)
		return bpf_msg_pop_data(replying->msg, 0, replying->msg->size, 0) ? SK_DROP : SK_PASS;
	if (krl_reply_cut_write(replying, sk))
		return SK_DROP;
	llm->cut = KRL_LLM_CUT;
	krl_count(KRL_REASON_LLM_CUT);
	krl_meter_end(llm, &conn->reply, replying->cookie, 0);
	conn->answer_seq = seq;
	conn->phase = KRL_PHASE_CLOSED;
	krl_send_event(replying->cookie, KRL_EVENT_CLOSE);
	return SK_PASS;
}

/* The walk stopped where the answer is to be cut: what comes before goes out, and the rest comes here again. Not where
 * the kernel might take a part of it: it would not ask about the rest. */
static __always_inline int krl_reply_cuts(struct krl_replying *replying)
{
	struct krl_reply_walk *w = &replying->conn->reply_walk;

	replying->llm->cut = KRL_LLM_CUTS;
	if (w->off < w->len)
		bpf_msg_apply_bytes(replying->msg, w->off);
	return SK_PASS;
}

#endif
