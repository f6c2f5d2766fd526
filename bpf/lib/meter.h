/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Metering the answers of a model server: what is in their bodies, and what that makes of the requests' charges. */
#ifndef KMESH_RL_METER_H
#define KMESH_RL_METER_H

#include "charge.h"
#include "reply.h"

/* In krl_reply.skip: the body ends with the connection. */
#define KRL_METER_REST (1ULL << 62)

/* The head of an answer ended. */
static __always_inline void krl_meter_begin(struct krl_llm *llm, const struct krl_reply *r, __u64 cookie)
{
	llm->answering = 1;
	llm->answer = r->answered - 1;
	llm->metered = r->status < 300 && !(r->http.flags & KRL_HTTP_CODED);
	llm->gap = 0;
	llm->unchecked = 1;
	llm->cuts = llm->metered && krl_charge_cuts(cookie, llm->answer);
	__builtin_memset(&llm->usage, 0, sizeof(llm->usage));
}

/* Is the stream to be cut where it is, since a budget is spent? Between two events, and two chunks. */
static __always_inline int krl_meter_cuts(struct krl_llm *llm, const struct krl_reply *r, __u64 cookie)
{
	const struct krl_llm_usage *u = &llm->usage;
	int ahead;

	if (!llm->cuts || u->content_events < llm->unchecked || u->form != KRL_LLM_EVENTS || u->sse.state > KRL_SSE_CR ||
	    u->sse.has_data || (r->http.state != KRL_HTTP_CHUNK_START && r->skip < KRL_METER_REST / 2))
		return 0;
	ahead = krl_charge_ahead(cookie, llm->answer, llm);
	/* A server that tells what it used so far tells more than a token at a time. */
	llm->unchecked = u->content_events + 1 + (u->counts.seen ? 0 : ahead);
	return ahead < 0;
}

/* More is written, later than what was written before: meanwhile others may have used what was left of a budget. */
static __always_inline void krl_meter_goes_on(struct krl_llm *llm)
{
	if (llm->unchecked > llm->usage.content_events + 1)
		llm->unchecked = llm->usage.content_events + 1;
}

/* How much is known of what the answer used, of which @whole tells whether it came to its end. */
static __always_inline __u32 krl_meter_known(const struct krl_llm *llm, const struct krl_reply *r, int whole)
{
	const struct krl_llm_usage *u = &llm->usage;

	if (r->status >= 300)
		return KRL_LLM_REFUSED;
	if (!llm->metered)
		return KRL_LLM_UNREADABLE;
	/* A stream's "message" says what is used when it begins. */
	if (u->counts.seen && !llm->gap && (u->form == KRL_LLM_JSON || (whole && u->has_final)))
		return KRL_LLM_TOLD;
	return u->counts.seen || u->content_events ? KRL_LLM_ESTIMATED : KRL_LLM_UNREADABLE;
}

/* The answer ended, @whole or because the connection did: charge for it. */
static __always_inline void krl_meter_end(struct krl_llm *llm, const struct krl_reply *r, __u64 cookie, int whole)
{
	krl_llm_tokens_of(&llm->usage.counts, &llm->tokens);
	krl_charge_settle(cookie, llm->answer, llm, krl_meter_known(llm, r, whole));
	llm->answering = 0;
}

/* None of the answers that @r waits for will be metered: what was reserved for them is given back. */
static __always_inline void krl_meter_forget(struct krl_reply *r, __u64 cookie)
{
	__u32 i;

	for (i = 0; i < KRL_REPLY_MAX_WAITING; i++) {
		if (r->answered == r->asked)
			break;
		krl_charge_settle(cookie, r->answered, 0, KRL_LLM_REFUSED);
		r->answered++;
	}
}

/* No more is seen, or understood, of what the server writes to the connection @cookie, whose answers are at @r: the one
 * underway is charged for as it was seen. */
KRL_GLOBAL int krl_meter_leave(struct krl_reply *r, __u64 cookie)
{
	struct krl_llm *llm = bpf_map_lookup_elem(&krl_llms, &cookie);

	if (!r || !llm)
		return 0;
	if (llm->answering) {
		krl_llm_broke_off(&llm->usage);
		krl_meter_end(llm, r, cookie, r->skip >= KRL_METER_REST / 2);
	}
	krl_meter_forget(r, cookie);
	return 0;
}

/* The connection @cookie, whose answers are at @r, is closed. */
static __always_inline void krl_meter_close(struct krl_reply *r, __u64 cookie)
{
	krl_meter_leave(r, cookie);
	bpf_map_delete_elem(&krl_llms, &cookie);
}

#endif
