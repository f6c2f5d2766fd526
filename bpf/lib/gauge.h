/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The bucket of maxConnections: how many are open, not how many may be. It is never filled by time, and a limit that
 * is changed needs no change here.
 *
 * Guarantee: of connections that were taken, and not yet put back, there are at most max_tokens, whatever the number of
 * CPUs; those of krl_gauge_hold() come on top. tokens is the number of them, negative: 0 with none open. */
#ifndef KMESH_RL_GAUGE_H
#define KMESH_RL_GAUGE_H

#include "bucket.h"

static __always_inline struct krl_bucket krl_gauge_new(__u64 now_ns)
{
	return (struct krl_bucket){ .last_topup_ns = krl_bucket_clock(now_ns) };
}

/* Does one fit, when tokens is @tokens? A bucket that is buried has no room. */
static __always_inline int krl_gauge_fits(const struct krl_settings *s, __s64 tokens)
{
	return tokens > KRL_BUCKET_BURIED_MAX && (tokens >= 0 || (__u64)-tokens < s->max_tokens);
}

/* Count one more. Returns 0, or -KRL_EAGAIN with max_tokens open. */
static __always_inline int krl_gauge_take(struct krl_bucket *b, const struct krl_settings *s)
{
	__s64 seen;
	int i;

	for (i = 0; i < KRL_BUCKET_TRIES; i++) {
		seen = KRL_READ_ONCE(b->tokens);
		if (!krl_gauge_fits(s, seen))
			return -KRL_EAGAIN;
		if (__sync_val_compare_and_swap(&b->tokens, seen, seen - 1) == seen)
			return 0;
	}
	/* Lost to others: count without comparing. Who sees room has it, since every other one is counted. */
	seen = __sync_fetch_and_add(&b->tokens, -1);
	if (krl_gauge_fits(s, seen))
		return 0;
	seen = __sync_fetch_and_add(&b->tokens, 1);
	KRL_OPAQUE(seen);
	return -KRL_EAGAIN;
}

/* Count one more, above max_tokens too. Returns 0, or -KRL_EAGAIN when the bucket is buried. */
static __always_inline int krl_gauge_hold(struct krl_bucket *b)
{
	__s64 seen = __sync_fetch_and_add(&b->tokens, -1);

	return seen <= KRL_BUCKET_BURIED_MAX ? -KRL_EAGAIN : 0;
}

/* Count one less, of those that were taken or held. */
static __always_inline void krl_gauge_put(struct krl_bucket *b)
{
	__s64 was = __sync_fetch_and_add(&b->tokens, 1);

	KRL_OPAQUE(was);
}

/* How many more fit; negative above the limit. */
static __always_inline __s64 krl_gauge_available(const struct krl_bucket *b, const struct krl_settings *s)
{
	return (__s64)s->max_tokens + KRL_READ_ONCE(b->tokens);
}

/* As krl_bucket_bury(), if none is open. */
static __always_inline int krl_gauge_bury(struct krl_bucket *b)
{
	return __sync_val_compare_and_swap(&b->tokens, 0, KRL_BUCKET_BURIED) ? -KRL_EAGAIN : 0;
}

#endif
