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

/* The level of @group and @first that has exactly @entries, added when it is not there. */
static size_t find_level(struct krl_policy_builder *b, const struct krl_policy_level *wanted, bool adopted)
{
	const struct krl_policy_level *level;
	size_t i;

	for (i = 0; wanted->first && i < b->level_count; i++) {
		level = &b->levels[i];
		if (level->group == wanted->group && level->from == wanted->from && level->count == wanted->count &&
		    (adopted || same_entries(level->entries, wanted->entries, wanted->count)))
			return i;
	}
	b->levels[b->level_count] = *wanted;
	return b->level_count++;
}

/* Put rule @rule into the tier of level number @level that has exactly @entries, or into a new one. */
static int add_to_tier(struct krl_policy_builder *b, unsigned int rule, size_t level, __u16 only, struct krl_entry *entries,
		       size_t count, const char **ret_what)
{
	struct krl_policy *policy = &b->policy;
	struct krl_tier *tier;
	size_t i;

	count = normalize_entries(entries, count);
	for (i = 0; b->levels[level].first && i < policy->tier_count; i++) {
		tier = &policy->tiers[i];
		if (b->level_of[i] == level && tier->entry_count == count &&
		    same_entries(&policy->entries[tier->first], entries, count))
			goto add;
	}
	*ret_what = "selectors";
	if (policy->entry_count + count > KRL_MAX_ENTRIES)
		return -ENOSPC;
	i = policy->tier_count++;
	tier = &policy->tiers[i];
	*tier = (struct krl_tier){ .first = policy->entry_count, .entry_count = count, .only = only };
	policy->callers |= only != 0;
	b->level_of[i] = level;
	if (count)
		memcpy(&policy->entries[tier->first], entries, count * sizeof(*entries));
	for (; count; count--)
		policy->of_head |= policy->entries[policy->entry_count++].of_head;
add:
	tier->rules |= 1ULL << rule;
	policy->tier_of[rule] = i;
	return 0;
}

/* Those of a group are for the same clients, so a tier is by its group and its entries. */
static int add_to_level(struct krl_policy_builder *b, unsigned int rule, const struct krl_policy_level *level,
			bool adopted, __u16 only, struct krl_entry *entries, size_t count, const char **ret_what)
{
	size_t before = b->level_count;
	int err = add_to_tier(b, rule, find_level(b, level, adopted), only, entries, count, ret_what);

	if (err)
		b->level_count = before;
	return err;
}

void krl_policy_client(struct krl_policy_builder *b, const struct krl_client_ip *client)
{
	b->client = *client;
}

void krl_policy_caller(struct krl_policy_builder *b, const struct krl_from *from)
{
	b->caller = from;
}

void krl_policy_redact(struct krl_policy_builder *b, bool redact)
{
	b->redact = redact;
}

/* The predicate that the rules that are added are for whom it holds for, and 1; 0 where they are for all. */
static int add_caller(struct krl_policy_builder *b, __u16 *ret_only, const char **ret_what)
{
	struct krl_term term = { .field = KRL_FIELD_PEER, .kind = KRL_PREDICATE_PEER, .from = (struct krl_from *)b->caller };
	struct krl_entry entry = { 0 };
	int err;

	*ret_only = 0;
	if (!b->caller)
		return 0;
	err = krl_policy_add_term(b, &term, &entry, ret_what);
	if (!err)
		*ret_only = entry.predicates[0] + 1;
	return err;
}

void krl_policy_models(struct krl_policy_builder *b, const struct krl_model_headers *models)
{
	b->models = models;
}

/* What costs tokens is a POST; whatever else a model server answers, such as GET /health, must pass when there are
 * none. */
static int add_post(struct krl_policy_builder *b, const struct krl_selector *selectors, struct krl_entry *entries,
		    size_t count, const char **ret_what)
{
	static const struct krl_term post = { .field = KRL_FIELD_METHOD, .kind = KRL_PREDICATE_METHODS,
					      .methods = 1U << KRL_METHOD_POST };
	int err = krl_policy_add_models(b, b->models, ret_what);
	size_t i;

	for (i = 0; i < count && !err; i++)
		if (!selectors || !krl_selector_names_methods(&selectors[i]))
			err = krl_policy_add_term(b, &post, &entries[i], ret_what);
	return err;
}

