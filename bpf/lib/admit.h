/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* All or none: take from the bucket of every rule that counts on an endpoint. */
#ifndef KMESH_RL_ADMIT_H
#define KMESH_RL_ADMIT_H

#include "../maps.h"
#include "judging.h"
#include "kept.h"
#include "latency.h"
#include "rule_bucket.h"

static __always_inline void krl_judge_bucket_made(void)
{
	struct krl_load *load;
	__u32 zero = 0;

	load = bpf_map_lookup_elem(&krl_load, &zero);
	if (load)
		__sync_fetch_and_add(&load->buckets_made, 1);
}

/* Make a bucket under @key, full, or with nothing open, or with @credit of a lease. NULL: there is no room for one more. */
static __always_inline struct krl_bucket *krl_bucket_make(const struct krl_bucket_key *key,
							  const struct krl_settings *s, __u32 flags,
							  __u64 credit, __u64 now_ns)
{
	struct krl_bucket fresh = krl_rule_bucket_new(s, flags, credit, now_ns), *b;

	if (!bpf_map_update_elem(&krl_buckets, key, &fresh, BPF_NOEXIST) && key->descriptor[0])
		krl_judge_bucket_made();
	b = bpf_map_lookup_elem(&krl_buckets, key);
	return b && !krl_bucket_is_buried(b) ? b : 0;
}

/* Keep for people whose bucket that under @key is, of a rule of @tier, unless it is kept: then the look tells
 * the map that it was seen. */
static __always_inline void krl_judge_keep(struct krl_judging *ctx, const struct krl_bucket_key *key, __u32 tier)
{
	if (!key->descriptor[0] || !ctx->match || bpf_map_lookup_elem(&krl_values, key->descriptor))
		return;
	krl_keep(ctx->match, ctx->policy, tier);
	bpf_map_update_elem(&krl_values, key->descriptor, &ctx->match->kept, BPF_ANY);
}

/* The bucket of the @i-th rule of the endpoint, created full when it is missing, and the rule; the rule's
 * overflow bucket when there is no room for one more. NULL: gone since the endpoint was read, which the agent
 * makes last for a moment only. */
static __always_inline struct krl_bucket *krl_judge_bucket(struct krl_judging *ctx, __u32 i,
							   struct krl_judged *ret)
{
	struct krl_judge *j = ctx->judge;
	struct krl_rule_ref ref;
	struct krl_rule *rule;
	__u32 slot, tier = 0;
	struct krl_bucket *b;

	ref = ctx->endpoint->rules[i & (KRL_MAX_ENDPOINT_RULES - 1)];
	slot = ref.slot;
	rule = bpf_map_lookup_elem(&krl_rules, &slot);
	if (!rule || krl_rule_settings(rule, ref.id, &ret->settings)) {
		krl_count(KRL_REASON_RULE_CHANGED);
		return 0;
	}
	ret->slot = slot;
	ret->flags = KRL_READ_ONCE(rule->flags);
	ret->need = krl_judge_need_of(ctx, rule, ret->flags);
	ret->headers = KRL_READ_ONCE(rule->headers);
	ret->overflow = 0;
	ret->key = j->key;
	ret->key.rule_id = ref.id;
	ret->key.slot = slot;
	if (ctx->policy && ctx->match) {
		tier = ctx->policy->tier_of[i & (KRL_MAX_ENDPOINT_RULES - 1)] & (KRL_MAX_TIERS - 1);
		ret->key.descriptor[0] = ctx->match->descriptors[tier][0];
		ret->key.descriptor[1] = ctx->match->descriptors[tier][1];
	}
	if (ref.scope != KRL_SCOPE_EXACT)
		__builtin_memset(ret->key.addr, 0, sizeof(ret->key.addr));
	if (ref.scope == KRL_SCOPE_ANY_IPV4)
		ret->key.addr[10] = ret->key.addr[11] = 0xff;
	b = bpf_map_lookup_elem(&krl_buckets, &ret->key);
	if (KRL_LIKELY(b && KRL_READ_ONCE(b->tokens) > 0))
		return b;
	if (!b || krl_bucket_is_buried(b))
		b = krl_bucket_make(&ret->key, &ret->settings, ret->flags, KRL_READ_ONCE(rule->credit), j->now_ns);
	if (!b) {
		krl_count(KRL_REASON_BUCKET_OVERFLOW);
		ret->overflow = 1;
		ret->flags |= KRL_RULE_OVERFLOW;
		return bpf_map_lookup_elem(&krl_overflow, &slot);
	}
	/* New, or empty: one that people ask about, and few of the requests to the others. */
	krl_judge_keep(ctx, &ret->key, tier);
	return b;
}

