/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A place in a JSON text (RFC 8259), and its strings: keys and values, decoded to UTF-8 as servers decode them, so that
 * no spelling of a key or a value is a way round. */
#ifndef KMESH_RL_JSON_TEXT_H
#define KMESH_RL_JSON_TEXT_H

#include "word.h"

enum krl_json_state {
	/* White space may come before what is awaited. */
	KRL_JSON_START,		/* a value, or a byte order mark, which Python's json takes */
	KRL_JSON_VALUE,
	KRL_JSON_FIRST_VALUE,	/* or ] */
	KRL_JSON_FIRST_KEY,	/* or } */
	KRL_JSON_NEXT_KEY,
	KRL_JSON_COLON,
	KRL_JSON_AFTER,		/* a comma, or the end of what the value is in */
	/* One byte is awaited. */
	KRL_JSON_MARK,
	KRL_JSON_MARK_END,
	KRL_JSON_ESCAPE,	/* in a string that is taken */
	KRL_JSON_HEX,
	KRL_JSON_PASS_ESCAPE,	/* in one that is passed over */
	/* Many bytes may be stepped over at once. */
	KRL_JSON_STRING,	/* a key, or a value that is taken */
	KRL_JSON_DIGITS,
	KRL_JSON_PASS,		/* inside of what is passed over, outside of strings */
	KRL_JSON_PASS_STRING,
	KRL_JSON_PASS_WORD,	/* a number, true, false or null */
	KRL_JSON_DONE,		/* what follows is not looked at: Go's decoder does not */
	KRL_JSON_LOST,
};

enum krl_json_event {
	KRL_JSON_NOTHING,
	KRL_JSON_KEY,		/* in text; its value is passed over unless krl_json_take() */
	KRL_JSON_TEXT,		/* a piece of a string that is taken, in text */
	KRL_JSON_TEXT_END,	/* the last piece, which may be empty */
	KRL_JSON_NUMBER,
	KRL_JSON_TRUE,
	KRL_JSON_FALSE,
	KRL_JSON_NULL,
	KRL_JSON_OTHER,		/* NaN and Infinity, which Python's json takes */
	KRL_JSON_OBJECT,	/* begins: keys follow, and KRL_JSON_CLOSE */
	KRL_JSON_ARRAY,		/* begins: all its values are taken, then KRL_JSON_CLOSE */
	KRL_JSON_CLOSE,
	KRL_JSON_END,		/* of the object or array that the whole is */
	KRL_JSON_BAD,
};

/* A key that is longer is no known one. */
#define KRL_JSON_TEXT_MAX 32

/* What is taken may be so deep; deeper is passed over. */
#define KRL_JSON_DEPTH_MAX 15

struct krl_json_number {
	__u64 digits;		/* as many as have room, as one number ... */
	__s32 scale;		/* ... times ten to the power of this */
	__u32 exponent;
	__u8 part;		/* enum krl_json_part */
	__u8 negative;
	__u8 exponent_negative;
};

/* All zero is the start. */
struct krl_json {
	union {
		__u8 text[KRL_JSON_TEXT_MAX + 8];	/* UTF-8, NUL padded */
		struct krl_json_number number;
	};
	__u32 skip;		/* objects and arrays that are open in what is passed over, with itself */
	__u16 kinds;		/* a bit for each that is taken, the innermost lowest: it is an array */
	__u16 unit;		/* of UTF-16, as its digits come */
	__u16 high;		/* a surrogate that waits for its second half */
	__u8 state;
	__u8 depth;		/* bits of kinds */
	__u8 text_len;		/* KRL_JSON_TEXT_MAX + 1: more than that */
	__u8 digits;		/* of unit */
	__u8 is_key;
	__u8 passes;		/* the value that comes is passed over */
};

_Static_assert(sizeof(struct krl_json) == 56, "kept for a connection");

static __always_inline void krl_json_text_clear(struct krl_json *j)
{
	krl_store_word(j->text, 0);
	krl_store_word(j->text + 8, 0);
	krl_store_word(j->text + 16, 0);
	krl_store_word(j->text + 24, 0);
	krl_store_word(j->text + 32, 0);
	j->text_len = 0;
}

