/* SPDX-License-Identifier: Apache-2.0 */
/* Random rules, and random requests that come close to them, with the many ways to write one. */
#ifndef KMESH_RL_TEST_MATCH_CASES_H
#define KMESH_RL_TEST_MATCH_CASES_H

#include <assert.h>
#include <stdio.h>

#include "agent/policy/policy.h"
#include "match_model.h"

enum { CASE_STREAM_BYTES = 32768, CASE_METHODS = 13 };

/* An endpoint has room for KRL_MAX_FIELDS fields: the selectors of one set are about a path, a method,
 * CASE_SET_NAMES headers, and as many sources, each of another client, or with another prefix length. */
enum { CASE_SET_NAMES = 5, CASE_SET_CLIENTS = 3, CASE_PREFIX_LENS = 4 };

/* What selectors are about: in a set, some that follow one another, counted round. */
static const char *const case_names[] = {
	"x-user", "x-user-type", "connection", "a",
	"x-0123456789-0123456789-0123456789-0123456789-0123456789-012345", "x-forwarded-for", "x-real-ip",
};

static const __u8 case_prefix_lens[CASE_PREFIX_LENS][2] = { { 64, 128 }, { 56, 120 }, { 48, 97 }, { 128, 112 } };

struct case_set {
	unsigned int first_name, first_prefix_len, prefix_lens;
	struct krl_client_ip clients[CASE_SET_CLIENTS];
};

/* Headers that are none of those, but nearly: one is longer than a selector's can be. */
static const char *const case_other_names[] = {
	"x-use", "x-user-", "x-user-typf", "b", "x-0123456789-0123456789-0123456789-0123456789-0123456789-0123456",
	"x-0123456789-0123456789-0123456789-0123456789-0123456789-012346", "x-forwarded-fo", "x-real-ips",
};

static const char *const case_client_names[] = { "x-forwarded-for", "x-real-ip" };

static const char *const case_methods[CASE_METHODS] = {
	"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
	"get", "GETS", "PROPFIND", "A-METHOD-LONGER-THAN-ANY-THAT-IS-KNOWN",
};

#define CASE_PICK(seed, list) ((list)[case_below(seed, sizeof(list) / sizeof(*(list)))])

/* xorshift64 (Marsaglia), from 0 to @n - 1; *@seed is not 0. */
static inline unsigned int case_below(uint64_t *seed, unsigned int n)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (*seed >> 24) % n;
}

/* A value of a header: lengths around those at which words, and what is kept, end. At least @min bytes. */
static inline void case_value(uint64_t *seed, size_t min, size_t max, char *ret)
{
	static const size_t lens[] = { 0, 1, 1, 2, 7, 8, 9, 15, 16, 17, 31, 64, 100, 255, 256, 257, 263, 264, 300 };
	static const char odd[] = { ' ', '\t', '~', '\xfc' };
	size_t len, i;

	do
		len = CASE_PICK(seed, lens);
	while (len < min || len > max);
	for (i = 0; i < len; i++)
		ret[i] = 'a' + i % 23;
	ret[len] = 0;
	if (len > 2 && !case_below(seed, 3))
		ret[1 + case_below(seed, len - 2)] = CASE_PICK(seed, odd);
}

/* A path in its normal form, of at most @max bytes. */
static inline void case_path(uint64_t *seed, size_t max, char *ret)
{
	static const char *const segments[] = { "v1", "v10", "v1", "models", "a", "b", "...", ".a", "a..", "x?y", "x#",
						"50%", "%2e", "a b", "\xc3\xbc" };
	size_t count = case_below(seed, 4), len = 0, n;
	const char *segment;

	if (!case_below(seed, 12))
		count = 60 + case_below(seed, 120);
	while (count--) {
		segment = CASE_PICK(seed, segments);
		n = strlen(segment);
		if (len + 1 + n > max)
			break;
		len += sprintf(ret + len, "/%s", segment);
	}
	if (!case_below(seed, 12) && len + 2 < max) {
		n = 230 + case_below(seed, 320);
		for (ret[len++] = '/'; n-- && len + 1 < max;)
			ret[len++] = 'l';
		ret[len] = 0;
	}
	if ((!len || !case_below(seed, 3)) && len < max)
		strcpy(ret + len, "/");
}