/* Atomically, though each CPU has its own: a program may be interrupted by another that counts there. */
static __always_inline void krl_judge_count(__u32 slot, __u64 allowed, __u64 limited, __u64 shadow_limited)
{
	struct krl_rule_stats *stats = bpf_map_lookup_elem(&krl_rule_stats, &slot);

	if (!stats)
		return;
	if (allowed)
		__sync_fetch_and_add(&stats->allowed, allowed);
	if (limited)
		__sync_fetch_and_add(&stats->limited, limited);
	if (shadow_limited)
		__sync_fetch_and_add(&stats->shadow_limited, shadow_limited);
}

static const __u64 krl_none_limited;

/* The rule that refused in @j did so with @n requests, of whom its bucket is. */
static __always_inline void krl_judge_count_refused(const struct krl_judge *j, __u64 n)
{
	__u64 *limited;

	krl_judge_count(j->refused.slot, 0, n, 0);
	if (!j->refused.bucket.descriptor[0])
		return;
	limited = bpf_map_lookup_elem(&krl_limited, &j->refused.bucket);
	if (!limited) {
		bpf_map_update_elem(&krl_limited, &j->refused.bucket, &krl_none_limited, BPF_NOEXIST);
		limited = bpf_map_lookup_elem(&krl_limited, &j->refused.bucket);
	}
	if (limited)
		__sync_fetch_and_add(limited, n);
}

/* When it pays to come again. After one fill there is room for a request; not for what an LLMTokens rule is owed. */
static __always_inline __u64 krl_judge_wait_ns(const struct krl_judge *j, const struct krl_bucket *b,
					       const struct krl_judged *rule)
{
	if (rule->flags & KRL_RULE_CLUSTER)
		return krl_cluster_next_fill_ns(&rule->settings, j->now_ns);
	if (krl_judges_llm(rule))
		return krl_bucket_wait_ns(b, &rule->settings, j->now_ns, rule->need);
	return krl_bucket_next_fill_ns(b, &rule->settings, j->now_ns);
}

/* @rule refuses: note it in @ret, unless one that fills later is there. */
static __always_inline void krl_judge_refuse(struct krl_refusing *ret, const struct krl_judge *j,
					     const struct krl_bucket *b, const struct krl_judged *rule, __s64 tokens)
{
	__u64 wait_ns = krl_judge_wait_ns(j, b, rule);

	if (wait_ns <= ret->wait_ns)
		return;
	ret->wait_ns = wait_ns;
	ret->tokens = tokens;
	ret->needed = rule->need;
	ret->slot = rule->slot;
	ret->bucket.descriptor[0] = rule->key.descriptor[0];
	ret->bucket.descriptor[1] = rule->key.descriptor[1];
	ret->bucket.rule_id = rule->key.rule_id;
}

/* Of several rules that were taken from, the answer's header fields tell of the one with the fewest tokens. */
static __always_inline void krl_judge_tell(struct krl_judge *j, const struct krl_bucket *b,
					   const struct krl_judged *rule)
{
	__s64 tokens = KRL_READ_ONCE(b->tokens);
	__u64 left = tokens > 0 ? tokens : 0;

	if (!rule->headers || rule->flags & KRL_RULE_SHADOW || (j->headers && j->left <= left))
		return;
	j->headers = rule->headers;
	j->left = left;
	j->left_wait_ns = rule->flags & KRL_RULE_CLUSTER ? krl_cluster_next_fill_ns(&rule->settings, j->now_ns)
							 : krl_bucket_next_fill_ns(b, &rule->settings, j->now_ns);
}

