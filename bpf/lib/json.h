/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A JSON text (RFC 8259), one step at a time, over any segmentation.
 *
 * Who reads it is told of the objects and arrays that it asks for, of their keys and of the values that it takes; all
 * else is passed over by its strings and brackets, however deep. There what is no JSON may go unnoticed. What some
 * server takes for JSON is either read as that server does or is KRL_JSON_BAD: the text of a string never counts as a
 * key, an escaped spelling of a key is that key, and UTF-16, which Python's json takes, is bad. What is understood does
 * not depend on how it is cut.
 *
 * Nothing points into the stream, so a text may arrive in any number of pieces. The same lines run in BPF programs, in
 * the unit tests and in the fuzzer.
 */
#ifndef KMESH_RL_JSON_H
#define KMESH_RL_JSON_H

#include "json_number.h"
#include "json_pass.h"

/* Words of a string that is taken: with U+FFFD before them they have room in krl_json.text. */
#define KRL_JSON_TEXT_WORDS 3

/* A comma and a quote at the start of a word. */
#define KRL_JSON_COMMA_QUOTE 0x222c

/* After KRL_JSON_KEY: the value is wanted. */
static __always_inline void krl_json_take(struct krl_json *j)
{
	j->passes = 0;
}

static __always_inline int krl_json_expect(struct krl_json *j, __u8 c, __u8 want, __u8 next)
{
	if (c != want)
		return KRL_JSON_BAD;
	j->state = next;
	return KRL_JSON_NOTHING;
}

static __always_inline int krl_json_open(struct krl_json *j, int is_array)
{
	j->kinds = j->kinds << 1 | is_array;
	j->depth++;
	j->state = is_array ? KRL_JSON_FIRST_VALUE : KRL_JSON_FIRST_KEY;
	return is_array ? KRL_JSON_ARRAY : KRL_JSON_OBJECT;
}

static __always_inline int krl_json_close(struct krl_json *j, __u8 c)
{
	if (!j->depth || c != (j->kinds & 1 ? ']' : '}'))
		return KRL_JSON_BAD;
	j->kinds >>= 1;
	j->depth--;
	krl_json_value_end(j);
	return j->depth ? KRL_JSON_CLOSE : KRL_JSON_END;
}

/* The first byte of a number, or of a name of Python's or JavaScript's. */
static __always_inline int krl_json_is_word(__u8 c)
{
	return (c >= '0' && c <= '9') || c == '-' || c == 't' || c == 'f' || c == 'n' || c == 'N' || c == 'I';
}

static __always_inline int krl_json_value(struct krl_json *j, __u8 c)
{
	int passes = j->passes && !(j->kinds & 1);

	if (c == '"') {
		if (!passes)
			return krl_json_text_begin(j, 0);
		j->state = KRL_JSON_PASS_STRING;
		return KRL_JSON_NOTHING;
	}
	if (c == '{' || c == '[') {
		if (!passes && j->depth < KRL_JSON_DEPTH_MAX)
			return krl_json_open(j, c == '[');
		j->skip = 1;
		j->state = KRL_JSON_PASS;
		return KRL_JSON_NOTHING;
	}
	if (!krl_json_is_word(c))
		return KRL_JSON_BAD;
	if (!passes && (c == '-' || c <= '9')) {
		krl_json_number_begin(j);
		krl_json_number_byte(&j->number, c);
		return KRL_JSON_NOTHING;
	}
	j->state = KRL_JSON_PASS_WORD;
	if (passes)
		return KRL_JSON_NOTHING;
	return c == 't' ? KRL_JSON_TRUE : c == 'f' ? KRL_JSON_FALSE : c == 'n' ? KRL_JSON_NULL : KRL_JSON_OTHER;
}

/* One byte where not many may be stepped over. */
static __always_inline int krl_json_byte(struct krl_json *j, __u8 c)
{
	switch (j->state) {
	case KRL_JSON_MARK:
		return krl_json_expect(j, c, 0xbb, KRL_JSON_MARK_END);
	case KRL_JSON_MARK_END:
		return krl_json_expect(j, c, 0xbf, KRL_JSON_VALUE);
	case KRL_JSON_FIRST_KEY:
		if (c == '}')
			return krl_json_close(j, c);
		/* fallthrough */
	case KRL_JSON_NEXT_KEY:
		return c == '"' ? krl_json_text_begin(j, 1) : KRL_JSON_BAD;
	case KRL_JSON_COLON:
		return krl_json_expect(j, c, ':', KRL_JSON_VALUE);
	case KRL_JSON_AFTER:
		if (c != ',')
			return krl_json_close(j, c);
		j->state = j->kinds & 1 ? KRL_JSON_VALUE : KRL_JSON_NEXT_KEY;
		return KRL_JSON_NOTHING;
	case KRL_JSON_ESCAPE:
		return krl_json_text_escape(j, c);
	case KRL_JSON_HEX:
		return krl_json_text_hex(j, c);
	case KRL_JSON_PASS_ESCAPE:
		j->state = KRL_JSON_PASS_STRING;
		return KRL_JSON_NOTHING;
	case KRL_JSON_FIRST_VALUE:
		if (c == ']')
			return krl_json_close(j, c);
		break;
	case KRL_JSON_START:
		if (c == 0xef) {
			j->state = KRL_JSON_MARK;
			return KRL_JSON_NOTHING;
		}
		break;
	}
	return krl_json_value(j, c);
}

