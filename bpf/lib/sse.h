/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Server-sent events (WHATWG HTML, 9.2.6), one step at a time, over any segmentation: which bytes of a stream are data,
 * and where an event ends. Lines end in CR, LF or CRLF; of the fields only data is told, comments are none.
 */
#ifndef KMESH_RL_SSE_H
#define KMESH_RL_SSE_H

#include "body.h"

/* Words of a line that one step goes over. */
#define KRL_SSE_WORDS 32

enum krl_sse_state {
	KRL_SSE_LINE,		/* a line begins */
	KRL_SSE_CR,		/* likewise; an LF that comes first is of the line before */
	KRL_SSE_NAME,		/* of a field */
	KRL_SSE_BLANK,		/* behind "data:": one blank is no data */
	KRL_SSE_DATA,
	KRL_SSE_OTHER,		/* the rest of the line is of no interest */
};

enum krl_sse_event {
	KRL_SSE_NOTHING,
	KRL_SSE_IS_DATA,	/* these bytes, with the end of their line */
	KRL_SSE_END,		/* of an event that had data */
};

/* All zero is the start, behind a byte order mark. */
struct krl_sse {
	__u8 state;
	__u8 name_len;		/* bytes of "data" that came */
	__u8 has_data;
	__u8 pad;
};

/* The first byte of a line, or of a field's name, one alone. */
static __always_inline int krl_sse_name_byte(struct krl_sse *s, __u8 c)
{
	const __u64 data = KRL_W('d', 'a', 't', 'a', ':', 0, 0, 0);
	__u32 at = s->name_len;

	if (at <= 4 && c == (__u8)(data >> at * 8)) {
		s->name_len = at + 1;
		s->state = c == ':' ? KRL_SSE_BLANK : KRL_SSE_NAME;
		s->has_data |= c == ':';
	} else {
		s->state = KRL_SSE_OTHER;
	}
	return KRL_SSE_NOTHING;
}

/* The end of a line. */
static __always_inline int krl_sse_line_end(struct krl_sse *s, __u8 c)
{
	int empty = s->state <= KRL_SSE_CR, has_data = s->has_data;

	/* The name alone is data too, of nothing. */
	if (s->state == KRL_SSE_NAME && s->name_len == 4)
		s->has_data = 1;
	s->state = c == '\r' ? KRL_SSE_CR : KRL_SSE_LINE;
	s->name_len = 0;
	if (!empty)
		return KRL_SSE_NOTHING;
	s->has_data = 0;
	return has_data ? KRL_SSE_END : KRL_SSE_NOTHING;
}

/* One byte where a line begins, or in a field's name. */
static __always_inline int krl_sse_byte(struct krl_sse *s, __u8 c)
{
	if (s->state == KRL_SSE_CR && c == '\n') {
		s->state = KRL_SSE_LINE;
		return KRL_SSE_NOTHING;
	}
	if (c == '\r' || c == '\n')
		return krl_sse_line_end(s, c);
	return krl_sse_name_byte(s, c);
}

/* The rest of a line from @at to @end of @w, with its end. Returns how many bytes. */
static __always_inline __u32 krl_sse_rest(struct krl_sse *s, const struct krl_http_window *w, __u32 at, __u32 end)
{
	__u32 start = at, n, i;
	__u64 word;

	for (i = 0; i < KRL_SSE_WORDS; i++) {
		if (at >= end)
			break;
		word = krl_body_word(w, at);
		n = krl_word_before(krl_word_of(word, '\n') | krl_word_of(word, '\r'));
		if (n >= end - at)
			return end - start;
		at += n;
		if (n < 8) {
			krl_sse_line_end(s, word >> n * 8);
			return at + 1 - start;
		}
	}
	return at - start;
}

/* A line begins at @at of @w, before @end. Returns 6 where data do, and @s is at them; else 0, with @s as it was. */
static __always_inline __u32 krl_sse_data(struct krl_sse *s, const struct krl_http_window *w, __u32 at, __u32 end)
{
	const __u64 data = KRL_W('d', 'a', 't', 'a', ':', ' ', 0, 0);

	if (s->state > KRL_SSE_CR || end - at < 6 || krl_word_first(krl_body_word(w, at), 6) != data)
		return 0;
	s->has_data = 1;
	s->state = KRL_SSE_DATA;
	return 6;
}

/* One step over bytes of @w from @at on, before @end. Returns how many, and the event times KRL_BODY_EVENT; 0: the byte
 * at @at is wanted, and @w does not hold it. */
KRL_GLOBAL int krl_sse_step(struct krl_sse *s, const struct krl_http_window *w, __u32 at, __u32 end)
{
	__u64 word;
	int event;

	if (!s || !w || at >= end)
		return 0;
	if (krl_sse_data(s, w, at, end))
		return 6;
	word = krl_body_word(w, at);
	if (s->state == KRL_SSE_BLANK) {
		s->state = KRL_SSE_DATA;
		if ((__u8)word == ' ')
			return 1;
	}
	if (s->state < KRL_SSE_BLANK)
		return 1 | (__u32)krl_sse_byte(s, word) * KRL_BODY_EVENT;
	event = s->state == KRL_SSE_DATA ? KRL_SSE_IS_DATA : KRL_SSE_NOTHING;
	return krl_sse_rest(s, w, at, end) | (__u32)event * KRL_BODY_EVENT;
}

#endif
