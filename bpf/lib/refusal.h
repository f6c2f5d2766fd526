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

static __always_inline void krl_fill_answer(struct krl_answer *a, const struct krl_judge *judge)
{
	__u32 slot = judge->refused_slot;
	struct krl_rule *rule;

	rule = bpf_map_lookup_elem(&krl_rules, &slot);
	a->kind = KRL_ANSWER_LIMITED;
	a->form = rule ? rule->form : 0;
	a->status = rule ? rule->status : 429;
	a->remaining = judge->remaining;
	a->retry_after_s = krl_seconds(judge->wait_ns);
	/* Not that of the fill rounded up: who waits for so many seconds from now on would come before it. */
	a->reset_s = krl_unix_ns(judge->now_ns) / KRL_NS_PER_S + a->retry_after_s;
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

#endif
