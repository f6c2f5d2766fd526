// SPDX-License-Identifier: Apache-2.0
/* The bucket of maxConnections. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/lib/rule_bucket.h"

#define THREADS 8
#define ROUNDS 200000

static const struct krl_settings three = { 3, 1, INT64_MAX };

static void takes_up_to_the_limit_and_again_after_a_put(void **state)
{
	struct krl_bucket b = krl_gauge_new(7);
	int i;

	for (i = 3; i > 0; i--) {
		assert_int_equal(krl_gauge_available(&b, &three), i);
		assert_int_equal(krl_gauge_take(&b, &three), 0);
	}
	assert_int_equal(krl_gauge_take(&b, &three), -KRL_EAGAIN);
	assert_int_equal(krl_gauge_available(&b, &three), 0);
	krl_gauge_put(&b);
	assert_int_equal(krl_gauge_take(&b, &three), 0);
	assert_int_equal(krl_gauge_take(&b, &three), -KRL_EAGAIN);
}

static void holds_above_the_limit(void **state)
{
	struct krl_bucket b = krl_gauge_new(0);
	int i;

	for (i = 0; i < 5; i++)
		assert_int_equal(krl_gauge_hold(&b), 0);
	assert_int_equal(krl_gauge_available(&b, &three), -2);
	for (i = 0; i < 2; i++) {
		krl_gauge_put(&b);
		assert_int_equal(krl_gauge_take(&b, &three), -KRL_EAGAIN);
	}
	krl_gauge_put(&b);
	assert_int_equal(krl_gauge_take(&b, &three), 0);
}

static void the_largest_limit_takes(void **state)
{
	const struct krl_settings most = { INT64_MAX, 1, INT64_MAX };
	struct krl_bucket b = krl_gauge_new(0);

	assert_int_equal(krl_gauge_take(&b, &most), 0);
	assert_int_equal(krl_gauge_available(&b, &most), INT64_MAX - 1);
}

static void is_buried_with_none_open_alone(void **state)
{
	struct krl_bucket b = krl_gauge_new(0);

	krl_gauge_hold(&b);
	assert_int_equal(krl_gauge_bury(&b), -KRL_EAGAIN);
	krl_gauge_put(&b);
	assert_int_equal(krl_gauge_bury(&b), 0);
	assert_true(krl_bucket_is_buried(&b));
	assert_int_equal(krl_gauge_take(&b, &three), -KRL_EAGAIN);
	assert_int_equal(krl_gauge_hold(&b), -KRL_EAGAIN);
	assert_true(krl_bucket_is_buried(&b));
}

static void the_bucket_of_any_rule(void **state)
{
	struct krl_bucket gauge = krl_rule_bucket_new(&three, KRL_RULE_CONCURRENT, 0, 5);
	struct krl_bucket bucket = krl_rule_bucket_new(&three, 0, 0, 5);

	assert_int_equal(gauge.tokens, 0);
	assert_int_equal(bucket.tokens, 3);
	assert_int_equal(krl_rule_bucket_available(&gauge, &three, KRL_RULE_CONCURRENT, 6), 3);
	assert_int_equal(krl_rule_bucket_available(&bucket, &three, 0, 6), 3);
	assert_int_equal(krl_rule_bucket_bury(&gauge, &three, KRL_RULE_CONCURRENT, 0, 6), 0);
	assert_int_equal(krl_rule_bucket_bury(&bucket, &three, 0, 0, 6), 0);
}

struct shared {
	struct krl_bucket b;
	int64_t open, most;
	uint64_t taken;
};

static void *take_and_put(void *arg)
{
	struct shared *s = arg;
	int64_t open, most;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		if (krl_gauge_take(&s->b, &three))
			continue;
		open = __atomic_add_fetch(&s->open, 1, __ATOMIC_SEQ_CST);
		most = __atomic_load_n(&s->most, __ATOMIC_SEQ_CST);
		while (open > most && !__atomic_compare_exchange_n(&s->most, &most, open, false, __ATOMIC_SEQ_CST,
								   __ATOMIC_SEQ_CST))
			;
		__atomic_add_fetch(&s->taken, 1, __ATOMIC_SEQ_CST);
		__atomic_sub_fetch(&s->open, 1, __ATOMIC_SEQ_CST);
		krl_gauge_put(&s->b);
	}
	return NULL;
}

static void threads_never_have_more_than_the_limit_and_leave_none(void **state)
{
	struct shared s = { .b = krl_gauge_new(0) };
	pthread_t threads[THREADS];
	int i;

	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_put, &s), 0);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(s.most <= 3);
	assert_true(s.taken > 0);
	assert_int_equal(s.b.tokens, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_up_to_the_limit_and_again_after_a_put),
		cmocka_unit_test(holds_above_the_limit),
		cmocka_unit_test(the_largest_limit_takes),
		cmocka_unit_test(is_buried_with_none_open_alone),
		cmocka_unit_test(the_bucket_of_any_rule),
		cmocka_unit_test(threads_never_have_more_than_the_limit_and_leave_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
