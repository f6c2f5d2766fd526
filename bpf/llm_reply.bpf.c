/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The answers of model servers: krl_reply goes on here, where they are metered, and cut where a budget is spent. */
#define KRL_REPLY_METERS 1
#include "maps.h"
#include "reply_steps.h"
#include "lib/conns.h"

/* The answer of a model server that is underway goes on at @seq. */
static __always_inline struct krl_llm *krl_reply_llm_of(struct krl_replying *replying, struct sock *sk, __u32 seq)
{
	const struct krl_reply *r = &replying->conn->reply;
	struct krl_llm *llm;

	replying->cookie = krl_sock_cookie(sk);
	llm = bpf_map_lookup_elem(&krl_llms, &replying->cookie);
	if (!llm)
		return 0;
	llm->at = llm->end = 0;
	if (llm->answering && (__s32)(seq - r->at_seq) > 0)
		llm->gap = 1;
	krl_meter_goes_on(llm);
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

/* Put the last event, and the end of the body, in place of the message. Returns 0; 1 where there is no room for them now, with the
 * message as it was; or -errno. */
static __always_inline int krl_reply_cut_write(struct krl_replying *replying, struct sock *sk)
{
	struct sk_msg_md *msg = replying->msg;
	struct krl_text_slot *slot = krl_text_slot_take();
	__u32 len;
	int err;

	if (!slot)
		return 1;
	slot->text.len = 0;
	if (replying->conn->reply.http.flags & KRL_HTTP_CHUNKED)
		krl_answer_str(&slot->text, "90\r\n" KRL_CUT_EVENT "\r\n0\r\n\r\n");
	else
		krl_answer_str(&slot->text, KRL_CUT_EVENT);
	len = slot->text.len & (KRL_CUT_BYTES - 1);
	err = len <= krl_sock_sure(sk, ~0U, 0) ? krl_message_resize(msg, msg->size, len) : 1;
	if (!err)
		krl_answer_copy((char *)(long)msg->data, (char *)(long)msg->data_end, &slot->text, KRL_CUT_BYTES);
	slot->busy = 0;
	return err;
}

/* The answer was cut ahead of this message: the first such gives way to the last event, the others to nothing, until the
 * connection is ended. Returns the verdict; or -1, where the last event finds no room: the stream goes on to its next. */
static __noinline int krl_reply_cut(struct krl_replying *replying, struct sock *sk, __u32 seq)
{
	struct krl_conn *conn = replying->conn;
	struct krl_llm *llm = replying->llm;
	int err;

	/* The server has an error of each. With one of nothing the kernel would take EPIPE off the socket, say that all was sent, and
	 * let the next one pass unseen (net/ipv4/tcp.c, tcp_sendmsg_locked; tcp_bpf.c, tcp_bpf_send_verdict). */
	if (llm->cut == KRL_LLM_CUT && (conn->broken || sk->sk_err))
		return SK_DROP;
	if (llm->cut == KRL_LLM_CUT)
		return bpf_msg_pop_data(replying->msg, 0, replying->msg->size, 0) ? SK_DROP : SK_PASS;
	err = krl_reply_cut_write(replying, sk);
	if (err > 0) {
		llm->cut = KRL_LLM_WHOLE;
		return -1;
	}
	if (err)
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

SEC("sk_msg")
int krl_reply_llm(struct sk_msg_md *msg)
{
	struct krl_replying replying = { .msg = msg, .first = (long)msg->data_end - (long)msg->data };
	struct krl_conn *conn;
	struct sock *sk;
	__u64 over;
	__u32 seq;
	int verdict;

	conn = krl_msg_conn(msg, &sk);
	if (!conn || !sk)
		return SK_PASS;
	/* The kernel keeps it from run to run. */
	bpf_msg_apply_bytes(msg, 0);
	replying.conn = conn;
	seq = krl_sock_write_seq(sk);
	replying.llm = krl_reply_llm_of(&replying, sk, seq);
	if (replying.llm && replying.llm->cut) {
		verdict = krl_reply_cut(&replying, sk, seq);
		if (verdict >= 0)
			return verdict;
	}
	over = krl_reply_resume(&conn->reply, seq);
	if (conn->reply.state != KRL_REPLY_FRAMED) {
		krl_count(KRL_REASON_REPLY_UNREAD);
		krl_meter_leave(&conn->reply, replying.cookie);
		return SK_PASS;
	}
	if (replying.llm)
		over -= conn->reply.skip;
	if (over >= msg->size)
		return krl_reply_pass_metered(&replying, sk);
	krl_reply_follow(&replying, sk, seq, over);
	if (conn->reply.state != KRL_REPLY_FRAMED)
		krl_meter_leave(&conn->reply, replying.cookie);
	if (replying.llm && conn->reply_walk.event == KRL_REPLY_CUT)
		return krl_reply_cuts(&replying);
	if (conn->reply_walk.drops)
		return SK_DROP;
	return krl_reply_pass_metered(&replying, sk);
}

char _license[] SEC("license") = "Dual BSD/GPL";
