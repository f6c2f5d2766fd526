// SPDX-License-Identifier: Apache-2.0
#include "policy.h"

#include "form.h"
#include "secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Names of the fields that are no headers; a header's cannot have a colon. */
#define PATH_NAME ":path"
#define METHOD_NAME ":method"
#define SOURCE_NAME ":source"

/* Everything in the order in which it came; predicates name their field, and a tier the rules in it. */
struct krl_policy_builder {
	struct krl_policy policy;
	__u8 field_of[KRL_MAX_PREDICATES];
	size_t values_len;
	unsigned int group_of[KRL_MAX_TIERS];	/* as the caller numbers them */
	struct krl_client_ip client;	/* of the sources that are added */
};

struct krl_policy_builder *krl_policy_builder_new(void)
{
	return calloc(1, sizeof(struct krl_policy_builder));
}

void krl_policy_builder_free(struct krl_policy_builder *builder)
{
	free(builder);
}

static __u64 name_hash(const char *name)
{
	__u64 hash = KRL_NAME_HASH_START;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * KRL_NAME_HASH_STEP;
	return hash;
}

/* The number of the client header called @name, added when it is not there. -1: there are too many. */
static int add_client_header(struct krl_policy *policy, const char *name)
{
	struct krl_client_header *header;
	int i;

	for (i = 0; i < policy->client_header_count; i++)
		if (!strcmp(policy->client_headers[i].name, name))
			return i;
	if (i == KRL_MAX_CLIENT_HEADERS)
		return -1;
	header = &policy->client_headers[policy->client_header_count++];
	strcpy(header->name, name);
	return i;
}

/* The number of the field that @wanted is, added when it is not there. -1: there are too many. */
static int add_field(struct krl_policy_builder *b, const struct krl_policy_field *wanted)
{
	struct krl_policy_field *field;
	int i;

	for (i = 0; i < b->policy.field_count; i++) {
		field = &b->policy.fields[i];
		if (field->kind == wanted->kind && field->hops == wanted->hops &&
		    field->client_header == wanted->client_header &&
		    !memcmp(field->name, wanted->name, sizeof(field->name))) {
			field->distinct |= wanted->distinct;
			return i;
		}
	}
	if (i == KRL_MAX_FIELDS)
		return -1;
	field = &b->policy.fields[b->policy.field_count++];
	memcpy(field->name, wanted->name, sizeof(field->name));
	field->hash = wanted->hash;
	field->kind = wanted->kind;
	field->distinct = wanted->distinct;
	field->hops = wanted->hops;
	field->client_header = wanted->client_header;
	return i;
}

/* How many predicates of a field the kernel evaluates. */
static size_t predicate_room(enum krl_predicate_kind kind)
{
	switch (kind) {
	case KRL_PREDICATE_METHODS:
		return KRL_MAX_METHOD_PREDICATES;
	case KRL_PREDICATE_CIDR:
		return KRL_MAX_CIDR_PREDICATES;
	default:
		return KRL_MAX_PREDICATES;
	}
}

/* The number of the predicate on @field that @wanted is, with its bytes at @value. -1: no room. */
static int add_predicate(struct krl_policy_builder *b, int field, const struct krl_predicate *wanted,
			 const char *value)
{
	size_t room = (wanted->len + 7) / 8 * 8, of_field = 0;
	struct krl_predicate *p;
	int i;

	for (i = 0; i < b->policy.predicate_count; i++) {
		p = &b->policy.predicates[i];
		of_field += b->field_of[i] == field;
		if (b->field_of[i] == field && p->kind == wanted->kind && p->word == wanted->word &&
		    p->len == wanted->len && !memcmp(b->policy.values + p->at, value, p->len))
			return i;
	}
	if (i == KRL_MAX_PREDICATES || of_field == predicate_room(wanted->kind) ||
	    b->values_len + room > KRL_VALUES_BYTES)
		return -1;
	p = &b->policy.predicates[b->policy.predicate_count++];
	*p = *wanted;
	p->at = b->values_len;
	memcpy(b->policy.values + p->at, value, p->len);
	b->values_len += room;
	b->field_of[i] = field;
	return i;
}

