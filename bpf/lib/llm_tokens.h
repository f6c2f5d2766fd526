/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The numbers of a usage object as the server writes them, by their names, and what they come to. */
#ifndef KMESH_RL_LLM_TOKENS_H
#define KMESH_RL_LLM_TOKENS_H

#include "json.h"

/* Those below the last are in the usage object; the others in objects of it. */
enum krl_llm_count {
	KRL_LLM_PROMPT,			/* prompt_tokens */
	KRL_LLM_COMPLETION,		/* completion_tokens */
	KRL_LLM_TOTAL,			/* total_tokens */
	KRL_LLM_INPUT,			/* input_tokens */
	KRL_LLM_OUTPUT,			/* output_tokens */
	KRL_LLM_CACHE_READ,		/* cache_read_input_tokens */
	KRL_LLM_CACHE_CREATION,		/* cache_creation_input_tokens */
	KRL_LLM_PROMPT_CACHED,		/* prompt_tokens_details.cached_tokens */
	KRL_LLM_INPUT_CACHED,		/* input_tokens_details.cached_tokens */
	KRL_LLM_COMPLETION_REASONING,	/* completion_tokens_details.reasoning_tokens */
	KRL_LLM_OUTPUT_REASONING,	/* output_tokens_details.reasoning_tokens */
	KRL_LLM_COUNTS,
	KRL_LLM_NO_COUNT = 15,
};

struct krl_llm_counts {
	__u32 count[KRL_LLM_COUNTS];	/* 2^32-1 where it is more */
	__u32 seen;			/* bits: enum krl_llm_count */
};

_Static_assert(sizeof(struct krl_llm_counts) == 48, "kept for a connection");

enum {
	KRL_LLM_HAS_INPUT = 1U << 0,
	KRL_LLM_HAS_OUTPUT = 1U << 1,
	KRL_LLM_HAS_TOTAL = 1U << 2,
	KRL_LLM_HAS_CACHED_INPUT = 1U << 3,
	KRL_LLM_HAS_REASONING = 1U << 4,
};

struct krl_llm_tokens {
	__u64 input;		/* what was cached included */
	__u64 output;		/* reasoning included */
	__u64 total;		/* as the server says, or else input and output */
	__u64 cached_input;
	__u64 reasoning;
	__u32 has;		/* KRL_LLM_HAS_* */
	__u32 pad;
};

/* The count whose name is in the text, inside of a usage object, or KRL_LLM_NO_COUNT. */
static __always_inline int krl_llm_count_of(const struct krl_json *j)
{
	switch (j->text_len) {
	case 12:
		if (krl_json_text_is(j, 12, KRL_W('t', 'o', 't', 'a', 'l', '_', 't', 'o'),
				     KRL_W('k', 'e', 'n', 's', 0, 0, 0, 0), 0, 0))
			return KRL_LLM_TOTAL;
		if (krl_json_text_is(j, 12, KRL_W('i', 'n', 'p', 'u', 't', '_', 't', 'o'),
				     KRL_W('k', 'e', 'n', 's', 0, 0, 0, 0), 0, 0))
			return KRL_LLM_INPUT;
		break;
	case 13:
		if (krl_json_text_is(j, 13, KRL_W('p', 'r', 'o', 'm', 'p', 't', '_', 't'),
				     KRL_W('o', 'k', 'e', 'n', 's', 0, 0, 0), 0, 0))
			return KRL_LLM_PROMPT;
		if (krl_json_text_is(j, 13, KRL_W('o', 'u', 't', 'p', 'u', 't', '_', 't'),
				     KRL_W('o', 'k', 'e', 'n', 's', 0, 0, 0), 0, 0))
			return KRL_LLM_OUTPUT;
		break;
	case 17:
		if (krl_json_text_is(j, 17, KRL_W('c', 'o', 'm', 'p', 'l', 'e', 't', 'i'),
				     KRL_W('o', 'n', '_', 't', 'o', 'k', 'e', 'n'), 's', 0))
			return KRL_LLM_COMPLETION;
		break;
	case 23:
		if (krl_json_text_is(j, 23, KRL_W('c', 'a', 'c', 'h', 'e', '_', 'r', 'e'),
				     KRL_W('a', 'd', '_', 'i', 'n', 'p', 'u', 't'),
				     KRL_W('_', 't', 'o', 'k', 'e', 'n', 's', 0), 0))
			return KRL_LLM_CACHE_READ;
		break;
	case 27:
		if (krl_json_text_is(j, 27, KRL_W('c', 'a', 'c', 'h', 'e', '_', 'c', 'r'),
				     KRL_W('e', 'a', 't', 'i', 'o', 'n', '_', 'i'),
				     KRL_W('n', 'p', 'u', 't', '_', 't', 'o', 'k'), KRL_W('e', 'n', 's', 0, 0, 0, 0, 0)))
			return KRL_LLM_CACHE_CREATION;
		break;
	}
	return KRL_LLM_NO_COUNT;
}