int krl_policy_add(struct krl_policy_builder *b, unsigned int rule, unsigned int group, bool first,
		   const struct krl_selector *selectors, size_t count, const char **ret_what)
{
	struct krl_policy_level level = { .group = group, .first = first, .last = !count };
	struct krl_entry entries[KRL_MAX_RULE_ENTRIES] = { 0 };
	__u16 only;
	size_t i, t;
	int err;

	for (i = 0; i < count; i++) {
		for (t = 0; t < selectors[i].term_count; t++) {
			err = krl_policy_add_term(b, &selectors[i].terms[t], &entries[i], ret_what);
			if (err)
				return err;
		}
	}
	memcpy(level.entries, entries, sizeof(entries));
	level.count = normalize_entries(level.entries, count);
	err = add_caller(b, &only, ret_what);
	if (err)
		return err;
	if (b->models && !count)
		err = add_post(b, NULL, entries, count = 1, ret_what);
	else
		err = b->models ? add_post(b, selectors, entries, count, ret_what) : 0;
	return err ? err : add_to_level(b, rule, &level, false, only, entries, count, ret_what);
}

int krl_policy_adopt(struct krl_policy_builder *b, unsigned int rule, unsigned int group,
		     const struct krl_policy *from, unsigned int from_rule, const char **ret_what)
{
	unsigned int number = from->tier_of[from_rule] % KRL_MAX_TIERS, i;
	const struct krl_tier *tier = &from->tiers[number];
	struct krl_policy_level level = { .group = group + tier->group, .from = number,
					  .first = tier->flags & KRL_TIER_FIRST,
					  .last = tier->flags & KRL_TIER_LAST };
	struct krl_entry entries[KRL_MAX_RULE_ENTRIES] = { 0 };
	int err = krl_policy_adopt_models(b, from, ret_what);
	__u16 only = 0;

	for (i = 0; i < tier->entry_count && !err; i++)
		err = krl_policy_adopt_entry(b, from, &from->entries[tier->first + i], &entries[i], ret_what);
	if (!err && tier->only)
		err = krl_policy_adopt_only(b, from, tier->only, &only, ret_what);
	if (err)
		return err;
	while (level.from && from->tiers[level.from].flags & KRL_TIER_ALONG)
		level.from--;
	return add_to_level(b, rule, &level, true, only, entries, tier->entry_count, ret_what);
}

bool krl_policy_selects(const struct krl_policy_builder *b)
{
	return b->policy.entry_count;
}

bool krl_policy_asks_model(const struct krl_policy *policy)
{
	const struct krl_policy_field *field = &policy->fields[policy->model % KRL_MAX_FIELDS];

	return policy->model != KRL_NO_FIELD && (field->predicate_count || field->distinct);
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

/* The number of the first tier of its group, so that there are no more of them than tiers. */
static unsigned int number_of_group(const struct krl_policy_builder *b, size_t tier)
{
	unsigned int k = 0;

	while (b->levels[b->level_of[k]].group != b->levels[b->level_of[tier]].group)
		k++;
	return k;
}

/* The tiers of a level stand together. Those without selectors go behind the others: they match what no other of their
 * group does. */
static void order_tiers(const struct krl_policy_builder *b, struct krl_policy *ret)
{
	struct krl_tier sorted[KRL_MAX_TIERS];
	__u8 moved[KRL_MAX_TIERS] = { 0 };
	unsigned int i, n = 0, last, before;
	size_t k;

	for (last = 0; last < 2; last++) {
		for (k = 0; k < b->level_count; k++) {
			if (b->levels[k].last != last)
				continue;
			for (i = 0, before = n; i < ret->tier_count; i++) {
				if (b->level_of[i] != k)
					continue;
				moved[i] = n;
				sorted[n] = ret->tiers[i];
				sorted[n].group = number_of_group(b, i);
				sorted[n].flags = (b->levels[k].first ? KRL_TIER_FIRST : 0) |
						  (n > before ? KRL_TIER_ALONG : 0) | (last ? KRL_TIER_LAST : 0);
				n++;
			}
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
	for (i = 0; i < ret->tier_count; i++)
		if (ret->tiers[i].only)
			ret->tiers[i].only = moved[ret->tiers[i].only - 1] + 1;
	order_tiers(b, ret);
	ret->path = ret->method = ret->model = KRL_NO_FIELD;
	for (i = 0; i < ret->field_count; i++) {
		if (ret->fields[i].kind == KRL_FIELD_PATH)
			ret->path = i;
		if (ret->fields[i].kind == KRL_FIELD_METHOD)
			ret->method = i;
		if (ret->fields[i].kind == KRL_FIELD_MODEL)
			ret->model = i;
		ret->peers |= ret->fields[i].kind == KRL_FIELD_PEER;
	}
}

__u64 krl_policy_key(const struct krl_policy *policy)
{
	return krl_content_key(policy, sizeof(*policy));
}
