/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Steps over the bytes of a window: of what is usual many at once, of all else one. */
#ifndef KMESH_RL_HTTP1_STEP_H
#define KMESH_RL_HTTP1_STEP_H

#include "http1.h"

/* Words of text that one step goes over. */
#define KRL_HTTP_WORDS 16

/* The word at @at, which is in @w. */
static __always_inline __u64 krl_http_word(const struct krl_http_window *w, __u32 at)
{
	KRL_OPAQUE(at);
	return at > KRL_HTTP_WINDOW_BYTES ? 0 : krl_load_word(w->bytes + at);
}

/* Text of a value that nobody collects, from @at to @end of @w, and CRLF where both are in the last word that is looked
 * at. Returns how many bytes. */
static __always_inline __u32 krl_http_text(struct krl_http *h, const struct krl_http_window *w, __u32 at, __u32 end)
{
	__u32 start = at, plain;
	__u64 word;
	int i;

	for (i = 0; i < KRL_HTTP_WORDS; i++) {
		if (at >= end)
			break;
		word = krl_http_word(w, at);
		plain = krl_word_plain(word, 0x20);
		if (plain >= end - at)
			return end - start;
		if (plain < 8) {
			at += plain;
			if (plain > 6 || end - at < 2 || (word >> plain * 8 & 0xffff) != KRL_CRLF)
				break;
			h->state = KRL_HTTP_FIELD_START;
			return at + 2 - start;
		}
		at += 8;
	}
	return at - start;
}

/* A part of a field's name, of which @word has @have bytes, and the colon behind it. Returns how many bytes. */
static __always_inline __u32 krl_http_name(struct krl_http *h, __u64 word, __u32 have)
{
	__u32 n = krl_word_name(word);

	if (!n)
		return 0;
	if (h->state == KRL_HTTP_FIELD_START) {
		krl_http_token_clear(h);
		h->state = KRL_HTTP_FIELD_NAME;
	}
	if (n >= have)
		n = have;
	krl_http_token_add_word(h, word, n);
	if (n == have || (__u8)(word >> n * 8) != ':')
		return n;
	krl_http_name_end(h);
	return n + 1;
}

/* The rest of a method in capitals, of which @word has @have bytes, and the space behind it. Returns how many bytes. */
static __always_inline __u32 krl_http_method(struct krl_http *h, __u64 word, __u32 have)
{
	__u64 capitals = krl_word_between(word & ~KRL_WORD_TOPS, 'A', 'Z') & ~word;
	__u32 n = krl_word_before(~capitals & KRL_WORD_TOPS);

	if (!n || n >= have || (__u8)(word >> n * 8) != ' ')
		return 0;
	krl_http_token_add_word(h, word, n);
	krl_http_method_byte(h, ' ');
	return n + 1;
}

/* A part of a path, of which @word has @have bytes, and the space behind it. Returns how many bytes. */
static __always_inline __u32 krl_http_path(struct krl_http *h, __u64 word, __u32 have)
{
	__u32 n = krl_word_plain(word, '!');

	h->state = KRL_HTTP_TARGET;
	h->target = KRL_HTTP_TARGET_PATH;
	if (n >= have)
		return have;
	if ((__u8)(word >> n * 8) != ' ')
		return n;
	krl_http_target_end(h);
	return n + 1;
}

/* Bytes from @at on, before @end, that are stepped over at once, since they are what is usual: what is done for them is
 * what krl_http_byte() would do one by one. 0: that is to be asked. */
static __always_inline __u32 krl_http_words(struct krl_http *h, const struct krl_http_window *w, __u32 at, __u32 end,
					    int collects)
{
	__u32 have = end - at < 8 ? end - at : 8, n = 0;
	__u64 word = krl_http_word(w, at);

	switch (h->state) {
	case KRL_HTTP_METHOD:
		return krl_http_method(h, word, have);
	case KRL_HTTP_TARGET_START:
		return (__u8)word == '/' ? krl_http_path(h, word, have) : 0;
	case KRL_HTTP_TARGET:
		return h->target == KRL_HTTP_TARGET_PATH ? krl_http_path(h, word, have) : 0;
	case KRL_HTTP_VERSION:
		if (h->digits || have < 8 || word != KRL_W('H', 'T', 'T', 'P', '/', '1', '.', '1'))
			break;
		h->digits = 8;
		if (end - at < 10 || (krl_http_word(w, at + 8) & 0xffff) != KRL_CRLF)
			return 8;
		h->state = KRL_HTTP_FIELD_START;
		return 10;
	case KRL_HTTP_FIELD_START:
	case KRL_HTTP_FIELD_NAME:
		return krl_http_name(h, word, have);
	case KRL_HTTP_FIELD_VALUE:
		if (!collects)
			return krl_http_text(h, w, at, end);
		n = krl_word_plain(word, ' ');
		break;
	case KRL_HTTP_FIELD_TOKEN:
		n = krl_word_name(word);
		n = n < have ? n : have;
		if (n)
			krl_http_token_add_word(h, word, n);
		break;
	}
	return n < have ? n : have;
}

/* What krl_http_step() does outside of bodies. Returns how many bytes, at most 255, and the event times 256. */
KRL_GLOBAL int krl_http_text_step(struct krl_http *h, const struct krl_http_window *w, __u32 at, __u32 end, int collects)
{
	__u32 n;

	if (!h || !w || at >= end)
		return 0;
	if (h->state == KRL_HTTP_FIELD_START && end - at > 1 && (krl_http_word(w, at) & 0xffff) == KRL_CRLF) {
		h->state = KRL_HTTP_HEAD_LF;
		return 2 | (krl_http_head_end(h) ? KRL_HTTP_BAD : KRL_HTTP_HEAD_END) << 8;
	}
	n = krl_http_words(h, w, at, end, collects);
	return n ? n : 1 | (__u32)krl_http_byte(h, krl_http_word(w, at)) << 8;
}

/* One step at @at of @w, which holds @end bytes; @avail bytes of the connection follow one another there. It goes over a
 * body, some text, or one byte. With @collects somebody looks at the bytes of the value: then a step is at most one word,
 * and does not go over its end. Returns how many bytes were stepped over, with @ret_event set; 0: the byte at @at is
 * wanted, and @w does not hold it. */
static __always_inline __u32 krl_http_step(struct krl_http *h, const struct krl_http_window *w, __u32 at, __u32 end,
					   __u32 avail, int collects, int *ret_event)
{
	__u32 n = krl_http_skip(h, avail);

	*ret_event = KRL_HTTP_NOTHING;
	if (n)
		return n;
	n = krl_http_text_step(h, w, at, end, collects);
	*ret_event = n >> 8;
	return n & 0xff;
}

#endif
