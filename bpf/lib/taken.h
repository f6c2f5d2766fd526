/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the requests of one skb took from the buckets of values, to be given back when a later one in it is refused:
 * an skb passes whole or not at all. */
#ifndef KMESH_RL_TAKEN_H
#define KMESH_RL_TAKEN_H

#include "admit.h"

/* Too large for the stack. */
static const struct krl_taken krl_nothing_taken;

struct krl_taking {
	struct krl_judging judging;
	struct krl_taken *taken;
};

static long krl_taken_note_rule(__u32 i, void *ctx)
{
	struct krl_judging *judging = &((struct krl_taking *)ctx)->judging;
	struct krl_taken *taken = ((struct krl_taking *)ctx)->taken;
	__u64 bit = 1ULL << (i & (KRL_MAX_ENDPOINT_RULES - 1));
	struct krl_take *take;
	__u32 n, tier;

	if (!((judging->judge->taken | judging->judge->shadowed) & bit))
		return 0;
	n = taken->count;
	if (n >= KRL_MAX_TAKES)
		return 1;
	take = &taken->takes[KRL_MASKED(n, KRL_MAX_TAKES)];
	tier = judging->policy->tier_of[i & (KRL_MAX_ENDPOINT_RULES - 1)] & (KRL_MAX_TIERS - 1);
	take->descriptor[0] = judging->match->descriptors[tier][0];
	take->descriptor[1] = judging->match->descriptors[tier][1];
	take->rule = i;
	take->shadowed = !!(judging->judge->shadowed & bit);
	taken->count = n + 1;
	return 0;
}

/* Note what the request that was judged last took. Beyond KRL_MAX_TAKES, or without room, it is not given back. */
static __always_inline void krl_taken_note(struct krl_taking *taking, __u64 *cookie)
{
	struct krl_judge *j = taking->judging.judge;

	taking->taken = bpf_map_lookup_elem(&krl_taken, cookie);
	if (!taking->taken) {
		bpf_map_update_elem(&krl_taken, cookie, &krl_nothing_taken, BPF_NOEXIST);
		taking->taken = bpf_map_lookup_elem(&krl_taken, cookie);
	}
	if (taking->taken)
		bpf_loop(taking->judging.endpoint->rule_count, krl_taken_note_rule, taking, 0);
	j->taken = 0;
	j->shadowed = 0;
}

static long krl_taken_return(__u32 i, void *ctx)
{
	struct krl_judging *judging = &((struct krl_taking *)ctx)->judging;
	struct krl_taken *taken = ((struct krl_taking *)ctx)->taken;
	const struct krl_take *take = &taken->takes[i & (KRL_MAX_TAKES - 1)];
	__u32 rule = take->rule & (KRL_MAX_ENDPOINT_RULES - 1);
	__u32 tier = judging->policy->tier_of[rule] & (KRL_MAX_TIERS - 1);

	judging->judge->taken = take->shadowed ? 0 : 1ULL << rule;
	judging->judge->shadowed = take->shadowed ? 1ULL << rule : 0;
	judging->match->descriptors[tier][0] = take->descriptor[0];
	judging->match->descriptors[tier][1] = take->descriptor[1];
	krl_judge_give_back(rule, judging);
	return 0;
}

/* The walk over the skb of @cookie ended; if @refused, give back what was noted, and what the request that was judged
 * last took. */
static __always_inline void krl_taken_end(struct krl_taking *taking, __u64 *cookie, int refused)
{
	if (refused && taking->judging.judge->taken | taking->judging.judge->shadowed)
		krl_taken_note(taking, cookie);
	taking->taken = bpf_map_lookup_elem(&krl_taken, cookie);
	if (!taking->taken)
		return;
	if (refused)
		bpf_loop(taking->taken->count, krl_taken_return, taking, 0);
	bpf_map_delete_elem(&krl_taken, cookie);
}

#endif
