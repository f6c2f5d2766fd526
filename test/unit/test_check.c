// SPDX-License-Identifier: Apache-2.0
/* What the kernel's code decides about a request, and what the selectors say about it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/policy/check.h"
#include "agent/policy/decode.h"
#include "agent/policy/decode_kinds.h"

#define LIMIT(spec)                                                                                \
	"{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, metadata: {name: web}, "                \
	"spec: {endpoints: [{ip: '::', port: 80}], " spec "}}\n"
#define RULE(name, selectors) "{name: " name ", limit: 1/day, clientSelectors: [" selectors "]}"
#define PREMIUM "{headers: [{name: x-user-type, value: premium}]}"
#define ADMIN "{headers: [{name: x-user-type, value: admin}]}"
#define USER "{headers: [{name: X-User, type: Distinct}]}"

static const __u64 key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

static struct krl_decoded_file file;
static struct krl_check_verdict verdicts[KRL_MAX_ENDPOINT_RULES];

static int teardown(void **state)
{
	size_t i;

	for (i = 0; i < KRL_MAX_ENDPOINT_RULES; i++)
		krl_check_verdict_clear(&verdicts[i]);
	krl_decoded_file_clear(&file);
	return 0;
}

static const struct krl_rate_limit *decode(const char *text)
{
	struct krl_diags errors = { 0 };

	teardown(NULL);
	assert_int_equal(krl_decode("f.yaml", text, strlen(text), &file, &errors), 0);
	if (errors.count)
		fail_msg("%s\nin\n%s", errors.lines[0], text);
	return &file.documents[0].document->rate_limit;
}

/* GET @path from @source with up to two headers. */
static struct krl_check_question get(const char *path, const char *source, const char *first,
				     const char *second)
{
	static const char *headers[2];
	struct krl_check_question question = { .method = "GET", .target = path,
					       .headers = headers };

	assert_int_equal(krl_address_parse(source, question.source), 0);
	headers[0] = first;
	headers[1] = second;
	question.header_count = !!first + !!second;
	return question;
}

/* The verdicts on each rule of @limit. */
static void check(const struct krl_rate_limit *limit, struct krl_check_question question)
{
	struct krl_check_request *request;
	const char *what;
	size_t line, i;

	for (i = 0; i < KRL_MAX_ENDPOINT_RULES; i++)
		krl_check_verdict_clear(&verdicts[i]);
	assert_int_equal(krl_check_request(&question, &request, &line), 0);
	assert_int_equal(krl_check_target(request, limit, limit->targets, key, verdicts, &what), 0);
	krl_check_free(request);
}

static void expect(size_t rule, unsigned int tier, bool counts, const char *bucket, const char *why)
{
	assert_string_equal(verdicts[rule].why, why);
	assert_int_equal(verdicts[rule].tier, tier);
	assert_int_equal(verdicts[rule].counts, counts);
	if (bucket)
		assert_string_equal(verdicts[rule].bucket, bucket);
	else
		assert_null(verdicts[rule].bucket);
}

static void the_first_tier_that_matches_counts(void **state)
{
	const struct krl_rate_limit *limit =
		decode(LIMIT("rules: [{name: default, limit: 1/day}, "
			     RULE("premium", PREMIUM) ", " RULE("burst", PREMIUM) ", "
			     RULE("admin", ADMIN) "]"));

	check(limit, get("/", "192.0.2.1", "X-User-Type:  admin ", NULL));
	expect(1, 1, false, NULL, "header x-user-type: expected \"premium\", found \"admin\"");
	expect(2, 1, false, NULL, "header x-user-type: expected \"premium\", found \"admin\"");
	expect(3, 2, true, NULL, "meets clientSelectors[0]");
	expect(0, 3, false, NULL, "an earlier tier counts");
	check(limit, get("/", "192.0.2.1", "x-user-type: premium", NULL));
	expect(1, 1, true, NULL, "meets clientSelectors[0]");
	expect(2, 1, true, NULL, "meets clientSelectors[0]");
	expect(3, 2, false, NULL, "header x-user-type: expected \"admin\", found \"premium\"");
	check(limit, get("/", "192.0.2.1", NULL, NULL));
	expect(1, 1, false, NULL, "header x-user-type: expected \"premium\", found none");
	expect(0, 3, true, NULL, "for every request");
}

