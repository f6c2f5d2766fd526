// SPDX-License-Identifier: Apache-2.0
/* The fields that terms look at, and the predicates on them: each is in a policy once, however many terms say it. */
#include <errno.h>
#include <string.h>

#include "policy_internal.h"
#include "secret.h"

/* Names of the fields that are no headers; a header's cannot have a colon. */
#define PATH_NAME ":path"
#define METHOD_NAME ":method"
#define SOURCE_NAME ":source"
#define MODEL_NAME ":model"

/* Makes the name of a field another, whose values are hidden since a RateLimit says so. Else a bucket would have one
 * descriptor, and the row of krl_values that says whose it is be one, at endpoints where they are hidden and where not. */
#define REDACTED_HASH 0x7c15d2e90b3aa6f1ULL

/* Of a peer, by what it is told apart. Also what people are shown. */
static const char *const peer_names[KRL_PEER_BY_MAX] = { "from", "pod", "workload", "namespace", "serviceaccount" };

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

/* The number of the field that @wanted is, or that of the next one. */
static int find_field(const struct krl_policy *policy, const struct krl_policy_field *wanted)
{
	const struct krl_policy_field *field;
	int i;

	for (i = 0; i < policy->field_count; i++) {
		field = &policy->fields[i];
		if (field->kind == wanted->kind && field->hops == wanted->hops &&
		    field->client_header == wanted->client_header &&
		    !memcmp(field->name, wanted->name, sizeof(field->name)))
			break;
	}
	return i;
}

