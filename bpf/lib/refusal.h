/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose rules a connection's requests are judged by, and what the answer to a refused one says. */
#ifndef KMESH_RL_REFUSAL_H
#define KMESH_RL_REFUSAL_H

#include "endpoint.h"

#define KRL_NS_PER_S 1000000000ULL

/* In seconds, rounded up. */
static __always_inline __u64 krl_seconds(__u64 ns)
{
	return (ns + KRL_NS_PER_S - 1) / KRL_NS_PER_S;
}

/* @boot_ns of CLOCK_BOOTTIME as unix time. */
static __always_inline __u64 krl_unix_ns(__u64 boot_ns)
{
	struct krl_config *config;
	__u32 zero = 0;

	config = bpf_map_lookup_elem(&krl_config, &zero);
	return boot_ns + (config ? config->wall_offset_ns : 0);
}

/* The answer to the request that conn->judge refused, whose head was the last that the walk found. */
static __always_inline void krl_fill_answer(struct krl_conn *conn)
{
	const struct krl_judge *judge = &conn->judge;
	struct krl_answer *a = &conn->answer;
	__u32 slot = judge->refused.slot;
	struct krl_rule *rule;

	rule = bpf_map_lookup_elem(&krl_rules, &slot);
	a->kind = KRL_ANSWER_LIMITED;
	a->form = rule ? rule->form : 0;
	a->status = rule ? rule->status : 429;
	a->remaining = judge->refused.tokens > 0 ? judge->refused.tokens : 0;
	a->retry_after_s = krl_seconds(judge->refused.wait_ns);
	/* Not that of the fill rounded up: who waits for so many seconds from now on would come before it. */
	a->reset_s = krl_unix_ns(judge->now_ns) / KRL_NS_PER_S + a->retry_after_s;
	a->no_body = !!(conn->scan.flags & KRL_HTTP_HEAD);
	a->close = !!(conn->scan.flags & (KRL_HTTP_CLOSE | KRL_HTTP_1_0 | KRL_HTTP_EXPECT));
}

/* The connection's endpoint; when that is gone, a wildcard that covers it. NULL: not protected now. */
static __always_inline struct krl_endpoint *krl_conn_endpoint(struct krl_conn *conn)
{
	struct krl_endpoint *endpoint = bpf_map_lookup_elem(&krl_endpoints, &conn->endpoint);
	struct krl_endpoint_key key;

	if (endpoint)
		return endpoint;
	key = conn->endpoint;
	endpoint = krl_find_endpoint(&key);
	if (!endpoint)
		return 0;
	conn->endpoint = key;
	__builtin_memcpy(conn->judge.key.addr, key.addr, sizeof(key.addr));
	return endpoint;
}

/* The selectors of *@endpoint's rules. NULL: there are none; or they are gone, and then *@endpoint is NULL. The agent
 * keeps them for longer than a program runs. */
static __always_inline struct krl_policy *krl_endpoint_policy(struct krl_endpoint **endpoint)
{
	struct krl_policy *policy;

	if (!*endpoint || !(*endpoint)->policy)
		return 0;
	policy = bpf_map_lookup_elem(&krl_policies, &(*endpoint)->policy);
	if (!policy) {
		krl_count(KRL_REASON_RULE_CHANGED);
		*endpoint = 0;
	}
	return policy;
}

#endif
