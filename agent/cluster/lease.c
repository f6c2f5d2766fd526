// SPDX-License-Identifier: Apache-2.0
#include "lease.h"

/* How much faster a lease grows that ran out: what is wanted beyond is not known. */
#define GROWTH 8

/* Of what is used from look to look, so much is leased, and so much makes the rest go back; so much when Redis has no more. */
#define AHEAD 2
#define SURPLUS 8
#define SCARCE 4

/* Looks for which a node that nobody asks keeps the tokens of one request: while there are others, or after a refusal. Who
 * asks less often than each tick would find none each time. */
#define KEEP_TICKS 30

static __u64 least(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

void krl_lease_asked(struct krl_lease *l, __u64 need)
{
	l->asked = true;
	if (l->need < need)
		l->need = need;
}

__u64 krl_lease_begin(struct krl_lease *l, const struct krl_lease_seen *seen, __u64 credit)
{
	*l = (struct krl_lease){ .known = true, .asked = l->asked, .need = l->need, .base = seen->tokens, .owed = l->owed };
	if (seen->endless) {
		l->base = (__s64)credit;
		return 0;
	}
	/* What it had without a lease may be spent, and not told. */
	l->owed += credit;
	return seen->tokens > 0 ? seen->tokens : 0;
}

static void account(struct krl_lease *l, const struct krl_lease_seen *seen, struct krl_lease_report *ret)
{
	__s64 taken = l->base - seen->tokens;
	__u64 grown = 0;

	l->base = seen->tokens;
	if (taken < 0) {
		ret->debt = taken;
		return;
	}
	ret->used = least(taken, l->leased);
	ret->debt = taken - (__s64)ret->used;
	l->leased -= ret->used;
	/* It ran out, or nearly: how much more was wanted is not known. */
	if (l->asked && seen->tokens < taken)
		grown = l->rate && taken ? taken * GROWTH : 1;
	/* While there is nothing to take, it is not less that is needed. */
	else if (l->rate > 1 && !l->need)
		l->rate /= 2;
	if (l->rate < grown)
		l->rate = grown;
	if (l->rate < (__u64)taken)
		l->rate = taken;
	/* A reservation is taken whole, or not at all. */
	if (l->rate < l->need)
		l->rate = l->need;
	if (l->unit < l->need)
		l->unit = l->need;
	if (l->need)
		l->hungry = KEEP_TICKS;
	else if (l->hungry)
		l->hungry--;
	l->need = 0;
}

static __u64 kept(const struct krl_lease *l)
{
	return l->idle <= KEEP_TICKS && (l->plenty || l->hungry) ? l->unit : 0;
}

__u64 krl_lease_look(struct krl_lease *l, const struct krl_lease_seen *seen, struct krl_lease_report *ret)
{
	*ret = (struct krl_lease_report){ 0 };
	account(l, seen, ret);
	l->idle = l->asked ? 0 : l->idle + 1;
	l->asked = false;
	/* What a reservation gave back: it goes by way of Redis, as all tokens. */
	if (ret->debt < 0)
		return -ret->debt;
	if (seen->over)
		return l->leased;
	if (l->idle)
		return l->leased - least(l->leased, kept(l));
	if (l->leased > (l->plenty ? SURPLUS : SCARCE) * l->rate)
		return l->leased - AHEAD * l->rate;
	return 0;
}

void krl_lease_taken_out(struct krl_lease *l, __u64 asked, __u64 out, bool over, struct krl_lease_report *ret)
{
	l->base -= out;
	if (ret->debt < 0) {
		ret->debt = -(__s64)out;
		return;
	}
	ret->back = out;
	l->leased -= out;
	/* Debt ate what is missing. */
	if (over || l->idle) {
		ret->used += least(asked - out, l->leased);
		l->leased -= least(asked - out, l->leased);
	}
}

void krl_lease_want(struct krl_lease *l, __u64 max, __u64 credit, struct krl_lease_report *ret)
{
	__u64 wanted = least(AHEAD * l->rate, max);

	ret->used += l->lost;
	ret->debt += l->owed;
	l->lost = l->owed = 0;
	if (l->idle)
		wanted = least(kept(l), max);
	/* A single request is what the credit is for. */
	if (credit && l->rate <= 1)
		wanted = 0;
	if (!credit && !l->idle && !wanted)
		wanted = 1;
	ret->want = wanted > l->leased ? wanted - l->leased : 0;
}

void krl_lease_granted(struct krl_lease *l, __u64 granted, __u64 credit)
{
	l->base += granted + credit;
	l->leased += granted;
}
