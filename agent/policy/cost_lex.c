// SPDX-License-Identifier: Apache-2.0
#include "cost_lex.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BLANKS " \t\n\f\r"
#define DIGITS "0123456789"
#define HEX_DIGITS DIGITS "abcdefABCDEF"
#define LETTERS "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Bytes of the text that a message repeats. */
#define SHOWN 40

static bool is_first_byte(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

int krl_cost_fail(struct krl_cost_lex *lex, const char *at, const char *format, ...)
{
	const char *c;
	va_list args;

	lex->error->column = 1;
	for (c = lex->begin; c < at; c++)
		lex->error->column += is_first_byte(*c);
	va_start(args, format);
	vsnprintf(lex->error->message, sizeof(lex->error->message), format, args);
	va_end(args);
	return -1;
}

/* As many of @len bytes at @at as a message repeats: whole characters. */
static int shown(const char *at, size_t len)
{
	size_t n = len < SHOWN ? len : SHOWN;

	while (n && n < len && !is_first_byte(at[n]))
		n--;
	return n;
}

int krl_cost_expected(struct krl_cost_lex *lex, const char *what)
{
	const struct krl_cost_word *word = &lex->word;

	if (word->kind == KRL_COST_WORD_END)
		return krl_cost_fail(lex, word->at, "expected %s, found the end", what);
	if (word->kind == KRL_COST_WORD_TEXT)
		return krl_cost_fail(lex, word->at, "expected %s, found the text %.*s", what,
				     shown(word->at, word->len), word->at);
	return krl_cost_fail(lex, word->at, "expected %s, found \"%.*s\"", what, shown(word->at, word->len), word->at);
}

/* --- strings ------------------------------------------------------------------------------------------- */

/* @code as UTF-8. Returns how many bytes; 0 when it is no character. */
static size_t put_utf8(unsigned long code, char to[4])
{
	static const unsigned char marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4, i;

	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	for (i = len - 1; i > 0; i--, code >>= 6)
		to[i] = 0x80 | (code & 0x3f);
	to[0] = marks[len] | code;
	return len;
}

/* @count digits of @base at @at as a number. Returns whether they are there. */
static bool digits_at(const char *at, size_t count, unsigned int base, unsigned long *ret)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit;
	unsigned long n = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		digit = at[i] ? strchr(digits, at[i] >= 'A' && at[i] <= 'F' ? at[i] - 'A' + 'a' : at[i]) : NULL;
		if (!digit || digit - digits >= base)
			return false;
		n = n * base + (digit - digits);
	}
	*ret = n;
	return true;
}

/* What the escape at *@at, behind its backslash, stands for, as UTF-8. Goes on behind it. Returns how many bytes; 0: it
 * is none. */
static size_t unescape(const char **at, char to[4])
{
	static const char names[] = "abfnrtv\\?\"'`", values[] = "\a\b\f\n\r\t\v\\?\"'`";
	static const struct {
		char name[3];
		unsigned int digits, base;
	} codes[] = { { "xX", 2, 16 }, { "u", 4, 16 }, { "U", 8, 16 } };
	const char *name = **at ? strchr(names, **at) : NULL;
	unsigned long code;
	size_t i;

	if (name) {
		(*at)++;
		*to = values[name - names];
		return 1;
	}
	for (i = 0; **at && i < sizeof(codes) / sizeof(*codes); i++) {
		if (!strchr(codes[i].name, **at))
			continue;
		if (!digits_at(*at + 1, codes[i].digits, codes[i].base, &code))
			return 0;
		*at += 1 + codes[i].digits;
		return put_utf8(code, to);
	}
	if (!digits_at(*at, 3, 8, &code) || code > 0xff)
		return 0;
	*at += 3;
	return put_utf8(code, to);
}