static __always_inline int krl_judge_counts(const struct krl_judge *j, __u32 i)
{
	return j->counts >> (i & (KRL_MAX_ENDPOINT_RULES - 1)) & 1;
}

static long krl_judge_check(__u32 i, void *ctx)
{
	struct krl_judge *j = ((struct krl_judging *)ctx)->judge;
	struct krl_judged rule;
	struct krl_bucket *b;
	__s64 tokens;

	if (!krl_judge_counts(j, i))
		return 0;
	b = krl_judge_bucket(ctx, i, &rule);
	if (!b || rule.flags & KRL_RULE_SHADOW)
		return 0;
	if (rule.flags & KRL_RULE_CLUSTER) {
		if (krl_cluster_take(b, &rule.key, rule.flags, j->now_ns, 0))
			krl_judge_refuse(&j->refused, j, b, &rule, krl_lease_available(b, j->now_ns));
		return 0;
	}
	tokens = krl_rule_bucket_available(b, &rule.settings, rule.flags, j->now_ns);
	if (tokens < (__s64)rule.need && tokens > KRL_BUCKET_BURIED_MAX)
		krl_judge_refuse(&j->refused, j, b, &rule, tokens);
	return 0;
}

/* Write down as number @n of @held that the connection counts in the bucket of @rule. */
static __always_inline void krl_judge_hold_note(struct krl_held *held, __u32 n, const struct krl_judged *rule)
{
	held->keys[KRL_MASKED(n, KRL_HELD_KEYS)] = rule->key;
	held->overflow |= rule->overflow << n;
	held->count = n + 1;
}

/* Count the connection in the bucket @b of @rule, which has maxConnections; in shadow mode above the limit too. As
 * krl_rule_take(). */
static __always_inline int krl_judge_hold(struct krl_held *held, struct krl_bucket *b, const struct krl_judged *rule)
{
	__u32 n = held ? held->count : KRL_HELD_KEYS;
	int refused;

	/* More are not placed on an endpoint: it is so while what stays of another plan is there. */
	if (!held || n >= KRL_HELD_KEYS)
		return 0;
	refused = krl_gauge_take(b, &rule->settings);
	if (refused && (!(rule->flags & KRL_RULE_SHADOW) || krl_gauge_hold(b)))
		return refused;
	krl_judge_hold_note(held, n, rule);
	return refused;
}

static __always_inline int krl_judge_take_of(struct krl_judging *ctx, struct krl_bucket *b,
					     const struct krl_judged *rule)
{
	if (rule->flags & KRL_RULE_CONCURRENT)
		return krl_judge_hold(ctx->held, b, rule);
	if (krl_judges_llm(rule))
		return krl_judge_charge(ctx, b, rule);
	if (rule->flags & KRL_RULE_CLUSTER)
		return krl_cluster_take(b, &rule->key, rule->flags, ctx->judge->now_ns, ctx->judge->n);
	return krl_rule_take(b, &rule->settings, ctx->judge->now_ns, ctx->judge->n);
}

