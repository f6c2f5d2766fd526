// SPDX-License-Identifier: Apache-2.0
#include "policy_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "form.h"

struct krl_policy_builder *krl_policy_builder_new(void)
{
	return calloc(1, sizeof(struct krl_policy_builder));
}

void krl_policy_builder_free(struct krl_policy_builder *builder)
{
	free(builder);
}

static int compare_numbers(const void *a, const void *b)
{
	return *(const __u16 *)a - *(const __u16 *)b;
}

static int compare_entries(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct krl_entry));
}

/* Bring @entries into a form that is the same however they were written, but for their order: of those that are
 * true, the first picks the bucket. Returns how many are left; one that is there twice says nothing new. */
static size_t normalize_entries(struct krl_entry *entries, size_t count)
{
	size_t i, k, kept = 0;

	for (i = 0; i < count; i++) {
		qsort(entries[i].predicates, entries[i].predicate_count, sizeof(__u16), compare_numbers);
		for (k = 0; k < kept; k++)
			if (!compare_entries(&entries[k], &entries[i]))
				break;
		if (k == kept)
			entries[kept++] = entries[i];
	}
	return kept;
}

/* Are the @count entries at @a and at @b the same, in any order? */
static bool same_entries(const struct krl_entry *a, const struct krl_entry *b, size_t count)
{
	struct krl_entry sorted[2][KRL_MAX_RULE_ENTRIES];

	if (!count)
		return true;
	memcpy(sorted[0], a, count * sizeof(*a));
	memcpy(sorted[1], b, count * sizeof(*b));
	qsort(sorted[0], count, sizeof(*a), compare_entries);
	qsort(sorted[1], count, sizeof(*b), compare_entries);
	return !memcmp(sorted[0], sorted[1], count * sizeof(*a));
}

/* Put rule @rule into the tier of @group that has exactly @entries, or into a new one. */
static int add_to_tier(struct krl_policy_builder *b, unsigned int rule, unsigned int group, bool first,
		       struct krl_entry *entries, size_t count, const char **ret_what)
{
	struct krl_policy *policy = &b->policy;
	struct krl_tier *tier;
	size_t i;

	count = normalize_entries(entries, count);
	for (i = 0; first && i < policy->tier_count; i++) {
		tier = &policy->tiers[i];
		if (b->group_of[i] == group && tier->entry_count == count &&
		    same_entries(&policy->entries[tier->first], entries, count))
			goto add;
	}
	*ret_what = "selectors";
	if (policy->entry_count + count > KRL_MAX_ENTRIES)
		return -ENOSPC;
	i = policy->tier_count++;
	tier = &policy->tiers[i];
	*tier = (struct krl_tier){ .first = policy->entry_count, .entry_count = count,
				   .flags = first ? KRL_TIER_FIRST : 0 };
	b->group_of[i] = group;
	if (count)
		memcpy(&policy->entries[tier->first], entries, count * sizeof(*entries));
	for (; count; count--)
		policy->of_head |= policy->entries[policy->entry_count++].of_head;
add:
	tier->rules |= 1ULL << rule;
	policy->tier_of[rule] = i;
	return 0;
}

void krl_policy_client(struct krl_policy_builder *b, const struct krl_client_ip *client)
{
	b->client = *client;
}

int krl_policy_add(struct krl_policy_builder *b, unsigned int rule, unsigned int group, bool first,
		   const struct krl_selector *selectors, size_t count, const char **ret_what)
{
	struct krl_entry entries[KRL_MAX_RULE_ENTRIES] = { 0 };
	size_t i, t;
	int err;

	for (i = 0; i < count; i++) {
		for (t = 0; t < selectors[i].term_count; t++) {
			err = krl_policy_add_term(b, &selectors[i].terms[t], &entries[i], ret_what);
			if (err)
				return err;
		}
	}
	return add_to_tier(b, rule, group, first, entries, count, ret_what);
}

