// SPDX-License-Identifier: Apache-2.0
/* Leases: the kernel's bucket, and the agent's account of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/cluster/lease.h"
#include "bpf/lib/lease.h"

static void a_new_one_has_its_credit(void **state)
{
	struct krl_bucket b = krl_lease_new(2);

	assert_int_equal(krl_lease_take(&b, 1ULL << 50, 1), 0);
	assert_int_equal(krl_lease_take(&b, 5, 1), 0);
	assert_int_equal(krl_lease_take(&b, 5, 1), -KRL_EAGAIN);
	assert_int_equal(krl_lease_available(&b, 5), 0);
}

static void none_is_taken_at_its_end(void **state)
{
	struct krl_bucket b = krl_lease_new(0);

	krl_lease_grant(&b, 3, 100);
	assert_int_equal(krl_lease_take(&b, 99, 1), 0);
	assert_int_equal(krl_lease_take(&b, 100, 1), -KRL_EAGAIN);
	assert_int_equal(krl_lease_available(&b, 100), 0);
	assert_int_equal(krl_lease_available(&b, 99), 2);
	krl_lease_grant(&b, 1, 200);
	assert_int_equal(krl_lease_take(&b, 199, 3), 0);
}

static void it_tells_once(void **state)
{
	struct krl_bucket b = krl_lease_new(1);

	assert_true(krl_lease_tell(&b, 0));
	assert_false(krl_lease_tell(&b, 0));
	krl_lease_grant(&b, 1, 100);
	assert_false(krl_lease_tell(&b, 0));
	assert_int_equal(krl_lease_end(krl_lease_untell(&b)), 100);
	assert_true(krl_lease_tell(&b, 0));
}

static void it_tells_once_more_of_a_refusal(void **state)
{
	struct krl_bucket b = krl_lease_new(1);

	assert_true(krl_lease_tell(&b, 0));
	assert_true(krl_lease_tell(&b, 1));
	assert_false(krl_lease_tell(&b, 1));
	assert_false(krl_lease_tell(&b, 0));
	krl_lease_untell(&b);
	assert_true(krl_lease_tell(&b, 1));
	assert_false(krl_lease_tell(&b, 0));
}

static void what_is_taken_out_is_there(void **state)
{
	struct krl_bucket b = krl_lease_new(0);

	krl_lease_grant(&b, 5, 100);
	assert_int_equal(krl_lease_take_out(&b, 3), 3);
	assert_int_equal(krl_lease_take_out(&b, 3), 2);
	assert_int_equal(krl_lease_take_out(&b, 3), 0);
	b.tokens = -4;
	assert_int_equal(krl_lease_take_out(&b, 3), 0);
	assert_int_equal(b.tokens, -4);
}

static void without_redis_it_is_an_ordinary_bucket(void **state)
{
	const struct krl_settings s = { 10, 1, 100 };
	struct krl_bucket b = krl_lease_new(1);

	krl_lease_grant(&b, 1, 500);
	krl_lease_to_local(&b, 1000);
	assert_int_equal(krl_bucket_take(&b, &s, 1000, 1), 0);
	assert_int_equal(krl_bucket_take(&b, &s, 1000, 1), 0);
	assert_int_equal(krl_bucket_take(&b, &s, 1099, 1), -KRL_EAGAIN);
	assert_int_equal(krl_bucket_take(&b, &s, 1100, 1), 0);
	/* Redis is back: nothing that it did not lend is given. */
	b.tokens = 7;
	assert_int_equal(krl_lease_take(&b, 1200, 1), -KRL_EAGAIN);
	assert_true(krl_lease_tell(&b, 0));
	assert_int_equal(krl_lease_end(krl_lease_untell(&b)), 0);
}

static void only_one_like_new_is_buried(void **state)
{
	struct krl_bucket b = krl_lease_new(1);

	assert_int_equal(krl_lease_take(&b, 5, 1), 0);
	assert_int_equal(krl_lease_bury(&b, 1), -KRL_EAGAIN);
	b = krl_lease_new(1);
	assert_true(krl_lease_tell(&b, 0));
	assert_int_equal(krl_lease_bury(&b, 1), -KRL_EAGAIN);
	krl_lease_untell(&b);
	assert_int_equal(krl_lease_bury(&b, 1), 0);
	assert_true(krl_bucket_is_buried(&b));
	assert_int_equal(krl_lease_take(&b, 5, 1), -KRL_EAGAIN);
}

