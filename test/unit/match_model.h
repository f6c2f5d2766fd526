/* SPDX-License-Identifier: Apache-2.0 */
/* What docs and selector.h say of selectors, in the plainest code: a request that was parsed already, rules as
 * they were written, no numbering, no tables. What is compared with bpf/lib/match.h. */
#ifndef KMESH_RL_TEST_MATCH_MODEL_H
#define KMESH_RL_TEST_MATCH_MODEL_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/policy/model.h"
#include "agent/policy/selector.h"

enum { MODEL_RULES = 12, MODEL_SELECTORS = 3, MODEL_HEADERS = 8, MODEL_PATH_BYTES = 1024 };

struct model_header {
	char name[96];
	char value[512];	/* without white space around it */
};

struct model_request {
	char method[40];
	char path[MODEL_PATH_BYTES];	/* in its normal form; "" for a target without one */
	__u8 source[16];	/* the peer */
	struct model_header headers[MODEL_HEADERS];
	size_t header_count;
};

struct model_rule {
	unsigned int group;
	bool first;
	struct krl_client_ip client;
	struct krl_selector selectors[MODEL_SELECTORS];
	size_t count;
};

struct model_rules {
	struct model_rule rule[MODEL_RULES];
	size_t count;
};

/* The bucket of a rule that counts, as a number that stands for it; 0: its only one. */
struct model_verdict {
	uint64_t rules;		/* a bit for each that counts */
	uint64_t buckets[MODEL_RULES];
};

/* A number that stands for some bytes, after others. */
static inline uint64_t model_mix(uint64_t seed, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	for (seed ^= len; len--; at++)
		seed = (seed ^ *at) * 0x9e3779b97f4a7c15ULL ^ seed >> 29;
	return seed;
}

static inline int model_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* A number that stands for the set @items, which are sorted. */
static inline uint64_t model_set(uint64_t *items, size_t count)
{
	uint64_t set = count ? 1 : 0;
	size_t i;

	qsort(items, count, sizeof(*items), model_compare);
	for (i = 0; i < count; i++)
		if (!i || items[i] != items[i - 1])
			set = model_mix(set, &items[i], sizeof(items[i]));
	return set;
}

static inline uint64_t model_field(const struct krl_term *term)
{
	uint64_t id = model_mix(1, &term->field, sizeof(term->field));

	if (term->field == KRL_FIELD_HEADER)
		id = model_mix(id, term->name, strlen(term->name));
	if (term->field == KRL_FIELD_SOURCE && term->distinct)
		id = model_mix(id, term->prefix_len, sizeof(term->prefix_len));
	return id;
}

/* What @term asks for, whether it is distinct or not. */
static inline uint64_t model_condition(const struct krl_term *term)
{
	const struct krl_term field = { .field = term->field };
	uint64_t id = model_mix(2, &field.field, sizeof(field.field));

	id = model_mix(id, &term->kind, sizeof(term->kind));
	id = model_mix(id, &term->invert, sizeof(term->invert));
	id = model_mix(id, term->name, strlen(term->name));
	id = model_mix(id, term->value, strlen(term->value));
	id = model_mix(id, &term->methods, sizeof(term->methods));
	id = model_mix(id, term->addr, sizeof(term->addr));
	return model_mix(id, term->mask, sizeof(term->mask));
}

/* A number that stands for the set of @rule's selectors. */
static inline uint64_t model_selectors(const struct model_rule *rule)
{
	uint64_t selectors[MODEL_SELECTORS], set;
	size_t i, t, n;

	for (i = 0; i < rule->count; i++) {
		const struct krl_selector *selector = &rule->selectors[i];
		uint64_t items[2 * KRL_MAX_ENTRY_PREDICATES];

		for (t = n = 0; t < selector->term_count; t++) {
			const struct krl_term *term = &selector->terms[t];

			if (term->distinct)
				items[n++] = model_field(term);
			/* Every request has a source. */
			if (term->field != KRL_FIELD_SOURCE || term->kind != KRL_PREDICATE_PRESENT)
				items[n++] = model_condition(term);
		}
		selectors[i] = model_set(items, n);
	}
	set = model_set(selectors, rule->count);
	return model_mix(3, &set, sizeof(set));
}

