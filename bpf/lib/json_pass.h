/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What of a JSON text is passed over, many bytes at once: by its strings and brackets alone, so that it may be as deep
 * as it likes. */
#ifndef KMESH_RL_JSON_PASS_H
#define KMESH_RL_JSON_PASS_H

#include "body.h"
#include "json_text.h"

/* Words, and ends of strings, that one step goes over in what is passed over. */
#define KRL_JSON_WORDS 16

/* Words of a number. */
#define KRL_JSON_NUMBER_WORDS 3

/* After KRL_JSON_OBJECT, KRL_JSON_ARRAY or a value: the rest of the innermost object or array, or of @levels of them of
 * which each is in the next, is passed over, without KRL_JSON_CLOSE. */
static __always_inline void krl_json_leave(struct krl_json *j, __u32 levels)
{
	if (levels > j->depth)
		return;
	j->kinds >>= levels;
	j->depth -= levels;
	j->skip = levels;
	j->state = KRL_JSON_PASS;
}

static __always_inline void krl_json_value_end(struct krl_json *j)
{
	j->state = j->depth ? KRL_JSON_AFTER : KRL_JSON_DONE;
}

/* Tops of the bytes that end a run of a string's text. */
static __always_inline __u64 krl_json_quotes(__u64 word)
{
	return krl_word_of(word, '"') | krl_word_of(word, '\\');
}

/* Tops of quotes and brackets; of some letters as well, which outside of strings are rare. */
static __always_inline __u64 krl_json_brackets(__u64 word)
{
	return krl_word_of(word, '"') | krl_word_of((word | KRL_WORD_BLANKS) & ~(KRL_WORD_ONES * 6), 0x79);
}

/* Tops of what ends a number or a name. */
static __always_inline __u64 krl_json_ends(__u64 word)
{
	return krl_word_below(word, 0x21) | krl_word_of(word, ',') | krl_word_of(word | KRL_WORD_BLANKS, '}');
}

/* Tops of white space. */
static __always_inline __u64 krl_json_is_blank(__u64 word)
{
	__u64 low = word & ~KRL_WORD_TOPS;

	return (krl_word_between(low, '\t', '\n') | krl_word_between(low, '\r', '\r') |
		krl_word_between(low, ' ', ' ')) & ~word;
}

/* White space from @at to @end of @w. Returns how many bytes. */
static __always_inline __u32 krl_json_blanks(const struct krl_http_window *w, __u32 at, __u32 end)
{
	__u32 start = at, n, i;
	__u64 word;

	for (i = 0; i < KRL_JSON_WORDS; i++) {
		if (at >= end)
			break;
		word = krl_body_word(w, at);
		if ((__u8)word > 0x20)
			break;
		n = krl_word_before(~krl_json_is_blank(word) & KRL_WORD_TOPS);
		if (n > end - at)
			n = end - at;
		at += n;
		if (n < 8)
			break;
	}
	return at - start;
}

/* A quote or a bracket of what is passed over. Returns whether that ended. */
static __always_inline int krl_json_pass_byte(struct krl_json *j, __u8 c)
{
	if (c == '"') {
		if (j->state == KRL_JSON_PASS) {
			j->state = KRL_JSON_PASS_STRING;
			return 0;
		}
		j->state = KRL_JSON_PASS;
	} else if (c == '{' || c == '[') {
		j->skip++;
	} else if (c == '}' || c == ']') {
		j->skip--;
	}
	if (j->skip)
		return 0;
	krl_json_value_end(j);
	return 1;
}

/* What is passed over, from @at to @end of @w. Returns how many bytes. */
static __always_inline __u32 krl_json_pass(struct krl_json *j, const struct krl_http_window *w, __u32 at, __u32 end)
{
	__u32 start = at, n, i;
	__u64 word, found;

	for (i = 0; i < KRL_JSON_WORDS; i++) {
		if (at >= end)
			break;
		word = krl_body_word(w, at);
		found = j->state == KRL_JSON_PASS ? krl_json_brackets(word) : krl_json_quotes(word);
		n = krl_word_before(found);
		if (n >= end - at)
			return end - start;
		at += n;
		if (n == 8)
			continue;
		at++;
		if ((__u8)(word >> n * 8) == '\\') {
			j->state = at < end ? KRL_JSON_PASS_STRING : KRL_JSON_PASS_ESCAPE;
			at += at < end;
		} else if (krl_json_pass_byte(j, word >> n * 8)) {
			break;
		}
	}
	return at - start;
}

/* A number or a name that is passed over, from @at to @end of @w. Returns how many bytes; 0: it ended before. */
static __always_inline __u32 krl_json_pass_word(struct krl_json *j, const struct krl_http_window *w, __u32 at, __u32 end)
{
	__u32 start = at, n, i;

	for (i = 0; i < KRL_JSON_NUMBER_WORDS; i++) {
		if (at >= end)
			break;
		n = krl_word_before(krl_json_ends(krl_body_word(w, at)));
		if (n >= end - at)
			return end - start;
		at += n;
		if (n < 8) {
			krl_json_value_end(j);
			break;
		}
	}
	return at - start;
}

#endif