static __always_inline int krl_json_text_begin(struct krl_json *j, int is_key)
{
	krl_json_text_clear(j);
	j->high = 0;
	j->is_key = is_key;
	j->state = KRL_JSON_STRING;
	return KRL_JSON_NOTHING;
}

/* The first @n bytes of @word, 1 to 8. */
static __always_inline void krl_json_text_add(struct krl_json *j, __u64 word, __u32 n)
{
	__u32 at = j->text_len;

	if (at >= KRL_JSON_TEXT_MAX) {
		j->text_len = KRL_JSON_TEXT_MAX + 1;
		return;
	}
	krl_store_word(j->text + KRL_MASKED(at, KRL_JSON_TEXT_MAX), krl_word_first(word, n));
	at += n;
	j->text_len = at > KRL_JSON_TEXT_MAX ? KRL_JSON_TEXT_MAX + 1 : at;
}

/* The half of a pair that no other half follows becomes U+FFFD, as Go has it. */
static __always_inline void krl_json_text_alone(struct krl_json *j)
{
	if (!j->high)
		return;
	j->high = 0;
	krl_json_text_add(j, 0xbdbfef, 3);
}

static __always_inline void krl_json_text_point(struct krl_json *j, __u32 point)
{
	__u32 last = 0x80 | (point & 0x3f), middle = 0x80 | (point >> 6 & 0x3f), n = 1;
	__u64 word = point;

	if (point >= 0x10000) {
		word = 0xf0 | point >> 18 | (0x80 | (point >> 12 & 0x3f)) << 8 | middle << 16 | last << 24;
		n = 4;
	} else if (point >= 0x800) {
		word = 0xe0 | point >> 12 | middle << 8 | last << 16;
		n = 3;
	} else if (point >= 0x80) {
		word = 0xc0 | point >> 6 | last << 8;
		n = 2;
	}
	krl_json_text_add(j, word, n);
}

/* \uXXXX ended. */
static __always_inline void krl_json_text_unit(struct krl_json *j)
{
	__u32 point = j->unit;

	if ((point & 0xfc00) == 0xdc00) {
		point = j->high ? 0x10000 + ((j->high & 0x3ffU) << 10) + (point & 0x3ff) : 0xfffd;
		j->high = 0;
	} else {
		krl_json_text_alone(j);
		if ((point & 0xfc00) == 0xd800) {
			j->high = point;
			return;
		}
	}
	krl_json_text_point(j, point);
}

/* The byte behind a backslash. */
static __always_inline int krl_json_text_escape(struct krl_json *j, __u8 c)
{
	__u8 is;

	switch (c) {
	case 'u':
		j->unit = 0;
		j->digits = 0;
		j->state = KRL_JSON_HEX;
		return KRL_JSON_NOTHING;
	case '"':
	case '\\':
	case '/':
		is = c;
		break;
	case 'b':
		is = '\b';
		break;
	case 'f':
		is = '\f';
		break;
	case 'n':
		is = '\n';
		break;
	case 'r':
		is = '\r';
		break;
	case 't':
		is = '\t';
		break;
	default:
		return KRL_JSON_BAD;
	}
	krl_json_text_alone(j);
	krl_json_text_add(j, is, 1);
	j->state = KRL_JSON_STRING;
	return KRL_JSON_NOTHING;
}

static __always_inline int krl_json_text_hex(struct krl_json *j, __u8 c)
{
	__u8 lower = c | 0x20;
	int digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;

	if (digit < 0)
		return KRL_JSON_BAD;
	j->unit = j->unit << 4 | digit;
	j->digits++;
	if (j->digits < 4)
		return KRL_JSON_NOTHING;
	krl_json_text_unit(j);
	j->state = KRL_JSON_STRING;
	return KRL_JSON_NOTHING;
}

/* Is the text the @len bytes of @a, @b, @c and @d, little-endian words that are NUL padded? */
static __always_inline int krl_json_text_is(const struct krl_json *j, __u32 len, __u64 a, __u64 b, __u64 c, __u64 d)
{
	const char *text = (const char *)j->text;

	return j->text_len == len && krl_load_word(text) == a && (len <= 8 || krl_load_word(text + 8) == b) &&
	       (len <= 16 || krl_load_word(text + 16) == c) && (len <= 24 || krl_load_word(text + 24) == d);
}

#endif