/* The count that is inside of the object whose name is in the text, or KRL_LLM_NO_COUNT. */
static __always_inline int krl_llm_details_of(const struct krl_json *j)
{
	const __u64 details = KRL_W('_', 'd', 'e', 't', 'a', 'i', 'l', 's');

	if (krl_json_text_is(j, 21, KRL_W('p', 'r', 'o', 'm', 'p', 't', '_', 't'),
			     KRL_W('o', 'k', 'e', 'n', 's', '_', 'd', 'e'), KRL_W('t', 'a', 'i', 'l', 's', 0, 0, 0), 0))
		return KRL_LLM_PROMPT_CACHED;
	if (krl_json_text_is(j, 20, KRL_W('i', 'n', 'p', 'u', 't', '_', 't', 'o'),
			     KRL_W('k', 'e', 'n', 's', '_', 'd', 'e', 't'), KRL_W('a', 'i', 'l', 's', 0, 0, 0, 0), 0))
		return KRL_LLM_INPUT_CACHED;
	if (krl_json_text_is(j, 25, KRL_W('c', 'o', 'm', 'p', 'l', 'e', 't', 'i'),
			     KRL_W('o', 'n', '_', 't', 'o', 'k', 'e', 'n'), 's' | details << 8, 's'))
		return KRL_LLM_COMPLETION_REASONING;
	if (krl_json_text_is(j, 21, KRL_W('o', 'u', 't', 'p', 'u', 't', '_', 't'),
			     KRL_W('o', 'k', 'e', 'n', 's', '_', 'd', 'e'), KRL_W('t', 'a', 'i', 'l', 's', 0, 0, 0), 0))
		return KRL_LLM_OUTPUT_REASONING;
	return KRL_LLM_NO_COUNT;
}

/* Inside of an object of the usage object: is the text the name of what @count says? */
static __always_inline int krl_llm_detail_is(const struct krl_json *j, int count)
{
	if (count == KRL_LLM_PROMPT_CACHED || count == KRL_LLM_INPUT_CACHED)
		return krl_json_text_is(j, 13, KRL_W('c', 'a', 'c', 'h', 'e', 'd', '_', 't'),
					KRL_W('o', 'k', 'e', 'n', 's', 0, 0, 0), 0, 0);
	return krl_json_text_is(j, 16, KRL_W('r', 'e', 'a', 's', 'o', 'n', 'i', 'n'),
				KRL_W('g', '_', 't', 'o', 'k', 'e', 'n', 's'), 0, 0);
}

/* The number that is read is @count. One below zero is none. */
static __always_inline void krl_llm_count_put(struct krl_llm_counts *c, const struct krl_json_number *number,
					      __u32 count)
{
	if (count >= KRL_LLM_COUNTS || krl_json_number_negative(number))
		return;
	c->count[KRL_MASKED(count, 16)] = krl_json_number_u32(number);
	c->seen |= 1U << count;
}

