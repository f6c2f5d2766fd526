// SPDX-License-Identifier: Apache-2.0
/* What is kept of a request for people: of which values, how much, and how it reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/policy/explain.h"
#include "agent/policy/policy.h"
#include "agent/policy/secret.h"
#include "match_walk.h"

#define EACH_HEADER(header)                                                                        \
	{ .field = KRL_FIELD_HEADER, .kind = KRL_PREDICATE_PRESENT, .distinct = true, .name = header }
#define EACH_PATH { .field = KRL_FIELD_PATH, .kind = KRL_PREDICATE_PRESENT, .distinct = true }
#define EACH_SOURCE(ipv6, ipv4)                                                                    \
	{ .field = KRL_FIELD_SOURCE, .kind = KRL_PREDICATE_PRESENT, .distinct = true, .prefix_len = { ipv6, 96 + (ipv4) } }
#define GET(headers) "GET /v1 HTTP/1.1\r\n" headers "\r\n"

static const __u64 key[2] = { 1, 2 };
static const __u8 ipv4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 7 };

static struct krl_policy policy;
static struct match_walk walk;
static char *text;

/* One rule, of @count terms. */
static void select_by(const struct krl_term *terms, size_t count)
{
	struct krl_policy_builder *builder = krl_policy_builder_new();
	struct krl_selector selector = { .term_count = count };
	const char *what;

	memcpy(selector.terms, terms, count * sizeof(*terms));
	assert_int_equal(krl_policy_add(builder, 0, 0, true, &selector, 1, &what), 0);
	krl_policy_finish(builder, &policy);
	krl_policy_builder_free(builder);
}

#define SELECT_BY(...)                                                                             \
	select_by((const struct krl_term[]){ __VA_ARGS__ },                                        \
		  sizeof((struct krl_term[]){ __VA_ARGS__ }) / sizeof(struct krl_term))

/* The next request of the connection. Returns what is kept of it. */
static const struct krl_kept *kept_of(const char *request)
{
	unsigned int heads = walk.heads;

	match_walk_on(&walk, request, strlen(request), KRL_HTTP_WINDOW_BYTES);
	assert_int_equal(walk.heads, heads + 1);
	assert_int_equal(walk.match.rules, 1);
	krl_keep(&walk.match, &policy, policy.tier_of[0]);
	return &walk.match.kept;
}

static void assert_reads(const char *request, const char *expected)
{
	const struct krl_kept *kept = kept_of(request);

	free(text);
	text = NULL;
	assert_int_equal(krl_explain_kept(kept, &text), 0);
	assert_string_equal(text, expected);
}

static int teardown(void **state)
{
	free(text);
	text = NULL;
	return 0;
}

static void values_read_as_they_came(void **state)
{
	SELECT_BY(EACH_HEADER("x-user"), EACH_PATH, EACH_SOURCE(64, 32));
	match_walk_begin(&walk, &policy, key, ipv4);
	assert_reads(GET("x-user: alice\r\n"), "x-user=alice, path=/v1, source=192.0.2.7");
	assert_reads("GET //v2/../%61?b HTTP/1.1\r\nX-USER:\tbob  \r\n\r\n", "x-user=bob, path=/a, source=192.0.2.7");
}

static void a_model_reads_as_one(void **state)
{
	static const struct krl_model_headers models = { .names = { "x-model" }, .count = 1 };
	static const struct krl_selector selector = {
		.terms = { { .field = KRL_FIELD_MODEL, .kind = KRL_PREDICATE_PRESENT, .distinct = true }, EACH_HEADER("x-user") },
		.term_count = 2,
	};
	struct krl_policy_builder *builder = krl_policy_builder_new();
	const char *what;

	krl_policy_models(builder, &models);
	assert_int_equal(krl_policy_add(builder, 0, 0, true, &selector, 1, &what), 0);
	krl_policy_finish(builder, &policy);
	krl_policy_builder_free(builder);
	match_walk_begin(&walk, &policy, key, ipv4);
	assert_reads("POST / HTTP/1.1\r\nX-Model: gpt-4\r\nx-user: alice\r\n\r\n", "model=gpt-4, x-user=alice");
	assert_reads("POST / HTTP/1.1\r\nx-user: alice\r\nX-Model: a b\r\n\r\n", "model=\"a b\", x-user=alice");
}

