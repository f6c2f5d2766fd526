// SPDX-License-Identifier: Apache-2.0
#include "lease.h"

/* How much faster a lease grows that ran out: what is wanted beyond is not known. */
#define GROWTH 8

/* Looks for which a lease is to last: RICH of them where Redis has as much again for many others, since a look may be late. So
 * many times of that make the rest go back; so many when Redis has no more. */
#define AHEAD 2
#define RICH 8
#define OTHERS 8
#define SURPLUS 4
#define SCARCE 2

/* Looks for which a node that nobody asks keeps what the next burst needs, while Redis has more for others, or after a
 * refusal the tokens of one request. Who asks less often than each tick would find none each time. */
#define KEEP_TICKS 30

/* Who was refused though Redis has tokens wants one of so many parts of them: it is not known how much is needed, and what is
 * too much goes back a tick later. */
#define PARTS 4

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
	/* While nobody comes, or there is nothing to take, it is not less that is needed. */
	else if (l->asked && l->rate > 1 && !l->need)
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

/* What the use of some looks needs. */
static __u64 ahead(const struct krl_lease *l)
{
	return (l->left / (RICH * OTHERS) >= l->rate ? RICH : AHEAD) * l->rate;
}

static __u64 kept(const struct krl_lease *l)
{
	if (l->idle > KEEP_TICKS)
		return 0;
	if (l->left && l->unit < ahead(l))
		return ahead(l);
	return l->left || l->hungry ? l->unit : 0;
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
	if (l->idle > KEEP_TICKS)
		l->rate = 0;
	if (l->idle)
		return l->leased - least(l->leased, kept(l));
	if (l->leased > (l->left ? SURPLUS : SCARCE) * ahead(l))
		return l->leased - ahead(l);
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
	__u64 wanted = least(ahead(l), max);

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
	if (l->hungry == KEEP_TICKS && wanted < l->left / PARTS)
		wanted = l->left / PARTS;
	ret->want = wanted > l->leased ? wanted - l->leased : 0;
}

void krl_lease_granted(struct krl_lease *l, __u64 granted, __u64 credit)
{
	l->base += granted + credit;
	l->leased += granted;
}