static void all_that_match_count(void **state)
{
	check(decode(LIMIT("ruleMatch: All, rules: [{name: all, limit: 1/day}, "
			   RULE("user", USER) ", " RULE("path", "{path: {value: /v1}}") "]")),
	      get("/v1/x?y", "192.0.2.1", "x-user: alice", NULL));
	expect(0, 0, true, NULL, "for every request");
	expect(1, 0, true, "x-user=alice", "meets clientSelectors[0]");
	expect(2, 0, true, NULL, "meets clientSelectors[0]");
}

static void the_first_condition_that_fails_is_told(void **state)
{
	static const struct {
		const char *selectors, *why;
	} table[] = {
		{ "{headers: [{name: a, value: b}, {name: c, value: d}]}",
		  "header a: expected \"b\", found \"1\", \"2\"" },
		{ "{headers: [{name: a, type: Prefix, value: 3}]}",
		  "header a: expected a value that begins with \"3\", found \"1\", \"2\"" },
		{ "{headers: [{name: x, type: Present}]}",
		  "header x: expected any value, found none" },
		{ "{headers: [{name: x, type: Distinct}]}",
		  "header x: expected any value, found none" },
		{ "{headers: [{name: a, value: 2, invert: true}]}",
		  "header a: expected not \"2\", found \"1\", \"2\"" },
		{ "{headers: [{name: a, type: Present, invert: true}]}",
		  "header a: expected none, found \"1\", \"2\"" },
		{ "{path: {value: /v1}}", "path: expected \"/v1\" or below, found \"/v10\"" },
		{ "{path: {type: Exact, value: /v1}}", "path: expected \"/v1\", found \"/v10\"" },
		{ "{methods: [POST, PUT]}", "method: expected POST or PUT, found GET" },
		{ "{sourceIP: 10.0.0.0/8}", "source: expected 10.0.0.0/8, found 192.0.2.1" },
		{ "{sourceIP: '2001:db8::/32'}",
		  "source: expected 2001:db8::/32, found 192.0.2.1" },
		{ "{sourceIP: 192.0.2.2}", "source: expected 192.0.2.2, found 192.0.2.1" },
		{ "{methods: [GET], path: {value: /x}}, {methods: [PUT]}",
		  "path: expected \"/x\" or below, found \"/v10\"; "
		  "method: expected PUT, found GET" },
	};
	char text[512];
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		snprintf(text, sizeof(text), LIMIT("rules: [" RULE("r", "%s") "]"),
			 table[i].selectors);
		check(decode(text), get("/./v1%30", "192.0.2.1", "a: 1", "A:2 "));
		expect(0, 1, false, NULL, table[i].why);
	}
}

/* Other selectors come first, so that the ranges are not the first values of the policy. */
static void values_of_all_kinds_stand_in_one_selector(void **state)
{
	const struct krl_rate_limit *limit =
		decode(LIMIT("rules: [" RULE("r",
			     "{headers: [{name: a, value: one}, {name: b, value: two}], "
			     "path: {value: /v1}, "
			     "sourceCIDR: {value: 192.0.2.0/24, type: Distinct}}") ", "
			     RULE("s", "{sourceIP: 10.0.0.0/8}") "]"));

	check(limit, get("/v1", "192.0.2.1", "a: one", "b: two"));
	expect(0, 1, true, "source=192.0.2.1", "meets clientSelectors[0]");
	check(limit, get("/v1", "10.1.2.3", "a: one", "b: two"));
	expect(0, 1, false, NULL, "source: expected 192.0.2.0/24, found 10.1.2.3");
	expect(1, 2, true, NULL, "meets clientSelectors[0]");
}

static void what_picks_the_bucket_is_told(void **state)
{
	static const struct {
		const char *selectors, *source, *first, *second, *bucket;
	} table[] = {
		{ USER, "192.0.2.1", "x-user: alice", NULL, "x-user=alice" },
		{ USER, "192.0.2.1", "x-user:", NULL, "x-user=" },
		{ USER, "192.0.2.1", "x-user: a", "x-user: a", "x-user=<shared>" },
		{ "{path: {type: Distinct}}", "192.0.2.1", NULL, NULL, "path=/v1/x" },
		{ "{sourceIP: {type: Distinct}}", "192.0.2.1", NULL, NULL, "source=192.0.2.1" },
		{ "{sourceIP: {type: Distinct}}", "2001:db8::1", NULL, NULL,
		  "source=2001:db8::/64" },
		{ "{sourceIP: {type: Distinct, value: 0.0.0.0/0, prefixLength: 8}}", "10.9.8.7",
		  NULL, NULL, "source=10.0.0.0/8" },
		{ "{headers: [{name: b, type: Present}]}, {headers: [{name: a, type: Distinct}]}",
		  "192.0.2.1", "b: 1", NULL, NULL },
		{ "{headers: [{name: a, type: Distinct}, {name: b, type: Distinct}]}",
		  "192.0.2.1", "a: 1", "b: \xff", "a=1, b=?" },
	};
	char text[512];
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		snprintf(text, sizeof(text), LIMIT("rules: [" RULE("r", "%s") "]"),
			 table[i].selectors);
		check(decode(text), get("/v1/x", table[i].source, table[i].first, table[i].second));
		expect(0, 1, true, table[i].bucket, "meets clientSelectors[0]");
	}
}

