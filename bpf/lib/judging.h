/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A request, or a connection, and a rule while they are judged; and what of that is for rules that count LLMTokens, which
 * only those who read bodies can judge: they define KRL_READS_BODIES. */
#ifndef KMESH_RL_JUDGING_H
#define KMESH_RL_JUDGING_H

#include "../maps.h"
#include "charge.h"
#include "cluster.h"
#include "held.h"
#include "rule.h"

/* What the loops over the rules share. The numbers are in the connection's row: on the stack, the
 * verifier would follow each of them through every round. */
struct krl_judging {
	const struct krl_endpoint *endpoint;
	struct krl_judge *judge;
	const struct krl_policy *policy;	/* with match, or NULL: no descriptors */
	struct krl_match *match;
	struct krl_held *held;		/* of a connection, or NULL: what it took of rules with maxConnections */
#ifdef KRL_READS_BODIES
	struct krl_llm *llm;		/* of a connection to a model server: llm->charge is what it took of LLMTokens */
#endif
};

/* The three functions that follow are global so that the verifier walks their loops once, not once
 * for every path that leads to them; it wants a check of each pointer. */

KRL_GLOBAL int krl_rule_settings(const struct krl_rule *rule, __u32 id, struct krl_settings *ret)
{
	return rule && ret ? krl_rule_read(rule, id, ret) : -1;
}

KRL_GLOBAL int krl_rule_take(struct krl_bucket *b, const struct krl_settings *s, __u64 now_ns, __u64 n)
{
	if (!b || !s || !s->tokens_per_fill || !s->fill_interval_ns)
		return 0;
	return krl_bucket_take(b, s, now_ns, n);
}

KRL_GLOBAL int krl_rule_give_back(struct krl_bucket *b, const struct krl_settings *s, __u64 n)
{
	if (b && s && s->tokens_per_fill)
		krl_bucket_give_back(b, s, n);
	return 0;
}

/* One rule of the endpoint while it is judged. */
struct krl_judged {
	struct krl_settings settings;
	struct krl_bucket_key key;
	__u64 headers;		/* as struct krl_rule */
	__u32 slot;
	__u32 flags;		/* KRL_RULE_... */
	__u32 overflow;		/* the bucket is the rule's overflow bucket */
	__u32 pad;
	__u64 need;		/* tokens that have to be there */
};

#ifdef KRL_READS_BODIES

static __always_inline int krl_judges_llm(const struct krl_judged *rule)
{
	return rule->flags & KRL_RULE_LLM;
}

/* Tokens that the request which is judged on the connection @cookie reserves in the bucket of @rule. By its cookie, as
 * krl_charge_cancel(). */
KRL_GLOBAL __u64 krl_judge_reservation(const struct krl_rule *rule, __u64 cookie)
{
	struct krl_llm *llm = bpf_map_lookup_elem(&krl_llms, &cookie);
	const struct krl_cost *program;
	__u64 key;

	if (!rule || !llm)
		return 1;
	key = KRL_READ_ONCE(rule->cost);
	program = bpf_map_lookup_elem(&krl_costs, &key);
	if (!program)
		return 1;
	return krl_llm_reservation(llm, program, KRL_READ_ONCE(rule->reserve_default), KRL_READ_ONCE(rule->reserve_max));
}

/* Tokens that a request must find in the bucket of @rule, which counts LLMTokens: what it reserves there, or some. */
static __always_inline __u64 krl_judge_need_of(struct krl_judging *ctx, const struct krl_rule *rule, __u32 flags)
{
	if (!(flags & KRL_RULE_LLM))
		return ctx->judge->n;
	if (ctx->llm->early == KRL_EARLY_JUDGES)
		return 1;
	if (flags & KRL_RULE_REQUIRE_USAGE && ctx->llm->usage_missing)
		ctx->llm->usage_required = 1;
	return flags & KRL_RULE_RESERVE ? krl_judge_reservation(rule, ctx->llm->cookie) : 1;
}

/* A request begins to be judged. */
static __always_inline void krl_judge_charge_begin(struct krl_judging *ctx)
{
	ctx->llm->charge.count = 0;
	ctx->llm->charge.overflow = 0;
	ctx->llm->charge.cuts = 0;
	ctx->llm->usage_required = 0;
}

/* Write down that the request counts in the bucket @b of @rule, which counts LLMTokens, and reserve there what it needs;
 * in shadow mode above the limit too. As krl_rule_take(). */
static __always_inline int krl_judge_charge(struct krl_judging *ctx, struct krl_bucket *b, const struct krl_judged *rule)
{
	struct krl_charge *c = &ctx->llm->charge;
	__u32 n = KRL_MASKED(c->count, KRL_CHARGE_KEYS);
	int refused;

	/* More are not placed on an endpoint. */
	if (c->count >= KRL_CHARGE_KEYS)
		return 0;
	c->reserved[n] = 0;
	if (rule->flags & KRL_RULE_CLUSTER) {
		refused = krl_cluster_take(b, &rule->key, rule->flags, ctx->judge->now_ns,
					   rule->flags & KRL_RULE_RESERVE ? rule->need : 0);
		if (!refused && rule->flags & KRL_RULE_RESERVE)
			c->reserved[n] = rule->need;
	} else if (rule->flags & KRL_RULE_RESERVE) {
		refused = krl_rule_take(b, &rule->settings, ctx->judge->now_ns, rule->need);
		if (!refused)
			c->reserved[n] = rule->need;
	} else {
		refused = krl_bucket_peek(b, &rule->settings, ctx->judge->now_ns) < 1 ? -KRL_EAGAIN : 0;
	}
	if (refused && !(rule->flags & KRL_RULE_SHADOW))
		return refused;
	c->keys[n] = rule->key;
	c->overflow |= rule->overflow << n;
	c->cuts |= !!(rule->flags & KRL_RULE_CUT) << n;
	c->count++;
	return refused;
}

/* Is the request judged ahead of its body? Then nothing is taken of LLMTokens, but some must be there. */
static __always_inline int krl_judges_early(const struct krl_judging *ctx)
{
	return ctx->llm->early == KRL_EARLY_JUDGES;
}

/* ... was it, by rules that it is not judged by again? */
static __always_inline int krl_judges_rest(const struct krl_judging *ctx)
{
	return ctx->llm->early == KRL_EARLY_JUDGED;
}

static __always_inline __u64 krl_judge_counted(const struct krl_judging *ctx)
{
	return krl_judges_rest(ctx) ? ctx->llm->counted : 0;
}

/* It is refused. */
static __always_inline void krl_judge_charge_cancel(struct krl_judging *ctx)
{
	krl_charge_cancel(ctx->llm->cookie);
}

#else

static __always_inline int krl_judges_llm(const struct krl_judged *rule)
{
	return 0;
}

static __always_inline __u64 krl_judge_need_of(struct krl_judging *ctx, const struct krl_rule *rule, __u32 flags)
{
	return ctx->judge->n;
}

static __always_inline void krl_judge_charge_begin(struct krl_judging *ctx)
{
}

static __always_inline int krl_judge_charge(struct krl_judging *ctx, struct krl_bucket *b, const struct krl_judged *rule)
{
	return 0;
}

static __always_inline int krl_judges_early(const struct krl_judging *ctx)
{
	return 0;
}

static __always_inline int krl_judges_rest(const struct krl_judging *ctx)
{
	return 0;
}

static __always_inline __u64 krl_judge_counted(const struct krl_judging *ctx)
{
	return 0;
}

static __always_inline void krl_judge_charge_cancel(struct krl_judging *ctx)
{
}

#endif

#endif
