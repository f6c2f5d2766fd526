// SPDX-License-Identifier: Apache-2.0
/* The token bucket on one thread: what each function promises, at the edges of its inputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/lib/bucket.h"

#define MS 1000000ULL
#define S (1000 * MS)
#define BIG INT64_MAX

static const struct krl_settings ten_per_s = { 10, 10, S };
static const struct krl_settings one_per_s_burst_10 = { 10, 1, S };

static __u64 take_all(struct krl_bucket *b, const struct krl_settings *s, __u64 now_ns)
{
	__u64 taken = 0;

	while (taken < 1000 && !krl_bucket_take(b, s, now_ns, 1))
		taken++;
	return taken;
}

static void a_new_bucket_is_full(void **state)
{
	struct krl_bucket b = krl_bucket_full(&ten_per_s, 7 * S);

	assert_int_equal(krl_bucket_last_topup(&b), 7 * S);
	assert_int_equal(krl_bucket_peek(&b, &ten_per_s, 7 * S), 10);
	assert_int_equal(take_all(&b, &ten_per_s, 7 * S), 10);
	assert_int_equal(b.tokens, 0);
}

static void refuses_when_empty_then_refills(void **state)
{
	struct krl_bucket b = krl_bucket_full(&ten_per_s, 0);

	take_all(&b, &ten_per_s, 0);
	assert_int_equal(krl_bucket_take(&b, &ten_per_s, 999 * MS, 1), -KRL_EAGAIN);
	assert_int_equal(krl_bucket_take(&b, &ten_per_s, 1000 * MS, 1), 0);
	assert_int_equal(b.tokens, 9);
}

static void a_refusal_takes_nothing(void **state)
{
	struct krl_bucket b = krl_bucket_full(&ten_per_s, 0);

	assert_int_equal(krl_bucket_take(&b, &ten_per_s, 0, 7), 0);
	assert_int_equal(krl_bucket_take(&b, &ten_per_s, 0, 4), -KRL_EAGAIN);
	assert_int_equal(krl_bucket_take(&b, &ten_per_s, 0, 3), 0);
}

static void more_than_max_is_never_given(void **state)
{
	struct krl_bucket b = krl_bucket_full(&ten_per_s, 0);

	assert_int_equal(krl_bucket_take(&b, &ten_per_s, 0, 11), -KRL_EAGAIN);
	assert_int_equal(krl_bucket_take(&b, &ten_per_s, 0, UINT64_MAX), -KRL_EAGAIN);
	assert_int_equal(krl_bucket_take(&b, &ten_per_s, 0, 1ULL << 63), -KRL_EAGAIN);
	assert_int_equal(b.tokens, 10);
}

static void fills_fall_on_whole_intervals_of_the_first_moment(void **state)
{
	struct krl_bucket b = krl_bucket_full(&one_per_s_burst_10, 300);

	take_all(&b, &one_per_s_burst_10, 300);
	assert_int_equal(take_all(&b, &one_per_s_burst_10, 300 + 3 * S - 1), 2);
	assert_int_equal(krl_bucket_last_topup(&b), 300 + 2 * S);
	assert_int_equal(take_all(&b, &one_per_s_burst_10, 300 + 3 * S), 1);
	assert_int_equal(krl_bucket_last_topup(&b), 300 + 3 * S);
}

static void refills_stop_at_max_and_idle_time_is_not_saved_up(void **state)
{
	struct krl_bucket b = krl_bucket_full(&one_per_s_burst_10, 0);

	take_all(&b, &one_per_s_burst_10, 0);
	assert_int_equal(take_all(&b, &one_per_s_burst_10, 1000 * S), 10);
	assert_int_equal(take_all(&b, &one_per_s_burst_10, 1000 * S), 0);
	assert_int_equal(take_all(&b, &one_per_s_burst_10, 1001 * S), 1);
}

static void a_clock_that_stands_still_fills_nothing(void **state)
{
	struct krl_bucket b = krl_bucket_full(&ten_per_s, 5 * S);

	assert_int_equal(take_all(&b, &ten_per_s, 5 * S), 10);
	assert_int_equal(take_all(&b, &ten_per_s, 5 * S), 0);
}

static void a_clock_that_steps_back_fills_nothing_until_it_has_caught_up(void **state)
{
	struct krl_bucket b = krl_bucket_full(&ten_per_s, 5 * S);

	take_all(&b, &ten_per_s, 5 * S);
	assert_int_equal(take_all(&b, &ten_per_s, 0), 0);
	assert_int_equal(take_all(&b, &ten_per_s, 4 * S), 0);
	assert_int_equal(krl_bucket_last_topup(&b), 5 * S);
	assert_int_equal(krl_bucket_next_fill_ns(&b, &ten_per_s, 4 * S), S);
	assert_int_equal(take_all(&b, &ten_per_s, 6 * S), 10);
}

static void an_interval_of_one_ns_fills_each_ns(void **state)
{
	const struct krl_settings s = { 5, 1, 1 };
	struct krl_bucket b = krl_bucket_full(&s, 100);

	take_all(&b, &s, 100);
	assert_int_equal(take_all(&b, &s, 101), 1);
	assert_int_equal(take_all(&b, &s, 104), 3);
	assert_int_equal(take_all(&b, &s, (1ULL << 62) - 1), 5);
	assert_int_equal(krl_bucket_last_topup(&b), (1ULL << 62) - 1);
}

static void the_longest_interval_never_fills(void **state)
{
	const struct krl_settings s = { 5, BIG, BIG };
	struct krl_bucket b = krl_bucket_full(&s, 0);

	assert_int_equal(take_all(&b, &s, 0), 5);
	assert_int_equal(take_all(&b, &s, BIG - 1), 0);
	assert_int_equal(krl_bucket_next_fill_ns(&b, &s, 1), BIG - 1);
}

static void a_clock_beyond_2_to_the_62_counts_as_the_last_moment_before(void **state)
{
	struct krl_bucket b = krl_bucket_full(&ten_per_s, UINT64_MAX);

	assert_int_equal(krl_bucket_last_topup(&b), (1ULL << 62) - 1);
	b = krl_bucket_full(&ten_per_s, 0);
	take_all(&b, &ten_per_s, 0);
	assert_int_equal(take_all(&b, &ten_per_s, UINT64_MAX), 10);
	assert_int_equal(take_all(&b, &ten_per_s, UINT64_MAX), 0);
	assert_int_equal(b.last_topup_ns & KRL_BUCKET_FLAGS, 0);
}

static void the_largest_bucket_does_not_wrap(void **state)
{
	const struct krl_settings s = { BIG, BIG, 1 };
	struct krl_bucket b = krl_bucket_full(&s, 0);

	assert_int_equal(krl_bucket_take(&b, &s, 0, BIG), 0);
	assert_int_equal(b.tokens, 0);
	assert_int_equal(krl_bucket_take(&b, &s, 0, 1), -KRL_EAGAIN);
	assert_int_equal(krl_bucket_take(&b, &s, 1, BIG), 0);
	assert_int_equal(krl_bucket_take(&b, &s, 1ULL << 61, 1), 0);
	assert_int_equal(b.tokens, BIG - 1);
}

static void debt_is_paid_by_fills_before_anything_is_given(void **state)
{
	struct krl_bucket b = { .last_topup_ns = 0, .tokens = -25 };

	assert_int_equal(krl_bucket_peek(&b, &ten_per_s, 0), -25);
	assert_int_equal(take_all(&b, &ten_per_s, 2 * S), 0);
	assert_int_equal(krl_bucket_peek(&b, &ten_per_s, 2 * S), -5);
	assert_int_equal(take_all(&b, &ten_per_s, 3 * S), 5);
}

static void the_deepest_debt_is_filled_exactly(void **state)
{
	const struct krl_settings s = { BIG, BIG, 10 };
	struct krl_bucket b = { .last_topup_ns = 0, .tokens = INT64_MIN };

	assert_int_equal(krl_bucket_peek(&b, &s, 10), -1);
	assert_int_equal(krl_bucket_peek(&b, &s, 20), BIG - 1);
	assert_int_equal(krl_bucket_peek(&b, &s, 30), BIG);
	b = (struct krl_bucket){ .last_topup_ns = 0, .tokens = INT64_MIN };
	assert_int_equal(krl_bucket_peek(&b, &s, 1ULL << 61), BIG);
	b = (struct krl_bucket){ .last_topup_ns = 0, .tokens = INT64_MIN };
	krl_bucket_give_back(&b, &s, BIG);
	assert_int_equal(b.tokens, -1);
}

static void smaller_settings_cap_the_tokens_that_are_there(void **state)
{
	const struct krl_settings three = { 3, 1, S };
	struct krl_bucket b = krl_bucket_full(&ten_per_s, 0);

	assert_int_equal(krl_bucket_peek(&b, &three, 0), 3);
	assert_int_equal(take_all(&b, &three, 0), 3);
	assert_int_equal(take_all(&b, &ten_per_s, 0), 0);
}

static void larger_settings_keep_the_tokens_and_fill_up_to_the_new_max(void **state)
{
	const struct krl_settings large = { 100, 50, S };
	struct krl_bucket b = krl_bucket_full(&ten_per_s, 0);

	assert_int_equal(krl_bucket_peek(&b, &large, 0), 10);
	assert_int_equal(krl_bucket_peek(&b, &large, S), 60);
	assert_int_equal(krl_bucket_peek(&b, &large, 2 * S), 100);
}

static void settings_that_change_between_take_and_give_back_cap_what_goes_back(void **state)
{
	const struct krl_settings three = { 3, 1, S };
	struct krl_bucket b = krl_bucket_full(&ten_per_s, 0);

	assert_int_equal(krl_bucket_take(&b, &ten_per_s, 0, 8), 0);
	krl_bucket_give_back(&b, &three, 8);
	assert_int_equal(b.tokens, 3);
	b = krl_bucket_full(&ten_per_s, 0);
	assert_int_equal(krl_bucket_take(&b, &ten_per_s, 0, 1), 0);
	krl_bucket_give_back(&b, &three, 1);
	assert_int_equal(b.tokens, 9);
}

static void give_back_undoes_a_take_but_never_lifts_over_max(void **state)
{
	struct krl_bucket b = krl_bucket_full(&ten_per_s, 0);

	assert_int_equal(krl_bucket_take(&b, &ten_per_s, 0, 4), 0);
	krl_bucket_give_back(&b, &ten_per_s, 4);
	assert_int_equal(b.tokens, 10);
	krl_bucket_give_back(&b, &ten_per_s, 4);
	assert_int_equal(b.tokens, 10);
	assert_int_equal(krl_bucket_take(&b, &ten_per_s, 0, 2), 0);
	krl_bucket_give_back(&b, &ten_per_s, UINT64_MAX);
	assert_int_equal(b.tokens, 10);
	assert_int_equal(b.last_topup_ns, 0);
}

static void the_next_fill_is_counted_from_the_last_one(void **state)
{
	struct krl_bucket b = krl_bucket_full(&ten_per_s, 0);

	assert_int_equal(krl_bucket_next_fill_ns(&b, &ten_per_s, 0), S);
	assert_int_equal(krl_bucket_next_fill_ns(&b, &ten_per_s, 400 * MS), 600 * MS);
	assert_int_equal(krl_bucket_next_fill_ns(&b, &ten_per_s, S - 1), 1);
	assert_int_equal(krl_bucket_next_fill_ns(&b, &ten_per_s, 5 * S), 1);
	b.last_topup_ns |= KRL_BUCKET_ADDING;
	assert_int_equal(krl_bucket_next_fill_ns(&b, &ten_per_s, 400 * MS), 600 * MS);
}

static void a_frozen_bucket_is_refilled_by_whoever_comes_next(void **state)
{
	struct krl_bucket b = { .last_topup_ns = KRL_BUCKET_FROZEN, .tokens = 0 };

	assert_int_equal(krl_bucket_take(&b, &ten_per_s, S, 1), 0);
	assert_int_equal(b.last_topup_ns, S);
	assert_int_equal(b.tokens, 9);
}

static void beside_a_stalled_adder_the_tokens_that_are_there_are_given(void **state)
{
	struct krl_bucket b = { .last_topup_ns = S | KRL_BUCKET_ADDING, .tokens = 4 };

	assert_int_equal(take_all(&b, &one_per_s_burst_10, 8 * S), 4);
	assert_int_equal(b.last_topup_ns, (8 * S) | KRL_BUCKET_ADDING);
	krl_bucket_add(&b, 6);
	assert_int_equal(take_all(&b, &one_per_s_burst_10, 8 * S), 6);
}

static void only_a_full_bucket_is_buried_and_then_gives_nothing(void **state)
{
	const struct krl_settings s = { .max_tokens = 10, .tokens_per_fill = 5, .fill_interval_ns = 100 };
	struct krl_bucket b = krl_bucket_full(&s, 1000);

	(void)state;
	assert_int_equal(krl_bucket_take(&b, &s, 1000, 1), 0);
	assert_int_equal(krl_bucket_bury(&b, &s, 1099), -KRL_EAGAIN);
	assert_false(krl_bucket_is_buried(&b));
	assert_int_equal(krl_bucket_take(&b, &s, 1099, 9), 0);
	assert_int_equal(krl_bucket_bury(&b, &s, 1100), -KRL_EAGAIN);
	assert_int_equal(krl_bucket_bury(&b, &s, 1200), 0);
	assert_true(krl_bucket_is_buried(&b));
	assert_int_equal(krl_bucket_bury(&b, &s, 1200), -KRL_EAGAIN);
	assert_int_equal(krl_bucket_take(&b, &s, 1200, 1), -KRL_EAGAIN);
	assert_int_equal(krl_bucket_take(&b, &s, 1ULL << 40, 1), -KRL_EAGAIN);
	assert_true(krl_bucket_is_buried(&b));
}

static void a_reset_fills_out_of_debt_and_begins_anew(void **state)
{
	struct krl_bucket b = krl_bucket_full(&ten_per_s, 0);
	__u64 added = 99;

	assert_int_equal(krl_bucket_reset(&b, &ten_per_s, 100 * MS, &added), 0);
	assert_int_equal(added, 0);
	take_all(&b, &ten_per_s, 200 * MS);
	krl_bucket_debit(&b, &ten_per_s, 300 * MS, 1000);
	assert_int_equal(krl_bucket_reset(&b, &ten_per_s, 900 * MS, &added), 0);
	assert_int_equal(added, 1010);
	assert_int_equal(take_all(&b, &ten_per_s, 1800 * MS), 10);
	assert_int_equal(take_all(&b, &ten_per_s, 1900 * MS), 10);
}

static void a_reset_moves_the_time_on_whatever_the_clock_says(void **state)
{
	struct krl_settings largest = { BIG, BIG, 1 };
	struct krl_bucket b = krl_bucket_full(&largest, 7 * S);
	__u64 added;

	b.tokens = -KRL_BUCKET_DEBT_MAX;
	assert_int_equal(krl_bucket_reset(&b, &largest, 5 * S, &added), 0);
	assert_int_equal(krl_bucket_last_topup(&b), 7 * S + 1);
	assert_int_equal(b.tokens, BIG);
	assert_true(added == (__u64)BIG + KRL_BUCKET_DEBT_MAX);
	assert_int_equal(krl_bucket_reset(&b, &largest, UINT64_MAX, &added), 0);
	assert_int_equal(krl_bucket_reset(&b, &largest, UINT64_MAX, &added), 0);
	assert_int_equal(b.last_topup_ns, KRL_BUCKET_TIME_MAX);
}

static void a_reset_leaves_what_is_buried_and_waits_for_who_adds(void **state)
{
	struct krl_bucket b = krl_bucket_full(&ten_per_s, 0);
	__u64 added;

	assert_int_equal(krl_bucket_bury(&b, &ten_per_s, 0), 0);
	assert_int_equal(krl_bucket_reset(&b, &ten_per_s, 0, &added), 0);
	assert_int_equal(added, 0);
	assert_true(krl_bucket_is_buried(&b));
	b = (struct krl_bucket){ .last_topup_ns = 5 * S | KRL_BUCKET_ADDING, .tokens = 3 };
	assert_int_equal(krl_bucket_reset(&b, &ten_per_s, 5 * S, &added), -KRL_EAGAIN);
	b = (struct krl_bucket){ .last_topup_ns = 5 * S | KRL_BUCKET_FROZEN, .tokens = 3 };
	assert_int_equal(krl_bucket_reset(&b, &ten_per_s, 6 * S, &added), 0);
	assert_int_equal(b.tokens, 10);
}

static void a_bucket_above_smaller_settings_is_full(void **state)
{
	const struct krl_settings large = { .max_tokens = 10, .tokens_per_fill = 1, .fill_interval_ns = 100 };
	const struct krl_settings small = { .max_tokens = 3, .tokens_per_fill = 1, .fill_interval_ns = 100 };
	struct krl_bucket b = krl_bucket_full(&large, 1000);

	(void)state;
	assert_int_equal(krl_bucket_bury(&b, &small, 1000), 0);
	assert_int_equal(krl_bucket_take(&b, &small, 1000, 1), -KRL_EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_bucket_is_full),
		cmocka_unit_test(refuses_when_empty_then_refills),
		cmocka_unit_test(a_refusal_takes_nothing),
		cmocka_unit_test(more_than_max_is_never_given),
		cmocka_unit_test(fills_fall_on_whole_intervals_of_the_first_moment),
		cmocka_unit_test(refills_stop_at_max_and_idle_time_is_not_saved_up),
		cmocka_unit_test(a_clock_that_stands_still_fills_nothing),
		cmocka_unit_test(a_clock_that_steps_back_fills_nothing_until_it_has_caught_up),
		cmocka_unit_test(an_interval_of_one_ns_fills_each_ns),
		cmocka_unit_test(the_longest_interval_never_fills),
		cmocka_unit_test(a_clock_beyond_2_to_the_62_counts_as_the_last_moment_before),
		cmocka_unit_test(the_largest_bucket_does_not_wrap),
		cmocka_unit_test(debt_is_paid_by_fills_before_anything_is_given),
		cmocka_unit_test(the_deepest_debt_is_filled_exactly),
		cmocka_unit_test(smaller_settings_cap_the_tokens_that_are_there),
		cmocka_unit_test(larger_settings_keep_the_tokens_and_fill_up_to_the_new_max),
		cmocka_unit_test(
			settings_that_change_between_take_and_give_back_cap_what_goes_back),
		cmocka_unit_test(give_back_undoes_a_take_but_never_lifts_over_max),
		cmocka_unit_test(the_next_fill_is_counted_from_the_last_one),
		cmocka_unit_test(a_frozen_bucket_is_refilled_by_whoever_comes_next),
		cmocka_unit_test(beside_a_stalled_adder_the_tokens_that_are_there_are_given),
		cmocka_unit_test(only_a_full_bucket_is_buried_and_then_gives_nothing),
		cmocka_unit_test(a_reset_fills_out_of_debt_and_begins_anew),
		cmocka_unit_test(a_reset_moves_the_time_on_whatever_the_clock_says),
		cmocka_unit_test(a_reset_leaves_what_is_buried_and_waits_for_who_adds),
		cmocka_unit_test(a_bucket_above_smaller_settings_is_full),
	};

	return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