static inline void case_source(uint64_t *seed, __u8 ret[16])
{
	memset(ret, 0, 16);
	if (case_below(seed, 2)) {
		ret[10] = ret[11] = 0xff;
		ret[12] = 10 + case_below(seed, 2);
		ret[14] = case_below(seed, 2);
		ret[15] = case_below(seed, 4);
	} else {
		ret[0] = 0x20;
		ret[1] = 0x01;
		ret[case_below(seed, 2) ? 7 : 5] = case_below(seed, 2);
		ret[8] = case_below(seed, 2) << 7;
		ret[15] = case_below(seed, 4);
	}
}

static inline void case_cidr(uint64_t *seed, struct krl_term *term)
{
	static const unsigned int ipv4_bits[] = { 96, 97, 104, 111, 120, 127, 128 };
	static const unsigned int ipv6_bits[] = { 0, 1, 32, 63, 64, 65, 127, 128 };
	unsigned int bits, i;

	term->kind = KRL_PREDICATE_CIDR;
	case_source(seed, term->addr);
	bits = model_is_ipv4(term->addr) ? CASE_PICK(seed, ipv4_bits) : CASE_PICK(seed, ipv6_bits);
	for (i = 0; i < bits; i++)
		term->mask[i / 8] |= 0x80 >> i % 8;
	for (i = 0; i < 16; i++)
		term->addr[i] &= term->mask[i];
}

static inline void case_set(uint64_t *seed, struct case_set *ret)
{
	unsigned int count = 1 + case_below(seed, CASE_SET_CLIENTS), i;

	memset(ret, 0, sizeof(*ret));
	ret->first_name = case_below(seed, sizeof(case_names) / sizeof(*case_names));
	ret->first_prefix_len = case_below(seed, CASE_PREFIX_LENS);
	ret->prefix_lens = CASE_PREFIX_LENS / count;
	for (i = 0; i < CASE_SET_CLIENTS; i++) {
		struct krl_client_ip *client = &ret->clients[i];

		if (i >= count) {
			*client = ret->clients[i - count];
			continue;
		}
		client->hops = case_below(seed, case_below(seed, 4) ? 4 : KRL_MAX_HOPS + 1);
		if (client->hops || case_below(seed, 2))
			strcpy(client->header, CASE_PICK(seed, case_client_names));
	}
}

/* As agent/policy/decode_selector.c makes them: what is not of its kind is zero. */
static inline void case_term(uint64_t *seed, const struct case_set *set, struct krl_term *term)
{
	static const enum krl_predicate_kind kinds[] = { KRL_PREDICATE_EXACT, KRL_PREDICATE_PREFIX,
							 KRL_PREDICATE_PRESENT };
	unsigned int n;

	memset(term, 0, sizeof(*term));
	term->distinct = !case_below(seed, 3);
	term->kind = KRL_PREDICATE_PRESENT;
	switch (case_below(seed, 8)) {
	case 0:
	case 1:
		term->field = KRL_FIELD_PATH;
		if (term->distinct)
			break;
		term->kind = case_below(seed, 3) ? KRL_PREDICATE_PATH_PREFIX : KRL_PREDICATE_EXACT;
		case_path(seed, KRL_VALUE_BYTES, term->value);
		break;
	case 2:
		term->field = KRL_FIELD_METHOD;
		term->distinct = false;
		term->kind = KRL_PREDICATE_METHODS;
		term->methods = 2U << case_below(seed, 9) | 2U << case_below(seed, 9);
		break;
	case 3:
		term->field = KRL_FIELD_SOURCE;
		n = set->first_prefix_len + case_below(seed, set->prefix_lens);
		if (term->distinct)
			memcpy(term->prefix_len, case_prefix_lens[n % CASE_PREFIX_LENS], sizeof(term->prefix_len));
		if (!term->distinct || case_below(seed, 2))
			case_cidr(seed, term);
		break;
	default:
		term->field = KRL_FIELD_HEADER;
		n = set->first_name + case_below(seed, CASE_SET_NAMES);
		strcpy(term->name, case_names[n % (sizeof(case_names) / sizeof(*case_names))]);
		if (term->distinct)
			break;
		term->kind = CASE_PICK(seed, kinds);
		term->invert = !case_below(seed, 4);
		if (term->kind != KRL_PREDICATE_PRESENT)
			case_value(seed, 1, KRL_VALUE_BYTES, term->value);
	}
}

