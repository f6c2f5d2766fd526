// SPDX-License-Identifier: Apache-2.0
/* Which rules a request meets, and whose bucket it takes from: what the kernel finds while it walks over the
 * bytes of a connection, against a model that reads the request at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "match_cases.h"
#include "match_walk.h"

enum { SETS = 6000, REQUESTS = 20, BUCKETS = REQUESTS * MODEL_RULES };

static const __u64 key[2] = { 0x0123456789abcdefULL, 0xfedcba9876543210ULL };

/* Buckets that were met under one policy: by the model, and by the code. */
static struct bucket_pair {
	uint64_t model;
	__u64 descriptor[2];
} buckets[BUCKETS];
static size_t bucket_count;

static struct krl_policy policy;
static char stream[CASE_STREAM_BYTES];

static const __u64 *descriptor_of(const struct krl_match *match, size_t rule)
{
	return match->descriptors[policy.tier_of[rule]];
}

/* Is a bucket the same as an earlier one exactly when the model's is? */
static bool buckets_agree(uint64_t model, const __u64 descriptor[2])
{
	struct bucket_pair *pair;
	size_t i;

	if (!model != !(descriptor[0] | descriptor[1]))
		return false;
	for (i = 0; i < bucket_count; i++) {
		pair = &buckets[i];
		if ((pair->model == model) != !memcmp(pair->descriptor, descriptor, sizeof(pair->descriptor)))
			return false;
	}
	assert_true(bucket_count < BUCKETS);
	pair = &buckets[bucket_count++];
	pair->model = model;
	memcpy(pair->descriptor, descriptor, sizeof(pair->descriptor));
	return true;
}

static bool same_verdict(const struct krl_match *a, const struct krl_match *b, size_t rules)
{
	size_t i;

	if (a->rules != b->rules || a->ambiguous != b->ambiguous)
		return false;
	for (i = 0; i < rules; i++)
		if (a->rules >> i & 1 && memcmp(descriptor_of(a, i), descriptor_of(b, i), 16))
			return false;
	return true;
}

/* The next request of both connections, byte by byte and in pieces. */
static void walk_both(uint64_t *seed, struct match_walk *bytes, struct match_walk *pieces, size_t len)
{
	unsigned int heads = bytes->heads;
	size_t at, n;

	match_walk_on(bytes, stream, len, 1);
	for (at = 0; at < len; at += n) {
		n = 1 + case_below(seed, case_below(seed, 2) ? 40 : len);
		n = n < len - at ? n : len - at;
		match_walk_on(pieces, stream + at, n, 8 + case_below(seed, KRL_HTTP_WINDOW_BYTES - 7));
	}
	assert_int_equal(bytes->event, KRL_HTTP_NOTHING);
	assert_int_equal(pieces->event, KRL_HTTP_NOTHING);
	assert_int_equal(bytes->heads, heads + 1);
	assert_int_equal(pieces->heads, heads + 1);
}

/* One set of rules, and requests of one connection each time its source changes. */
static void check_set(unsigned int number)
{
	static struct match_walk bytes, pieces;
	static struct model_request request;
	static struct model_rules rules;
	struct model_verdict verdict;
	uint64_t seed = number;
	__u8 source[16];
	size_t i, r, len;

	case_below(&seed, 2);
	case_rules(&seed, &rules);
	case_policy(&rules, &policy);
	bucket_count = 0;
	for (i = 0; i < REQUESTS; i++) {
		if (i % 3 == 0) {
			case_source(&seed, source);
			match_walk_begin(&bytes, &policy, key, source);
			match_walk_begin(&pieces, &policy, key, source);
		}
		case_request(&seed, &rules, &request);
		memcpy(request.source, source, sizeof(source));
		len = case_write(&seed, &request, stream);
		walk_both(&seed, &bytes, &pieces, len);
		verdict = model_judge(&rules, &request);
		if (!same_verdict(&bytes.match, &pieces.match, rules.count))
			fail_msg("seed %u, request %zu: another result in pieces:\n%s", number, i, stream);
		if (bytes.match.rules != verdict.rules)
			fail_msg("seed %u, request %zu: rules %llx, not %llx:\n%s", number, i, bytes.match.rules,
				 (unsigned long long)verdict.rules, stream);
		for (r = 0; r < rules.count; r++)
			if (verdict.rules >> r & 1 &&
			    !buckets_agree(verdict.buckets[r], descriptor_of(&bytes.match, r)))
				fail_msg("seed %u, request %zu: another bucket of rule %zu:\n%s", number, i, r,
					 stream);
	}
}

static void it_agrees_with_a_model(void **state)
{
	unsigned int number;

	for (number = 1; number <= SETS; number++)
		check_set(number);
}

/* %00 may stand in a path, and the model has paths that it ends. */
static void a_zero_byte_is_one_of_the_path(void **state)
{
	static const char *const requests[] = { "GET /v1 HTTP/1.1\r\n\r\n", "GET /v1%00 HTTP/1.1\r\n\r\n",
						"GET /v1%00/x HTTP/1.1\r\n\r\n" };
	static struct model_rules rules = {
		.rule = {
			{ .selectors = { { { { KRL_FIELD_PATH, KRL_PREDICATE_EXACT, .value = "/v1" } }, 1 } }, .count = 1 },
			{ .selectors = { { { { KRL_FIELD_PATH, KRL_PREDICATE_PATH_PREFIX, .value = "/v1" } }, 1 } },
			  .count = 1 },
			{ .selectors = { { { { KRL_FIELD_PATH, .distinct = true } }, 1 } }, .count = 1 },
		},
		.count = 3,
	};
	static struct match_walk walk;
	size_t i;

	case_policy(&rules, &policy);
	bucket_count = 0;
	for (i = 0; i < 3; i++) {
		match_walk_begin(&walk, &policy, key, (__u8[16]){ 0 });
		match_walk_on(&walk, requests[i], strlen(requests[i]), KRL_HTTP_WINDOW_BYTES);
		assert_int_equal(walk.match.rules, i ? 4 : 7);
		assert_true(buckets_agree(i + 1, descriptor_of(&walk.match, 2)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_agrees_with_a_model),
		cmocka_unit_test(a_zero_byte_is_one_of_the_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
