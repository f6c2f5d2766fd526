// SPDX-License-Identifier: Apache-2.0
/* Tiers, groups and limits of what an endpoint's rules are made into. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "match_cases.h"
#include "match_walk.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

static const struct krl_selector is_a = { { { .kind = KRL_PREDICATE_EXACT, .name = "x", .value = "a" } }, 1 };
static const struct krl_selector is_b = { { { .kind = KRL_PREDICATE_EXACT, .name = "x", .value = "b" } }, 1 };
static const struct krl_selector a_then_y = {
	{ { .kind = KRL_PREDICATE_EXACT, .name = "x", .value = "a" }, { .name = "y" } }, 2
};
static const struct krl_selector y_then_a = {
	{ { .name = "y" }, { .kind = KRL_PREDICATE_EXACT, .name = "x", .value = "a" } }, 2
};

static struct krl_policy policy;
static struct krl_policy_builder *builder;
static const char *what;

static int setup(void **state)
{
	builder = krl_policy_builder_new();
	what = "nothing";
	return builder ? 0 : -ENOMEM;
}

static int teardown(void **state)
{
	krl_policy_builder_free(builder);
	return 0;
}

static void add(unsigned int rule, unsigned int group, bool first, const struct krl_selector *selectors, size_t count)
{
	assert_int_equal(krl_policy_add(builder, rule, group, first, selectors, count, &what), 0);
}

static void equal_selectors_in_any_order_are_one_tier(void **state)
{
	const struct krl_selector one[] = { is_b, a_then_y }, other[] = { y_then_a, is_b };

	add(0, 0, true, one, 2);
	add(1, 0, true, &is_a, 1);
	add(2, 0, true, other, 2);
	add(3, 0, true, one, 1);
	krl_policy_finish(builder, &policy);
	assert_int_equal(policy.tier_count, 3);
	assert_int_equal(policy.tiers[0].rules, 0x5);
	assert_int_equal(policy.tiers[1].rules, 0x2);
	assert_int_equal(policy.tiers[2].rules, 0x8);
	assert_memory_equal(policy.tier_of, ((__u8[]){ 0, 1, 0, 2 }), 4);
	assert_int_equal(policy.entry_count, 4);
	assert_int_equal(policy.predicate_count, 3);
}

static void terms_that_differ_in_any_way_are_other_tiers(void **state)
{
	static const struct krl_term terms[] = {
		{ .kind = KRL_PREDICATE_EXACT, .name = "x", .value = "abcdefghi" },
		{ .kind = KRL_PREDICATE_EXACT, .name = "x", .value = "abcdefghj" },
		{ .kind = KRL_PREDICATE_EXACT, .name = "x", .value = "abcdefgh" },
		{ .kind = KRL_PREDICATE_PREFIX, .name = "x", .value = "abcdefghi" },
		{ .kind = KRL_PREDICATE_EXACT, .name = "x", .value = "abcdefghi", .invert = true },
		{ .kind = KRL_PREDICATE_EXACT, .name = "y", .value = "abcdefghi" },
		{ .kind = KRL_PREDICATE_PRESENT, .name = "x" },
		{ .kind = KRL_PREDICATE_PRESENT, .name = "x", .distinct = true },
		{ .field = KRL_FIELD_PATH, .kind = KRL_PREDICATE_EXACT, .value = "/" },
		{ .field = KRL_FIELD_PATH, .kind = KRL_PREDICATE_PATH_PREFIX, .value = "/" },
		{ .field = KRL_FIELD_METHOD, .kind = KRL_PREDICATE_METHODS, .methods = 2 },
		{ .field = KRL_FIELD_METHOD, .kind = KRL_PREDICATE_METHODS, .methods = 4 },
		{ .field = KRL_FIELD_SOURCE, .kind = KRL_PREDICATE_CIDR, .addr = { 1 }, .mask = { 255 } },
		{ .field = KRL_FIELD_SOURCE, .kind = KRL_PREDICATE_CIDR, .addr = { 1 }, .mask = { 255, 255 } },
		{ .field = KRL_FIELD_SOURCE, .kind = KRL_PREDICATE_PRESENT, .distinct = true, .prefix_len = { 64, 128 } },
		{ .field = KRL_FIELD_SOURCE, .kind = KRL_PREDICATE_PRESENT, .distinct = true, .prefix_len = { 48, 128 } },
		{ .field = KRL_FIELD_SOURCE, .kind = KRL_PREDICATE_PRESENT, .distinct = true, .prefix_len = { 64, 120 } },
	};
	struct krl_selector selector = { .term_count = 1 };
	size_t i, k;

	for (i = 0; i < COUNT(terms); i++) {
		selector.terms[0] = terms[i];
		add(i, 0, true, &selector, 1);
	}
	krl_policy_finish(builder, &policy);
	assert_int_equal(policy.tier_count, COUNT(terms));
	for (i = 0; i < policy.field_count; i++)
		for (k = 0; k < i; k++)
			assert_true(policy.fields[i].hash != policy.fields[k].hash ||
				    memcmp(policy.fields[i].masks, policy.fields[k].masks,
					   sizeof(policy.fields[i].masks)));
}

static void rules_without_selectors_are_last_in_their_group(void **state)
{
	add(0, 7, true, NULL, 0);
	add(1, 7, true, &is_a, 1);
	add(2, 9, true, NULL, 0);
	add(3, 7, true, NULL, 0);
	add(4, 9, true, &is_a, 1);
	krl_policy_finish(builder, &policy);
	assert_int_equal(policy.tier_count, 4);
	assert_int_equal(policy.tiers[0].rules, 1 << 1);
	assert_int_equal(policy.tiers[1].rules, 1 << 4);
	assert_int_equal(policy.tiers[2].rules, 1 << 0 | 1 << 3);
	assert_int_equal(policy.tiers[3].rules, 1 << 2);
	assert_int_equal(policy.tiers[0].group, policy.tiers[2].group);
	assert_int_equal(policy.tiers[1].group, policy.tiers[3].group);
	assert_int_not_equal(policy.tiers[0].group, policy.tiers[1].group);
	assert_memory_equal(policy.tier_of, ((__u8[]){ 2, 0, 3, 2, 1 }), 5);
}

static void with_all_each_rule_stands_alone(void **state)
{
	size_t i;

	for (i = 0; i < 4; i++)
		add(i, 0, false, &is_a, i % 2);
	krl_policy_finish(builder, &policy);
	assert_int_equal(policy.tier_count, 4);
	for (i = 0; i < 4; i++) {
		assert_int_equal(policy.tiers[i].flags & (KRL_TIER_FIRST | KRL_TIER_ALONG), 0);
		assert_int_equal(policy.tiers[policy.tier_of[i]].rules, 1 << i);
	}
}

/* Of entries that are true the first picks the bucket, whatever else is on the endpoint. */
static void entries_keep_their_order(void **state)
{
	const struct krl_selector others[] = { is_b, a_then_y }, mine[] = { y_then_a, is_b };
	const struct krl_tier *tier;

	add(0, 0, true, others, 2);
	add(1, 1, true, mine, 2);
	krl_policy_finish(builder, &policy);
	tier = &policy.tiers[policy.tier_of[1]];
	assert_int_equal(policy.entries[tier->first].predicate_count, 2);
	assert_int_equal(policy.entries[tier->first + 1].predicate_count, 1);
}

