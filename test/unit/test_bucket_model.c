// SPDX-License-Identifier: Apache-2.0
/* The token bucket against an exact reference: an eager bucket that is filled at every interval, in
 * 128-bit arithmetic. Long random runs, from a fixed list of seeds, must agree at every step, and
 * every window of a run must keep the bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/lib/bucket.h"

#define STEPS 4000
#define WINDOW_EVENTS 600

typedef __int128 wide;

struct reference {
	wide last, tokens;
};

static const uint64_t seeds[] = {
	1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597
};

static uint64_t next_random(uint64_t *rng)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return *rng * 0x2545f4914f6cdd1dULL;
}

/* Any magnitude is as likely as any other, and the ends of the range come up often. */
static uint64_t random_up_to(uint64_t *rng, uint64_t max)
{
	uint64_t r = next_random(rng) >> (next_random(rng) % 64);

	if (next_random(rng) % 16 == 0)
		return max - r % 3 % max;
	return r % max + 1;
}

static struct krl_settings random_settings(uint64_t *rng)
{
	return (struct krl_settings){
		.max_tokens = random_up_to(rng, INT64_MAX),
		.tokens_per_fill = random_up_to(rng, INT64_MAX),
		.fill_interval_ns = random_up_to(rng, INT64_MAX),
	};
}

static void reference_fill(struct reference *r, const struct krl_settings *s, wide now)
{
	wide fills;

	if (now < r->last)
		return;
	fills = (now - r->last) / s->fill_interval_ns;
	r->last += fills * s->fill_interval_ns;
	for (; fills > 0 && fills <= 64 && r->tokens < (wide)s->max_tokens; fills--) {
		r->tokens += s->tokens_per_fill;
		if (r->tokens > (wide)s->max_tokens)
			r->tokens = s->max_tokens;
	}
	if (fills > 64 && r->tokens < (wide)s->max_tokens) {
		r->tokens += fills * s->tokens_per_fill;
		if (r->tokens > (wide)s->max_tokens)
			r->tokens = s->max_tokens;
	}
}

static int reference_take(struct reference *r, const struct krl_settings *s, wide now, wide n)
{
	wide have;

	if (n > (wide)s->max_tokens)
		return -KRL_EAGAIN;
	reference_fill(r, s, now);
	have = r->tokens > (wide)s->max_tokens ? (wide)s->max_tokens : r->tokens;
	if (have < n)
		return -KRL_EAGAIN;
	r->tokens = have - n;
	return 0;
}

static void reference_give_back(struct reference *r, const struct krl_settings *s, wide n)
{
	wide before = r->tokens;

	r->tokens += n;
	if (r->tokens > (wide)s->max_tokens)
		r->tokens = before > (wide)s->max_tokens ? before : (wide)s->max_tokens;
}

/* Mostly small steps around the interval, some to anywhere, forward and back. */
static uint64_t random_clock(uint64_t *rng, uint64_t now, const struct krl_settings *s)
{
	uint64_t step = random_up_to(rng, (1ULL << 62) - 1);

	switch (next_random(rng) % 8) {
	case 0:
		return now > step ? now - step : 0;
	case 1:
		return next_random(rng) & ((1ULL << 62) - 1);
	case 2:
		return now;
	case 3:
		step = s->fill_interval_ns;
		break;
	default:
		step = next_random(rng) % s->fill_interval_ns + s->fill_interval_ns / 2;
	}
	return now + step < 1ULL << 62 ? now + step : now;
}

static void agrees_with_an_eager_bucket_for(uint64_t seed)
{
	uint64_t rng = seed * 0x9e3779b97f4a7c15ULL, now = 0, n;
	struct krl_settings s = random_settings(&rng);
	struct reference r = { .last = 0, .tokens = s.max_tokens };
	struct krl_bucket b = krl_bucket_full(&s, 0);
	int i;

	for (i = 0; i < STEPS; i++) {
		now = random_clock(&rng, now, &s);
		switch (next_random(&rng) % 16) {
		case 0:
			s = random_settings(&rng);
			break;
		case 1:
			n = random_up_to(&rng, s.max_tokens);
			krl_bucket_give_back(&b, &s, n);
			reference_give_back(&r, &s, n);
			break;
		case 2: /* a debit, into debt as deep as it goes */
			r.tokens = b.tokens = -(int64_t)random_up_to(&rng, INT64_MAX);
			break;
		case 3:
			now = 0;
			r = (struct reference){ .last = 0, .tokens = s.max_tokens };
			b = krl_bucket_full(&s, 0);
			break;
		default:
			n = next_random(&rng) % 4 ? s.max_tokens / (next_random(&rng) % 9 + 1) + 1
						  : random_up_to(&rng, INT64_MAX);
			assert_int_equal(krl_bucket_take(&b, &s, now, n),
					 reference_take(&r, &s, now, n));
		}
		assert_true(b.tokens == r.tokens);
		assert_true(b.last_topup_ns == r.last);
	}
}

static void agrees_with_an_eager_bucket(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(seeds) / sizeof(*seeds); i++)
		agrees_with_an_eager_bucket_for(seeds[i]);
}

struct event {
	uint64_t now_ns, taken;
};

static void keeps_the_bound_in_every_window_for(uint64_t seed)
{
	uint64_t rng = seed * 0x9e3779b97f4a7c15ULL, now = next_random(&rng) >> 20;
	struct krl_settings s = { next_random(&rng) % 20 + 1, next_random(&rng) % 8 + 1,
				  next_random(&rng) % 50 + 1 };
	struct krl_bucket b = krl_bucket_full(&s, now);
	struct event events[WINDOW_EVENTS];
	uint64_t n, admitted, full_windows = 0, bound;
	int i, j, k;

	for (i = 0; i < WINDOW_EVENTS; i++) {
		events[i] = (struct event){ .now_ns = now += next_random(&rng) % 5
								     ? next_random(&rng) % 3
								     : next_random(&rng) % 400 };
		for (k = 0; k < 40; k++) {
			n = next_random(&rng) % s.max_tokens + 1;
			if (!krl_bucket_take(&b, &s, now, k < 20 ? n : 1))
				events[i].taken += k < 20 ? n : 1;
		}
	}
	for (i = 0; i < WINDOW_EVENTS; i++) {
		for (j = i, admitted = 0; j < WINDOW_EVENTS; j++) {
			admitted += events[j].taken;
			bound = s.max_tokens +
				s.tokens_per_fill * ((events[j].now_ns - events[i].now_ns) /
							     s.fill_interval_ns +
						     1);
			assert_true(admitted <= bound);
			full_windows += admitted + s.tokens_per_fill >= bound;
		}
	}
	/* The load was high enough to press against the bound. */
	assert_true(full_windows > 0);
}

static void keeps_the_bound_in_every_window(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(seeds) / sizeof(*seeds); i++)
		keeps_the_bound_in_every_window_for(seeds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_an_eager_bucket),
		cmocka_unit_test(keeps_the_bound_in_every_window),
	};

	return cmocka_run_group_tests_name("bucket model", tests, NULL, NULL);
}
