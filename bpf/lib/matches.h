/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The row in which a connection's requests are matched by selectors. */
#ifndef KMESH_RL_MATCHES_H
#define KMESH_RL_MATCHES_H

#include "peer.h"
#include "scan.h"

/* Too large for the stack. */
static const struct krl_match krl_new_match;

/* Where the requests of the connection are matched by @endpoint's selectors; NULL without room. */
static __always_inline struct krl_match *krl_match_of(krl_bytes *bytes, const struct krl_conn *conn,
						      __u64 cookie, __u64 policy)
{
	struct krl_match *m = bpf_map_lookup_elem(&krl_matches, &cookie);
	struct krl_config *config;
	__u32 zero = 0;

	if (m && KRL_LIKELY(m->policy == policy))
		return m;
	if (!m) {
		bpf_map_update_elem(&krl_matches, &cookie, &krl_new_match, BPF_NOEXIST);
		m = bpf_map_lookup_elem(&krl_matches, &cookie);
		config = bpf_map_lookup_elem(&krl_config, &zero);
		if (!m || !config)
			return 0;
		m->key[0] = config->hash_key[0];
		m->key[1] = config->hash_key[1];
		krl_bytes_source(bytes, m->source);
		if (conn->endpoint.hook == KRL_HOOK_SEND)
			krl_netns_address(conn->judge.key.netns_cookie, m->peer);
		else
			__builtin_memcpy(m->peer, m->source, sizeof(m->peer));
	}
	if (krl_http_in_head(&conn->http))
		krl_count(KRL_REASON_RULE_CHANGED);
	m->policy = policy;
	krl_match_begin(m);
	return m;
}

/* The head ended: find the rules of @endpoint that count. Returns 0; or -1 when that cannot be told, of an endpoint where
 * what cannot be judged is refused. */
static __always_inline int krl_match_judge(struct krl_match *m, const struct krl_policy *policy,
					   const struct krl_endpoint *endpoint)
{
	krl_peer_match_end(m, policy);
	if (!m->ambiguous)
		return 0;
	krl_count(KRL_REASON_SHARED_VALUE);
	return endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED ? -1 : 0;
}

#endif