static void predicates_of_a_field_stand_together(void **state)
{
	struct krl_selector selector = { .term_count = 1 };
	unsigned int i, of_field, next = 0;

	for (i = 0; i < 20; i++) {
		struct krl_term *term = &selector.terms[0];

		*term = (struct krl_term){ .kind = KRL_PREDICATE_EXACT };
		snprintf(term->name, sizeof(term->name), "h%u", i % 3);
		snprintf(term->value, sizeof(term->value), "%u:%u", i % 3, i);
		add(i, 0, false, &selector, 1);
	}
	krl_policy_finish(builder, &policy);
	assert_int_equal(policy.field_count, 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(policy.fields[i].first, next);
		for (of_field = 0; of_field < policy.fields[i].predicate_count; of_field++, next++)
			assert_int_equal(policy.values[policy.predicates[next].at], '0' + i);
	}
	assert_int_equal(next, 20);
	for (i = 0; i < 20; i++)
		assert_int_equal(atoi(policy.values + policy.predicates[policy.entries[i].predicates[0]].at + 2), i);
}

static void without_selectors_no_policy_is_needed(void **state)
{
	assert_false(krl_policy_selects(builder));
	add(0, 0, true, NULL, 0);
	assert_false(krl_policy_selects(builder));
	add(1, 0, true, &is_a, 1);
	assert_true(krl_policy_selects(builder));
}

