// SPDX-License-Identifier: Apache-2.0
#include "share.h"

/* As long as no fill ever comes. */
#define LONGEST_NS (1ULL << 62)

void krl_share_add(struct krl_share *s, unsigned int shard, __u64 own, __u64 spent)
{
	__u64 seen = s->seen[shard];

	s->seen[shard] = spent + 1;
	/* Without a before, or with one that Redis has lost, there is nothing to compare with. */
	if (!seen || spent + 1 < seen)
		return;
	s->own[0] += own;
	s->all[0] += spent + 1 - seen > own ? spent + 1 - seen : own;
}

void krl_share_turn(struct krl_share *s)
{
	s->own[1] = s->own[0];
	s->all[1] = s->all[0];
	s->own[0] = s->all[0] = 0;
}

bool krl_share_of(const struct krl_share *s, const struct krl_settings *whole, struct krl_settings *ret)
{
	__u64 own = s->own[0] + s->own[1], all = s->all[0] + s->all[1];
	long double max = (long double)whole->max_tokens * own / all, fill = (long double)whole->tokens_per_fill * own / all;
	long double interval;

	if (!own)
		return false;
	*ret = *whole;
	if (own == all)
		return true;
	ret->max_tokens = max < 1 ? 1 : (__u64)max;
	ret->tokens_per_fill = fill < 1 ? 1 : (__u64)fill;
	/* What a fill has not by rounding down, or has for being one token at least, the time to the next makes up for. */
	interval = whole->fill_interval_ns * (ret->tokens_per_fill / fill);
	ret->fill_interval_ns = interval < LONGEST_NS ? (__u64)interval + 1 : LONGEST_NS;
	return true;
}