static void the_client_may_be_whom_a_header_names(void **state)
{
#define CLIENT(hops, rules) LIMIT("clientIP: {header: X-Forwarded-For, trustedHops: " hops "}, rules: [" rules "]")
#define TEN "{sourceIP: 10.0.0.0/8}"
#define EACH "{sourceIP: {type: Distinct}}"
#define LIST "x-forwarded-for: 203.0.113.9, 10.1.2.3:80"
	static const struct {
		const char *text, *first, *second, *bucket, *why;
	} table[] = {
		{ CLIENT("1", RULE("r", TEN)), LIST, NULL, NULL, "meets clientSelectors[0]" },
		{ CLIENT("2", RULE("r", TEN)), LIST, NULL, NULL, "source: expected 10.0.0.0/8, found 203.0.113.9" },
		{ CLIENT("0", RULE("r", TEN)), LIST, NULL, NULL, "source: expected 10.0.0.0/8, found 192.0.2.1" },
		{ CLIENT("3", RULE("r", TEN)), LIST, NULL, NULL, "source: expected 10.0.0.0/8, found 192.0.2.1" },
		{ CLIENT("1", RULE("r", EACH)), LIST, NULL, "source=10.1.2.3", "meets clientSelectors[0]" },
		{ CLIENT("3", RULE("r", EACH)), LIST, "X-FORWARDED-FOR: ,2001:db8::1,", "source=203.0.113.9",
		  "meets clientSelectors[0]" },
		{ CLIENT("1", RULE("r", EACH)), LIST, "x-forwarded-for: 2001:db8::1", "source=2001:db8::/64",
		  "meets clientSelectors[0]" },
		{ CLIENT("1", RULE("r", EACH)), LIST, "x-forwarded-for: unknown", "source=192.0.2.1",
		  "meets clientSelectors[0]" },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		check(decode(table[i].text), get("/", "192.0.2.1", table[i].first, table[i].second));
		expect(0, 1, *table[i].why == 'm', table[i].bucket, table[i].why);
	}
}

static void a_request_that_the_kernel_refuses_is_located(void **state)
{
	static const struct {
		const char *method, *target, *headers[2];
		size_t line;
	} table[] = {
		{ "G T", "/", { "a: b", "c: d" }, 0 },
		{ "GET", "/a b", { "a: b", "c: d" }, 0 },
		{ "GET", "/\r\na: b", { "a: b", "c: d" }, 0 },
		{ "GET", "", { "a: b", "c: d" }, 0 },
		{ "GET", "/", { "a: b", "c" }, 2 },
		{ "GET", "/", { "a : b", "c: d" }, 1 },
		{ "GET", "/", { "a: b\r\nc: d", "c: d" }, 1 },
		{ "GET", "/", { "a: b\r\n", "c: d" }, 1 },
		{ "GET", "/", { "content-length: 1", "content-length: 1" }, 2 },
		{ "GET", "/", { "content-length: 1", "transfer-encoding: chunked" }, 3 },
	};
	struct krl_check_request *request = (void *)&table;
	size_t i, line;

	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct krl_check_question question = {
			.method = table[i].method, .target = table[i].target,
			.headers = table[i].headers, .header_count = 2,
		};

		line = 99;
		if (krl_check_request(&question, &request, &line) != -EINVAL ||
		    line != table[i].line)
			fail_msg("case %zu: line %zu", i, line);
		assert_ptr_equal(request, &table);
	}
}