/* Rules of one selector each, @terms to a selector, until there is no room. Returns how many terms had. */
static unsigned int fill(unsigned int terms, unsigned int selectors,
			 void (*term)(unsigned int number, struct krl_term *ret))
{
	static struct krl_selector list[KRL_MAX_RULE_ENTRIES];
	unsigned int number = 0, rule, s, t;

	for (rule = 0; rule < KRL_MAX_ENDPOINT_RULES; rule++) {
		memset(list, 0, sizeof(list));
		for (s = 0; s < selectors; s++) {
			list[s].term_count = terms;
			for (t = 0; t < terms; t++)
				term(number + s * terms + t, &list[s].terms[t]);
		}
		if (krl_policy_add(builder, rule, 0, false, list, selectors, &what)) {
			assert_int_equal(krl_policy_add(builder, rule, 0, false, list, selectors, &what), -ENOSPC);
			break;
		}
		number += terms * selectors;
	}
	krl_policy_finish(builder, &policy);
	assert_int_equal(policy.tier_count, rule);
	return number;
}

static void another_header(unsigned int number, struct krl_term *ret)
{
	snprintf(ret->name, sizeof(ret->name), "h%u", number);
}

static void another_value(unsigned int number, struct krl_term *ret)
{
	strcpy(ret->name, "x");
	ret->kind = KRL_PREDICATE_EXACT;
	snprintf(ret->value, sizeof(ret->value), "%u", number);
}

static void another_long_value(unsigned int number, struct krl_term *ret)
{
	another_value(number, ret);
	snprintf(ret->value, sizeof(ret->value), "%0*u", KRL_VALUE_BYTES, number);
}

/* Of two terms each another pair, out of few values: a selector that stands twice in a rule is one. */
static void another_pair(unsigned int number, struct krl_term *ret)
{
	unsigned int pair = number / 2;

	another_value(number % 2 ? 16 + pair / 16 : pair % 16, ret);
}

static void another_set_of_methods(unsigned int number, struct krl_term *ret)
{
	ret->field = KRL_FIELD_METHOD;
	ret->kind = KRL_PREDICATE_METHODS;
	ret->methods = (number + 1) << 1;
}

static void another_range(unsigned int number, struct krl_term *ret)
{
	ret->field = KRL_FIELD_SOURCE;
	ret->kind = KRL_PREDICATE_CIDR;
	memset(ret->mask, 255, sizeof(ret->mask));
	ret->addr[14] = number >> 8;
	ret->addr[15] = number;
}

