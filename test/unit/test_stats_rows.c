// SPDX-License-Identifier: Apache-2.0
/* Statistics from rows of maps, without a kernel. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/datapath/stats.h"
#include "bpf/lib/bucket.h"

#define S 1000000000ULL

static const struct krl_settings ten_per_minute = { 10, 10, 60 * S };

static struct krl_stats_row row_of(__u32 slot, __u32 id)
{
	return (struct krl_stats_row){ .slot = slot, .id = id, .settings = ten_per_minute,
				       .available = 10 };
}

static void count(struct krl_stats *stats, __u32 rule_id, __s64 tokens, __u64 now_ns)
{
	struct krl_bucket_key key = { .rule_id = rule_id };
	struct krl_bucket bucket = { .last_topup_ns = S, .tokens = tokens };

	krl_stats_count_bucket(stats, &key, &bucket, now_ns);
	assert_int_equal(bucket.tokens, tokens);
}

static void the_emptiest_bucket_of_a_rule_is_what_is_available(void **state)
{
	struct krl_stats_row rows[] = { row_of(0, 9), row_of(1, 4) };
	struct krl_stats stats = { .rows = rows, .count = 2 };

	krl_stats_sort_by_id(&stats);
	assert_int_equal(rows[0].id, 4);
	count(&stats, 9, 7, S);
	count(&stats, 9, 3, S);
	count(&stats, 9, 8, S);
	assert_int_equal(rows[1].available, 3);
	assert_int_equal(rows[1].bucket_count, 3);
	assert_int_equal(rows[0].available, 10);
	assert_int_equal(rows[0].bucket_count, 0);
}

static void a_bucket_is_shown_as_of_now(void **state)
{
	struct krl_stats_row row = row_of(0, 1);
	struct krl_stats stats = { .rows = &row, .count = 1 };

	count(&stats, 1, 0, 61 * S);
	assert_int_equal(row.available, 10);
	count(&stats, 1, -15, 61 * S);
	assert_int_equal(row.available, -5);
	count(&stats, 1, 2, 61 * S - 1);
	assert_int_equal(row.available, -5);
}

static void tokens_of_larger_settings_are_capped(void **state)
{
	struct krl_stats_row row = row_of(0, 1);
	struct krl_stats stats = { .rows = &row, .count = 1 };

	row.available = INT64_MAX;
	count(&stats, 1, 5000, S);
	assert_int_equal(row.available, 10);
}

/* An overflow bucket is there from the start: full, it says nothing. */
static void an_overflow_bucket_counts_once_it_is_used(void **state)
{
	struct krl_stats_row row = row_of(0, 1);
	struct krl_bucket overflow = { .last_topup_ns = S, .tokens = 10 };

	krl_stats_count_overflow(&row, &overflow, S);
	assert_int_equal(row.available, 10);
	assert_int_equal(row.bucket_count, 0);
	overflow.tokens = 4;
	krl_stats_count_overflow(&row, &overflow, S);
	assert_int_equal(row.available, 4);
	assert_int_equal(row.bucket_count, 1);
	row.available = 3;
	krl_stats_count_overflow(&row, &overflow, 2 * S);
	assert_int_equal(row.available, 3);
	krl_stats_count_overflow(&row, &overflow, 61 * S);
	assert_int_equal(row.bucket_count, 2);
	assert_int_equal(overflow.tokens, 4);
}

static void a_bucket_that_is_about_to_be_removed_is_none(void **state)
{
	struct krl_stats_row row = row_of(0, 1);
	struct krl_stats stats = { .rows = &row, .count = 1 };

	count(&stats, 1, KRL_BUCKET_BURIED, 61 * S);
	assert_int_equal(row.available, 10);
	assert_int_equal(row.bucket_count, 0);
}

static void buckets_of_no_rule_are_passed_over(void **state)
{
	struct krl_stats_row row = row_of(0, 5);
	struct krl_stats stats = { .rows = &row, .count = 1 }, none = {};

	count(&stats, 6, 0, S);
	assert_int_equal(row.available, 10);
	assert_int_equal(row.bucket_count, 0);
	count(&none, 5, 0, S);
}

