/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The server's answers to admitted requests, as it writes them: where a rule asks for it, they get header fields
 * that tell what is left of the limit. Those of model servers are for krl_reply_llm. */
#define KRL_REPLY_METERS 0
#include "maps.h"
#include "http2_reply.h"
#include "reply_steps.h"
#include "lib/conns.h"

/* Have the program not run for the rest of a body whose length is known, when the kernel takes all of it in any case.
 * What it does not take, it would pass unseen again, and as much of the next answer (fact 11 of docs/architecture.md). It
 * is known of no write with MSG_ZEROCOPY but the one that is looked at. */
static __always_inline void krl_reply_pass_body(struct krl_replying *replying, struct sock *sk)
{
	const struct krl_reply_walk *w = &replying->conn->reply_walk;
	__u64 all = w->off + replying->conn->reply.skip;

	if (!w->event && all > w->len && all <= w->sure && !krl_sock_zerocopy(sk))
		bpf_msg_apply_bytes(replying->msg, all);
}

SEC("sk_msg")
int krl_reply(struct sk_msg_md *msg)
{
	struct krl_replying replying = { .msg = msg };
	struct krl_conn *conn;
	struct sock *sk;
	__u64 over;
	__u32 seq;

	conn = krl_msg_conn(msg, &sk);
	if (!conn || !sk)
		return SK_PASS;
	if (conn->reply.state == KRL_REPLY_HTTP2)
		return krl_h2_reply(msg);
	if (conn->reply.state != KRL_REPLY_FRAMED)
		return SK_PASS;
	if (conn->llm)
		bpf_tail_call(msg, &krl_reply_programs, KRL_REPLY_PROGRAM_LLM);
	replying.conn = conn;
	seq = krl_sock_write_seq(sk);
	over = krl_reply_resume(&conn->reply, seq);
	if (conn->reply.state != KRL_REPLY_FRAMED) {
		krl_count(KRL_REASON_REPLY_UNREAD);
		return SK_PASS;
	}
	if (over >= msg->size)
		return SK_PASS;
	krl_reply_follow(&replying, sk, seq, over);
	if (conn->reply_walk.drops)
		return SK_DROP;
	krl_reply_pass_body(&replying, sk);
	return SK_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