/* What @from has seen takes the place of what @c has, count by count: a stream tells running totals, or tells each
 * count in another of its events. */
static __always_inline void krl_llm_counts_merge(struct krl_llm_counts *c, const struct krl_llm_counts *from)
{
	__u32 i;

	for (i = 0; i < KRL_LLM_COUNTS; i++)
		if (from->seen >> i & 1)
			c->count[i] = from->count[i];
	c->seen |= from->seen;
}

/* The larger of two counts, where they were seen: some servers write both names, one of them with 0. */
static __always_inline __u64 krl_llm_larger(const struct krl_llm_counts *c, int a, int b)
{
	__u64 first = c->seen >> a & 1 ? c->count[a] : 0, second = c->seen >> b & 1 ? c->count[b] : 0;

	return first > second ? first : second;
}

/* Where one of @counts was seen, @has. */
static __always_inline __u32 krl_llm_has(const struct krl_llm_counts *c, __u32 counts, __u32 has)
{
	return c->seen & counts ? has : 0;
}

/* What @c comes to. Anthropic's input_tokens are without what was read from a cache, or put into one; it writes no
 * total. */
static __always_inline void krl_llm_tokens_of(const struct krl_llm_counts *c, struct krl_llm_tokens *ret)
{
	const __u32 openai = 1U << KRL_LLM_PROMPT | 1U << KRL_LLM_TOTAL;
	const __u32 cache = 1U << KRL_LLM_CACHE_READ | 1U << KRL_LLM_CACHE_CREATION;

	__builtin_memset(ret, 0, sizeof(*ret));
	ret->has = krl_llm_has(c, 1U << KRL_LLM_PROMPT | 1U << KRL_LLM_INPUT, KRL_LLM_HAS_INPUT) |
		   krl_llm_has(c, 1U << KRL_LLM_COMPLETION | 1U << KRL_LLM_OUTPUT, KRL_LLM_HAS_OUTPUT) |
		   krl_llm_has(c, 1U << KRL_LLM_PROMPT_CACHED | 1U << KRL_LLM_INPUT_CACHED | 1U << KRL_LLM_CACHE_READ,
			       KRL_LLM_HAS_CACHED_INPUT) |
		   krl_llm_has(c, 1U << KRL_LLM_COMPLETION_REASONING | 1U << KRL_LLM_OUTPUT_REASONING,
			       KRL_LLM_HAS_REASONING);
	ret->input = krl_llm_larger(c, KRL_LLM_PROMPT, KRL_LLM_INPUT);
	if (c->seen & cache && !(c->seen & openai)) {
		ret->input += krl_llm_larger(c, KRL_LLM_CACHE_READ, KRL_LLM_CACHE_READ) +
			      krl_llm_larger(c, KRL_LLM_CACHE_CREATION, KRL_LLM_CACHE_CREATION);
		ret->has |= KRL_LLM_HAS_INPUT;
	}
	ret->output = krl_llm_larger(c, KRL_LLM_COMPLETION, KRL_LLM_OUTPUT);
	ret->cached_input = krl_llm_larger(c, KRL_LLM_PROMPT_CACHED, KRL_LLM_INPUT_CACHED);
	if (!ret->cached_input)
		ret->cached_input = krl_llm_larger(c, KRL_LLM_CACHE_READ, KRL_LLM_CACHE_READ);
	ret->reasoning = krl_llm_larger(c, KRL_LLM_COMPLETION_REASONING, KRL_LLM_OUTPUT_REASONING);
	ret->total = c->seen >> KRL_LLM_TOTAL & 1 ? c->count[KRL_LLM_TOTAL] : ret->input + ret->output;
	if (c->seen >> KRL_LLM_TOTAL & 1 || ret->has & (KRL_LLM_HAS_INPUT | KRL_LLM_HAS_OUTPUT))
		ret->has |= KRL_LLM_HAS_TOTAL;
}

#endif