static void a_value_that_could_be_another_is_quoted(void **state)
{
	SELECT_BY(EACH_HEADER("x-user"));
	match_walk_begin(&walk, &policy, key, ipv4);
	assert_reads(GET("x-user: a b\r\n"), "x-user=\"a b\"");
	assert_reads(GET("x-user: a,b\r\n"), "x-user=\"a,b\"");
	assert_reads(GET("x-user: \"\\\r\n"), "x-user=\"\\\"\\\\\"");
	assert_reads(GET("x-user: #00000001\r\n"), "x-user=\"#00000001\"");
	assert_reads(GET("x-user: <shared>\r\n"), "x-user=\"<shared>\"");
	assert_reads(GET("x-user:\r\n"), "x-user=\"\"");
	assert_reads(GET("x-user: \xc3\xa4\xff\xc3\r\n"), "x-user=\xc3\xa4??");
	assert_reads(GET("x-user: a\xe2\x80\xae" "b\xe2\x81\xa6" "c\xd8\x9c\xe2\x80\xa8\xe2\x80\x94\r\n"),
		     "x-user=a???b???c?????\xe2\x80\x94");
}

static void a_long_value_is_cut(void **state)
{
	char request[512], expected[512];
	int len;

	SELECT_BY(EACH_HEADER("x-user"));
	match_walk_begin(&walk, &policy, key, ipv4);
	for (len = 56; len <= 72; len++) {
		snprintf(request, sizeof(request), GET("x-user: %0*d\r\n"), len, 1);
		snprintf(expected, sizeof(expected), len > KRL_KEPT_BYTES ? "x-user=\"%.*s\"..." : "x-user=%.*s",
			 len < KRL_KEPT_BYTES ? len : KRL_KEPT_BYTES, strstr(request, ": ") + 2);
		assert_reads(request, expected);
	}
}

static void values_that_share_a_bucket_are_not_kept(void **state)
{
	char request[600];

	SELECT_BY(EACH_HEADER("x-user"));
	match_walk_begin(&walk, &policy, key, ipv4);
	assert_reads(GET("x-user: alice\r\nx-user: bob\r\n"), "x-user=<shared>");
	snprintf(request, sizeof(request), GET("x-user: %0257d\r\n"), 1);
	assert_reads(request, "x-user=<shared>");
	assert_memory_equal(walk.match.kept.values[0].text, (char[KRL_KEPT_BYTES]){ 0 }, KRL_KEPT_BYTES);
	assert_reads(GET("x-user: alice\r\n"), "x-user=alice");
}

/* A row holds the values that picked the bucket and nothing else, whatever the buffers held before. */
static void nothing_else_is_kept(void **state)
{
	const struct krl_kept *kept;
	const char *c;
	size_t i;

	SELECT_BY(EACH_HEADER("x-user"), EACH_HEADER("x-org"));
	match_walk_begin(&walk, &policy, key, ipv4);
	kept = kept_of(GET("x-user: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\r\n"
			   "x-org: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\r\nother: zzzzzzzzzzzzz\r\n"));
	kept = kept_of(GET("x-user: abcdefghi\r\ncookie: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\r\nx-org: a\r\n"
			   "other: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\r\n"));
	for (i = 0, c = (const char *)kept; i < sizeof(*kept); i++)
		assert_true(c[i] != 'z' && (unsigned char)c[i] != 0xa5);
	assert_int_equal(kept->count, 2);
	assert_string_equal(kept->values[0].text, "abcdefghi");
	assert_string_equal(kept->values[1].text, "a");
}

static void a_source_is_kept_as_far_as_it_counts(void **state)
{
	static const __u8 ipv6[16] = { 0x20, 0x01, 0x0d, 0xb8, [7] = 1, [15] = 9 };

	SELECT_BY(EACH_SOURCE(64, 24));
	match_walk_begin(&walk, &policy, key, ipv4);
	assert_reads(GET(), "source=192.0.2.0/24");
	match_walk_begin(&walk, &policy, key, ipv6);
	assert_reads(GET(), "source=2001:db8:0:1::/64");
	SELECT_BY(EACH_SOURCE(128, 32));
	match_walk_begin(&walk, &policy, key, ipv6);
	assert_reads(GET(), "source=2001:db8:0:1::9");
}

