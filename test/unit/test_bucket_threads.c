// SPDX-License-Identifier: Apache-2.0
/* The token bucket under real threads: what was admitted never passes the bound, tokens never
 * wraps. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bpf/lib/bucket.h"

#define THREADS 4
#define TAKES 100000
#define TICKS 1000

struct hammer {
	struct krl_bucket b;
	struct krl_settings s[2]; /* @which of them holds now */
	_Atomic int which;
	_Atomic uint64_t clock_ns;
	_Atomic uint64_t takes_done;
	_Atomic int started;
	void *(*taker)(void *taker);
	void (*meanwhile)(struct hammer *h);
	uint64_t resets;
	_Atomic uint64_t added;
};

struct taker {
	struct hammer *h;
	uint64_t admitted, n;
	int64_t least, most; /* tokens as seen in between */
	uint32_t (*windows)[TICKS + 1]; /* admitted by clock before and after */
};

static void take_once(struct taker *t)
{
	struct hammer *h = t->h;
	uint64_t before = h->clock_ns, after;
	int64_t tokens;

	if (!krl_bucket_take(&h->b, &h->s[h->which], before, t->n)) {
		t->admitted += t->n;
		after = h->clock_ns;
		if (t->windows)
			__atomic_fetch_add(&t->windows[before][after], t->n, __ATOMIC_RELAXED);
	}
	tokens = KRL_READ_ONCE(h->b.tokens);
	t->least = tokens < t->least ? tokens : t->least;
	t->most = tokens > t->most ? tokens : t->most;
	h->takes_done++;
}

static void begin_together(struct hammer *h)
{
	h->started++;
	while (h->started < THREADS)
		sched_yield();
}

static void *take_all(void *arg)
{
	struct taker *t = arg;
	int i;

	begin_together(t->h);
	for (i = 0; i < TAKES; i++)
		take_once(t);
	return NULL;
}

/* Every third request takes, is refused elsewhere, and gives back. */
static void *take_and_give_back(void *arg)
{
	struct taker *t = arg;
	uint64_t before;
	int i;

	begin_together(t->h);
	for (i = 0; i < TAKES; i++) {
		before = t->admitted;
		take_once(t);
		if (i % 3 == 0 && t->admitted > before) {
			krl_bucket_give_back(&t->h->b, &t->h->s[0], t->n);
			t->admitted = before;
		}
	}
	return NULL;
}

/* Hammer @h from all threads, each taking @n at a time; @windows may be NULL. Returns the tokens
 * admitted; checks that tokens stayed between 0, less what takes without comparing may borrow, and
 * the largest max_tokens. */
static uint64_t hammer(struct hammer *h, uint64_t n, uint32_t (*windows)[TICKS + 1])
{
	uint64_t admitted = 0, max = h->s[0].max_tokens;
	struct taker takers[THREADS];
	pthread_t threads[THREADS];
	int i;

	max = h->s[1].max_tokens > max ? h->s[1].max_tokens : max;
	for (i = 0; i < THREADS; i++) {
		takers[i] = (struct taker){
			.h = h, .n = n, .most = INT64_MIN, .least = INT64_MAX, .windows = windows
		};
		assert_int_equal(pthread_create(&threads[i], NULL, h->taker ? h->taker : take_all,
						&takers[i]),
				 0);
	}
	if (h->meanwhile)
		h->meanwhile(h);
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		admitted += takers[i].admitted;
		assert_true(takers[i].most <= (int64_t)max);
		assert_true(takers[i].least >= -(int64_t)(THREADS * KRL_BUCKET_BLIND_MAX));
	}
	assert_int_equal(h->b.last_topup_ns & KRL_BUCKET_FLAGS, 0);
	return admitted;
}

static struct hammer new_hammer(struct krl_settings s)
{
	return (struct hammer){ .b = krl_bucket_full(&s, 0), .s = { s, s } };
}

static void a_frozen_clock_admits_exactly_max(void **state)
{
	struct hammer h = new_hammer((struct krl_settings){ TAKES, 7, 1000 });

	assert_int_equal(hammer(&h, 1, NULL), TAKES);
	assert_true(h.b.tokens <= 0);
}

static void a_frozen_clock_never_divides_the_largest_bucket_twice(void **state)
{
	struct hammer h = new_hammer((struct krl_settings){ INT64_MAX, INT64_MAX, 1 });

	assert_int_equal(hammer(&h, 1ULL << 62, NULL), 1ULL << 62);
	assert_int_equal(h.b.tokens, (1ULL << 62) - 1);
}

static void what_is_given_back_is_admitted_once(void **state)
{
	struct hammer h = new_hammer((struct krl_settings){ TAKES, 7, 1000 });
	uint64_t admitted;

	h.taker = take_and_give_back;
	admitted = hammer(&h, 1, NULL);
	assert_true(admitted <= TAKES);
	assert_true((int64_t)admitted + h.b.tokens <= TAKES);
}

/* The second half waits until a reset has added something to what the first left empty. */
static void *take_beside_resets(void *arg)
{
	struct taker *t = arg;
	int i;

	begin_together(t->h);
	for (i = 0; i < TAKES; i++) {
		while (i == TAKES / 2 && !t->h->added)
			sched_yield();
		take_once(t);
	}
	return NULL;
}

/* Reset again and again, by a clock that stands still. */
static void reset_all_the_time(struct hammer *h)
{
	__u64 added;

	while (h->takes_done < THREADS * TAKES) {
		if (!krl_bucket_reset(&h->b, &h->s[0], 0, &added)) {
			h->added += added;
			h->resets++;
		}
		sched_yield();
	}
}