/* The number of the field that @wanted is, added when it is not there. -1: there are too many. */
static int add_field(struct krl_policy_builder *b, const struct krl_policy_field *wanted)
{
	struct krl_policy_field *field;
	int i = find_field(&b->policy, wanted);

	if (i < b->policy.field_count) {
		field = &b->policy.fields[i];
		field->distinct |= wanted->distinct;
		if (wanted->distinct & KRL_DISTINCT_HIDDEN)
			field->hash = wanted->hash;
		return i;
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

void krl_policy_hide_as(struct krl_policy_builder *b, const struct krl_policy *other)
{
	struct krl_policy_field *field;
	int i, own;

	for (i = 0; i < other->field_count; i++) {
		own = find_field(&b->policy, &other->fields[i]);
		if (own == b->policy.field_count || !(other->fields[i].distinct & KRL_DISTINCT_HIDDEN))
			continue;
		field = &b->policy.fields[own];
		if (!field->distinct)
			continue;
		field->distinct |= KRL_DISTINCT_HIDDEN;
		field->hash = other->fields[i].hash;
	}
}

/* Besides the model the kernel looks at the path: what kind of request it is tells how its answer says what it used. */
static int add_model_fields(struct krl_policy_builder *b, const char **ret_what)
{
	const struct krl_policy_field model = { .kind = KRL_FIELD_MODEL, .hash = name_hash(MODEL_NAME) };
	const struct krl_policy_field path = { .kind = KRL_FIELD_PATH, .hash = name_hash(PATH_NAME) };

	*ret_what = "different headers and other fields in selectors";
	return add_field(b, &model) < 0 || add_field(b, &path) < 0 ? -ENOSPC : 0;
}

static int add_model_header(struct krl_policy *policy, const char *name, const char **ret_what)
{
	int i;

	*ret_what = "different headers in modelHeaders";
	for (i = 0; i < policy->model_header_count; i++)
		if (!strcmp(policy->model_headers[i].name, name))
			return 0;
	if (i == KRL_MAX_MODEL_HEADERS)
		return -ENOSPC;
	strcpy(policy->model_headers[policy->model_header_count++].name, name);
	return 0;
}

int krl_policy_add_models(struct krl_policy_builder *b, const struct krl_model_headers *models, const char **ret_what)
{
	int err = add_model_fields(b, ret_what);
	size_t i;

	for (i = 0; i < models->count && !err; i++)
		err = add_model_header(&b->policy, models->names[i], ret_what);
	return err;
}

int krl_policy_adopt_models(struct krl_policy_builder *b, const struct krl_policy *from, const char **ret_what)
{
	unsigned int i;
	int err = 0;

	if (from->model == KRL_NO_FIELD)
		return 0;
	err = add_model_fields(b, ret_what);
	for (i = 0; i < from->model_header_count && !err; i++)
		err = add_model_header(&b->policy, from->model_headers[i].name, ret_what);
	return err;
}

/* How many predicates of a field the kernel evaluates. */
static size_t predicate_room(enum krl_predicate_kind kind)
{
	switch (kind) {
	case KRL_PREDICATE_METHODS:
		return KRL_MAX_METHOD_PREDICATES;
	case KRL_PREDICATE_CIDR:
		return KRL_MAX_CIDR_PREDICATES;
	case KRL_PREDICATE_PEER:
		return KRL_MAX_PEER_PREDICATES;
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

/* Values of secret headers are hidden everywhere. */
static void hide_field(struct krl_policy_field *field, bool secret, bool redact)
{
	if (secret || redact)
		field->distinct |= KRL_DISTINCT_HIDDEN;
	if (redact && !secret)
		field->hash ^= REDACTED_HASH;
}

/* A source is that of the client number @client_header, and @hops. */
static void describe_field(const struct krl_policy_builder *b, const struct krl_term *term, bool distinct,
			   __u8 client_header, struct krl_policy_field *ret)
{
	const char *name = term->name;
	int family;

	*ret = (struct krl_policy_field){ .kind = term->field, .distinct = distinct ? KRL_DISTINCT : 0 };
	switch (term->field) {
	case KRL_FIELD_HEADER:
		memcpy(ret->name, name, strlen(name));
		break;
	case KRL_FIELD_PATH:
		name = PATH_NAME;
		break;
	case KRL_FIELD_METHOD:
		name = METHOD_NAME;
		break;
	case KRL_FIELD_MODEL:
		name = MODEL_NAME;
		break;
	case KRL_FIELD_PEER:
		ret->by = distinct ? term->by : KRL_PEER_ANY;
		name = peer_names[ret->by];
		strcpy(ret->name, name);
		break;
	case KRL_FIELD_SOURCE:
		name = SOURCE_NAME;
		ret->hops = b->client.hops;
		ret->client_header = client_header;
		for (family = 0; distinct && family < 2; family++) {
			unsigned int bits = term->prefix_len[family];

			ret->masks[family][0] = prefix_mask(bits);
			ret->masks[family][1] = bits > 64 ? prefix_mask(bits - 64) : 0;
		}
		break;
	}
	ret->hash = name_hash(name);
	if (distinct && (term->field == KRL_FIELD_HEADER || term->field == KRL_FIELD_PATH))
		hide_field(ret, term->field == KRL_FIELD_HEADER && krl_header_is_secret(name), b->redact);
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
	case KRL_PREDICATE_PEER:
		ret->word = term->from->key;
		break;
	case KRL_PREDICATE_PRESENT:
		break;
	}
}

int krl_policy_add_term(struct krl_policy_builder *b, const struct krl_term *term, struct krl_entry *entry,
			const char **ret_what)
{
	bool source = term->field == KRL_FIELD_SOURCE;
	char value[KRL_VALUE_BYTES + 8];
	struct krl_predicate predicate;
	struct krl_policy_field field;
	int at = -1, header = 0, number;

	entry->of_head |= source ? b->client.hops != 0 : term->field != KRL_FIELD_PEER;
	*ret_what = "different headers in clientIP";
	if (source && b->client.hops)
		header = add_client_header(&b->policy, b->client.header);
	if (header < 0)
		return -ENOSPC;
	*ret_what = "different headers and other fields in selectors";
	if (term->distinct) {
		describe_field(b, term, true, header, &field);
		at = add_field(b, &field);
		if (at < 0)
			return -ENOSPC;
		entry->distinct |= 1U << at;
		/* A source is always there. */
		if (source && term->kind == KRL_PREDICATE_PRESENT)
			return 0;
	}
	if (source || !term->distinct) {
		describe_field(b, term, false, header, &field);
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

/* The number in @b of the field @number of @from, or -ENOSPC. */
static int adopt_field(struct krl_policy_builder *b, const struct krl_policy *from, unsigned int number,
		       const char **ret_what)
{
	struct krl_policy_field field = from->fields[number];
	int n = 0;

	*ret_what = "different headers in clientIP";
	if (field.kind == KRL_FIELD_SOURCE && field.hops)
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
	int field, i;

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

int krl_policy_adopt_only(struct krl_policy_builder *b, const struct krl_policy *from, __u16 only, __u16 *ret,
			  const char **ret_what)
{
	int n = adopt_predicate(b, from, only - 1, ret_what);

	if (n < 0)
		return n;
	*ret = n + 1;
	return 0;
}

int krl_policy_adopt_entry(struct krl_policy_builder *b, const struct krl_policy *from, const struct krl_entry *entry,
			   struct krl_entry *ret, const char **ret_what)
{
	unsigned int i;
	int n;

	ret->of_head = entry->of_head;
	for (i = 0; i < entry->predicate_count; i++) {
		n = adopt_predicate(b, from, entry->predicates[i] & ~KRL_ENTRY_INVERT, ret_what);
		if (n < 0)
			return n;
		entry_add(ret, n, entry->predicates[i] & KRL_ENTRY_INVERT);
	}
	for (i = 0; i < from->field_count; i++) {
		if (!(entry->distinct >> i & 1))
			continue;
		n = adopt_field(b, from, i, ret_what);
		if (n < 0)
			return n;
		ret->distinct |= 1U << n;
	}
	return 0;
}