/* Once: a selector may say a thing twice. */
static void entry_add(struct krl_entry *entry, int predicate, bool invert)
{
	__u16 number = predicate | (invert ? KRL_ENTRY_INVERT : 0);
	int i;

	for (i = 0; i < entry->predicate_count; i++)
		if (entry->predicates[i] == number)
			return;
	entry->predicates[entry->predicate_count++] = number;
}

static __u64 prefix_mask(unsigned int bits)
{
	unsigned char bytes[8] = { 0 };
	unsigned int i;
	__u64 mask;

	for (i = 0; i < 64 && i < bits; i++)
		bytes[i / 8] |= 0x80 >> i % 8;
	memcpy(&mask, bytes, sizeof(mask));
	return mask;
}

/* A source is that of the client number @client_header, and @hops. */
static void describe_field(const struct krl_term *term, bool distinct, __u8 hops, __u8 client_header,
			   struct krl_policy_field *ret)
{
	const char *name = term->name;
	int family;

	*ret = (struct krl_policy_field){ .kind = term->field, .distinct = distinct ? KRL_DISTINCT : 0 };
	switch (term->field) {
	case KRL_FIELD_HEADER:
		if (distinct && krl_header_is_secret(name))
			ret->distinct |= KRL_DISTINCT_HIDDEN;
		memcpy(ret->name, name, strlen(name));
		break;
	case KRL_FIELD_PATH:
		name = PATH_NAME;
		break;
	case KRL_FIELD_METHOD:
		name = METHOD_NAME;
		break;
	case KRL_FIELD_SOURCE:
		name = SOURCE_NAME;
		ret->hops = hops;
		ret->client_header = client_header;
		for (family = 0; distinct && family < 2; family++) {
			unsigned int bits = term->prefix_len[family];

			ret->masks[family][0] = prefix_mask(bits);
			ret->masks[family][1] = bits > 64 ? prefix_mask(bits - 64) : 0;
		}
		break;
	}
	ret->hash = name_hash(name);
}

static void describe_predicate(const struct krl_term *term, struct krl_predicate *ret, char value[KRL_VALUE_BYTES + 8])
{
	*ret = (struct krl_predicate){ .kind = term->kind };
	memset(value, 0, KRL_VALUE_BYTES + 8);
	switch (term->kind) {
	case KRL_PREDICATE_EXACT:
	case KRL_PREDICATE_PREFIX:
	case KRL_PREDICATE_PATH_PREFIX:
		ret->len = strlen(term->value);
		memcpy(value, term->value, ret->len);
		memcpy(&ret->word, value, sizeof(ret->word));
		break;
	case KRL_PREDICATE_METHODS:
		ret->word = term->methods;
		break;
	case KRL_PREDICATE_CIDR:
		ret->len = 32;
		memcpy(value, term->addr, 16);
		memcpy(value + 16, term->mask, 16);
		break;
	case KRL_PREDICATE_PRESENT:
		break;
	}
}