int krl_policy_adopt(struct krl_policy_builder *b, unsigned int rule, unsigned int group,
		     const struct krl_policy *from, unsigned int from_rule, const char **ret_what)
{
	const struct krl_tier *tier = &from->tiers[from->tier_of[from_rule] % KRL_MAX_TIERS];
	struct krl_entry entries[KRL_MAX_RULE_ENTRIES] = { 0 };
	size_t i;
	int err;

	for (i = 0; i < tier->entry_count; i++) {
		err = krl_policy_adopt_entry(b, from, &from->entries[tier->first + i], &entries[i], ret_what);
		if (err)
			return err;
	}
	return add_to_tier(b, rule, group + tier->group, tier->flags & KRL_TIER_FIRST, entries,
			   tier->entry_count, ret_what);
}

bool krl_policy_selects(const struct krl_policy_builder *b)
{
	return b->policy.entry_count;
}

/* Have the predicates of each field stand together. @ret_moved is the new number of each. */
static void group_predicates(const struct krl_policy_builder *b, struct krl_policy *ret,
			     __u16 ret_moved[KRL_MAX_PREDICATES])
{
	unsigned int f, i, n = 0;

	for (f = 0; f < ret->field_count; f++) {
		ret->fields[f].first = n;
		for (i = 0; i < ret->predicate_count; i++) {
			if (b->field_of[i] != f)
				continue;
			ret->predicates[n] = b->policy.predicates[i];
			ret_moved[i] = n++;
		}
		ret->fields[f].predicate_count = n - ret->fields[f].first;
	}
}

/* Groups as the kernel numbers them: there are no more of them than tiers. */
static void number_groups(const struct krl_policy_builder *b, struct krl_policy *ret)
{
	unsigned int i, k;

	for (i = 0; i < ret->tier_count; i++) {
		for (k = 0; b->group_of[k] != b->group_of[i];)
			k++;
		ret->tiers[i].group = k;
	}
}

/* Tiers without entries go behind the others: they match what no other of their group does. */
static void order_tiers(struct krl_policy *ret)
{
	struct krl_tier sorted[KRL_MAX_TIERS];
	__u8 moved[KRL_MAX_TIERS] = { 0 };
	unsigned int i, n = 0, last;

	for (last = 0; last < 2; last++) {
		for (i = 0; i < ret->tier_count; i++) {
			if ((ret->tiers[i].entry_count == 0) != last)
				continue;
			moved[i] = n;
			sorted[n++] = ret->tiers[i];
		}
	}
	memcpy(ret->tiers, sorted, n * sizeof(*sorted));
	for (i = 0; i < KRL_MAX_ENDPOINT_RULES; i++)
		ret->tier_of[i] = moved[ret->tier_of[i]];
}

void krl_policy_finish(const struct krl_policy_builder *b, struct krl_policy *ret)
{
	__u16 moved[KRL_MAX_PREDICATES] = { 0 };
	unsigned int i, p;

	*ret = b->policy;
	memset(ret->predicates, 0, sizeof(ret->predicates));
	group_predicates(b, ret, moved);
	for (i = 0; i < ret->entry_count; i++)
		for (p = 0; p < ret->entries[i].predicate_count; p++) {
			__u16 *number = &ret->entries[i].predicates[p];

			*number = moved[*number & ~KRL_ENTRY_INVERT] | (*number & KRL_ENTRY_INVERT);
		}
	number_groups(b, ret);
	order_tiers(ret);
	ret->path = ret->method = ret->model = KRL_NO_FIELD;
	for (i = 0; i < ret->field_count; i++) {
		if (ret->fields[i].kind == KRL_FIELD_PATH)
			ret->path = i;
		if (ret->fields[i].kind == KRL_FIELD_METHOD)
			ret->method = i;
		if (ret->fields[i].kind == KRL_FIELD_MODEL)
			ret->model = i;
	}
}

__u64 krl_policy_key(const struct krl_policy *policy)
{
	return krl_content_key(policy, sizeof(*policy));
}
