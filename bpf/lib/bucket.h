/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The token bucket: lock-free, exact on any number of CPUs, with the time as an argument.
 *
 * Guarantee: in any window of length T a bucket gives at most
 * max_tokens + tokens_per_fill * (T / fill_interval + 1) tokens, and tokens never exceeds max_tokens
 * by a refill. The proof is in docs/architecture.md "The bucket"; in short:
 *  - whoever sets KRL_BUCKET_REFILLING with a compare-and-swap owns the refill; nobody else adds
 *    refill tokens until the owner clears it by moving last_topup_ns on by whole intervals;
 *  - the owner reads tokens while it owns the refill, so what it adds is at most what an ideal bucket
 *    would have added at that moment: others can only have taken since.
 * Nobody ever waits for the owner: while it works, others see the tokens that are there.
 */
#ifndef KMESH_RL_BUCKET_H
#define KMESH_RL_BUCKET_H

#include <kmesh_rl/abi.h>

#include "compiler.h"

#define KRL_BUCKET_REFILLING (1ULL << 63)
#define KRL_BUCKET_TRIES 16

#ifndef KRL_EAGAIN
#define KRL_EAGAIN 11
#endif

static __always_inline struct krl_bucket krl_bucket_full(const struct krl_settings *s, __u64 now_ns)
{
	return (struct krl_bucket){ .last_topup_ns = now_ns & ~KRL_BUCKET_REFILLING,
				    .tokens = (__s64)s->max_tokens };
}

/* CLOCK_BOOTTIME in ns of the last fill that was credited. */
static __always_inline __u64 krl_bucket_last_topup(const struct krl_bucket *b)
{
	return KRL_READ_ONCE(b->last_topup_ns) & ~KRL_BUCKET_REFILLING;
}

/* Tokens that @intervals fills add to @tokens, capped at max_tokens: exact for every input. */
static __always_inline __u64 krl_bucket_credit(const struct krl_settings *s, __s64 tokens,
					       __u64 intervals)
{
	__u64 room;

	if (tokens >= (__s64)s->max_tokens)
		return 0;
	room = s->max_tokens - (__u64)tokens;
	return intervals > room / s->tokens_per_fill ? room : intervals * s->tokens_per_fill;
}

/* Credit the whole intervals that passed since the last fill. A clock that stands still or steps
 * back credits nothing. Returns 1 while another CPU is about to credit, else 0. */
static __always_inline int krl_bucket_refill(struct krl_bucket *b, const struct krl_settings *s,
					     __u64 now_ns)
{
	__u64 last = KRL_READ_ONCE(b->last_topup_ns);
	__u64 intervals, credit;

	if (last & KRL_BUCKET_REFILLING)
		return 1;
	if (now_ns <= last || now_ns - last < s->fill_interval_ns)
		return 0;
	if (__sync_val_compare_and_swap(&b->last_topup_ns, last, last | KRL_BUCKET_REFILLING) != last)
		return 1;
	intervals = (now_ns - last) / s->fill_interval_ns;
	credit = krl_bucket_credit(s, KRL_READ_ONCE(b->tokens), intervals);
	if (credit)
		__sync_fetch_and_add(&b->tokens, (__s64)credit);
	__sync_val_compare_and_swap(&b->last_topup_ns, last | KRL_BUCKET_REFILLING,
				    last + intervals * s->fill_interval_ns);
	return 0;
}

/* Tokens that are there now, at most max_tokens; negative in debt. Takes nothing, refills first. */
static __always_inline __s64 krl_bucket_peek(struct krl_bucket *b, const struct krl_settings *s,
					     __u64 now_ns)
{
	__s64 tokens;

	krl_bucket_refill(b, s, now_ns);
	tokens = KRL_READ_ONCE(b->tokens);
	return tokens > (__s64)s->max_tokens ? (__s64)s->max_tokens : tokens;
}

/* Refill @b up to @now_ns, then take @n tokens (1 .. 2^63-1). Tokens above max_tokens, left over
 * from larger settings, are not given. Returns 0 taken, -KRL_EAGAIN over the limit. */
static __always_inline int krl_bucket_take(struct krl_bucket *b, const struct krl_settings *s,
					   __u64 now_ns, __u64 n)
{
	__s64 seen, have;
	int busy, i;

	if (n > s->max_tokens)
		return -KRL_EAGAIN;
	for (i = 0; i < KRL_BUCKET_TRIES; i++) {
		busy = krl_bucket_refill(b, s, now_ns);
		seen = KRL_READ_ONCE(b->tokens);
		have = seen > (__s64)s->max_tokens ? (__s64)s->max_tokens : seen;
		if (have < (__s64)n) {
			if (busy)
				continue;
			return -KRL_EAGAIN;
		}
		if (__sync_val_compare_and_swap(&b->tokens, seen, have - (__s64)n) == seen)
			return 0;
	}
	/* Lost to other takers every time: the tokens are there, so take without comparing. */
	seen = __sync_fetch_and_add(&b->tokens, -(__s64)n);
	if (seen >= (__s64)n && seen <= (__s64)s->max_tokens)
		return 0;
	__sync_fetch_and_add(&b->tokens, (__s64)n);
	return -KRL_EAGAIN;
}

/* Put back @n tokens that a take of the same moment took, because another bucket of the same request
 * refused. Never lifts the bucket above max_tokens. */
static __always_inline void krl_bucket_give_back(struct krl_bucket *b, const struct krl_settings *s,
						 __u64 n)
{
	__s64 seen;
	__u64 back;
	int i;

	for (i = 0; i < KRL_BUCKET_TRIES; i++) {
		seen = KRL_READ_ONCE(b->tokens);
		back = seen >= (__s64)s->max_tokens ? 0 : s->max_tokens - (__u64)seen;
		if (back > n)
			back = n;
		if (!back ||
		    __sync_val_compare_and_swap(&b->tokens, seen, seen + (__s64)back) == seen)
			return;
	}
}

/* ns until the next fill, from @now_ns; at least 1, at most fill_interval_ns. */
static __always_inline __u64 krl_bucket_next_fill_ns(const struct krl_bucket *b,
						     const struct krl_settings *s, __u64 now_ns)
{
	__u64 last = krl_bucket_last_topup(b);
	__u64 passed = now_ns > last ? now_ns - last : 0;

	return passed < s->fill_interval_ns ? s->fill_interval_ns - passed : 1;
}

#endif
