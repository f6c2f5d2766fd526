/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The token bucket: lock-free, exact on any number of CPUs, with the time as an argument.
 *
 * Guarantee: in any window of length T a bucket gives at most
 * max_tokens + tokens_per_fill * (T / fill_interval + 1) tokens. docs/bucket.md has the exact
 * statement and the proof; it rests on three rules:
 *  - tokens are added only while KRL_BUCKET_ADDING is set, by the one CPU that set it, and no more
 *    than the room that was left when it did;
 *  - the time of a refill is moved on in the same step that sets KRL_BUCKET_ADDING, so whoever does
 *    not get to do it adds nothing, however late it comes back;
 *  - nobody takes before last_topup_ns has caught up with his own clock.
 * Nobody waits for a CPU that has stalled: the tokens that are there go on being given.
 */
#ifndef KMESH_RL_BUCKET_H
#define KMESH_RL_BUCKET_H

#include <kmesh_rl/abi.h>

#include "compiler.h"

/* Flags above the time in last_topup_ns, never both. FROZEN: a refill from this fill is being
 * worked out, by any number of CPUs, and nobody adds until one of them publishes it. ADDING: one
 * CPU is about to add. The time left, 2^62 ns, is 146 years; later clocks count as that. */
#define KRL_BUCKET_FROZEN (1ULL << 63)
#define KRL_BUCKET_ADDING (1ULL << 62)
#define KRL_BUCKET_FLAGS (KRL_BUCKET_FROZEN | KRL_BUCKET_ADDING)
#define KRL_BUCKET_TIME_MAX (KRL_BUCKET_ADDING - 1)

/* Rounds before a taker gives up, and before it stops waiting for a CPU that adds. A CPU that runs
 * is done long before: the rounds pull the cache line from it and so last as long as its own steps.
 */
#define KRL_BUCKET_TRIES 16
#define KRL_BUCKET_PATIENCE 12

/* The most that is taken without comparing, so that no number of CPUs can wrap tokens by it. */
#define KRL_BUCKET_BLIND_MAX (1ULL << 20)

#ifndef KRL_EAGAIN
#define KRL_EAGAIN 11
#endif

static __always_inline __u64 krl_bucket_clock(__u64 now_ns)
{
	return now_ns > KRL_BUCKET_TIME_MAX ? KRL_BUCKET_TIME_MAX : now_ns;
}

static __always_inline struct krl_bucket krl_bucket_full(const struct krl_settings *s, __u64 now_ns)
{
	return (struct krl_bucket){ .last_topup_ns = krl_bucket_clock(now_ns),
				    .tokens = (__s64)s->max_tokens };
}

/* CLOCK_BOOTTIME in ns of the last fill that was credited. */
static __always_inline __u64 krl_bucket_last_topup(const struct krl_bucket *b)
{
	return KRL_READ_ONCE(b->last_topup_ns) & KRL_BUCKET_TIME_MAX;
}

/* Whole fills that are due since the time in @word; 0 for a clock that stands still or is back. */
static __always_inline __u64 krl_bucket_due(__u64 word, const struct krl_settings *s, __u64 now_ns)
{
	__u64 last = word & KRL_BUCKET_TIME_MAX;

	if (now_ns <= last || now_ns - last < s->fill_interval_ns)
		return 0;
	return (now_ns - last) / s->fill_interval_ns;
}

/* Tokens that fit on top of @tokens; debt makes room. */
static __always_inline __u64 krl_bucket_room(const struct krl_settings *s, __s64 tokens)
{
	return tokens >= (__s64)s->max_tokens ? 0 : s->max_tokens - (__u64)tokens;
}

/* Tokens that @intervals fills add to @tokens, capped at max_tokens: exact for every input. */
static __always_inline __u64 krl_bucket_credit(const struct krl_settings *s, __s64 tokens,
					       __u64 intervals)
{
	__u64 room = krl_bucket_room(s, tokens);

	return intervals > room / s->tokens_per_fill ? room : intervals * s->tokens_per_fill;
}