/* The same selectors in another order, or one of them twice. */
static inline void case_shuffle(uint64_t *seed, struct model_rule *rule)
{
	size_t a, b;

	if (!rule->count)
		return;
	if (rule->count < MODEL_SELECTORS && !case_below(seed, 4)) {
		rule->selectors[rule->count] = rule->selectors[case_below(seed, rule->count)];
		rule->count++;
	}
	a = case_below(seed, rule->count);
	b = case_below(seed, rule->count);
	if (a != b) {
		struct krl_selector swap = rule->selectors[a];

		rule->selectors[a] = rule->selectors[b];
		rule->selectors[b] = swap;
	}
}

static inline void case_rules(uint64_t *seed, struct model_rules *ret)
{
	bool first = case_below(seed, 4);
	struct model_rule *rule;
	struct case_set set;
	size_t i, s, t;

	case_set(seed, &set);
	ret->count = 1 + case_below(seed, MODEL_RULES);
	for (i = 0; i < ret->count; i++) {
		rule = &ret->rule[i];
		rule->group = 1000 - case_below(seed, 3);
		rule->first = first != (rule->group == 999);
		rule->client = set.clients[1000 - rule->group];
		rule->count = case_below(seed, MODEL_SELECTORS + 1);
		if (i && !case_below(seed, 3)) {
			s = case_below(seed, i);
			rule->count = ret->rule[s].count;
			memcpy(rule->selectors, ret->rule[s].selectors, rule->count * sizeof(*rule->selectors));
			case_shuffle(seed, rule);
			continue;
		}
		for (s = 0; s < rule->count; s++) {
			rule->selectors[s].term_count = 1 + case_below(seed, 2 + 2 * case_below(seed, 2));
			for (t = 0; t < rule->selectors[s].term_count; t++)
				case_term(seed, &set, &rule->selectors[s].terms[t]);
		}
	}
}

/* @rules as the agent hands them over. */
static inline void case_policy(const struct model_rules *rules, struct krl_policy *ret)
{
	struct krl_policy_builder *builder = krl_policy_builder_new();
	const struct model_rule *rule;
	const char *what;
	size_t i;

	assert(builder);
	for (i = 0; i < rules->count; i++) {
		rule = &rules->rule[i];
		krl_policy_client(builder, &rule->client);
		if (krl_policy_add(builder, i, rule->group, rule->first, rule->selectors, rule->count, &what)) {
			fprintf(stderr, "too many %s\n", what);
			abort();
		}
	}
	krl_policy_finish(builder, ret);
	krl_policy_builder_free(builder);
}

/* A term of @rules about @field; NULL when the one that was picked is about another. */
static inline const struct krl_term *case_some_term(uint64_t *seed, const struct model_rules *rules,
						    enum krl_field_kind field)
{
	const struct model_rule *rule = &rules->rule[case_below(seed, rules->count)];
	const struct krl_selector *selector;
	const struct krl_term *term;

	if (!rule->count)
		return NULL;
	selector = &rule->selectors[case_below(seed, rule->count)];
	term = &selector->terms[case_below(seed, selector->term_count)];
	return term->field == field ? term : NULL;
}

