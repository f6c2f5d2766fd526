// SPDX-License-Identifier: Apache-2.0
/* The kernel's code and the explanation agree, on what comes along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/policy/check.h"
#include "agent/policy/decode_kinds.h"

static const __u64 key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

static struct krl_check_verdict verdicts[KRL_MAX_ENDPOINT_RULES];

static unsigned int seed;

static unsigned int any(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

static const char *const names[] = { "x", "x-user", "connection", "content-type", "x-model" };
static const char *const values[] = { "", "a", "ab", "abcdefgh", "abcdefghi", "abcdefgh ij", "b",
				      "10.1.2.3", "10.1.2.4, 2001:db8::2", "2001:db8::1, a" };
static const char *const paths[] = { "/", "/v1", "/v1/", "/v1/x", "/v10", "/v2" };
static const char *const targets[] = { "/", "/v1", "/v1/", "/v1?x", "/v1/x", "/v1%2fx", "/v10",
				       "//v1", "/x/../v1", "*", "http://h/v2", "/v1/../v2" };
static const char *const sources[] = { "10.1.2.3", "10.1.2.4", "10.1.3.3", "10.200.2.3",
				       "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1" };

static const char *const models[] = { "gpt-4", "gpt-4-turbo", "qwen3", "g" };

/* Of namespaces alone: labels are judged by the same code on both sides. */
static struct krl_from froms[] = { { .refs = 1, .key = 1, .ns = "n" }, { .refs = 1, .key = 2, .ns = "m" },
				   { .refs = 1, .key = 3, .selects_namespaces = true } };
static const struct krl_pod pods[] = {
	{ .facts = { .ns = "n", .account = "a" }, .names = { "", "n/p", "n/Pod/p", "n", "n/a" } },
	{ .facts = { .ns = "n", .account = "a" }, .names = { "", "n/q", "n/Pod/q", "n", "n/a" } },
	{ .facts = { .ns = "o", .account = "a" }, .names = { "", "o/p", "o/Pod/p", "o", "o/a" } },
};

#define ANY(list) (list)[any(sizeof(list) / sizeof(*(list)))]

/* A term as the decoder makes it. */
static void make_term(struct krl_term *t, bool llm)
{
	static const enum krl_predicate_kind kinds[] = {
		KRL_PREDICATE_EXACT, KRL_PREDICATE_PREFIX,
		KRL_PREDICATE_PRESENT, KRL_PREDICATE_PRESENT,
	};
	int i, bits;

	t->field = any(llm ? 6 : 5);
	if (!llm && t->field == KRL_FIELD_MODEL)
		t->field = KRL_FIELD_PEER;
	switch (t->field) {
	case KRL_FIELD_HEADER:
		t->kind = ANY(kinds);
		strcpy(t->name, ANY(names));
		t->distinct = t->kind == KRL_PREDICATE_PRESENT && any(2);
		t->invert = !t->distinct && !any(3);
		if (t->kind != KRL_PREDICATE_PRESENT)
			strcpy(t->value, values[1 + any(sizeof(values) / sizeof(*values) - 1)]);
		break;
	case KRL_FIELD_PATH:
		t->distinct = !any(3);
		t->kind = t->distinct ? KRL_PREDICATE_PRESENT :
			  any(2)      ? KRL_PREDICATE_PATH_PREFIX : KRL_PREDICATE_EXACT;
		if (!t->distinct)
			strcpy(t->value, ANY(paths));
		break;
	case KRL_FIELD_METHOD:
		t->kind = KRL_PREDICATE_METHODS;
		t->methods = 1U << (1 + any(9)) | 1U << (1 + any(9));
		break;
	case KRL_FIELD_MODEL:
		t->distinct = !any(3);
		t->kind = t->distinct ? KRL_PREDICATE_PRESENT :
			  any(2)      ? KRL_PREDICATE_PREFIX : KRL_PREDICATE_EXACT;
		if (!t->distinct)
			strcpy(t->value, ANY(models));
		break;
	case KRL_FIELD_PEER:
		t->from = &ANY(froms);
		t->distinct = any(2);
		t->by = t->distinct ? KRL_PEER_WORKLOAD : KRL_PEER_ANY;
		t->kind = t->distinct && any(2) ? KRL_PREDICATE_PRESENT : KRL_PREDICATE_PEER;
		t->invert = !t->distinct && !any(3);
		break;
	case KRL_FIELD_SOURCE:
		t->kind = any(3) ? KRL_PREDICATE_CIDR : KRL_PREDICATE_PRESENT;
		t->distinct = t->kind == KRL_PREDICATE_PRESENT || any(2);
		t->prefix_len[0] = any(2) ? 64 : 128;
		t->prefix_len[1] = any(2) ? 96 + 24 : 128;
		if (t->kind == KRL_PREDICATE_PRESENT)
			break;
		krl_address_parse(ANY(sources), t->addr);
		bits = t->addr[10] == 0xff ? 96 + 8 * any(5) : 16 * any(9);
		for (i = 0; i < 128; i++)
			if (i < bits)
				t->mask[i / 8] |= 0x80 >> i % 8;
		for (i = 0; i < 16; i++)
			t->addr[i] &= t->mask[i];
		break;
	}
}

