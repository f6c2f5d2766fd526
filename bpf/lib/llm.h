/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is known of a connection to a model server, besides its struct krl_conn: value of krl_llms, by socket cookie. */
#ifndef KMESH_RL_LLM_H
#define KMESH_RL_LLM_H

#include <kmesh_rl/abi.h>
#include <kmesh_rl/report.h>

#include "cost.h"
#include "llm_request.h"
#include "llm_answer.h"

/* Bodies of requests are read up to here. */
#define KRL_LLM_BODY_BYTES (1U << 20)

/* Bytes of a request that make a token, where that is estimated: of English text four are usual. */
#define KRL_LLM_TOKEN_BYTES 4

/* A request that was let through and is to be charged when its answer is done: value of krl_charges. */
struct krl_charge {
	__u32 count;		/* of keys */
	__u16 overflow;		/* a bit for each key: it is the rule's overflow bucket */
	__u16 cuts;		/* ... its rule has onExhausted: Cut */
	__u64 reserved[KRL_CHARGE_KEYS];	/* tokens that were taken for it so far */
	struct krl_bucket_key keys[KRL_CHARGE_KEYS];
	struct krl_llm_model_key model;	/* rule_id is set for each rule */
	__u64 prompt;		/* tokens that its body was estimated at */
	__u64 completion;	/* its body has a prompt, and no messages */
	struct krl_cost_run run;	/* when it is settled */
};

/* How much of what an answer used is known. */
enum krl_llm_known {
	KRL_LLM_TOLD,		/* by the server */
	KRL_LLM_ESTIMATED,	/* by the events of the stream and the bytes of the request */
	KRL_LLM_UNREADABLE,	/* nothing is */
	KRL_LLM_REFUSED,	/* it is no success, or was never given: nothing was used */
};

enum krl_llm_reading {
	KRL_LLM_READS_NOT,	/* no body is underway, or one that is not read */
	KRL_LLM_READS,		/* ... and its request was judged by its head */
	KRL_LLM_DEFERS,		/* ... and is judged when it ended */
};

/* Of a stream that is cut: the rest of it, from the end of an event on, is replaced by the error. */
enum krl_llm_cut {
	KRL_LLM_WHOLE,
	KRL_LLM_CUTS,	/* what the server writes next is replaced */
	KRL_LLM_CUT,	/* ... is taken away */
};

/* Of a request that is judged by its body: the rules that count whatever that says are judged ahead of it. */
enum krl_llm_early {
	KRL_EARLY_NOT,
	KRL_EARLY_JUDGES,	/* that is what is done now */
	KRL_EARLY_JUDGED,	/* ... was done */
};

struct krl_llm {
	struct krl_llm_request request;
	__u64 cookie;		/* of the connection */
	__u64 body_len;		/* bytes of the request's body that came */
	__u32 number;		/* of the request, as in krl_charge_key */
	__u8 reading;		/* enum krl_llm_reading */
	__u8 unread;		/* the body was too long, coded, or could not be read */
	__u8 usage_missing;	/* it asks for a stream, and not for its usage */
	__u8 usage_required;	/* ... which a rule wants that counts for it */
	__u8 answering;		/* an answer is underway */
	__u8 metered;		/* ... whose body is read */
	__u8 gap;		/* ... some of it was not seen */
	__u8 followed;		/* the answers to the requests of this skb will be */
	__u8 fresh;		/* this skb begins between two requests */
	__u8 leaves;		/* ... and has what is no HTTP/1.1 behind them */
	__u8 nothing_owed;	/* an answer to what is in it would overtake none */
	__u8 cuts;		/* ... as soon as its budget is spent */
	__u8 cut;		/* enum krl_llm_cut */
	__u8 early;		/* enum krl_llm_early */
	__u8 judged;		/* a body ended in this skb, and its request was admitted */
	__u8 before;		/* the framing's state, and the byte of the skb, ahead of a step */
	__u32 off;
	__u32 unchecked;	/* events that bring a piece of the answer, at which the budget is looked at again */
	__u32 base;		/* the number of the first head that ends in this skb */
	__u32 heads;		/* that ended in it so far */
	__u32 charged_from;	/* the first request of this skb that may have a charge */
	__u32 answer;		/* the number of the request that is answered */
	struct krl_charge charge;	/* of the request that is judged */
	struct krl_llm_usage usage;	/* of the answer that is underway */
	struct krl_llm_tokens tokens;	/* ... when it is settled */
	struct krl_llm_tokens asked;	/* what the request that is judged may use */
	__u32 at;		/* where its body is read in the window */
	__u32 end;
	__u64 counted;		/* a bit for each rule that the request counts in ahead of its body */
	__u64 policy;		/* ... and what the endpoint had by then: its selectors */
	struct krl_rule_ref rules[KRL_MAX_ENDPOINT_RULES];
	__u32 line_len;		/* of the request, see report_request.h */
	__u32 pad;
	char line[KRL_REPORT_LINE_BYTES];
	struct krl_http_window window;
};

/* How many answers the request is for: several choices (n, best_of), for each of its prompts. */
static __always_inline __u64 krl_llm_choices(const struct krl_llm *llm)
{
	const struct krl_llm_request *r = &llm->request;
	__u64 n = 1, i;

	if (llm->unread)
		return 1;
	for (i = 0; i < 2; i++)
		if (r->has & KRL_LLM_HAS(KRL_LLM_N + i) && r->choices[i] > n)
			n = r->choices[i];
	return r->prompts > 1 ? n * r->prompts : n;
}

/* What the request may use, as far as its body tells; one that names no limit, @by_default for each of its answers, or where
 * that is 0 as much output as numbers can say. Nothing of its prompt is known to be cached. */
static __always_inline void krl_llm_may_use(struct krl_llm *llm, __u64 by_default)
{
	const struct krl_llm_request *r = &llm->request;
	const __u32 limits = KRL_LLM_HAS(KRL_LLM_MAX_TOKENS) | KRL_LLM_HAS(KRL_LLM_MAX_COMPLETION_TOKENS) |
			     KRL_LLM_HAS(KRL_LLM_MAX_OUTPUT_TOKENS);
	__u64 output = by_default ?: KRL_COST_MAX, most = KRL_COST_MAX - llm->charge.prompt, choices, i;
	struct krl_llm_tokens *t = &llm->asked;

	if (r->has & limits && !llm->unread) {
		output = 0;
		for (i = 0; i < 3; i++)
			if (r->has & KRL_LLM_HAS(KRL_LLM_MAX_TOKENS + i) && r->max_tokens[i] > output)
				output = r->max_tokens[i];
	}
	choices = krl_llm_choices(llm);
	t->input = llm->charge.prompt;
	t->output = output > most / choices ? most : output * choices;
	t->total = t->input + t->output;
	t->cached_input = 0;
	t->reasoning = 0;
	t->has = KRL_LLM_HAS_INPUT | KRL_LLM_HAS_OUTPUT | KRL_LLM_HAS_TOTAL;
}

/* Tokens to reserve for the request: what it may use costs by @program, 1 .. @most. @by_default as krl_llm_may_use(). */
static __always_inline __u64 krl_llm_reservation(struct krl_llm *llm, const struct krl_cost *program, __u64 by_default,
						 __u64 most)
{
	struct krl_cost_run *run = &llm->charge.run;

	krl_llm_may_use(llm, by_default);
	krl_cost_eval(program, &llm->asked, &llm->charge.model, run);
	/* Where numbers end it may be more, and a bucket may hold more. */
	if (run->tokens > most || run->tokens == KRL_COST_MAX)
		return most;
	return run->tokens ?: 1;
}

#endif