static void credit_that_was_spent_is_debt(void **state)
{
	struct krl_lease_seen seen = { .tokens = 0, .endless = true };
	struct krl_lease l = { .asked = true };
	struct krl_lease_report report;

	assert_int_equal(krl_lease_begin(&l, &seen, 1), 0);
	assert_int_equal(krl_lease_look(&l, &seen, &report), 0);
	assert_int_equal(report.debt, 1);
	assert_int_equal(report.used, 0);
	/* One request is what the credit is for; who comes again wants more. */
	krl_lease_want(&l, 100, 1, &report);
	assert_int_equal(report.want, 0);
	krl_lease_granted(&l, 0, 1);
	l.asked = true;
	assert_int_equal(krl_lease_look(&l, &seen, &report), 0);
	assert_int_equal(report.debt, 1);
	krl_lease_want(&l, 100, 1, &report);
	assert_int_equal(report.want, 16);
	krl_lease_want(&l, 10, 1, &report);
	assert_int_equal(report.want, 10);
}

static void a_reservation_wants_all_that_it_needs(void **state)
{
	struct krl_lease_seen seen = { .tokens = 1 };
	struct krl_lease l = { .known = true };
	struct krl_lease_report report;

	krl_lease_granted(&l, 1, 0);
	krl_lease_asked(&l, 70);
	krl_lease_asked(&l, 100);
	krl_lease_asked(&l, 0);
	assert_int_equal(krl_lease_look(&l, &seen, &report), 0);
	krl_lease_want(&l, 1000, 0, &report);
	assert_int_equal(report.want, 199);
	krl_lease_asked(&l, 5000);
	assert_int_equal(krl_lease_look(&l, &seen, &report), 0);
	krl_lease_want(&l, 1000, 1, &report);
	assert_int_equal(report.want, 999);
}

static void what_was_leased_is_used_first(void **state)
{
	struct krl_lease_seen seen = { .tokens = 0 };
	struct krl_lease l = { .known = true, .asked = true };
	struct krl_lease_report report;

	krl_lease_granted(&l, 5, 0);
	seen.tokens = 2;
	assert_int_equal(krl_lease_look(&l, &seen, &report), 0);
	assert_int_equal(report.used, 3);
	assert_int_equal(l.leased, 2);
	/* Above what was leased: a debt of a model server's answer. */
	seen.tokens = -4;
	l.asked = true;
	assert_int_equal(krl_lease_look(&l, &seen, &report), 0);
	assert_int_equal(report.used, 2);
	assert_int_equal(report.debt, 4);
	assert_int_equal(l.leased, 0);
}

static void who_is_refused_wants_a_part_of_what_is_left(void **state)
{
	struct krl_lease_seen seen = { .tokens = 0 };
	struct krl_lease l = { .known = true, .left = 1000 };
	struct krl_lease_report report;

	krl_lease_asked(&l, 1);
	krl_lease_look(&l, &seen, &report);
	krl_lease_want(&l, 500, 1, &report);
	assert_int_equal(report.want, 250);
	/* What is more than enough of it goes back. */
	krl_lease_granted(&l, 250, 0);
	seen.tokens = 249;
	krl_lease_asked(&l, 0);
	assert_int_equal(krl_lease_look(&l, &seen, &report), 249 - 8);
}

static void what_nobody_uses_goes_back(void **state)
{
	struct krl_lease_seen seen = { .tokens = 5 };
	struct krl_lease l = { .known = true };
	struct krl_lease_report report;

	krl_lease_granted(&l, 5, 0);
	assert_int_equal(krl_lease_look(&l, &seen, &report), 5);
	krl_lease_taken_out(&l, 5, 4, false, &report);
	/* One was taken in between. */
	krl_lease_want(&l, 100, 0, &report);
	assert_int_equal(report.back, 4);
	assert_int_equal(report.used, 1);
	assert_int_equal(report.want, 0);
	assert_int_equal(l.leased, 0);
}

