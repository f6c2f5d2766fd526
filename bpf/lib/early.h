/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A request to a model server that is judged by its body is judged by its head before, where the skb with that goes to
 * the server: by the rules that count whatever the body says. So one whose body never ends is no try for free. */
#ifndef KMESH_RL_EARLY_H
#define KMESH_RL_EARLY_H

#include "conn.h"
#include "llm.h"

/* The request was admitted ahead of its body: @conn's judge says what it took of @endpoint. */
KRL_GLOBAL int krl_early_keep(struct krl_conn *conn, struct krl_llm *llm, const struct krl_endpoint *endpoint)
{
	__u32 i;

	if (!conn || !llm || !endpoint)
		return 0;
	llm->early = KRL_EARLY_JUDGED;
	llm->counted = conn->judge.taken | conn->judge.shadowed;
	llm->policy = endpoint->policy;
	for (i = 0; i < KRL_MAX_ENDPOINT_RULES; i++)
		llm->rules[i] = endpoint->rules[i];
	return 0;
}

/* Has @endpoint the rules that the request was judged by, in the same places? */
static __always_inline int krl_early_is_of(const struct krl_llm *llm, const struct krl_endpoint *endpoint)
{
	__u64 differ = llm->policy ^ endpoint->policy;
	__u32 i;

	for (i = 0; i < KRL_MAX_ENDPOINT_RULES; i++)
		differ |= (llm->rules[i].id ^ endpoint->rules[i].id) | (llm->rules[i].slot ^ endpoint->rules[i].slot) |
			  (llm->rules[i].scope ^ endpoint->rules[i].scope);
	return !differ;
}

/* May the server have answered the request? Its answers, at @r, come in order. */
static __always_inline int krl_early_is_answered(const struct krl_reply *r, const struct krl_llm *llm)
{
	return r->state != KRL_REPLY_FRAMED || (__s32)(r->answered - llm->number) > 0 ||
	       (r->answered == llm->number && (r->line || krl_http_in_head(&r->http)));
}

/* An skb begins, maybe within a body. What the request was taken ahead of that is given back if this skb is refused: not
 * once the server answered, or whoever tries a key would have it back. By other rules than then, it is judged anew. */
KRL_GLOBAL int krl_early_resume(struct krl_conn *conn, struct krl_llm *llm, const struct krl_endpoint *endpoint)
{
	if (!conn || !llm || !endpoint)
		return 0;
	llm->judged = 0;
	if (llm->fresh || (llm->early && !krl_early_is_of(llm, endpoint)))
		llm->early = KRL_EARLY_NOT;
	if (llm->early && !krl_early_is_answered(&conn->reply, llm))
		return 0;
	conn->judge.taken = 0;
	conn->judge.shadowed = 0;
	return 0;
}

#endif
