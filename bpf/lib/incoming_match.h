/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whom the selectors mean, of a connection: its source is all that is known. */
#ifndef KMESH_RL_INCOMING_MATCH_H
#define KMESH_RL_INCOMING_MATCH_H

#include "incoming.h"
#include "peer.h"

/* Have in->judge, and in->match where there are selectors, say what counts of @endpoint for in->flow, to which
 * in->endpoint is the key. Returns 0, or -1 when the selectors are gone. */
static __always_inline int krl_incoming_match(struct krl_incoming *in, const struct krl_endpoint *endpoint,
					      struct krl_judging *ret)
{
	struct krl_match *m = &in->match;
	struct krl_judge *j = &in->judge;
	__u64 policy = endpoint->policy;
	struct krl_config *config;
	__u32 zero = 0;

	j->key.netns_cookie = in->flow.netns_cookie;
	__builtin_memcpy(j->key.addr, in->endpoint.addr, sizeof(j->key.addr));
	j->key.port = in->endpoint.port;
	j->now_ns = bpf_ktime_get_boot_ns();
	j->n = 1;
	in->policy = policy;
	in->rule_count = endpoint->rule_count;
	ret->endpoint = endpoint;
	ret->judge = j;
	ret->held = &in->held;
	if (!policy)
		return 0;
	config = bpf_map_lookup_elem(&krl_config, &zero);
	ret->policy = bpf_map_lookup_elem(&krl_policies, &policy);
	ret->match = m;
	if (!config || !ret->policy) {
		krl_count(KRL_REASON_RULE_CHANGED);
		return -1;
	}
	m->key[0] = config->hash_key[0];
	m->key[1] = config->hash_key[1];
	__builtin_memcpy(m->source, in->flow.remote, sizeof(m->source));
	if (in->endpoint.hook == KRL_HOOK_CONNECT)
		krl_netns_address(in->flow.netns_cookie, m->peer);
	else
		__builtin_memcpy(m->peer, m->source, sizeof(m->peer));
	krl_match_begin(m);
	krl_peer_match_end(m, ret->policy);
	return 0;
}

/* The endpoint that connections with in->flow come in to, whose key is in->endpoint then. NULL: there is none. */
static __always_inline struct krl_endpoint *krl_incoming_endpoint(struct krl_incoming *in)
{
	__builtin_memcpy(in->endpoint.addr, in->flow.local, sizeof(in->endpoint.addr));
	in->endpoint.port = in->flow.local_port;
	in->endpoint.hook = KRL_HOOK_LOOKUP;
	return krl_find_endpoint(&in->endpoint);
}

#endif
