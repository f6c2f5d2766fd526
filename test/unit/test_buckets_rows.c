// SPDX-License-Identifier: Apache-2.0
/* The buckets that are shown, from rows of maps, and how they are shown, without a kernel. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/datapath/buckets.h"
#include "bpf/lib/bucket.h"
#include "include/kmesh_rl/policy.h"
#include "tools/kmesh-rl/buckets_view.h"

#define S 1000000000ULL

enum { MANY = 10000 };

static struct krl_stats_row rules[] = {
	{ .slot = 7, .id = 3, .settings = { 10, 10, 60 * S },
	  .info = { .ns = "default", .name = "a", .rule = "user", .limit = "10 per 1 minute" } },
	{ .slot = 5, .id = 4, .settings = { 100, 10, 60 * S },
	  .info = { .ns = "default", .name = "b", .service = "web:80", .rule = "rule-0", .limit = "10 per 1 minute" } },
};
static const struct krl_stats stats = { .rows = rules, .count = 2 };

static struct krl_buckets buckets;

static int setup(void **state)
{
	krl_buckets_of(&buckets, &stats);
	return 0;
}

static int teardown(void **state)
{
	krl_buckets_free(&buckets);
	return 0;
}

static void add(__u32 rule, __u64 value, __s64 tokens, __u64 now_ns)
{
	struct krl_bucket_key key = { .slot = rules[rule].slot, .rule_id = rules[rule].id, .port = 80,
				      .addr = { [10] = 0xff, 0xff, 10, 0, 0, 1 }, .descriptor = { value, value } };
	struct krl_bucket bucket = { .last_topup_ns = S, .tokens = tokens };

	assert_int_equal(krl_buckets_add(&buckets, &key, &bucket, now_ns), 0);
	assert_int_equal(bucket.tokens, tokens);
}

static void know(__u64 value, const char *user)
{
	struct krl_kept kept = { .count = 1, .values = { { .field = KRL_FIELD_HEADER, .name = "x-user" } } };
	const __u64 descriptor[2] = { value, value };

	kept.values[0].len = strlen(user);
	strcpy(kept.values[0].text, user);
	assert_int_equal(krl_values_add(&buckets.values, descriptor, &kept), 0);
}

static void assert_row(size_t i, __u32 rule, __u64 value, __s64 available)
{
	assert_true(i < buckets.count);
	assert_ptr_equal(buckets.rows[i].rule, &rules[rule]);
	assert_int_equal(buckets.rows[i].key.descriptor[0], value);
	assert_int_equal(buckets.rows[i].available, available);
}

static void rule_by_rule_the_emptiest_first_then_by_value(void **state)
{
	know(30, "bob");
	know(20, "carol");
	know(10, "alice");
	krl_values_sort(&buckets.values);
	add(1, 0, 100, S);
	add(0, 10, 5, S);
	add(0, 40, 5, S);
	add(0, 20, -2, S);
	add(0, 30, 5, S);
	krl_buckets_finish(&buckets);
	assert_int_equal(buckets.count, 5);
	assert_int_equal(buckets.total, 5);
	assert_row(0, 0, 20, -2);
	assert_row(1, 0, 10, 5);
	assert_row(2, 0, 30, 5);
	assert_row(3, 0, 40, 5);
	assert_row(4, 1, 0, 100);
	assert_string_equal(buckets.rows[0].kept->values[0].text, "carol");
	assert_null(buckets.rows[3].kept);
	assert_null(buckets.rows[4].kept);
}

static void a_bucket_is_shown_as_of_now(void **state)
{
	add(0, 1, 0, 61 * S);
	krl_buckets_finish(&buckets);
	assert_row(0, 0, 1, 10);
}

static void what_is_of_no_rule_is_passed_over(void **state)
{
	struct krl_bucket bucket = { .last_topup_ns = S };
	struct krl_bucket_key key = { .slot = 7, .rule_id = 4 };

	assert_int_equal(krl_buckets_add(&buckets, &key, &bucket, S), 0);
	key = (struct krl_bucket_key){ .slot = 6, .rule_id = 3 };
	assert_int_equal(krl_buckets_add(&buckets, &key, &bucket, S), 0);
	key = (struct krl_bucket_key){ .slot = UINT16_MAX, .rule_id = 3 };
	assert_int_equal(krl_buckets_add(&buckets, &key, &bucket, S), 0);
	assert_int_equal(krl_buckets_add_overflow(&buckets, 6, &bucket, S), 0);
	add(0, 1, KRL_BUCKET_BURIED, S);
	assert_int_equal(buckets.total, 0);
}

static void an_overflow_bucket_is_there_once_it_is_used(void **state)
{
	struct krl_bucket bucket = { .last_topup_ns = S, .tokens = 10 };

	assert_int_equal(krl_buckets_add_overflow(&buckets, 7, &bucket, S), 0);
	assert_int_equal(buckets.total, 0);
	bucket.tokens = 4;
	assert_int_equal(krl_buckets_add_overflow(&buckets, 7, &bucket, S), 0);
	assert_int_equal(buckets.total, 1);
	assert_true(buckets.rows[0].overflow);
	assert_int_equal(buckets.rows[0].available, 4);
}

/* In whatever order they are met, and without keeping all of them. */
static void the_emptiest_of_many_are_left(void **state)
{
	size_t i;

	buckets.limit = 7;
	for (i = 0; i < MANY; i++) {
		add(i % 2, 1 + i, -(__s64)(i * 7919 % MANY), S);
		assert_true(buckets.count <= 2 * buckets.limit + 1);
	}
	krl_buckets_finish(&buckets);
	assert_int_equal(buckets.count, 7);
	assert_int_equal(buckets.total, MANY);
	/* Those with an even number of tokens are of the first rule. */
	for (i = 0; i < 7; i++)
		assert_int_equal(buckets.rows[i].available, (i < 3 ? 2 + 2 * (__s64)i : 2 * (__s64)i - 5) - MANY);
}

