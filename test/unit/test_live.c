// SPDX-License-Identifier: Apache-2.0
/* The bucket of one request, found among rows of krl_buckets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/datapath/live.h"
#include "bpf/lib/bucket.h"

#define S 1000000000ULL

static const struct krl_settings ten_per_minute = { 10, 10, 60 * S };

/* The bucket of rule @rule_id with descriptor @value, anywhere. */
static struct krl_live_bucket ask(__u32 rule_id, __u64 value)
{
	return (struct krl_live_bucket){ .rule_id = rule_id, .settings = ten_per_minute,
					 .descriptor = { value, value + 1 }, .anywhere = true };
}

static struct krl_bucket_key key_of(__u32 rule_id, __u64 value, __u8 last_byte, __u16 port)
{
	return (struct krl_bucket_key){ .netns_cookie = 1, .addr = { [15] = last_byte },
					.port = port, .rule_id = rule_id,
					.descriptor = { value, value + 1 } };
}

static void count(struct krl_live_bucket *buckets, size_t n, struct krl_bucket_key key,
		  __s64 tokens, __u64 now_ns)
{
	struct krl_bucket bucket = { .last_topup_ns = S, .tokens = tokens };

	krl_live_count(buckets, n, &key, &bucket, now_ns);
	assert_int_equal(bucket.tokens, tokens);
}

static void a_bucket_is_of_its_rule_and_value(void **state)
{
	struct krl_live_bucket buckets[] = { ask(3, 100), ask(7, 100), ask(9, 0) };

	count(buckets, 3, key_of(7, 100, 1, 80), 4, S);
	count(buckets, 3, key_of(7, 200, 1, 80), 1, S);
	count(buckets, 3, key_of(5, 100, 1, 80), 2, S);
	count(buckets, 3, key_of(9, 0, 1, 80), -3, S);
	count(buckets, 0, key_of(9, 0, 1, 80), 0, S);
	assert_false(buckets[0].found);
	assert_true(buckets[1].found);
	assert_int_equal(buckets[1].available, 4);
	assert_true(buckets[2].found);
	assert_int_equal(buckets[2].available, -3);
}

static void half_a_descriptor_is_another(void **state)
{
	struct krl_live_bucket bucket = ask(3, 100);
	struct krl_bucket_key key = key_of(3, 100, 1, 80);

	key.descriptor[1]++;
	count(&bucket, 1, key, 4, S);
	assert_false(bucket.found);
}

static void a_bucket_is_of_the_endpoint_that_is_asked_for(void **state)
{
	struct krl_live_bucket bucket = ask(3, 100);

	bucket.anywhere = false;
	bucket.at = (struct krl_endpoint_key){ .addr = { [15] = 2 }, .port = 80 };
	count(&bucket, 1, key_of(3, 100, 1, 80), 1, S);
	count(&bucket, 1, key_of(3, 100, 2, 81), 1, S);
	assert_false(bucket.found);
	count(&bucket, 1, key_of(3, 100, 2, 80), 5, S);
	assert_int_equal(bucket.available, 5);
}

static void of_several_it_is_the_emptiest_as_of_now(void **state)
{
	struct krl_live_bucket bucket = ask(3, 100);

	count(&bucket, 1, key_of(3, 100, 1, 80), 7, S);
	count(&bucket, 1, key_of(3, 100, 2, 80), 5, S);
	count(&bucket, 1, key_of(3, 100, 3, 80), 6, S);
	assert_int_equal(bucket.available, 5);
	bucket.found = false;
	count(&bucket, 1, key_of(3, 100, 1, 80), -4, 61 * S);
	assert_int_equal(bucket.available, 6);
}

static void a_bucket_that_is_about_to_be_removed_is_none(void **state)
{
	struct krl_live_bucket bucket = ask(3, 100);

	count(&bucket, 1, key_of(3, 100, 1, 80), KRL_BUCKET_BURIED, S);
	assert_false(bucket.found);
}

static void nothing_pinned_is_told_apart(void **state)
{
	struct krl_live_bucket bucket = ask(3, 100);
	__u64 key[2] = { 1, 2 };

	assert_int_equal(krl_live_hash_key("/proc/self/nothing-here", key), -ENOENT);
	assert_int_equal(key[0], 1);
	assert_int_equal(krl_live_read("/proc/self/nothing-here", &bucket, 1), -ENOENT);
	assert_int_equal(krl_live_read("/proc/self/nothing-here", NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_is_of_its_rule_and_value),
		cmocka_unit_test(half_a_descriptor_is_another),
		cmocka_unit_test(a_bucket_is_of_the_endpoint_that_is_asked_for),
		cmocka_unit_test(of_several_it_is_the_emptiest_as_of_now),
		cmocka_unit_test(a_bucket_that_is_about_to_be_removed_is_none),
		cmocka_unit_test(nothing_pinned_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