static int lex_text(struct krl_cost_lex *lex)
{
	struct krl_cost_word *word = &lex->word;
	const char *at = word->at + 1, *from;
	char bytes[4];
	size_t n;

	word->kind = KRL_COST_WORD_TEXT;
	word->text_len = 0;
	memset(word->text, 0, sizeof(word->text));
	while (*at != *word->at) {
		if (!*at || *at == '\n' || *at == '\r')
			return krl_cost_fail(lex, at, "expected %c behind the text, found %s", *word->at,
					     *at ? "the end of the line" : "the end");
		from = at++;
		n = 1;
		bytes[0] = *from;
		if (*from == '\\') {
			n = unescape(&at, bytes);
			if (!n)
				return krl_cost_fail(lex, from, "expected \\n, \\\\, \\', \\\", \\x41, \\u0041 or \\101, "
						     "found \"%.*s\"", shown(from, strnlen(from, 2)), from);
		}
		if (word->text_len + n > sizeof(word->text))
			return krl_cost_fail(lex, word->at, "expected a name of at most %d bytes, found more", KRL_MODEL_BYTES);
		memcpy(word->text + word->text_len, bytes, n);
		word->text_len += n;
	}
	word->len = at + 1 - word->at;
	return 0;
}

/* --- the others ---------------------------------------------------------------------------------------- */

/* A number, and what is written at it: of "1.5" or "3x" it is the whole that is none. */
static int lex_number(struct krl_cost_lex *lex)
{
	struct krl_cost_word *word = &lex->word;
	unsigned int base = !strncmp(word->at, "0x", 2) ? 16 : 10;
	const char *digits = word->at + (base == 16 ? 2 : 0), *at = digits;
	const char *end = digits + strspn(digits, base == 16 ? HEX_DIGITS : DIGITS);
	unsigned long digit = 0;

	word->kind = KRL_COST_WORD_NUMBER;
	word->len = strspn(word->at, LETTERS DIGITS ".");
	if (end == digits || end + (*end == 'u' || *end == 'U') != word->at + word->len)
		return krl_cost_expected(lex, "a whole number");
	for (word->number = 0; at < end; at++) {
		digits_at(at, 1, base, &digit);
		if (word->number > (KRL_COST_MAX - (__s64)digit) / base)
			return krl_cost_fail(lex, word->at, "expected a number up to %lld, found \"%.*s\"", KRL_COST_MAX,
					     shown(word->at, word->len), word->at);
		word->number = word->number * base + digit;
	}
	return 0;
}

static int lex_sign(struct krl_cost_lex *lex)
{
	static const char pairs[][3] = { "==", "!=", "<=", ">=", "&&", "||" };
	struct krl_cost_word *word = &lex->word;
	size_t i;

	word->kind = KRL_COST_WORD_SIGN;
	word->len = 1;
	for (i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		if (!strncmp(word->at, pairs[i], 2))
			word->len = 2;
	/* Of what is no sign, the whole character. */
	while (word->at[word->len] && !is_first_byte(word->at[word->len]))
		word->len++;
	return 0;
}

static const char *skip_blanks(const char *at)
{
	for (;;) {
		at += strspn(at, BLANKS);
		if (strncmp(at, "//", 2))
			return at;
		at += strcspn(at, "\r\n");
	}
}

static int lex_word(struct krl_cost_lex *lex, const char *at)
{
	struct krl_cost_word *word = &lex->word;

	at = skip_blanks(at);
	word->at = at;
	word->len = 0;
	if (!*at) {
		word->kind = KRL_COST_WORD_END;
		return 0;
	}
	if (*at == '"' || *at == '\'')
		return lex_text(lex);
	if (strchr(DIGITS, *at))
		return lex_number(lex);
	if (!strchr(LETTERS, *at))
		return lex_sign(lex);
	word->kind = KRL_COST_WORD_NAME;
	word->len = strspn(at, LETTERS DIGITS);
	return 0;
}

int krl_cost_lex_begin(struct krl_cost_lex *lex, const char *text, struct krl_cost_error *error)
{
	memset(lex, 0, sizeof(*lex));
	lex->begin = text;
	lex->error = error;
	return lex_word(lex, text);
}

int krl_cost_lex_next(struct krl_cost_lex *lex)
{
	return lex_word(lex, lex->word.at + lex->word.len);
}

bool krl_cost_word_is(const struct krl_cost_word *word, const char *text)
{
	return (word->kind == KRL_COST_WORD_NAME || word->kind == KRL_COST_WORD_SIGN) && strlen(text) == word->len &&
	       !memcmp(word->at, text, word->len);
}