static inline void case_request_header(uint64_t *seed, const struct model_rules *rules, struct model_header *ret)
{
	const struct krl_term *term = case_some_term(seed, rules, KRL_FIELD_HEADER);
	size_t len;

	strcpy(ret->name, case_below(seed, 5) ? CASE_PICK(seed, case_names) : CASE_PICK(seed, case_other_names));
	if (!term) {
		case_value(seed, 0, 300, ret->value);
		return;
	}
	strcpy(ret->name, term->name);
	strcpy(ret->value, term->value);
	len = strlen(ret->value);
	switch (case_below(seed, 4)) {
	case 0:
		strcpy(ret->value + len, "z");
		break;
	case 1:
		while (len && strchr(" \t", ret->value[len - 1]))
			len--;
		if (len)
			len--;
		while (len && strchr(" \t", ret->value[len - 1]))
			len--;
		ret->value[len] = 0;
		break;
	}
}

/* An element of a list of addresses, which may be none. */
static inline void case_element(uint64_t *seed, char ret[INET6_ADDRSTRLEN + 16])
{
	static const char *const forms[] = { "%s", "%s", "%s", "%s", "[%s]", "%s:4711", "[%s]:4711", "%s:", "[%s", "%s]",
					     "%s x", "%s 1", "%s:1 ", "\t%s", "for=%s", "%s%%eth0", "%s.", ":%s" };
	static const char *const others[] = { "", "", " ", "unknown", "_hidden", "-", "[]", "[", ":", "::", "::1", "1::",
					      "10.0.0", "10.0.0.256", "10.0.0.01", "10.0.0.1.1", "0xa.0.0.1", "1:2:3",
					      "::ffff:10.0.0.1", "::FFFF:a00:2", "0:0:0:0:0:ffff:10.0.0.3", "::10.0.0.1",
					      "2001::0:1", "2001:0::1", "2001::1::", "2001:0:0:0:0:0:0:0:1", "20010::1",
					      "2001:0:0:0:8000::2", "2001:0000:0001::" };
	char text[INET6_ADDRSTRLEN];
	__u8 address[16];

	if (!case_below(seed, 4)) {
		strcpy(ret, CASE_PICK(seed, others));
		return;
	}
	case_source(seed, address);
	if (model_is_ipv4(address))
		inet_ntop(AF_INET, address + 12, text, sizeof(text));
	else
		inet_ntop(AF_INET6, address, text, sizeof(text));
	sprintf(ret, CASE_PICK(seed, forms), text);
}

/* A line of a header that proxies append to. */
static inline void case_request_client(uint64_t *seed, struct model_header *ret)
{
	static const char *const commas[] = { ",", ", ", ", ", " ,", "\t,  ", ",,", ", ," };
	unsigned int count = case_below(seed, case_below(seed, 3) ? 4 : 14);
	char element[INET6_ADDRSTRLEN + 16];
	size_t len = 0;

	strcpy(ret->name, CASE_PICK(seed, case_client_names));
	ret->value[0] = 0;
	for (; count && len + sizeof(element) + 4 < sizeof(ret->value); count--) {
		case_element(seed, element);
		len += sprintf(ret->value + len, "%s%s", element, count > 1 ? CASE_PICK(seed, commas) : "");
	}
	while (len && strchr(" \t", ret->value[len - 1]))
		ret->value[--len] = 0;
	len = strspn(ret->value, " \t");
	memmove(ret->value, ret->value + len, strlen(ret->value + len) + 1);
}

static inline void case_request(uint64_t *seed, const struct model_rules *rules, struct model_request *ret)
{
	const struct krl_term *term;
	size_t i;

	memset(ret, 0, sizeof(*ret));
	strcpy(ret->method, CASE_PICK(seed, case_methods));
	term = case_some_term(seed, rules, KRL_FIELD_PATH);
	if (term && *term->value && case_below(seed, 3)) {
		strcpy(ret->path, term->value);
		strcat(ret->path, CASE_PICK(seed, ((const char *[]){ "", "", "/x", "0", "/" })));
	} else if (case_below(seed, 30)) {
		case_path(seed, MODEL_PATH_BYTES - 16, ret->path);
	}
	if (ret->path[0] && strstr(ret->path, "//"))
		strcpy(ret->path, "/v1");
	ret->header_count = case_below(seed, MODEL_HEADERS + 1);
	for (i = 0; i < ret->header_count; i++) {
		if (case_below(seed, 3))
			case_request_header(seed, rules, &ret->headers[i]);
		else
			case_request_client(seed, &ret->headers[i]);
	}
}

