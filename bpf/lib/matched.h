/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the requests of a connection are matched. */
#ifndef KMESH_RL_MATCHED_H
#define KMESH_RL_MATCHED_H

#include "../maps.h"
#include "endpoint.h"
#include "match.h"

/* The address of the client, IPv4 as ::ffff:a.b.c.d. */
static __always_inline void krl_peer(struct __sk_buff *skb, __u8 ret[16])
{
	__u32 *words = (__u32 *)ret;

	if (skb->family == KRL_AF_INET6) {
		words[0] = skb->remote_ip6[0];
		words[1] = skb->remote_ip6[1];
		words[2] = skb->remote_ip6[2];
		words[3] = skb->remote_ip6[3];
		KRL_FORGET();	/* as in sockops.bpf.c */
	} else {
		words[0] = 0;
		words[1] = 0;
		words[2] = bpf_htonl(0xffff);
		words[3] = skb->remote_ip4;
	}
}

/* Too large for the stack. */
static const struct krl_match krl_new_match;

/* Where the requests of the connection are matched by @endpoint's selectors; NULL without room. */
static __always_inline struct krl_match *krl_match_of(struct __sk_buff *skb, const struct krl_conn *conn,
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
		krl_peer(skb, m->source);
	}
	if (krl_http_in_head(&conn->http))
		krl_count(KRL_REASON_RULE_CHANGED);
	m->policy = policy;
	krl_match_begin(m);
	return m;
}

#endif
