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
	assert_int_equal(krl_check_target(request, limit, limit->targets, NULL, key, verdicts, &what), 0);
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
	assert_int_equal(krl_check_target(request, limit, limit->targets, NULL, key, verdicts, &what),
			 -ENOSPC);
	assert_string_equal(what, "different headers and other fields in selectors");
	krl_check_free(request);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
