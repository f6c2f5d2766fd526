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

/* Who needs more than it holds at once gives way to others that hold some, after so many looks at most: each waits for another
 * time, so that one of them has the whole. */
#define PATIENCE 4

/* Ticks without a request after which a lease that holds nothing is forgotten. */
#define IDLE_TICKS 10

/* Who wants what is not there looks so late again. */
#define WAIT_MOST_NS 1000000000ULL

static __u64 least(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

static __u64 left(const struct krl_lease *l)
{
	return l->left > 0 ? l->left : 0;
}

void krl_lease_asked(struct krl_lease *l, __u64 need)
{
	l->asked = true;
	if (l->need < need)
		l->need = need;
}

__u64 krl_lease_begin(struct krl_lease *l, const struct krl_lease_seen *seen, __u64 credit)
{
	*l = (struct krl_lease){ .known = true, .asked = l->asked, .need = l->need, .base = seen->tokens, .owed = l->owed,
				  .left = l->left };
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
		l->lacks = l->need;
	if (taken) {
		l->lacks = 0;
		l->served = l->unit > 1;
	}
	if (l->need)
		l->hungry = KEEP_TICKS;
	else if (l->hungry)
		l->hungry--;
	l->need = 0;
}

/* What the use of some looks needs. */
static __u64 ahead(const struct krl_lease *l)
{
	return (left(l) / (RICH * OTHERS) >= l->rate ? RICH : AHEAD) * l->rate;
}

static __u64 kept(const struct krl_lease *l)
{
	if (l->idle > KEEP_TICKS)
		return 0;
	if (left(l) && l->unit < ahead(l))
		return ahead(l);
	return left(l) || l->hungry ? l->unit : 0;
}

/* What it holds is of no use here, and may be elsewhere. */
static bool gives_way(struct krl_lease *l, const struct krl_lease_seen *seen)
{
	if (seen->fills && l->full && l->idle && l->others) {
		l->again_ns = l->hungry ? l->fill_ns : 0;
		return l->leased;
	}
	/* The nodes look at the bucket in the same order after each fill. */
	if (seen->filled && l->served && l->others && (__s64)l->lacks > l->base) {
		l->served = false;
		return true;
	}
	if (!l->leased || !l->elsewhere || (__s64)l->lacks <= l->base) {
		l->patience = 0;
		return false;
	}
	if (l->patience)
		return !--l->patience;
	l->patience = 1 + seen->drawn % PATIENCE;
	return false;
}

__u64 krl_lease_look(struct krl_lease *l, const struct krl_lease_seen *seen, struct krl_lease_report *ret)
{
	*ret = (struct krl_lease_report){ 0 };
	account(l, seen, ret);
	l->idle = l->asked ? 0 : l->idle + 1;
	l->asked = l->yields = false;
	l->again_ns = 0;
	/* What a reservation gave back: it goes by way of Redis, as all tokens. */
	if (ret->debt < 0)
		return -ret->debt;
	if (seen->over)
		return l->leased;
	if (l->idle > KEEP_TICKS)
		l->rate = l->lacks = 0;
	l->yields = gives_way(l, seen);
	if (l->yields)
		return l->leased;
	if (l->idle)
		return l->leased - least(l->leased, kept(l));
	if (l->leased > (left(l) ? SURPLUS : SCARCE) * ahead(l))
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
	if (l->hungry == KEEP_TICKS && wanted < left(l) / PARTS)
		wanted = left(l) / PARTS;
	if (l->yields)
		wanted = 0;
	ret->want = wanted > l->leased ? wanted - l->leased : 0;
	ret->least = l->lacks > l->leased && l->lacks <= max ? l->lacks - l->leased : 1;
}

void krl_lease_granted(struct krl_lease *l, __u64 granted, __u64 credit)
{
	l->base += granted + credit;
	l->leased += granted;
}

void krl_lease_answered(struct krl_lease *l, const struct krl_lease_answer *a)
{
	__u64 soon_ns = a->now_ns + WAIT_MOST_NS;

	l->left = a->left;
	l->elsewhere = a->out > l->leased + a->granted ? a->out - l->leased - a->granted : 0;
	l->others = a->others;
	l->full = a->full;
	l->fill_ns = a->fill_ns;
	l->due_ns = 0;
	if (a->granted || !a->wanted || a->left > 0 || a->waits)
		return;
	/* It is known when some come; before, only others may give some back. */
	l->again_ns = least(a->fill_ns, soon_ns);
	if (!a->out)
		l->due_ns = l->again_ns;
}

bool krl_lease_is_due(const struct krl_lease *l, __u64 now_ns)
{
	return now_ns >= l->due_ns && (l->asked || l->leased || (l->again_ns && now_ns >= l->again_ns));
}

bool krl_lease_rests(struct krl_lease *l)
{
	if (l->asked || l->leased)
		return false;
	return ++l->idle > (l->again_ns ? KEEP_TICKS : IDLE_TICKS);
}