/* A RateLimit of up to eight rules, which lie in @rules; some have the same selectors. */
static struct krl_rate_limit make_limit(struct krl_target *target, struct krl_rule_spec rules[8],
					struct krl_selector selectors[8][3])
{
	static struct krl_llm_spec llm;
	struct krl_rate_limit limit = { .match_all = !any(3), .targets = target, .target_count = 1,
					.models = { .names = { "x-model" }, .count = any(2) } };
	size_t i, s, t;

	if (any(2)) {
		strcpy(limit.client_ip.header, names[any(2)]);
		limit.client_ip.hops = any(4);
	}
	memset(rules, 0, 8 * sizeof(*rules));
	memset(selectors, 0, 8 * sizeof(*selectors));
	*target = (struct krl_target){ .rules = rules, .rule_count = 1 + any(8) };
	for (i = 0; i < target->rule_count; i++) {
		if (!any(3)) {
			rules[i].llm = &llm;
			rules[i].count = KRL_COUNT_LLM_TOKENS;
		}
		rules[i].selectors = selectors[i];
		rules[i].selector_count = any(4);
		for (s = 0; s < rules[i].selector_count; s++) {
			selectors[i][s].term_count = 1 + any(3);
			for (t = 0; t < selectors[i][s].term_count; t++)
				make_term(&selectors[i][s].terms[t], rules[i].llm);
		}
		if (i && !any(3) && (rules[i].llm || !rules[i - 1].llm)) {
			memcpy(selectors[i], selectors[i - 1], sizeof(selectors[i]));
			rules[i].selector_count = rules[i - 1].selector_count;
		}
	}
	return limit;
}

static void make_request(struct krl_check_request **ret)
{
	static const char *const methods[] = { "GET", "POST", "get", "PATCH", "BREW" };
	static char lines[4][320];
	const char *headers[4];
	struct krl_check_question question = { .method = ANY(methods), .target = ANY(targets),
					       .headers = headers, .header_count = any(5),
					       .model = any(3) ? ANY(models) : NULL,
					       .pod = any(3) ? &ANY(pods) : NULL };
	size_t i, line;

	krl_address_parse(ANY(sources), question.source);
	for (i = 0; i < question.header_count; i++) {
		snprintf(lines[i], sizeof(lines[i]), "%s:%s%s%s", ANY(names), any(2) ? " " : "",
			 ANY(values), any(2) ? "" : " \t");
		if (!any(16)) {
			snprintf(lines[i], sizeof(lines[i]), "%s: ab", ANY(names));
			memset(lines[i] + strlen(lines[i]), 'c',
			       any(2) ? 254 : 300 - strlen(lines[i]));
			lines[i][300] = 0;
		}
		headers[i] = lines[i];
	}
	assert_int_equal(krl_check_request(&question, ret, &line), 0);
}

/* Does the explanation say that the rule counts? */
static bool is_said_to_count(const struct krl_check_verdict *verdict)
{
	return !strncmp(verdict->why, "meets ", 6) || !strcmp(verdict->why, "for every request") ||
	       !strcmp(verdict->why, "for every POST");
}

static const char *bucket_of(const struct krl_check_verdict *verdict)
{
	return verdict->bucket ? verdict->bucket : "";
}

/* Two requests to the same rules: what is said of each is what is decided, and of what picks their
 * buckets it is the same if the buckets are. */
static void decision_and_explanation_agree(void **state)
{
	static struct krl_selector selectors[8][3];
	static struct krl_rule_spec rules[8];
	struct krl_check_verdict other[KRL_MAX_ENDPOINT_RULES];
	size_t i, counted = 0, buckets = 0, shared = 0;
	struct krl_check_request *request[2];
	struct krl_rate_limit limit;
	struct krl_target target;
	const char *what;
	bool same;
	int round;

	for (round = 0; round < 6000; round++) {
		seed = round;
		limit = make_limit(&target, rules, selectors);
		make_request(&request[0]);
		assert_int_equal(krl_check_target(request[0], &limit, &target, NULL, key, verdicts,
						  &what), 0);
		/* The same lines are overwritten: the first request is done with. */
		krl_check_free(request[0]);
		make_request(&request[1]);
		assert_int_equal(krl_check_target(request[1], &limit, &target, NULL, key, other,
						  &what), 0);
		krl_check_free(request[1]);
		for (i = 0; i < target.rule_count; i++) {
			const struct krl_check_verdict *a = &verdicts[i], *b = &other[i];

			if (a->counts != is_said_to_count(a) || b->counts != is_said_to_count(b))
				fail_msg("round %d, rule %zu: %d %s / %d %s", round, i, a->counts,
					 a->why, b->counts, b->why);
			counted += a->counts;
			if (!a->counts || !b->counts)
				continue;
			same = !strcmp(bucket_of(a), bucket_of(b));
			if (same == !!memcmp(a->descriptor, b->descriptor, sizeof(a->descriptor)))
				fail_msg("round %d, rule %zu: buckets %s and %s", round, i,
					 bucket_of(a), bucket_of(b));
			buckets += !!a->bucket;
			shared += a->bucket && same;
		}
		for (i = 0; i < target.rule_count; i++) {
			krl_check_verdict_clear(&verdicts[i]);
			krl_check_verdict_clear(&other[i]);
		}
	}
	assert_true(counted > 5000 && buckets > 500 && shared > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decision_and_explanation_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