/* Add @n tokens as the CPU that set KRL_BUCKET_ADDING, and clear it. The result of the second
 * atomic is used because only then BPF orders it: nobody may see the flag gone before the tokens
 * are there. */
static __always_inline void krl_bucket_add(struct krl_bucket *b, __u64 n)
{
	__u64 was;

	if (n)
		__sync_fetch_and_add(&b->tokens, (__s64)n);
	was = __sync_fetch_and_and(&b->last_topup_ns, ~KRL_BUCKET_ADDING);
	KRL_OPAQUE(was);
}

/* What a refill leaves behind: no fill is due; none is due but tokens are on their way; some are
 * due, and another CPU is at work. */
enum {
	KRL_BUCKET_CURRENT,
	KRL_BUCKET_COMING,
	KRL_BUCKET_BEHIND,
};

/* Credit the whole intervals that passed since the last fill. A clock that stands still or steps
 * back credits nothing. */
static __always_inline int krl_bucket_refill(struct krl_bucket *b, const struct krl_settings *s,
					     __u64 now_ns)
{
	__u64 word = KRL_READ_ONCE(b->last_topup_ns);
	__u64 intervals = krl_bucket_due(word, s, now_ns);
	__u64 frozen, next, credit;

	if (!intervals)
		return word & KRL_BUCKET_FLAGS ? KRL_BUCKET_COMING : KRL_BUCKET_CURRENT;
	if (word & KRL_BUCKET_ADDING)
		return KRL_BUCKET_BEHIND;
	/* Also when it is frozen already: tokens must be read after this, on every CPU. */
	frozen = word | KRL_BUCKET_FROZEN;
	if (__sync_val_compare_and_swap(&b->last_topup_ns, word, frozen) != word)
		return KRL_BUCKET_BEHIND;
	credit = krl_bucket_credit(s, KRL_READ_ONCE(b->tokens), intervals);
	next = (word & KRL_BUCKET_TIME_MAX) + intervals * s->fill_interval_ns;
	if (__sync_val_compare_and_swap(&b->last_topup_ns, frozen, next | KRL_BUCKET_ADDING) !=
	    frozen)
		return KRL_BUCKET_BEHIND;
	krl_bucket_add(b, credit);
	return KRL_BUCKET_CURRENT;
}

/* Let the fills that are due lapse, because the CPU that adds has stalled: crediting them is not
 * possible beside it, and taking without them would credit them late. Returns 0, or -KRL_EAGAIN
 * when it has not stalled after all. */
static __always_inline int krl_bucket_lapse(struct krl_bucket *b, const struct krl_settings *s,
					    __u64 now_ns)
{
	__u64 word = KRL_READ_ONCE(b->last_topup_ns);
	__u64 next = word + krl_bucket_due(word, s, now_ns) * s->fill_interval_ns;

	if (!(word & KRL_BUCKET_ADDING) ||
	    __sync_val_compare_and_swap(&b->last_topup_ns, word, next) != word)
		return -KRL_EAGAIN;
	return 0;
}

/* Put back up to @n tokens, as room allows, if last_topup_ns is still @last without flags. Returns
 * 0, or -KRL_EAGAIN when it is not. */
static __always_inline int krl_bucket_restore(struct krl_bucket *b, const struct krl_settings *s,
					      __u64 last, __u64 n)
{
	__u64 room;

	if (__sync_val_compare_and_swap(&b->last_topup_ns, last, last | KRL_BUCKET_ADDING) != last)
		return -KRL_EAGAIN;
	room = krl_bucket_room(s, KRL_READ_ONCE(b->tokens));
	krl_bucket_add(b, n < room ? n : room);
	return 0;
}

/* Tokens that are there now, at most max_tokens; negative in debt. Takes nothing, refills first. */
static __always_inline __s64 krl_bucket_peek(struct krl_bucket *b, const struct krl_settings *s,
					     __u64 now_ns)
{
	__s64 tokens;

	krl_bucket_refill(b, s, krl_bucket_clock(now_ns));
	tokens = KRL_READ_ONCE(b->tokens);
	return tokens > (__s64)s->max_tokens ? (__s64)s->max_tokens : tokens;
}