/* One byte of a path, in one of its ways. */
static inline size_t case_write_path_byte(uint64_t *seed, unsigned char c, char *ret)
{
	static const char *const slashes[] = { "/", "/", "/", "/", "//", "/./", "%2f", "%2F", "/x/../", "/%2E/", "%2f/x/%2e." "/" };

	if (c == '/')
		return sprintf(ret, "%s", CASE_PICK(seed, slashes));
	if (c <= ' ' || c >= 0x7f || strchr("?#%", c) || !case_below(seed, 16))
		return sprintf(ret, case_below(seed, 2) ? "%%%02x" : "%%%02X", c);
	*ret = c;
	return 1;
}

static inline size_t case_write_target(uint64_t *seed, const char *method, const char *path, char *ret)
{
	static const char *const origins[] = { "http://host", "HTTPS://host:80", "http://" };
	static const char *const ends[] = { "", "", "?", "?x=/v1/../a%2f", "#f", "?#" };
	static const char *const hosts[] = { "*", "host:443", "[::1]:80", "v1:models" };
	size_t len = 0, slash;

	if (!*path)
		return sprintf(ret, "%s", strcasecmp(method, "connect") ? "*" : CASE_PICK(seed, hosts));
	if (!case_below(seed, 6))
		len += sprintf(ret, "%s", CASE_PICK(seed, origins));
	slash = len;
	/* The first stands for itself: it is what makes this a path. */
	if (!len || strcmp(path, "/") || case_below(seed, 2))
		ret[len++] = '/';
	for (path++; *path; path++)
		len += case_write_path_byte(seed, *path, ret + len);
	if (len > slash + 1 && ret[len - 1] == '/' && !case_below(seed, 4))
		len += sprintf(ret + len, "%s", CASE_PICK(seed, ((const char *[]){ ".", "%2e", "y/.." })));
	return len + sprintf(ret + len, "%s", CASE_PICK(seed, ends));
}

static inline size_t case_write_header(uint64_t *seed, const struct model_header *header, char *ret)
{
	static const char *const blanks[] = { "", " ", " ", "\t", "  ", "          ", " \t \t      " };
	const char *c;
	size_t len = 0;

	for (c = header->name; *c; c++)
		ret[len++] = *c >= 'a' && *c <= 'z' && !case_below(seed, 4) ? *c - 0x20 : *c;
	len += sprintf(ret + len, ":%s%s%s", CASE_PICK(seed, blanks), header->value, CASE_PICK(seed, blanks));
	if (!case_below(seed, 20))
		len += sprintf(ret + len, "%*s", 1 + case_below(seed, 300), "");
	return len + sprintf(ret + len, "\r\n");
}

/* @request in bytes, some of them behind it. Returns how many; at most CASE_STREAM_BYTES. */
static inline size_t case_write(uint64_t *seed, const struct model_request *request, char *ret)
{
	static const char body[] = "x-user: a\r\n\r\nGET /v1 HTTP/1.1\r\n";
	bool with_body = !case_below(seed, 6);
	size_t len, i, at = with_body ? case_below(seed, request->header_count + 1) : MODEL_HEADERS + 1;

	len = sprintf(ret, "%s%s ", case_below(seed, 8) ? "" : "\r\n", request->method);
	len += case_write_target(seed, request->method, request->path, ret + len);
	len += sprintf(ret + len, " HTTP/1.1\r\n");
	for (i = 0; i <= request->header_count; i++) {
		if (i == at)
			len += sprintf(ret + len, "Content-Length: %zu\r\n", sizeof(body) - 1);
		if (i < request->header_count)
			len += case_write_header(seed, &request->headers[i], ret + len);
	}
	return len + sprintf(ret + len, "\r\n%s", with_body ? body : "");
}

#endif