static inline bool model_value_is(const struct krl_term *term, const char *value)
{
	size_t len = strlen(term->value);

	switch (term->kind) {
	case KRL_PREDICATE_EXACT:
		return !strcmp(value, term->value);
	case KRL_PREDICATE_PREFIX:
		return !strncmp(value, term->value, len);
	case KRL_PREDICATE_PATH_PREFIX:
		return !strncmp(value, term->value, len) &&
		       (!value[len] || value[len] == '/' || term->value[len - 1] == '/');
	default:
		return true;
	}
}

static inline __u16 model_method(const char *method)
{
	static const char *const names[KRL_METHOD_MAX] = { NULL,     "GET",	"HEAD",	   "POST",  "PUT",
							   "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH" };
	int i;

	/* In any case: some servers take "post" for POST. */
	for (i = 1; i < KRL_METHOD_MAX; i++)
		if (!strcasecmp(method, names[i]))
			return 1U << i;
	return 1U << KRL_METHOD_OTHER;
}

static inline bool model_within(const struct krl_term *term, const __u8 source[16])
{
	size_t i;

	for (i = 0; i < 16; i++)
		if ((source[i] & term->mask[i]) != term->addr[i])
			return false;
	return true;
}

static inline bool model_is_ipv4(const __u8 source[16])
{
	static const __u8 mapped[12] = { [10] = 0xff, 0xff };

	return !memcmp(source, mapped, sizeof(mapped));
}

/* The address that is the whole of @text. */
static inline bool model_bare_address(const char *text, __u8 ret[16])
{
	static const __u8 mapped[12] = { [10] = 0xff, 0xff };

	if (inet_pton(AF_INET6, text, ret) == 1)
		return true;
	memcpy(ret, mapped, sizeof(mapped));
	return inet_pton(AF_INET, text, ret + 12) == 1;
}

/* Cut the port off @text, and the brackets; what is not there need not be. */
static inline char *model_without_port(char *text)
{
	char *colon = strrchr(text, ':'), *end = text + strlen(text);

	/* Without brackets the last colon of IPv6 is not that of a port. */
	if (colon && (*text == '[' ? colon[-1] == ']' : colon == strchr(text, ':')) &&
	    strspn(colon + 1, "0123456789") == strlen(colon + 1)) {
		*colon = 0;
		end = colon;
	}
	if (*text == '[' && end[-1] == ']') {
		end[-1] = 0;
		text++;
	}
	return text;
}

/* Who sent @request, as @client says. @ret is the peer when the header does not tell. */
static inline void model_source(const struct krl_client_ip *client, const struct model_request *request, __u8 ret[16])
{
	char lists[MODEL_HEADERS][sizeof(request->headers[0].value)], *elements[MODEL_HEADERS * 256], *list, *element;
	size_t i, count = 0;
	__u8 found[16];

	memcpy(ret, request->source, 16);
	for (i = 0; i < request->header_count && client->hops; i++) {
		if (strcasecmp(request->headers[i].name, client->header))
			continue;
		list = strcpy(lists[i], request->headers[i].value);
		while ((element = strsep(&list, ","))) {
			element += strspn(element, " \t");
			while (*element && strchr(" \t", element[strlen(element) - 1]))
				element[strlen(element) - 1] = 0;
			if (*element)
				elements[count++] = element;
		}
	}
	if (client->hops && client->hops <= count &&
	    model_bare_address(model_without_port(elements[count - client->hops]), found))
		memcpy(ret, found, 16);
}

