/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which pod a connection is from, by the address of its peer alone, or by the network namespace of a client on this
 * node: nothing that a request says counts. */
#ifndef KMESH_RL_PEER_H
#define KMESH_RL_PEER_H

#include "../maps.h"
#include "tiers.h"

/* A peer, and the field whose predicates are evaluated. */
struct krl_peering {
	struct krl_match *match;
	const struct krl_policy *policy;
	const struct krl_peer *peer;	/* NULL: no pod that is known has the address */
	struct krl_peer_meets key;
	__u32 first;		/* of the field's predicates */
	__u32 distinct;
};

/* Of a field that picks a bucket nothing holds without the value that does. */
static long krl_peer_predicate(__u32 i, void *ctx)
{
	struct krl_peering *p = ctx;
	__u32 n = (p->first + i) & (KRL_MAX_PREDICATES - 1);
	const struct krl_predicate *predicate = &p->policy->predicates[n];

	if (p->distinct && !p->peer)
		return 1;
	if (predicate->kind == KRL_PREDICATE_PEER) {
		p->key.selector = predicate->word;
		if (!bpf_map_lookup_elem(&krl_peer_meets, &p->key))
			return 0;
	}
	krl_match_set(p->match, n);
	return 0;
}

static long krl_peer_field(__u32 i, void *ctx)
{
	struct krl_peering *p = ctx;
	const struct krl_policy_field *field = &p->policy->fields[i & (KRL_MAX_FIELDS - 1)];
	const struct krl_peer_value *value;
	struct krl_match *m = p->match;

	if (field->kind != KRL_FIELD_PEER)
		return 0;
	if (field->distinct && p->peer) {
		value = &p->peer->by[(field->by - 1) & (KRL_PEER_BY_MAX - 2)];
		i &= KRL_MAX_FIELDS - 1;
		m->digests[i][0] = value->digest[0];
		m->digests[i][1] = value->digest[1];
		m->kept_len[i] = value->len;
		__builtin_memcpy(m->kept_text[i], value->text, sizeof(m->kept_text[i]));
	}
	p->first = field->first;
	p->distinct = field->distinct;
	bpf_loop(field->predicate_count, krl_peer_predicate, p, 0);
	return 0;
}

/* Evaluate what @policy asks about the peer, after the head began and before it is matched. */
KRL_GLOBAL int krl_peer_match(struct krl_match *m, const struct krl_policy *policy)
{
	struct krl_peering peering = { .match = m, .policy = policy };

	if (!m || !policy)
		return 0;
	__builtin_memcpy(peering.key.addr, m->peer, sizeof(peering.key.addr));
	peering.peer = bpf_map_lookup_elem(&krl_peers, peering.key.addr);
	bpf_loop(policy->field_count, krl_peer_field, &peering, 0);
	m->peered = 1;
	return 0;
}

/* krl_match_end(), for whom some selector may ask who the peer is: once for each request. */
static __always_inline void krl_peer_match_end(struct krl_match *m, const struct krl_policy *policy)
{
	if (KRL_UNLIKELY(policy->peers && !m->peered))
		krl_peer_match(m, policy);
	krl_match_end(m, policy);
}

_Static_assert(!((KRL_PEER_BY_MAX - 1) & (KRL_PEER_BY_MAX - 2)), "a power of two");

#endif
