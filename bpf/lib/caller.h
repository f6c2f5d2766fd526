/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose rules of what goes out are for a client, by its network namespace. */
#ifndef KMESH_RL_CALLER_H
#define KMESH_RL_CALLER_H

#include "../maps.h"

struct krl_calling {
	const struct krl_policy *policy;
	struct krl_peer_meets key;
	__u64 rules;		/* a bit for each rule of the endpoint that is for it */
};

static long krl_caller_tier(__u32 i, void *ctx)
{
	struct krl_calling *c = ctx;
	const struct krl_tier *tier = &c->policy->tiers[i & (KRL_MAX_TIERS - 1)];

	if (tier->only) {
		c->key.selector = c->policy->predicates[(tier->only - 1) & (KRL_MAX_PREDICATES - 1)].word;
		if (!bpf_map_lookup_elem(&krl_peer_meets, &c->key))
			return 0;
	}
	c->rules |= tier->rules;
	return 0;
}

/* The rules of the policy under @policy that may count for the client in the network namespace: all of them where they
 * do not ask who that is. Those of a policy that is gone do not. */
KRL_GLOBAL __u64 krl_caller_rules(__u64 policy, __u64 netns_cookie)
{
	struct krl_calling calling = {};
	__u64 key = policy;

	if (!key)
		return ~0ULL;
	calling.policy = bpf_map_lookup_elem(&krl_policies, &key);
	if (!calling.policy)
		return 0;
	if (!calling.policy->callers)
		return ~0ULL;
	krl_netns_address(netns_cookie, calling.key.addr);
	bpf_loop(calling.policy->tier_count, krl_caller_tier, &calling, 0);
	return calling.rules;
}

#endif