static long krl_judge_take(__u32 i, void *ctx)
{
	struct krl_judge *j = ((struct krl_judging *)ctx)->judge;
	__u64 bit = 1ULL << (i & (KRL_MAX_ENDPOINT_RULES - 1));
	struct krl_judged rule;
	struct krl_bucket *b;
	int refused;

	if (!krl_judge_counts(j, i))
		return 0;
	b = krl_judge_bucket(ctx, i, &rule);
	if (!b || (krl_judges_early(ctx) && krl_judges_llm(&rule)))
		return 0;
	refused = krl_judge_take_of(ctx, b, &rule);
	if (refused && krl_bucket_is_buried(b)) {
		/* Since it was looked up; now there is another. */
		b = krl_judge_bucket(ctx, i, &rule);
		if (!b)
			return 0;
		refused = krl_judge_take_of(ctx, b, &rule);
	}
	if (!refused) {
		j->taken |= bit;
		krl_judge_count(rule.slot, j->n, 0, 0);
		krl_judge_tell(j, b, &rule);
	} else if (rule.flags & KRL_RULE_SHADOW) {
		j->shadowed |= bit;
		krl_judge_refuse(&j->shadow, j, b, &rule, KRL_READ_ONCE(b->tokens));
		krl_judge_count(rule.slot, j->n, 0, j->n);
	} else {
		krl_judge_refuse(&j->refused, j, b, &rule, KRL_READ_ONCE(b->tokens));
		return 1;
	}
	return 0;
}

static long krl_judge_give_back(__u32 i, void *ctx)
{
	struct krl_judge *j = ((struct krl_judging *)ctx)->judge;
	__u64 bit = 1ULL << (i & (KRL_MAX_ENDPOINT_RULES - 1));
	struct krl_judged rule;
	struct krl_bucket *b;

	if (!((j->taken | j->shadowed) & bit))
		return 0;
	b = krl_judge_bucket(ctx, i, &rule);
	if (!b)
		return 0;
	/* What was taken of a lease is lost: the agent may have told Redis already that it is spent. */
	if (j->taken & bit && !(rule.flags & (KRL_RULE_CONCURRENT | KRL_RULE_LLM | KRL_RULE_CLUSTER)))
		krl_rule_give_back(b, &rule.settings, j->n);
	krl_judge_count(rule.slot, -j->n, 0, j->shadowed & bit ? -j->n : 0);
	return 0;
}

/* Give back all that krl_admit() took with @judging; what it counted is not counted any more. */
static __always_inline void krl_judge_undo(struct krl_judging *judging)
{
	bpf_loop(judging->endpoint->rule_count, krl_judge_give_back, judging, 0);
	judging->judge->taken = 0;
	judging->judge->shadowed = 0;
	krl_judge_charge_cancel(judging);
	if (!judging->held)
		return;
	krl_held_put(judging->held);
	judging->held->count = 0;
}

/* Judge judge->n requests against the rules of the endpoint that count: all of them, or with a policy those that
 * the match says. Of a connection n is 1, and held says what it holds by then. Returns 0 admitted; else -KRL_EAGAIN with
 * the refusing rule in the judge, and nothing taken but what the judge says: that is what was taken ahead of a body. */
static __always_inline int krl_admit(struct krl_judging *judging)
{
	const struct krl_match *match = judging->match;
	__u32 rules = judging->endpoint->rule_count;
	struct krl_held *held = judging->held;
	struct krl_judge *j = judging->judge;

	j->counts = (match ? match->rules : ~0ULL) & ~(j->spared | krl_judge_counted(judging));

	j->refused.wait_ns = 0;
	if (!krl_judges_rest(judging)) {
		j->headers = 0;
		j->taken = 0;
		j->shadowed = 0;
		j->shadow.wait_ns = 0;
	}
	krl_judge_charge_begin(judging);
	if (held) {
		held->since_ns = j->now_ns;
		held->count = 0;
		held->followed = 0;
		held->overflow = 0;
	}
	if (krl_judges_early(judging) || (rules > 1 && j->counts & (j->counts - 1)))
		bpf_loop(rules, krl_judge_check, judging, 0);
	if (!j->refused.wait_ns) {
		bpf_loop(rules, krl_judge_take, judging, 0);
		if (!j->refused.wait_ns) {
			if (!krl_judges_early(judging))
				krl_latency_note(j->now_ns);
			return 0;
		}
		krl_judge_undo(judging);
	}
	krl_judge_count_refused(j, j->n);
	krl_latency_note(j->now_ns);
	return -KRL_EAGAIN;
}

#endif
