/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Events of a stream begin alike, up to the text that they bring, and end alike behind it: what was read of one is not read
 * again in the next. Where the bytes are the same, so is what reading them from the same state leads to. */
#ifndef KMESH_RL_LLM_ALIKE_H
#define KMESH_RL_LLM_ALIKE_H

#include "body.h"

/* Bytes of a beginning that are compared. */
#define KRL_LLM_ALIKE_BYTES 256

/* ... of what is behind the text. */
#define KRL_LLM_ENDING_BYTES 128

/* ... of the struct krl_llm_usage that are of one event: those ahead of its counts. */
#define KRL_LLM_EVENT_BYTES 128

/* All zero is the start of a stream. */
struct krl_llm_alike {
	__u64 state[KRL_LLM_EVENT_BYTES / 8];	/* behind the first bytes, when the last of len is to come */
	char bytes[KRL_LLM_ALIKE_BYTES];	/* the beginning of the last event that was read from its start on */
	char ending[KRL_LLM_ENDING_BYTES];	/* from the quote behind a text on */
	__u16 have;				/* so many of them */
	__u16 len;				/* 0: no state is kept */
	__u16 same;				/* of the event that is read, bytes that the one before it had as well */
	__u16 done;				/* ... that were read */
	__u16 end_len;				/* of ending, up to the end of the line: the event ends there. 0: none is known */
	__u16 end_maybe;			/* ... of the event that is read */
	__u16 pad;
	__u8 had_bad;				/* what was told before it */
	__u8 pad_bad;
	__u32 pieces;
	__u32 pad_pieces;
};

/* How many of the @len bytes, at most @max, at @at of @w are those of @bytes. */
static __always_inline __u32 krl_llm_alike_count(const char *bytes, __u32 max, const struct krl_http_window *w, __u32 at,
						 __u32 len)
{
	const char *words;
	__u64 differ;
	__u32 i, k, n;

	for (i = 0; i < max; i += KRL_BODY_WORDS * 8) {
		if (i >= len)
			break;
		words = krl_body_words(w, at + i);
		for (k = 0; k < KRL_BODY_WORDS; k++) {
			differ = krl_load_word(words + k * 8) ^ krl_load_word(bytes + i + k * 8);
			if (!differ)
				continue;
			n = i + k * 8 + krl_word_before(krl_word_set(differ));
			return n < len ? n : len;
		}
	}
	return len;
}

/* An event's data begins at @at of @w, up to @end. Returns how many bytes of it are stepped over, with @state as it is
 * behind them; else this event is the one that others are compared with. */
KRL_GLOBAL int krl_llm_alike_begin(struct krl_llm_alike *a, __u64 (*state)[KRL_LLM_EVENT_BYTES / 8],
				   const struct krl_http_window *w, __u32 at, __u32 end)
{
	__u32 have, i;

	if (!a || !state || !w || at >= end)
		return 0;
	have = end - at < KRL_LLM_ALIKE_BYTES ? end - at : KRL_LLM_ALIKE_BYTES;
	a->same = 0;
	a->end_maybe = 0;
	if (a->len && a->len <= have && krl_llm_alike_count(a->bytes, KRL_LLM_ALIKE_BYTES, w, at, a->len) == a->len) {
		__builtin_memcpy(*state, a->state, sizeof(a->state));
		return a->len - 1;
	}
	a->same = krl_llm_alike_count(a->bytes, KRL_LLM_ALIKE_BYTES, w, at, have < a->have ? have : a->have);
	/* The window ends too early to tell. */
	if (have < a->len && a->same == have) {
		a->same = 0;
		return 0;
	}
	for (i = 0; i < KRL_LLM_ALIKE_BYTES; i += 8)
		krl_store_word(a->bytes + i, krl_body_word(w, at + i));
	a->have = have;
	a->len = 0;
	a->end_len = 0;
	a->done = 0;
	return 0;
}

/* @n bytes of the event were read, and there are more of its line if it @goes_on. Where the one before has them too, @state
 * is worth keeping. */
static __always_inline void krl_llm_alike_keep(struct krl_llm_alike *a, const __u64 (*state)[KRL_LLM_EVENT_BYTES / 8],
					       __u32 n, int goes_on)
{
	if (KRL_LIKELY(!a->same))
		return;
	a->done += n;
	/* The byte that comes may have told that a number ended. */
	if (a->done >= a->same || !goes_on) {
		a->same = 0;
		return;
	}
	__builtin_memcpy(a->state, *state, sizeof(a->state));
	a->len = a->done + 1;
}

/* Does what is behind a text, from the quote at @quote of @w to the end of the line, end the event as @a knows it? If not,
 * it is kept, and perhaps it does so. */
static __always_inline int krl_llm_alike_ends(struct krl_llm_alike *a, const struct krl_http_window *w, __u32 quote,
					      __u32 end)
{
	__u32 have = end - quote, n = 0, i;
	__u64 word;

	if (a->end_len && a->end_len <= have &&
	    krl_llm_alike_count(a->ending, KRL_LLM_ENDING_BYTES, w, quote, a->end_len) == a->end_len)
		return 1;
	a->end_len = 0;
	for (i = 0; i < KRL_LLM_ENDING_BYTES; i += 8) {
		word = krl_body_word(w, quote + i);
		krl_store_word(a->ending + i, word);
		if (n == i)
			n += krl_word_before(krl_word_below(word, ' '));
	}
	if (n < have && n < KRL_LLM_ENDING_BYTES && (__u8)(krl_body_word(w, quote + n)) == '\n')
		a->end_maybe = n + 1;
	return 0;
}

#endif