/* Refill @b up to @now_ns, then take @n tokens (1 .. 2^63-1). Tokens above max_tokens, left over
 * from larger settings, are not given. Returns 0 taken, -KRL_EAGAIN over the limit. */
static __always_inline int krl_bucket_take(struct krl_bucket *b, const struct krl_settings *s,
					   __u64 now_ns, __u64 n)
{
	int i, state, lost = 0;
	__s64 seen, have;
	__u64 last;

	if (n > s->max_tokens)
		return -KRL_EAGAIN;
	now_ns = krl_bucket_clock(now_ns);
	for (i = 0; i < KRL_BUCKET_TRIES; i++) {
		state = krl_bucket_refill(b, s, now_ns);
		seen = KRL_READ_ONCE(b->tokens);
		have = seen > (__s64)s->max_tokens ? (__s64)s->max_tokens : seen;
		if (have < (__s64)n) {
			if (state == KRL_BUCKET_CURRENT)
				return -KRL_EAGAIN;
			continue;
		}
		if (state == KRL_BUCKET_BEHIND &&
		    (i < KRL_BUCKET_PATIENCE || krl_bucket_lapse(b, s, now_ns)))
			continue;
		if (__sync_val_compare_and_swap(&b->tokens, seen, have - (__s64)n) == seen)
			return 0;
		lost = 1;
	}
	if (!lost || n > KRL_BUCKET_BLIND_MAX)
		return -KRL_EAGAIN;
	/* Lost to other takers: take without comparing. What turns out not to be there is put back
	 * unless a refill since then may have counted it as room. */
	last = krl_bucket_last_topup(b);
	seen = __sync_fetch_and_add(&b->tokens, -(__s64)n);
	if (seen >= (__s64)n && seen <= (__s64)s->max_tokens)
		return 0;
	if (seen < (__s64)n)
		krl_bucket_restore(b, s, last, n);
	return -KRL_EAGAIN;
}

/* Put back @n tokens that a take of the same moment took, because another bucket of the same
 * request refused. Never lifts the bucket above max_tokens; tokens are lost rather than put back
 * beside a CPU that stalled while it added. */
static __always_inline void krl_bucket_give_back(struct krl_bucket *b, const struct krl_settings *s,
						 __u64 n)
{
	__u64 last;
	int i;

	for (i = 0; i < KRL_BUCKET_TRIES; i++) {
		last = KRL_READ_ONCE(b->last_topup_ns);
		if (!(last & KRL_BUCKET_FLAGS) && !krl_bucket_restore(b, s, last, n))
			return;
	}
}

/* The deepest debt, and the most that is debited at once: no number of CPUs goes from the one to
 * KRL_BUCKET_BURIED_MAX in between. */
#define KRL_BUCKET_DEBT_MAX (1LL << 60)
#define KRL_BUCKET_DEBIT_MAX (1ULL << 48)

/* Take @n tokens that were used already, at most KRL_BUCKET_DEBIT_MAX of them, into debt where they are not there. What
 * was due by then is credited first, so that it does not fill what the debit empties. */
static __always_inline void krl_bucket_debit(struct krl_bucket *b, const struct krl_settings *s, __u64 now_ns,
					     __u64 n)
{
	__s64 seen;

	krl_bucket_refill(b, s, krl_bucket_clock(now_ns));
	if (n > KRL_BUCKET_DEBIT_MAX)
		n = KRL_BUCKET_DEBIT_MAX;
	if (KRL_READ_ONCE(b->tokens) < -KRL_BUCKET_DEBT_MAX)
		return;
	seen = __sync_fetch_and_add(&b->tokens, -(__s64)n);
	KRL_OPAQUE(seen);
}

/* What tokens is in a bucket that is about to be removed, and the most it is then: nobody takes from it, and
 * fills that come late do not fill it. No debt goes so deep. */
