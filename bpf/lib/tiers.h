/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which rules of an endpoint a request meets: at the end of its head the tiers are walked. */
#ifndef KMESH_RL_TIERS_H
#define KMESH_RL_TIERS_H

#include "match.h"
#include "source.h"

/* What the loops at the end of a head share. */
struct krl_matching {
	struct krl_match *match;
	const struct krl_policy *policy;
	__u64 groups;		/* of the match, before the tier and what it goes along with */
};

/* A source, and the field whose ranges it is compared with. */
struct krl_match_address {
	struct krl_match *match;
	const struct krl_policy *policy;
	__u64 high;
	__u64 low;
	__u32 first;		/* of the field's predicates */
	__u32 pad;
};

static long krl_match_range(__u32 i, void *ctx)
{
	const struct krl_match_address *a = ctx;
	__u32 p = (a->first + i) & (KRL_MAX_PREDICATES - 1);
	const char *value = a->policy->values + (a->policy->predicates[p].at & (KRL_VALUES_BYTES - 8));

	if ((a->high & krl_load_word(value + 16)) == krl_load_word(value) &&
	    (a->low & krl_load_word(value + 24)) == krl_load_word(value + 8))
		krl_match_set(a->match, p);
	return 0;
}

static long krl_match_source(__u32 i, void *ctx)
{
	struct krl_match *m = ((struct krl_matching *)ctx)->match;
	const struct krl_policy *policy = ((struct krl_matching *)ctx)->policy;
	const struct krl_policy_field *field = &policy->fields[i & (KRL_MAX_FIELDS - 1)];
	struct krl_match_address address = { .match = m, .policy = policy, .first = field->first };
	const __u8 *source;
	struct krl_sip sip;
	__u64 high, low;
	__u32 ipv4;

	if (field->kind != KRL_FIELD_SOURCE)
		return 0;
	source = krl_match_source_of(m, field);
	high = krl_load_word((const char *)source);
	low = krl_load_word((const char *)source + 8);
	ipv4 = krl_match_is_ipv4(source);
	if (field->distinct) {
		krl_sip_start(&sip, m->key);
		krl_sip_word(&sip, field->hash);
		krl_sip_word(&sip, high & field->masks[ipv4 & 1][0]);
		krl_sip_word(&sip, low & field->masks[ipv4 & 1][1]);
		/* 10.0.0.0 as one address is another value than 10.0.0.0/8. */
		krl_sip_word(&sip, field->masks[ipv4 & 1][0]);
		krl_sip_word(&sip, field->masks[ipv4 & 1][1]);
		krl_sip_end(&sip, 40ULL << 56, m->digests[i & (KRL_MAX_FIELDS - 1)]);
	}
	address.high = high;
	address.low = low;
	krl_match_loop(field->predicate_count, krl_match_range, &address);
	return 0;
}

static __always_inline int krl_match_is(const struct krl_match *m, __u32 predicate)
{
	return m->bits[predicate / 64 % (KRL_MAX_PREDICATES / 64)] >> (predicate & 63) & 1;
}

/* Does @entry hold? -1: with some model that may be told yet. */
KRL_GLOBAL int krl_match_entry(const struct krl_match *m, const struct krl_policy *policy, const struct krl_entry *entry)
{
	const struct krl_policy_field *model;
	__u32 i, p, is, first = 0, count = 0;
	int holds = 1;

	if (!m || !policy || !entry)
		return 0;
	if (m->blind && entry->of_head)
		return 0;
	if (KRL_UNLIKELY(m->open)) {
		model = &policy->fields[policy->model & (KRL_MAX_FIELDS - 1)];
		first = model->first;
		count = model->predicate_count;
	}
	for (i = 0; i < KRL_MAX_ENTRY_PREDICATES; i++) {
		if (i >= entry->predicate_count)
			break;
		p = entry->predicates[i];
		is = krl_match_is(m, p);
		if ((p & ~KRL_ENTRY_INVERT) - first < count)
			holds = -1;
		else if (is == !!(p & KRL_ENTRY_INVERT))
			return 0;
	}
	return holds;
}

/* Several values pick a bucket together, in any order. */
KRL_GLOBAL int krl_match_descriptor(struct krl_match *m, __u32 tier, __u32 distinct)
{
	__u64 *descriptor;
	__u32 i;

	if (!m)
		return 0;
	descriptor = m->descriptors[tier & (KRL_MAX_TIERS - 1)];
	descriptor[0] = 0;
	descriptor[1] = 0;
	m->picked[tier & (KRL_MAX_TIERS - 1)] = distinct;
	if (!distinct)
		return 0;
	for (i = 0; i < KRL_MAX_FIELDS; i++) {
		if (!(distinct >> i & 1))
			continue;
		descriptor[0] += m->digests[i][0];
		descriptor[1] += m->digests[i][1];
	}
	return 0;
}

static long krl_match_tier(__u32 i, void *ctx)
{
	struct krl_matching *matching = ctx;
	struct krl_match *m = matching->match;
	const struct krl_policy *policy = matching->policy;
	const struct krl_tier *tier = &policy->tiers[i & (KRL_MAX_TIERS - 1)];
	__u64 group = 1ULL << (tier->group & 63);
	const struct krl_entry *entry = 0;
	int holds;
	__u32 n;

	if (!(tier->flags & KRL_TIER_ALONG))
		matching->groups = m->groups;
	if (tier->flags & KRL_TIER_FIRST && matching->groups & group)
		return 0;
	if (tier->only && !krl_match_is(m, tier->only - 1))
		return 0;
	for (n = 0; n < KRL_MAX_RULE_ENTRIES; n++) {
		if (n >= tier->entry_count)
			break;
		entry = &policy->entries[(tier->first + n) & (KRL_MAX_ENTRIES - 1)];
		holds = krl_match_entry(m, policy, entry);
		if (holds > 0)
			goto counts;
		if (holds < 0)
			goto open;
	}
	if (tier->entry_count)
		return 0;
counts:
	m->rules |= tier->rules;
	krl_match_descriptor(m, i, entry ? entry->distinct : 0);
open:
	m->groups |= group;
	return 0;
}

/* The head ended: find the rules that count, and the buckets that are taken from. With m->open those that do whatever
 * model is told yet. */
KRL_GLOBAL int krl_match_end(struct krl_match *m, const struct krl_policy *policy)
{
	struct krl_matching matching = { .match = m, .policy = policy };

	if (!m || !policy)
		return 0;
	m->rules = 0;
	m->groups = 0;
	krl_match_loop(policy->field_count, krl_match_source, &matching);
	krl_match_loop(policy->tier_count, krl_match_tier, &matching);
	return 0;
}

#endif
