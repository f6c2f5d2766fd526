// SPDX-License-Identifier: Apache-2.0
/* This node's share of a limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/cluster/share.h"

#define SECOND_NS 1000000000ULL

static const struct krl_settings ten_a_minute = { .max_tokens = 10, .tokens_per_fill = 10, .fill_interval_ns = 60 * SECOND_NS };

/* Who spent @own of @all. */
static struct krl_share spent(__u64 own, __u64 all)
{
	struct krl_share share = { 0 };

	krl_share_add(&share, 3, 0, 1000);
	krl_share_add(&share, 3, own, 1000 + all);
	return share;
}

static void assert_settings(const struct krl_share *share, const struct krl_settings *whole, __u64 max, __u64 fill, double seconds)
{
	struct krl_settings got;

	assert_true(krl_share_of(share, whole, &got));
	assert_int_equal(got.max_tokens, max);
	assert_int_equal(got.tokens_per_fill, fill);
	assert_true(got.fill_interval_ns >= seconds * SECOND_NS && got.fill_interval_ns <= seconds * SECOND_NS + 1000);
}

static void what_it_used_of_what_all_used(void **state)
{
	struct krl_share share = spent(30, 60);

	assert_settings(&share, &ten_a_minute, 5, 5, 60);
	share = spent(7, 7);
	assert_settings(&share, &ten_a_minute, 10, 10, 60);
}

static void what_rounding_takes_time_gives(void **state)
{
	struct krl_share share = spent(1, 3);

	/* 3.33 a minute: 3 in 54 s. */
	assert_settings(&share, &ten_a_minute, 3, 3, 54);
	/* 0.1 a minute: 1 in ten. */
	share = spent(1, 100);
	assert_settings(&share, &ten_a_minute, 1, 1, 600);
}

static void large_numbers(void **state)
{
	const struct krl_settings whole = { .max_tokens = KRL_CLUSTER_MAX_TOKENS, .tokens_per_fill = KRL_CLUSTER_MAX_TOKENS,
					    .fill_interval_ns = KRL_CLUSTER_MAX_TOKENS * 1000 };
	struct krl_share share = spent(1ULL << 40, 1ULL << 42);
	struct krl_settings got;

	assert_true(krl_share_of(&share, &whole, &got));
	assert_int_equal(got.max_tokens, KRL_CLUSTER_MAX_TOKENS / 4);
	assert_true(got.fill_interval_ns <= whole.fill_interval_ns);
	share = spent(1, KRL_CLUSTER_MAX_TOKENS - 1000);
	assert_true(krl_share_of(&share, &whole, &got));
	assert_int_equal(got.max_tokens, 1);
}

static void who_used_nothing_has_none(void **state)
{
	struct krl_settings got;
	struct krl_share share = spent(0, 60);

	assert_false(krl_share_of(&share, &ten_a_minute, &got));
}

static void what_redis_lost_is_not_compared(void **state)
{
	struct krl_settings got;
	struct krl_share share = { 0 };

	krl_share_add(&share, 3, 5, 1000);
	assert_false(krl_share_of(&share, &ten_a_minute, &got));
	krl_share_add(&share, 3, 5, 10);
	assert_false(krl_share_of(&share, &ten_a_minute, &got));
	krl_share_add(&share, 4, 5, 20);
	assert_false(krl_share_of(&share, &ten_a_minute, &got));
	krl_share_add(&share, 3, 5, 20);
	assert_settings(&share, &ten_a_minute, 5, 5, 60);
}

static void what_is_long_ago_is_forgotten(void **state)
{
	struct krl_share share = spent(60, 60);

	krl_share_turn(&share);
	krl_share_add(&share, 3, 0, 1120);
	assert_settings(&share, &ten_a_minute, 5, 5, 60);
	krl_share_turn(&share);
	krl_share_add(&share, 3, 10, 1160);
	assert_settings(&share, &ten_a_minute, 1, 1, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_used_of_what_all_used),
		cmocka_unit_test(what_rounding_takes_time_gives),
		cmocka_unit_test(large_numbers),
		cmocka_unit_test(who_used_nothing_has_none),
		cmocka_unit_test(what_redis_lost_is_not_compared),
		cmocka_unit_test(what_is_long_ago_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