/* The quote behind a string that is taken. */
static __always_inline int krl_json_text_end(struct krl_json *j)
{
	krl_json_text_alone(j);
	if (!j->is_key) {
		krl_json_value_end(j);
		return KRL_JSON_TEXT_END;
	}
	j->state = KRL_JSON_COLON;
	j->passes = 1;
	return KRL_JSON_KEY;
}

/* A string that is taken, from @at to @end of @w, and the colon behind a key. Returns how many bytes. */
static __always_inline __u32 krl_json_text(struct krl_json *j, const struct krl_http_window *w, __u32 at, __u32 end,
					   int *ret_event)
{
	__u32 start = at, n, i;
	__u64 word;

	for (i = 0; i < KRL_JSON_TEXT_WORDS; i++) {
		if (at >= end)
			break;
		word = krl_body_word(w, at);
		n = krl_word_before(krl_json_quotes(word));
		if (n > end - at)
			n = end - at;
		if (n) {
			krl_json_text_alone(j);
			krl_json_text_add(j, word, n);
			at += n;
		}
		if (n == 8 || at >= end)
			continue;
		at++;
		if ((__u8)(word >> n * 8) == '\\') {
			j->state = KRL_JSON_ESCAPE;
			break;
		}
		*ret_event = krl_json_text_end(j);
		if (j->state == KRL_JSON_COLON && at < end && (__u8)krl_body_word(w, at) == ':') {
			j->state = KRL_JSON_VALUE;
			at++;
		}
		break;
	}
	return at - start;
}

/* Digits from @at to @end of @w. Returns how many bytes. */
static __always_inline __u32 krl_json_digits(struct krl_json *j, const struct krl_http_window *w, __u32 at, __u32 end,
					     int *ret_event)
{
	__u64 word = krl_body_word(w, at);
	__u32 i;

	for (i = 0; i < 8; i++) {
		if (at + i >= end)
			break;
		if (!krl_json_number_byte(&j->number, word >> i * 8)) {
			krl_json_value_end(j);
			*ret_event = KRL_JSON_NUMBER;
			break;
		}
	}
	return i;
}

/* A comma in an object and the quote of a key, both there at @at. Returns how many bytes: 2 or none. */
static __always_inline __u32 krl_json_next_key(struct krl_json *j, const struct krl_http_window *w, __u32 at, __u32 end)
{
	if (j->state != KRL_JSON_AFTER || j->kinds & 1 || at >= end || end - at < 2 ||
	    (krl_body_word(w, at) & 0xffff) != KRL_JSON_COMMA_QUOTE)
		return 0;
	krl_json_text_begin(j, 1);
	return 2;
}

static __always_inline int krl_json_in_text(const struct krl_json *j)
{
	return j->state == KRL_JSON_STRING || j->state == KRL_JSON_ESCAPE || j->state == KRL_JSON_HEX;
}

/* One step over bytes of @w from @at on, before @end. Returns how many, and the event times KRL_BODY_EVENT; an event
 * may come without a byte. 0: the byte at @at is wanted, and @w does not hold it. */
KRL_GLOBAL int krl_json_step(struct krl_json *j, const struct krl_http_window *w, __u32 at, __u32 end)
{
	int event = KRL_JSON_NOTHING;
	__u32 n = 0;

	if (!j || !w || at >= end)
		return 0;
	if (krl_json_in_text(j) && !j->is_key)
		krl_json_text_clear(j);
	if (j->state == KRL_JSON_PASS_WORD)
		n = krl_json_pass_word(j, w, at, end);
	if (j->state >= KRL_JSON_DONE)
		return end - at;
	if (!n && j->state <= KRL_JSON_AFTER)
		n = krl_json_blanks(w, at, end);
	if (n)
		return n;
	n = krl_json_next_key(j, w, at, end);
	if (j->state < KRL_JSON_STRING) {
		event = krl_json_byte(j, krl_body_word(w, at));
		n = 1;
	}
	if (j->state == KRL_JSON_PASS || j->state == KRL_JSON_PASS_STRING) {
		n += krl_json_pass(j, w, at + n, end);
		event = j->state == KRL_JSON_DONE ? KRL_JSON_END : KRL_JSON_NOTHING;
	} else if (j->state == KRL_JSON_PASS_WORD && at + n < end) {
		n += krl_json_pass_word(j, w, at + n, end);
	}
	/* Behind what was passed over, the next key is told at once. */
	if (!event)
		n += krl_json_next_key(j, w, at + n, end);
	if (j->state == KRL_JSON_STRING)
		n += krl_json_text(j, w, at + n, end, &event);
	else if (j->state == KRL_JSON_DIGITS)
		n += krl_json_digits(j, w, at + n, end, &event);
	if (event == KRL_JSON_BAD)
		j->state = KRL_JSON_LOST;
	else if (!event && krl_json_in_text(j) && !j->is_key && j->text_len)
		event = KRL_JSON_TEXT;
	return n | (__u32)event * KRL_BODY_EVENT;
}

#endif