static void what_there_is_too_much_of_is_named(void **state)
{
	static const struct {
		void (*term)(unsigned int number, struct krl_term *ret);
		unsigned int terms, selectors, fit;
		const char *what;
	} cases[] = {
		{ another_header, 1, 1, KRL_MAX_FIELDS, "different headers and other fields in selectors" },
		{ another_value, 8, 2, KRL_MAX_PREDICATES, "different values in selectors" },
		{ another_long_value, 1, 4, KRL_VALUES_BYTES / KRL_VALUE_BYTES, "different values in selectors" },
		{ another_pair, 2, 16, 2 * KRL_MAX_ENTRIES, "selectors" },
		{ another_set_of_methods, 1, 2, KRL_MAX_METHOD_PREDICATES, "different values in selectors" },
		{ another_range, 1, 8, KRL_MAX_CIDR_PREDICATES, "different values in selectors" },
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		assert_int_equal(fill(cases[i].terms, cases[i].selectors, cases[i].term), cases[i].fit);
		assert_string_equal(what, cases[i].what);
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

/* The last of all that fit are evaluated as well. */
static void all_that_fits_is_evaluated(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nx: 511\r\n\r\n";
	static const __u64 key[2];
	static struct match_walk walk;

	fill(8, 1, another_value);
	/* 8 terms of one header: no request meets all. */
	match_walk_begin(&walk, &policy, key, (__u8[16]){ 0 });
	match_walk_on(&walk, request, sizeof(request) - 1, KRL_HTTP_WINDOW_BYTES);
	assert_int_equal(walk.match.rules, 0);
	assert_int_equal(walk.match.bits[7], 1ULL << 63);

	teardown(state);
	assert_int_equal(setup(state), 0);
	fill(1, 2, another_range);
	match_walk_begin(&walk, &policy, key, (__u8[16]){ [15] = KRL_MAX_CIDR_PREDICATES - 1 });
	match_walk_on(&walk, request, sizeof(request) - 1, KRL_HTTP_WINDOW_BYTES);
	assert_int_equal(walk.match.rules, 1ULL << (KRL_MAX_CIDR_PREDICATES / 2 - 1));

	teardown(state);
	assert_int_equal(setup(state), 0);
	/* 2 << 63: the last 7 bits of it are methods that there are, POST for one. */
	fill(1, 1, another_set_of_methods);
	match_walk_begin(&walk, &policy, key, (__u8[16]){ 0 });
	match_walk_on(&walk, request, sizeof(request) - 1, KRL_HTTP_WINDOW_BYTES);
	assert_int_equal(walk.match.rules, 0x5555555555555555ULL);
}

/* Rules of @from, with others before them, in another policy and under other numbers. */
static void adopt_all(const struct model_rules *rules, const struct krl_policy *from, struct krl_policy *ret)
{
	struct krl_policy_builder *b = krl_policy_builder_new();
	size_t i;

	assert_non_null(b);
	assert_int_equal(krl_policy_add(b, 63, 0, true, &a_then_y, 1, &what), 0);
	for (i = 0; i < rules->count; i++)
		assert_int_equal(krl_policy_adopt(b, 40 - i, 5, from, i, &what), 0);
	krl_policy_finish(b, ret);
	krl_policy_builder_free(b);
}

static void adopted_rules_mean_the_same(void **state)
{
	static char stream[CASE_STREAM_BYTES];
	static struct match_walk walk, adopted_walk;
	static struct model_request request;
	static struct krl_policy adopted;
	static struct model_rules rules;
	static const __u64 key[2] = { 1, 2 };
	unsigned int number, round;
	uint64_t seed;
	size_t i, len;

	for (number = 1; number <= 300; number++) {
		seed = number;
		case_rules(&seed, &rules);
		case_policy(&rules, &policy);
		adopt_all(&rules, &policy, &adopted);
		for (round = 0; round < 10; round++) {
			case_request(&seed, &rules, &request);
			case_source(&seed, request.source);
			len = case_write(&seed, &request, stream);
			match_walk_begin(&walk, &policy, key, request.source);
			match_walk_on(&walk, stream, len, KRL_HTTP_WINDOW_BYTES);
			match_walk_begin(&adopted_walk, &adopted, key, request.source);
			match_walk_on(&adopted_walk, stream, len, KRL_HTTP_WINDOW_BYTES);
			for (i = 0; i < rules.count; i++) {
				if ((walk.match.rules >> i ^ adopted_walk.match.rules >> (40 - i)) & 1)
					fail_msg("seed %u: rule %zu for\n%s", number, i, stream);
				if (walk.match.rules >> i & 1 &&
				    memcmp(walk.match.descriptors[policy.tier_of[i]],
					   adopted_walk.match.descriptors[adopted.tier_of[40 - i]], 16))
					fail_msg("seed %u: bucket of rule %zu for\n%s", number, i, stream);
			}
		}
	}
}

static void a_key_is_a_hash_of_the_content(void **state)
{
	static struct krl_policy other;
	const struct krl_selector one[] = { is_a, is_b };

	add(0, 3, true, one, 2);
	krl_policy_finish(builder, &policy);
	memset(&other, 0xff, sizeof(other));
	krl_policy_finish(builder, &other);
	assert_int_equal(krl_policy_key(&policy), krl_policy_key(&other));
	other.values[0] ^= 1;
	assert_int_not_equal(krl_policy_key(&policy), krl_policy_key(&other));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(equal_selectors_in_any_order_are_one_tier),
		TEST(terms_that_differ_in_any_way_are_other_tiers),
		TEST(rules_without_selectors_are_last_in_their_group),
		TEST(with_all_each_rule_stands_alone),
		TEST(entries_keep_their_order),
		TEST(predicates_of_a_field_stand_together),
		TEST(without_selectors_no_policy_is_needed),
		TEST(what_there_is_too_much_of_is_named),
		TEST(all_that_fits_is_evaluated),
		TEST(adopted_rules_mean_the_same),
		TEST(a_key_is_a_hash_of_the_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