static void too_many_fields_are_refused(void **state)
{
	const struct krl_rate_limit *limit;
	struct krl_check_question question = get("/", "192.0.2.1", NULL, NULL);
	struct krl_check_request *request;
	char text[8192] = "{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, "
			  "metadata: {name: web}, spec: {service: s, rules: [";
	const char *what = NULL;
	size_t line, len;
	int i;

	for (i = 0; i < KRL_MAX_FIELDS + 1; i++) {
		len = strlen(text);
		snprintf(text + len, sizeof(text) - len,
			 "{limit: 1/day, clientSelectors: "
			 "[{headers: [{name: h%d, type: Present}]}]}, ", i);
	}
	strcat(text, "]}}");
	limit = decode(text);
	assert_int_equal(krl_check_request(&question, &request, &line), 0);
	assert_int_equal(krl_check_target(request, limit, limit->targets, key, verdicts, &what),
			 -ENOSPC);
	assert_string_equal(what, "different headers and other fields in selectors");
	krl_check_free(request);
}

/* The kernel's code and the explanation, on what comes along */

static unsigned int seed;

static unsigned int any(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

static const char *const names[] = { "x", "x-user", "connection", "content-type" };
static const char *const values[] = { "", "a", "ab", "abcdefgh", "abcdefghi", "abcdefgh ij", "b",
				      "10.1.2.3", "10.1.2.4, 2001:db8::2", "2001:db8::1, a" };
static const char *const paths[] = { "/", "/v1", "/v1/", "/v1/x", "/v10", "/v2" };
static const char *const targets[] = { "/", "/v1", "/v1/", "/v1?x", "/v1/x", "/v1%2fx", "/v10",
				       "//v1", "/x/../v1", "*", "http://h/v2", "/v1/../v2" };
static const char *const sources[] = { "10.1.2.3", "10.1.2.4", "10.1.3.3", "10.200.2.3",
				       "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1" };

#define ANY(list) (list)[any(sizeof(list) / sizeof(*(list)))]

/* A term as the decoder makes it. */
static void make_term(struct krl_term *t)
{
	static const enum krl_predicate_kind kinds[] = {
		KRL_PREDICATE_EXACT, KRL_PREDICATE_PREFIX,
		KRL_PREDICATE_PRESENT, KRL_PREDICATE_PRESENT,
	};
	int i, bits;

	t->field = any(4);
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
	struct krl_rate_limit limit = { .match_all = !any(3), .targets = target,
					.target_count = 1 };
	size_t i, s, t;

	if (any(2)) {
		strcpy(limit.client_ip.header, names[any(2)]);
		limit.client_ip.hops = any(4);
	}
	memset(rules, 0, 8 * sizeof(*rules));
	memset(selectors, 0, 8 * sizeof(*selectors));
	*target = (struct krl_target){ .rules = rules, .rule_count = 1 + any(8) };
	for (i = 0; i < target->rule_count; i++) {
		rules[i].selectors = selectors[i];
		rules[i].selector_count = any(4);
		for (s = 0; s < rules[i].selector_count; s++) {
			selectors[i][s].term_count = 1 + any(3);
			for (t = 0; t < selectors[i][s].term_count; t++)
				make_term(&selectors[i][s].terms[t]);
		}
		if (i && !any(3)) {
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
					       .headers = headers, .header_count = any(5) };
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
	return !strncmp(verdict->why, "meets ", 6) || !strcmp(verdict->why, "for every request");
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
		assert_int_equal(krl_check_target(request[0], &limit, &target, key, verdicts,
						  &what), 0);
		/* The same lines are overwritten: the first request is done with. */
		krl_check_free(request[0]);
		make_request(&request[1]);
		assert_int_equal(krl_check_target(request[1], &limit, &target, key, other,
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
		cmocka_unit_test_teardown(the_first_tier_that_matches_counts, teardown),
		cmocka_unit_test_teardown(all_that_match_count, teardown),
		cmocka_unit_test_teardown(the_first_condition_that_fails_is_told, teardown),
		cmocka_unit_test_teardown(values_of_all_kinds_stand_in_one_selector, teardown),
		cmocka_unit_test_teardown(what_picks_the_bucket_is_told, teardown),
		cmocka_unit_test_teardown(the_client_may_be_whom_a_header_names, teardown),
		cmocka_unit_test_teardown(a_request_that_the_kernel_refuses_is_located, teardown),
		cmocka_unit_test_teardown(too_many_fields_are_refused, teardown),
		cmocka_unit_test(decision_and_explanation_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