static void growth_is_of_what_was_taken(void **state)
{
	struct krl_lease_seen seen = { .tokens = 0 };
	struct krl_lease l = { .known = true };
	struct krl_lease_report report;
	int i;

	l.rate = 20;
	krl_lease_granted(&l, 20, 0);
	krl_lease_asked(&l, 1);
	krl_lease_look(&l, &seen, &report);
	krl_lease_want(&l, 10000, 0, &report);
	assert_int_equal(report.want, 320);
	/* One token a tick comes, and is gone: neither more nor less is wanted than before. */
	for (i = 0; i < 20; i++) {
		krl_lease_granted(&l, 1, 0);
		krl_lease_asked(&l, 1);
		krl_lease_look(&l, &seen, &report);
		krl_lease_want(&l, 10000, 0, &report);
		assert_int_equal(report.want, 320);
	}
}

static void the_next_burst_is_kept_while_there_are_more(void **state)
{
	struct krl_lease_seen seen = { .tokens = 0 };
	struct krl_lease l = { .known = true, .left = 1 };
	struct krl_lease_report report;
	int i;

	krl_lease_asked(&l, 1);
	assert_int_equal(krl_lease_look(&l, &seen, &report), 0);
	krl_lease_granted(&l, 4, 0);
	seen.tokens = 4;
	assert_int_equal(krl_lease_look(&l, &seen, &report), 2);
	krl_lease_taken_out(&l, 2, 2, false, &report);
	krl_lease_want(&l, 100, 0, &report);
	assert_int_equal(report.back, 2);
	assert_int_equal(report.used, 0);
	assert_int_equal(report.want, 0);
	assert_int_equal(l.leased, 2);
	seen.tokens = 2;
	for (i = 1; i < 30; i++)
		assert_int_equal(krl_lease_look(&l, &seen, &report), 0);
	assert_int_equal(krl_lease_look(&l, &seen, &report), 2);
}

static void what_others_want_goes_back(void **state)
{
	struct krl_lease_seen seen = { .tokens = 1 };
	struct krl_lease l = { .known = true, .unit = 1, .left = 1 };
	struct krl_lease_report report;

	krl_lease_granted(&l, 1, 0);
	assert_int_equal(krl_lease_look(&l, &seen, &report), 0);
	l.left = 0;
	assert_int_equal(krl_lease_look(&l, &seen, &report), 1);
	l.hungry = 2;
	assert_int_equal(krl_lease_look(&l, &seen, &report), 0);
	assert_int_equal(krl_lease_look(&l, &seen, &report), 1);
}

static void what_a_reservation_gave_back_goes_by_redis(void **state)
{
	struct krl_lease_seen seen = { .tokens = 7 };
	struct krl_lease l = { .known = true, .asked = true };
	struct krl_lease_report report;

	assert_int_equal(krl_lease_look(&l, &seen, &report), 7);
	krl_lease_taken_out(&l, 7, 6, false, &report);
	assert_int_equal(report.debt, -6);
	assert_int_equal(report.back, 0);
	assert_int_equal(l.base, 1);
}

static void of_an_agent_before_nothing_is_kept(void **state)
{
	struct krl_lease_seen seen = { .tokens = 9 };
	struct krl_lease_report report = { 0 };
	struct krl_lease l = { .asked = true };

	assert_int_equal(krl_lease_begin(&l, &seen, 1), 9);
	assert_true(l.asked);
	/* ... and its credit may have been spent. */
	krl_lease_want(&l, 10, 1, &report);
	assert_int_equal(report.debt, 1);
	seen.tokens = -3;
	assert_int_equal(krl_lease_begin(&l, &seen, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_one_has_its_credit),
		cmocka_unit_test(none_is_taken_at_its_end),
		cmocka_unit_test(it_tells_once),
		cmocka_unit_test(it_tells_once_more_of_a_refusal),
		cmocka_unit_test(what_is_taken_out_is_there),
		cmocka_unit_test(without_redis_it_is_an_ordinary_bucket),
		cmocka_unit_test(only_one_like_new_is_buried),
		cmocka_unit_test(credit_that_was_spent_is_debt),
		cmocka_unit_test(a_reservation_wants_all_that_it_needs),
		cmocka_unit_test(what_was_leased_is_used_first),
		cmocka_unit_test(who_is_refused_wants_a_part_of_what_is_left),
		cmocka_unit_test(what_nobody_uses_goes_back),
		cmocka_unit_test(growth_is_of_what_was_taken),
		cmocka_unit_test(the_next_burst_is_kept_while_there_are_more),
		cmocka_unit_test(what_others_want_goes_back),
		cmocka_unit_test(what_a_reservation_gave_back_goes_by_redis),
		cmocka_unit_test(of_an_agent_before_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