/* Does @term hold for @request from @source? */
static inline bool model_holds(const struct krl_term *term, const struct model_request *request,
			       const __u8 source[16])
{
	bool holds = false;
	size_t i;

	switch (term->field) {
	case KRL_FIELD_HEADER:
		for (i = 0; i < request->header_count; i++)
			holds |= !strcasecmp(request->headers[i].name, term->name) &&
				 model_value_is(term, request->headers[i].value);
		break;
	case KRL_FIELD_PATH:
		holds = model_value_is(term, request->path);
		break;
	case KRL_FIELD_METHOD:
		holds = term->methods & model_method(request->method);
		break;
	case KRL_FIELD_SOURCE:
		holds = term->kind == KRL_PREDICATE_PRESENT || model_within(term, source);
		break;
	case KRL_FIELD_MODEL:	/* these requests have no bodies */
	case KRL_FIELD_PEER:	/* ... and are from no pod that is known */
		break;
	}
	return holds != term->invert;
}

/* A number that stands for the field of @term, and its value, or for its having none of its own: there twice,
 * or too long. */
static inline uint64_t model_distinct(const struct krl_term *term, const struct model_request *request,
				      const __u8 source[16])
{
	static const char shared = 1;
	const char *value = request->path;
	uint64_t id = model_field(term);
	unsigned int bits, i, count = 1;
	__u8 network[16] = { 0 };

	if (term->field == KRL_FIELD_SOURCE) {
		bits = term->prefix_len[model_is_ipv4(source)];
		for (i = 0; i < bits; i++)
			network[i / 8] |= source[i / 8] & 0x80 >> i % 8;
		return model_mix(id, network, sizeof(network));
	}
	if (term->field == KRL_FIELD_HEADER) {
		for (count = i = 0; i < request->header_count; i++) {
			if (strcasecmp(request->headers[i].name, term->name))
				continue;
			value = request->headers[i].value;
			count++;
		}
	}
	if (count > 1 || strlen(value) > KRL_VALUE_BYTES)
		return model_mix(id, &shared, 1);
	return model_mix(model_mix(id, "", 1), value, strlen(value));
}

static inline uint64_t model_bucket(const struct krl_selector *selector, const struct model_request *request,
				    const __u8 source[16])
{
	uint64_t items[KRL_MAX_ENTRY_PREDICATES];
	size_t t, n = 0;

	for (t = 0; t < selector->term_count; t++)
		if (selector->terms[t].distinct)
			items[n++] = model_distinct(&selector->terms[t], request, source);
	return model_set(items, n);
}

/* The first of @rule's selectors of which all terms hold; NULL: none. */
static inline const struct krl_selector *model_selects(const struct model_rule *rule,
						       const struct model_request *request)
{
	__u8 source[16];
	size_t i, t;

	model_source(&rule->client, request, source);
	for (i = 0; i < rule->count; i++) {
		for (t = 0; t < rule->selectors[i].term_count; t++)
			if (!model_holds(&rule->selectors[i].terms[t], request, source))
				break;
		if (t == rule->selectors[i].term_count)
			return &rule->selectors[i];
	}
	return NULL;
}

/* With First: the rule before which none of @group selects @request; rules without selectors come last. */
static inline const struct model_rule *model_winner(const struct model_rules *rules, unsigned int group,
						    const struct model_request *request)
{
	const struct model_rule *last = NULL;
	size_t i;

	for (i = 0; i < rules->count; i++) {
		if (rules->rule[i].group != group)
			continue;
		if (model_selects(&rules->rule[i], request))
			return &rules->rule[i];
		if (!rules->rule[i].count)
			last = &rules->rule[i];
	}
	return last;
}

static inline struct model_verdict model_judge(const struct model_rules *rules, const struct model_request *request)
{
	struct model_verdict verdict = { 0 };
	const struct krl_selector *selector;
	const struct model_rule *winner;
	__u8 source[16];
	size_t i;

	for (i = 0; i < rules->count; i++) {
		winner = &rules->rule[i];
		if (winner->first)
			winner = model_winner(rules, winner->group, request);
		if (!winner || model_selectors(winner) != model_selectors(&rules->rule[i]))
			continue;
		selector = model_selects(winner, request);
		if (!selector && winner->count)
			continue;
		model_source(&winner->client, request, source);
		verdict.rules |= 1ULL << i;
		verdict.buckets[i] = selector ? model_bucket(selector, request, source) : 0;
	}
	return verdict;
}

#endif