static int add_term(struct krl_policy_builder *b, const struct krl_term *term, struct krl_entry *entry,
		    const char **ret_what)
{
	bool source = term->field == KRL_FIELD_SOURCE;
	char value[KRL_VALUE_BYTES + 8];
	struct krl_predicate predicate;
	struct krl_policy_field field;
	int at = -1, header = 0, number;

	entry->of_head |= !source || b->client.hops;
	*ret_what = "different headers in clientIP";
	if (source && b->client.hops)
		header = add_client_header(&b->policy, b->client.header);
	if (header < 0)
		return -ENOSPC;
	*ret_what = "different headers and other fields in selectors";
	if (term->distinct) {
		describe_field(term, true, b->client.hops, header, &field);
		at = add_field(b, &field);
		if (at < 0)
			return -ENOSPC;
		entry->distinct |= 1U << at;
		/* A source is always there. */
		if (source && term->kind == KRL_PREDICATE_PRESENT)
			return 0;
	}
	if (source || !term->distinct) {
		describe_field(term, false, b->client.hops, header, &field);
		at = add_field(b, &field);
		if (at < 0)
			return -ENOSPC;
	}
	describe_predicate(term, &predicate, value);
	*ret_what = "different values in selectors";
	number = add_predicate(b, at, &predicate, value);
	if (number < 0)
		return -ENOSPC;
	entry_add(entry, number, term->invert);
	return 0;
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
			err = add_term(b, &selectors[i].terms[t], &entries[i], ret_what);
			if (err)
				return err;
		}
	}
	return add_to_tier(b, rule, group, first, entries, count, ret_what);
}

/* The number in @b of the field @number of @from, or -ENOSPC. */
static int adopt_field(struct krl_policy_builder *b, const struct krl_policy *from, unsigned int number,
		       const char **ret_what)
{
	struct krl_policy_field field = from->fields[number];
	int n = 0;

	*ret_what = "different headers in clientIP";
	if (field.hops)
		n = add_client_header(&b->policy, from->client_headers[field.client_header].name);
	if (n < 0)
		return -ENOSPC;
	field.client_header = n;
	*ret_what = "different headers and other fields in selectors";
	n = add_field(b, &field);
	return n < 0 ? -ENOSPC : n;
}

/* The number in @b of the predicate @number of @from, or -ENOSPC. */
static int adopt_predicate(struct krl_policy_builder *b, const struct krl_policy *from, unsigned int number,
			   const char **ret_what)
{
	const struct krl_predicate *predicate = &from->predicates[number];
	int field;
	int i;

	for (i = 0; i < from->field_count - 1; i++)
		if (number - from->fields[i].first < from->fields[i].predicate_count)
			break;
	field = adopt_field(b, from, i, ret_what);
	if (field < 0)
		return field;
	*ret_what = "different values in selectors";
	i = add_predicate(b, field, predicate, from->values + predicate->at);
	return i < 0 ? -ENOSPC : i;
}

int krl_policy_adopt(struct krl_policy_builder *b, unsigned int rule, unsigned int group,
		     const struct krl_policy *from, unsigned int from_rule, const char **ret_what)
{
	const struct krl_tier *tier = &from->tiers[from->tier_of[from_rule] % KRL_MAX_TIERS];
	struct krl_entry entries[KRL_MAX_RULE_ENTRIES] = { 0 };
	size_t i, p;
	int n;

	for (i = 0; i < tier->entry_count; i++) {
		const struct krl_entry *entry = &from->entries[tier->first + i];

		entries[i].of_head = entry->of_head;
		for (p = 0; p < entry->predicate_count; p++) {
			n = adopt_predicate(b, from, entry->predicates[p] & ~KRL_ENTRY_INVERT, ret_what);
			if (n < 0)
				return n;
			entry_add(&entries[i], n, entry->predicates[p] & KRL_ENTRY_INVERT);
		}
		for (p = 0; p < from->field_count; p++) {
			if (!(entry->distinct >> p & 1))
				continue;
			n = adopt_field(b, from, p, ret_what);
			if (n < 0)
				return n;
			entries[i].distinct |= 1U << n;
		}
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
	ret->path = ret->method = KRL_NO_FIELD;
	for (i = 0; i < ret->field_count; i++) {
		if (ret->fields[i].kind == KRL_FIELD_PATH)
			ret->path = i;
		if (ret->fields[i].kind == KRL_FIELD_METHOD)
			ret->method = i;
	}
}

__u64 krl_policy_key(const struct krl_policy *policy)
{
	return krl_content_key(policy, sizeof(*policy));
}