static void a_reference_counts_if_row_and_id_fit(void **state)
{
	struct krl_stats_row rows[] = { row_of(3, 7), row_of(4, 8) };
	struct krl_stats stats = { .rows = rows, .count = 2 };
	struct krl_endpoint endpoint = { .rule_count = 2, .rules = { { .slot = 3, .id = 7 }, { .slot = 4, .id = 6 } } };

	krl_stats_count_endpoint(&stats, &endpoint);
	endpoint.rules[0].slot = 4;
	krl_stats_count_endpoint(&stats, &endpoint);
	assert_int_equal(rows[0].endpoint_count, 1);
	assert_int_equal(rows[1].endpoint_count, 0);
	endpoint.rule_count = UINT32_MAX;
	krl_stats_count_endpoint(&stats, &endpoint);
}

static void name_row(struct krl_stats_row *row, const char *ns, const char *name, const char *service,
		     const char *rule)
{
	strcpy(row->info.ns, ns);
	strcpy(row->info.name, name);
	strcpy(row->info.service, service);
	strcpy(row->info.rule, rule);
}

static void rows_are_sorted_by_namespace_name_service_rule(void **state)
{
	static struct krl_stats_row rows[5];
	struct krl_stats stats = { .rows = rows, .count = 5 };
	__u32 i;

	name_row(&rows[0], "b", "a", "a", "a");
	name_row(&rows[1], "a", "b", "a", "a");
	name_row(&rows[2], "a", "a", "b", "a");
	name_row(&rows[3], "a", "a", "a", "b");
	name_row(&rows[4], "a", "a", "a", "a");
	for (i = 0; i < 5; i++)
		rows[i].id = 5 - i;
	krl_stats_sort_by_name(&stats);
	for (i = 0; i < 5; i++)
		assert_int_equal(rows[i].id, i + 1);
}

static void a_free_row_is_none(void **state)
{
	struct krl_rule row = { .seq = 4 }, copy = { .id = 99 };

	assert_int_equal(krl_stats_copy_rule(&row, &copy), -ENOENT);
	assert_int_equal(copy.id, 99);
}

static void a_row_left_half_written_is_given_up(void **state)
{
	struct krl_rule row = { .seq = 5, .id = 1 }, copy = { .id = 99 };

	assert_int_equal(krl_stats_copy_rule(&row, &copy), -EAGAIN);
	assert_int_equal(copy.id, 99);
}

struct writer {
	struct krl_rule row;
	bool stop;
};

/* As the agent writes: every field of one state is the same number. */
static void *write_rows(void *arg)
{
	struct writer *w = arg;
	__u64 n = 0;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		n = n % 1000000 + 1;
		__atomic_store_n(&w->row.seq, w->row.seq + 1, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		w->row.id = (__u32)n;
		w->row.settings = (struct krl_settings){ n, n, n };
		__atomic_store_n(&w->row.seq, w->row.seq + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void a_row_is_never_seen_half_written(void **state)
{
	static struct writer w = { .row = { .id = 1, .settings = { 1, 1, 1 } } };
	struct krl_rule copy;
	pthread_t thread;
	int seen = 0;

	assert_int_equal(pthread_create(&thread, NULL, write_rows, &w), 0);
	while (seen < 100000) {
		if (krl_stats_copy_rule(&w.row, &copy))
			continue;
		if (copy.settings.max_tokens != copy.id || copy.settings.tokens_per_fill != copy.id ||
		    copy.settings.fill_interval_ns != copy.id)
			break;
		seen++;
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(seen, 100000);
}

static void nothing_pinned_is_told_apart(void **state)
{
	struct krl_stats stats = { .count = 99 };

	assert_int_equal(krl_stats_read("/proc/self/nothing-here", &stats), -ENOENT);
	assert_int_equal(stats.count, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_emptiest_bucket_of_a_rule_is_what_is_available),
		cmocka_unit_test(a_bucket_is_shown_as_of_now),
		cmocka_unit_test(tokens_of_larger_settings_are_capped),
		cmocka_unit_test(an_overflow_bucket_counts_once_it_is_used),
		cmocka_unit_test(a_bucket_that_is_about_to_be_removed_is_none),
		cmocka_unit_test(buckets_of_no_rule_are_passed_over),
		cmocka_unit_test(a_reference_counts_if_row_and_id_fit),
		cmocka_unit_test(rows_are_sorted_by_namespace_name_service_rule),
		cmocka_unit_test(a_free_row_is_none),
		cmocka_unit_test(a_row_left_half_written_is_given_up),
		cmocka_unit_test(a_row_is_never_seen_half_written),
		cmocka_unit_test(nothing_pinned_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
