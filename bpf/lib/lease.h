/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The bucket of a rule with scope: Cluster: tokens that this node leased of the cluster's bucket, which is in Redis. Time
 * does not fill it, it ends it: behind the end it holds none, so that the kernel stops by itself where Redis counts the
 * lease as spent. docs/cluster.md has the protocol.
 *
 * Guarantee: of the tokens that were put in, each is taken once at most, on any number of CPUs, and none by a request
 * whose clock is at or behind the end that it found. Tokens that turn out not to be there are lost rather than put back.
 *
 * A new one holds the rule's initialCredit, which has no end. */
#ifndef KMESH_RL_LEASE_H
#define KMESH_RL_LEASE_H

#include <kmesh_rl/lease.h>

#include "bucket.h"

/* In last_topup_ns: it is a lease, and not an ordinary bucket, which it becomes while Redis is away; the agent was told
 * that somebody took from it, or wanted to, and that somebody was refused; and the end, CLOCK_BOOTTIME in ns, 2^59 of which
 * are 18 years. */
#define KRL_LEASE (1ULL << 61)
#define KRL_LEASE_TOLD (1ULL << 60)
#define KRL_LEASE_TOLD_REFUSED (1ULL << 59)

static __always_inline __u64 krl_lease_word(__u64 end_ns)
{
	return KRL_LEASE | (end_ns > KRL_LEASE_ENDLESS_NS ? KRL_LEASE_ENDLESS_NS : end_ns);
}

static __always_inline struct krl_bucket krl_lease_new(__u64 credit)
{
	return (struct krl_bucket){ .last_topup_ns = krl_lease_word(KRL_LEASE_ENDLESS_NS), .tokens = (__s64)credit };
}

/* CLOCK_BOOTTIME in ns; 0 of one that was an ordinary bucket last. */
static __always_inline __u64 krl_lease_end(__u64 word)
{
	return word & KRL_LEASE ? word & KRL_LEASE_ENDLESS_NS : 0;
}

static __always_inline int krl_lease_is_over(__u64 word, __u64 now_ns)
{
	__u64 end = krl_lease_end(word);

	return now_ns >= end && end != KRL_LEASE_ENDLESS_NS;
}

/* Tokens that may be taken; negative in debt. */
static __always_inline __s64 krl_lease_available(const struct krl_bucket *b, __u64 now_ns)
{
	__s64 tokens = KRL_READ_ONCE(b->tokens);

	return tokens > 0 && krl_lease_is_over(KRL_READ_ONCE(b->last_topup_ns), now_ns) ? 0 : tokens;
}

/* Take @n tokens (1 .. 2^63-1). Returns 0 taken, -KRL_EAGAIN: they are not there. */
static __always_inline int krl_lease_take(struct krl_bucket *b, __u64 now_ns, __u64 n)
{
	__s64 seen;
	int i;

	for (i = 0; i < KRL_BUCKET_TRIES; i++) {
		seen = krl_lease_available(b, now_ns);
		if (seen < (__s64)n)
			return -KRL_EAGAIN;
		if (__sync_val_compare_and_swap(&b->tokens, seen, seen - (__s64)n) == seen)
			return 0;
	}
	/* Lost to other takers: take without comparing. What was not there is debt, and not put back: the agent may have read
	 * it as spent. */
	if (n > KRL_BUCKET_BLIND_MAX)
		return -KRL_EAGAIN;
	seen = __sync_fetch_and_add(&b->tokens, -(__s64)n);
	return seen >= (__s64)n ? 0 : -KRL_EAGAIN;
}

/* Is the agent to be told that somebody asked for tokens here, and was @refused? Once only each, until it has looked. */
static __always_inline int krl_lease_tell(struct krl_bucket *b, int refused)
{
	__u64 told = refused ? KRL_LEASE_TOLD | KRL_LEASE_TOLD_REFUSED : KRL_LEASE_TOLD;
	__u64 word = KRL_READ_ONCE(b->last_topup_ns);

	if (word & KRL_LEASE)
		return (word & told) != told && (__sync_fetch_and_or(&b->last_topup_ns, told) & told) != told;
	/* An ordinary bucket while Redis was away: now a lease that is over. */
	return __sync_val_compare_and_swap(&b->last_topup_ns, word, KRL_LEASE | told) == word;
}

/* The agent has looked, or could not be told. Returns the word as it was. */
static __always_inline __u64 krl_lease_untell(struct krl_bucket *b)
{
	return __sync_fetch_and_and(&b->last_topup_ns, ~(KRL_LEASE_TOLD | KRL_LEASE_TOLD_REFUSED));
}

/* Redis is away: @b becomes an ordinary bucket, with the tokens that are there, which fills from @now_ns on. */
static __always_inline void krl_lease_to_local(struct krl_bucket *b, __u64 now_ns)
{
	__u64 word = KRL_READ_ONCE(b->last_topup_ns), was;

	if (!(word & KRL_LEASE))
		return;
	was = __sync_val_compare_and_swap(&b->last_topup_ns, word, now_ns & KRL_LEASE_ENDLESS_NS);
	KRL_OPAQUE(was);
}

/* Take out up to @n tokens. Returns how many. */
static __always_inline __u64 krl_lease_take_out(struct krl_bucket *b, __u64 n)
{
	__s64 seen, out;
	int i;

	for (i = 0; i < KRL_BUCKET_TRIES; i++) {
		seen = KRL_READ_ONCE(b->tokens);
		out = seen < (__s64)n ? seen : (__s64)n;
		if (out <= 0)
			return 0;
		if (__sync_val_compare_and_swap(&b->tokens, seen, seen - out) == seen)
			return out;
	}
	return 0;
}

/* Put in @n tokens, and let all that are there end at @end_ns, as krl_lease_word() has it. */
static __always_inline void krl_lease_grant(struct krl_bucket *b, __u64 n, __u64 end_ns)
{
	__u64 word, next;
	__s64 was;
	int i;

	was = __sync_fetch_and_add(&b->tokens, (__s64)n);
	KRL_OPAQUE(was);
	for (i = 0; i < KRL_BUCKET_TRIES; i++) {
		word = KRL_READ_ONCE(b->last_topup_ns);
		next = krl_lease_word(end_ns) | (word & KRL_LEASE ? word & (KRL_LEASE_TOLD | KRL_LEASE_TOLD_REFUSED) : 0);
		if (__sync_val_compare_and_swap(&b->last_topup_ns, word, next) == word)
			return;
	}
}

static __always_inline int krl_lease_is_new(const struct krl_bucket *b, __u64 credit)
{
	return KRL_READ_ONCE(b->last_topup_ns) == krl_lease_word(KRL_LEASE_ENDLESS_NS) &&
	       KRL_READ_ONCE(b->tokens) == (__s64)credit;
}

/* As krl_bucket_bury(), of one that says what a new one would. */
static __always_inline int krl_lease_bury(struct krl_bucket *b, __u64 credit)
{
	if (!krl_lease_is_new(b, credit) ||
	    __sync_val_compare_and_swap(&b->tokens, (__s64)credit, KRL_BUCKET_BURIED) != (__s64)credit)
		return -KRL_EAGAIN;
	return 0;
}

#endif
