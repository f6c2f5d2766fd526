/* SPDX-License-Identifier: Apache-2.0 */
/* Which part of a rule's limit this node used lately, which is what it goes on with when Redis is away. */
#ifndef KMESH_RL_CLUSTER_SHARE_H
#define KMESH_RL_CLUSTER_SHARE_H

#include <stdbool.h>

#include <kmesh_rl/abi.h>
#include <kmesh_rl/cluster.h>

/* Of one rule; zeroed in the beginning, and when the rule is another. */
struct krl_share {
	__u32 rule_id;
	__u64 seen[KRL_REDIS_SHARDS];	/* spent by all, plus 1; 0: not known */
	__u64 own[2], all[2];		/* tokens, since the last turn and between the last two */
};

/* An exchange told that @own tokens were spent here, and was answered that all have spent @spent in @shard, below
 * KRL_REDIS_SHARDS. */
void krl_share_add(struct krl_share *share, unsigned int shard, __u64 own, __u64 spent);

/* To be called every few seconds: what was before the last turn is forgotten. */
void krl_share_turn(struct krl_share *share);

/* This node's share of @whole: as many tokens per time in proportion, one at least. False: it is not known, since this node
 * used nothing. */
bool krl_share_of(const struct krl_share *share, const struct krl_settings *whole, struct krl_settings *ret);

#endif
