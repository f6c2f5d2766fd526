/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is kept of a request for people: the values that picked its buckets. */
#ifndef KMESH_RL_KEPT_H
#define KMESH_RL_KEPT_H

#include "compiler.h"
#include "request.h"
#include "source.h"

/* The value of field @number ended, and is in m->value with NULs behind it up to a multiple of 8. Note the
 * beginning of its @len bytes; negative: none, since it shares its bucket. */
KRL_GLOBAL int krl_keep_text(struct krl_match *m, __u32 number, __s32 len)
{
	__u64 word;
	__s32 i;

	if (!m)
		return 0;
	number &= KRL_MAX_FIELDS - 1;
	m->kept_len[number] = len;
	for (i = 0; i < KRL_KEPT_BYTES; i += 8) {
		/* What is behind is of other values. */
		word = i < len ? krl_load_word(m->value + i) : 0;
		__builtin_memcpy(m->kept_text[number] + i, &word, sizeof(word));
	}
	return 0;
}

static __always_inline void krl_keep_source(struct krl_kept_value *v, const struct krl_match *m,
					    const struct krl_policy_field *field)
{
	const __u8 *source = krl_match_source_of(m, field);
	const __u64 *masks = field->masks[krl_match_is_ipv4(source) & 1];
	__u64 word;
	int i;

	v->how = KRL_KEPT_SOURCE;
	for (i = 0; i < 2; i++) {
		word = krl_load_word((const char *)source + i * 8) & masks[i];
		__builtin_memcpy(v->address + i * 8, &word, sizeof(word));
		__builtin_memcpy(v->mask + i * 8, &masks[i], sizeof(word));
	}
}

/* Add the value of field @number to m->kept. */
KRL_GLOBAL int krl_keep_value(struct krl_match *m, const struct krl_policy *policy, __u32 number)
{
	const struct krl_policy_field *field;
	struct krl_kept_value *v;
	__u32 n;

	if (!m || !policy)
		return 0;
	n = m->kept.count;
	if (n >= KRL_KEPT_VALUES) {
		m->kept.more = 1;
		return 0;
	}
	m->kept.count = n + 1;
	number &= KRL_MAX_FIELDS - 1;
	field = &policy->fields[number];
	v = &m->kept.values[KRL_MASKED(n, KRL_KEPT_VALUES)];
	v->field = field->kind;
	if (field->kind == KRL_FIELD_SOURCE) {
		krl_keep_source(v, m, field);
		return 0;
	}
	/* Of a path it is empty. */
	__builtin_memcpy(v->name, field->name, sizeof(v->name));
	if (m->kept_len[number] < 0) {
		v->how = KRL_KEPT_SHARED;
	} else if (field->distinct & KRL_DISTINCT_HIDDEN) {
		v->how = KRL_KEPT_HIDDEN;
		v->hash = m->digests[number][0];
	} else {
		v->len = m->kept_len[number];
		__builtin_memcpy(v->text, m->kept_text[number], sizeof(v->text));
	}
	return 0;
}

/* The head ended, and @tier counts: fill m->kept with the values that picked its bucket. */
KRL_GLOBAL int krl_keep(struct krl_match *m, const struct krl_policy *policy, __u32 tier)
{
	__u32 picked, i;

	if (!m || !policy)
		return 0;
	picked = m->picked[tier & (KRL_MAX_TIERS - 1)];
	__builtin_memset(&m->kept, 0, sizeof(m->kept));
	for (i = 0; i < KRL_MAX_FIELDS; i++)
		if (picked >> i & 1)
			krl_keep_value(m, policy, i);
	return 0;
}

#endif