static void resets_add_what_they_say_and_at_most_max_each(void **state)
{
	struct hammer h = new_hammer((struct krl_settings){ 100, 7, INT64_MAX });
	uint64_t admitted;

	h.taker = take_beside_resets;
	h.meanwhile = reset_all_the_time;
	admitted = hammer(&h, 1, NULL);
	assert_true(admitted > 100);
	assert_true(admitted <= 100 * (h.resets + 1));
	/* Who took without comparing may have lost what was not put back. */
	assert_true((int64_t)admitted + h.b.tokens <= (int64_t)(100 + h.added));
}

/* Tick from 0 to TICKS, evenly over the takes. */
static void tick(struct hammer *h)
{
	uint64_t t;

	for (t = 1; t <= TICKS; t++) {
		while (h->takes_done < t * (THREADS * TAKES / (TICKS + 1)))
			sched_yield();
		h->clock_ns = t;
	}
}

/* Turn counts by (clock before, clock after) into counts of what lies within, and check each. */
static void check_windows(uint32_t (*w)[TICKS + 1], const struct krl_settings *s)
{
	uint64_t bound;
	int from, to;

	for (from = TICKS; from >= 0; from--) {
		for (to = from; to <= TICKS; to++) {
			if (to > from)
				w[from][to] += w[from][to - 1];
			if (from < to)
				w[from][to] +=
					w[from + 1][to] - (to - 1 > from ? w[from + 1][to - 1] : 0);
			bound = s->max_tokens +
				s->tokens_per_fill * ((to - from) / s->fill_interval_ns + 1);
			assert_true(w[from][to] <= bound);
		}
	}
}

static void a_clock_that_advances_keeps_the_bound_in_every_window(void **state)
{
	static const struct krl_settings settings[] = {
		{ 50, 3, 1 }, { 1, 1, 1 }, { 20, 20, 7 }, { 1000, 90, 64 }, { 100, 1, INT64_MAX },
	};
	size_t i;

	for (i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		uint32_t(*windows)[TICKS + 1] = calloc(TICKS + 1, sizeof(*windows));
		struct hammer h = new_hammer(settings[i]);

		assert_non_null(windows);
		h.meanwhile = tick;
		assert_true(hammer(&h, 1, windows) >= settings[i].max_tokens);
		check_windows(windows, &settings[i]);
		free(windows);
	}
}

/* Ten forward, seven back, up to TICKS. */
static void tick_forward_and_back(struct hammer *h)
{
	uint64_t t, steps = 0;

	for (t = 0; t + 10 <= TICKS; t += 3) {
		while (h->takes_done < steps * 100)
			sched_yield();
		h->clock_ns = t + 10;
		while (h->takes_done < steps * 100 + 50)
			sched_yield();
		h->clock_ns = t + 3;
		steps++;
	}
}

static void a_clock_that_jumps_back_keeps_the_bound(void **state)
{
	struct krl_settings s = { 30, 4, 5 };
	struct hammer h = new_hammer(s);
	uint64_t admitted;

	h.meanwhile = tick_forward_and_back;
	admitted = hammer(&h, 1, NULL);
	assert_true(admitted <= 30 + 4 * (TICKS / 5 + 1));
	assert_true(admitted >= 30);
	assert_true(h.b.last_topup_ns <= TICKS);
}

static void swap_settings(struct hammer *h)
{
	while (h->takes_done < THREADS * TAKES) {
		h->which = !h->which;
		sched_yield();
	}
}

static void settings_that_swap_with_a_frozen_clock_admit_no_more_than_was_there(void **state)
{
	struct hammer h = new_hammer((struct krl_settings){ TAKES, 1000, 10 });

	h.s[1] = (struct krl_settings){ TAKES - 5, 1, 1000 };
	h.meanwhile = swap_settings;
	assert_true(hammer(&h, 1, NULL) <= TAKES);
}

static void swap_settings_and_tick(struct hammer *h)
{
	while (h->takes_done < THREADS * TAKES) {
		h->which = !h->which;
		h->clock_ns = h->takes_done / (THREADS * TAKES / TICKS);
		sched_yield();
	}
}

static void settings_that_swap_under_a_clock_keep_the_bound_of_the_larger(void **state)
{
	struct hammer h = new_hammer((struct krl_settings){ 40, 8, 10 });

	h.s[1] = (struct krl_settings){ 500, 1, 2 };
	h.meanwhile = swap_settings_and_tick;
	assert_true(hammer(&h, 1, NULL) <= 500 + 8 * (TICKS + 10) / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frozen_clock_admits_exactly_max),
		cmocka_unit_test(a_frozen_clock_never_divides_the_largest_bucket_twice),
		cmocka_unit_test(what_is_given_back_is_admitted_once),
		cmocka_unit_test(resets_add_what_they_say_and_at_most_max_each),
		cmocka_unit_test(a_clock_that_advances_keeps_the_bound_in_every_window),
		cmocka_unit_test(a_clock_that_jumps_back_keeps_the_bound),
		cmocka_unit_test(
			settings_that_swap_with_a_frozen_clock_admit_no_more_than_was_there),
		cmocka_unit_test(settings_that_swap_under_a_clock_keep_the_bound_of_the_larger),
	};

	return cmocka_run_group_tests_name("bucket threads", tests, NULL, NULL);
}