#define KRL_BUCKET_BURIED (-(1LL << 62))
#define KRL_BUCKET_BURIED_MAX (-(1LL << 61))

static __always_inline int krl_bucket_is_buried(const struct krl_bucket *b)
{
	return KRL_READ_ONCE(b->tokens) <= KRL_BUCKET_BURIED_MAX;
}

/* Make @b one that nobody takes from, if it is full: then a new one, which starts full, says the same. Who
 * buried it removes it; others look for another. Returns 0, or -KRL_EAGAIN when it is not full. */
static __always_inline int krl_bucket_bury(struct krl_bucket *b, const struct krl_settings *s, __u64 now_ns)
{
	__s64 seen;

	if (krl_bucket_refill(b, s, krl_bucket_clock(now_ns)) != KRL_BUCKET_CURRENT)
		return -KRL_EAGAIN;
	seen = KRL_READ_ONCE(b->tokens);
	if (seen < (__s64)s->max_tokens ||
	    __sync_val_compare_and_swap(&b->tokens, seen, KRL_BUCKET_BURIED) != seen)
		return -KRL_EAGAIN;
	return 0;
}

/* Fill @b, out of debt too, as if it were new: its next fill is one interval from now. What is taken meanwhile is taken; one
 * that is buried is full, and stays. The time moves on in any case, so that who took without comparing does not put back
 * what was counted as room here. Never lifts the bucket above max_tokens. Returns 0 with the tokens that were added, or
 * -KRL_EAGAIN when other CPUs were adding all the time, or one of them has stalled. */
static __always_inline int krl_bucket_reset(struct krl_bucket *b, const struct krl_settings *s, __u64 now_ns,
					    __u64 *ret_added)
{
	__u64 last, next, room;
	__s64 tokens;
	int i;

	now_ns = krl_bucket_clock(now_ns);
	for (i = 0; i < KRL_BUCKET_TRIES; i++) {
		last = KRL_READ_ONCE(b->last_topup_ns);
		if (last & KRL_BUCKET_FLAGS) {
			krl_bucket_refill(b, s, now_ns);
			continue;
		}
		next = now_ns > last ? now_ns : last < KRL_BUCKET_TIME_MAX ? last + 1 : last;
		if (__sync_val_compare_and_swap(&b->last_topup_ns, last, next | KRL_BUCKET_ADDING) != last)
			continue;
		tokens = KRL_READ_ONCE(b->tokens);
		room = tokens <= KRL_BUCKET_BURIED_MAX ? 0 : krl_bucket_room(s, tokens);
		krl_bucket_add(b, room);
		*ret_added = room;
		return 0;
	}
	return -KRL_EAGAIN;
}

/* ns until the next fill, from @now_ns; at least 1, at most fill_interval_ns. */
static __always_inline __u64 krl_bucket_next_fill_ns(const struct krl_bucket *b,
						     const struct krl_settings *s, __u64 now_ns)
{
	__u64 last = krl_bucket_last_topup(b);
	__u64 passed = now_ns > last ? now_ns - last : 0;

	return passed < s->fill_interval_ns ? s->fill_interval_ns - passed : 1;
}

/* ns until @n tokens are there, from @now_ns, if nobody takes any; at least 1, and 2^62 at most. */
static __always_inline __u64 krl_bucket_wait_ns(const struct krl_bucket *b, const struct krl_settings *s, __u64 now_ns,
						__u64 n)
{
	__u64 wait_ns = krl_bucket_next_fill_ns(b, s, now_ns), fills;
	__s64 tokens = KRL_READ_ONCE(b->tokens);

	if (tokens >= (__s64)n)
		return wait_ns;
	fills = (n - (__u64)tokens - 1) / s->tokens_per_fill;
	if (fills > KRL_BUCKET_TIME_MAX / s->fill_interval_ns)
		return KRL_BUCKET_TIME_MAX;
	return wait_ns + fills * s->fill_interval_ns;
}

#endif
