/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Taking from the bucket of a rule with scope: Cluster: from what is leased as long as Redis is there, and by
 * whenUnavailable when it is away, with or without an agent. */
#ifndef KMESH_RL_CLUSTER_LIB_H
#define KMESH_RL_CLUSTER_LIB_H

#include <kmesh_rl/lease.h>

#include "../maps.h"
#include "lease.h"
#include "rule.h"

/* Tell the agent that somebody asked for tokens of the bucket @b under @key, and was refused the @need that were not there,
 * unless that is 0. Without room it is told the next time. */
static __always_inline void krl_cluster_ask(struct krl_bucket *b, const struct krl_bucket_key *key, __u32 overflow,
					    __u64 need)
{
	struct krl_asked *asked;

	if (!krl_lease_tell(b, need != 0))
		return;
	asked = bpf_ringbuf_reserve(&krl_asked, sizeof(*asked), 0);
	if (!asked) {
		krl_lease_untell(b);
		krl_count(KRL_REASON_ASK_LOST);
		return;
	}
	asked->key = *key;
	asked->overflow = overflow;
	asked->need = need > (__u32)-1 ? (__u32)-1 : need;
	bpf_ringbuf_submit(asked, BPF_RB_NO_WAKEUP);
}

/* The share of the limit that this node goes on with. 0, or -1: the rule is gone. */
static __always_inline int krl_cluster_local(const struct krl_bucket_key *key, struct krl_settings *ret)
{
	__u32 slot = key->slot;
	struct krl_rule *rule;

	rule = bpf_map_lookup_elem(&krl_rules, &slot);
	if (!rule || KRL_READ_ONCE(rule->id) != key->rule_id)
		return -1;
	ret->max_tokens = KRL_READ_ONCE(rule->local.max_tokens);
	ret->tokens_per_fill = KRL_READ_ONCE(rule->local.tokens_per_fill);
	ret->fill_interval_ns = KRL_READ_ONCE(rule->local.fill_interval_ns);
	return ret->max_tokens && ret->tokens_per_fill && ret->fill_interval_ns ? 0 : -1;
}

/* ns until the next fill of the cluster's bucket, from @now_ns, by the clock of Redis. */
static __always_inline __u64 krl_cluster_next_fill_ns(const struct krl_settings *s, __u64 now_ns)
{
	struct krl_config *config;
	__u32 zero = 0;

	config = bpf_map_lookup_elem(&krl_config, &zero);
	if (config)
		now_ns += KRL_READ_ONCE(config->cluster_ahead_ns);
	return s->fill_interval_ns - now_ns % s->fill_interval_ns;
}

/* Take @n tokens (0: is there one?) from @b, the bucket under @key of a rule with @flags. Returns 0, or -KRL_EAGAIN. */
KRL_GLOBAL int krl_cluster_take(struct krl_bucket *b, const struct krl_bucket_key *key, __u32 flags, __u64 now_ns,
				__u64 n)
{
	struct krl_settings local;
	struct krl_config *config;
	__u32 zero = 0;
	int refused;

	if (!b || !key)
		return 0;
	config = bpf_map_lookup_elem(&krl_config, &zero);
	if (!config)
		return 0;
	if (now_ns < KRL_READ_ONCE(config->cluster_until_ns)) {
		if (n)
			refused = krl_lease_take(b, now_ns, n);
		else
			refused = krl_lease_available(b, now_ns) < 1 ? -KRL_EAGAIN : 0;
		krl_cluster_ask(b, key, flags & KRL_RULE_OVERFLOW, refused ? n ?: 1 : 0);
		return refused;
	}
	krl_count(KRL_REASON_CLUSTER_AWAY);
	if (flags & KRL_RULE_AWAY_OPEN)
		return 0;
	if (flags & KRL_RULE_AWAY_CLOSED || krl_cluster_local(key, &local))
		return -KRL_EAGAIN;
	krl_lease_to_local(b, now_ns);
	if (!n)
		return krl_bucket_peek(b, &local, now_ns) < 1 ? -KRL_EAGAIN : 0;
	return krl_bucket_take(b, &local, now_ns, n);
}

#endif