static void without_a_limit_all_are_left(void **state)
{
	size_t i;

	for (i = 0; i < MANY; i++)
		add(0, 1 + i, 5, S);
	krl_buckets_finish(&buckets);
	assert_int_equal(buckets.count, MANY);
}

static char *printed(bool wide)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *value = krl_buckets_json(&buckets);

	assert_non_null(value);
	assert_int_equal(krl_buckets_print(value, wide, out), 0);
	json_decref(value);
	fclose(out);
	return text;
}

static void they_are_shown_with_what_is_known(void **state)
{
	struct krl_bucket overflow = { .last_topup_ns = S, .tokens = 1 };
	json_t *value;
	char *text;

	know(10, "\x1b[31malice");
	krl_values_sort(&buckets.values);
	add(0, 10, 3, S);
	add(0, 0x12345678, 4, S);
	add(1, 0, 5, S);
	krl_buckets_add_overflow(&buckets, 5, &overflow, S);
	krl_buckets_finish(&buckets);
	text = printed(false);
	assert_string_equal(text, "NAME   NAMESPACE   SERVICE   RULE     VALUE               AVAILABLE\n"
				  "a      default     <none>    user     x-user=?[31malice   3\n"
				  "a      default     <none>    user     #12345678           4\n"
				  "b      default     web:80    rule-0   <overflow>          1\n"
				  "b      default     web:80    rule-0   <none>              5\n");
	free(text);
	text = printed(true);
	assert_non_null(strstr(text, "x-user=?[31malice   3           10 per 1 minute   10.0.0.1:80   0\n"));
	assert_non_null(strstr(text, "<overflow>          1           10 per 1 minute   <none>        0\n"));
	free(text);
	value = krl_buckets_json(&buckets);
	assert_int_equal(json_integer_value(json_object_get(value, "total")), 4);
	json_decref(value);
}

/* Of the rule and the values of the bucket, not of another rule's or none. */
static void a_bucket_of_tokens_tells_what_was_used(void **state)
{
	static const struct krl_llm_user_key keys[] = { { { 10, 10 }, 3, 0 }, { { 10, 10 }, 4, 0 }, { { 20, 20 }, 3, 0 } };
	struct krl_llm_stats used[] = { { .total = 12, .debited = 24 }, { .total = 99 }, { .total = 5 } };
	json_t *value, *items;
	size_t i;

	for (i = 0; i < 3; i++)
		assert_int_equal(krl_buckets_use(&buckets, &keys[2 - i], &used[2 - i]), 0);
	krl_buckets_known(&buckets);
	rules[0].flags = KRL_RULE_LLM;
	add(0, 10, 3, S);
	add(0, 20, 4, S);
	add(0, 30, 5, S);
	add(0, 0, 6, S);
	add(1, 10, 7, S);
	krl_buckets_finish(&buckets);
	value = krl_buckets_json(&buckets);
	rules[0].flags = 0;
	items = json_object_get(value, "items");
	for (i = 0; i < 3; i++) {
		json_t *tokens = json_object_get(json_array_get(items, i), "tokens");

		assert_int_equal(json_integer_value(json_object_get(tokens, "total")), i == 0 ? 12 : i == 1 ? 5 : 0);
		assert_int_equal(json_object_size(tokens), 9);
	}
	assert_null(json_object_get(json_array_get(items, 3), "tokens"));
	assert_null(json_object_get(json_array_get(items, 4), "tokens"));
	assert_int_equal(json_array_size(items), 5);
	json_decref(value);
}

static void nothing_pinned_is_told_apart(void **state)
{
	struct krl_buckets none = { .total = 99 };

	assert_int_equal(krl_buckets_read("/proc/self/nothing-here", &stats, 1, &none), -ENOENT);
	assert_int_equal(none.total, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rule_by_rule_the_emptiest_first_then_by_value, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bucket_is_shown_as_of_now, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_of_no_rule_is_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(an_overflow_bucket_is_there_once_it_is_used, setup, teardown),
		cmocka_unit_test_setup_teardown(the_emptiest_of_many_are_left, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_limit_all_are_left, setup, teardown),
		cmocka_unit_test_setup_teardown(they_are_shown_with_what_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bucket_of_tokens_tells_what_was_used, setup, teardown),
		cmocka_unit_test(nothing_pinned_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