static void a_secret_is_kept_as_a_hash(void **state)
{
	char first[64];

	SELECT_BY(EACH_HEADER("x-api-key"));
	match_walk_begin(&walk, &policy, key, ipv4);
	kept_of(GET("x-api-key: s3cr3t\r\n"));
	assert_int_equal(walk.match.kept.values[0].how, KRL_KEPT_HIDDEN);
	assert_memory_equal(walk.match.kept.values[0].text, (char[KRL_KEPT_BYTES]){ 0 }, KRL_KEPT_BYTES);
	assert_memory_equal(walk.match.kept_text[0], (char[KRL_KEPT_BYTES]){ 0 }, KRL_KEPT_BYTES);
	assert_int_equal(walk.match.kept.values[0].len, 0);
	snprintf(first, sizeof(first), "x-api-key=#%08x", (__u32)walk.match.digests[0][0]);
	assert_reads(GET("x-api-key: s3cr3t\r\n"), first);
	assert_reads(GET("x-api-key: 1\r\nx-api-key: 2\r\n"), "x-api-key=<shared>");
	kept_of(GET("x-api-key: s3cr3u\r\n"));
	assert_int_not_equal(walk.match.kept.values[0].hash, strtoul(strchr(first, '#') + 1, NULL, 16));
}

static void more_values_than_are_kept_are_said(void **state)
{
	SELECT_BY(EACH_HEADER("a"), EACH_HEADER("b"), EACH_HEADER("c"), EACH_HEADER("d"), EACH_PATH);
	match_walk_begin(&walk, &policy, key, ipv4);
	assert_reads(GET("a: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n"), "a=1, b=2, c=3, d=4, ...");
	SELECT_BY(EACH_HEADER("a-name-that-is-longer-than-what-is-kept-of-names"));
	match_walk_begin(&walk, &policy, key, ipv4);
	assert_reads(GET("a-name-that-is-longer-than-what-is-kept-of-names: 1\r\n"), "a-name-that-is-longer-than-what-=1");
}

/* Two rules of two tiers: each tier's values are its own. */
static void values_are_those_of_the_tier(void **state)
{
	static const struct krl_selector by_user = { { EACH_HEADER("x-user") }, 1 }, by_path = { { EACH_PATH }, 1 };
	struct krl_policy_builder *builder = krl_policy_builder_new();
	const char *what;

	krl_policy_add(builder, 0, 0, false, &by_user, 1, &what);
	krl_policy_add(builder, 1, 0, false, &by_path, 1, &what);
	krl_policy_finish(builder, &policy);
	krl_policy_builder_free(builder);
	match_walk_begin(&walk, &policy, key, ipv4);
	match_walk_on(&walk, GET("x-user: alice\r\n"), strlen(GET("x-user: alice\r\n")), KRL_HTTP_WINDOW_BYTES);
	krl_keep(&walk.match, &policy, policy.tier_of[0]);
	assert_int_equal(walk.match.kept.count, 1);
	assert_string_equal(walk.match.kept.values[0].text, "alice");
	krl_keep(&walk.match, &policy, policy.tier_of[1]);
	assert_int_equal(walk.match.kept.count, 1);
	assert_string_equal(walk.match.kept.values[0].text, "/v1");
}

static void headers_that_let_somebody_in_are_secrets(void **state)
{
	static const char *const secrets[] = {
		"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key",
		"x-auth-token", "x-amz-security-token", "x-session-id", "x-csrf-token", "x-hub-signature-256",
		"ocp-apim-subscription-key", "x-amzn-oidc-data", "x-goog-iap-jwt-assertion",
	};
	static const char *const others[] = {
		"x-user", "x-user-id", "x-org", "x-tenant", "x-forwarded-for", "user-agent", "x-client-id", "model",
	};
	size_t i;

	for (i = 0; i < sizeof(secrets) / sizeof(*secrets); i++)
		assert_true(krl_header_is_secret(secrets[i]));
	for (i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_false(krl_header_is_secret(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(values_read_as_they_came, teardown),
		cmocka_unit_test_teardown(a_model_reads_as_one, teardown),
		cmocka_unit_test_teardown(a_value_that_could_be_another_is_quoted, teardown),
		cmocka_unit_test_teardown(a_long_value_is_cut, teardown),
		cmocka_unit_test_teardown(values_that_share_a_bucket_are_not_kept, teardown),
		cmocka_unit_test_teardown(nothing_else_is_kept, teardown),
		cmocka_unit_test_teardown(a_source_is_kept_as_far_as_it_counts, teardown),
		cmocka_unit_test_teardown(a_secret_is_kept_as_a_hash, teardown),
		cmocka_unit_test_teardown(more_values_than_are_kept_are_said, teardown),
		cmocka_unit_test_teardown(values_are_those_of_the_tier, teardown),
		cmocka_unit_test_teardown(headers_that_let_somebody_in_are_secrets, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
