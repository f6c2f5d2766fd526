/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Eight bytes of text at once, the first of them lowest. */
#ifndef KMESH_RL_WORD_H
#define KMESH_RL_WORD_H

#include "compiler.h"

#define KRL_WORD_ONES 0x0101010101010101ULL
#define KRL_WORD_TOPS (KRL_WORD_ONES << 7)
#define KRL_WORD_BLANKS (KRL_WORD_ONES * ' ')

/* CRLF at the start of a word. */
#define KRL_CRLF 0x0a0d

/* How many bytes come before the first that has its top bit in @found, which has no others. */
static __always_inline __u32 krl_word_before(__u64 found)
{
	if (!found)
		return 8;
	found = (found & -found) >> 7;
	return ((found - 1) & KRL_WORD_ONES) * KRL_WORD_ONES >> 56;
}

/* How many of the 8 bytes of @word come before one that is below @least, at most 0x80, or DEL. */
static __always_inline __u32 krl_word_plain(__u64 word, __u64 least)
{
	__u64 del = word ^ KRL_WORD_ONES * 0x7f;

	/* The lowest such byte is one: no borrow came from below it. */
	return krl_word_before((((word - KRL_WORD_ONES * least) & ~word) | ((del - KRL_WORD_ONES) & ~del)) &
			       KRL_WORD_TOPS);
}

/* Bit 7 of each byte of @low, none above 0x7f, that is between @from and @to. */
static __always_inline __u64 krl_word_between(__u64 low, __u64 from, __u64 to)
{
	return (low + KRL_WORD_ONES * (0x80 - from)) & ~(low + KRL_WORD_ONES * (0x7f - to)) & KRL_WORD_TOPS;
}

/* How many of the 8 bytes of @word come before one that is no letter, digit or hyphen. With bit 5 set those are in lower
 * case. */
static __always_inline __u32 krl_word_name(__u64 word)
{
	__u64 low = word & ~KRL_WORD_TOPS;
	__u64 name = krl_word_between(low | KRL_WORD_BLANKS, 'a', 'z') | krl_word_between(low, '0', '9') |
		     krl_word_between(low, '-', '-');

	return krl_word_before(~(name & ~word) & KRL_WORD_TOPS);
}

/* Bit 7 of each byte of @word that is @c; above the first of them it may be set for others as well. */
static __always_inline __u64 krl_word_of(__u64 word, __u8 c)
{
	word ^= KRL_WORD_ONES * c;
	return (word - KRL_WORD_ONES) & ~word & KRL_WORD_TOPS;
}

/* Bit 7 of each byte of @word that is below @least, at most 0x80; above the first as krl_word_of(). */
static __always_inline __u64 krl_word_below(__u64 word, __u64 least)
{
	return (word - KRL_WORD_ONES * least) & ~word & KRL_WORD_TOPS;
}

/* Bit 7 of each byte of @word that is a quote or below the blank; above the first as krl_word_of(). */
static __always_inline __u64 krl_word_quoted(__u64 word)
{
	/* This makes the quote the blank, and what is below the blank stays there. */
	return krl_word_below(word ^ KRL_WORD_ONES * ('"' ^ ' '), ' ' + 1);
}

/* Bit 7 of each byte of @word that is not 0. */
static __always_inline __u64 krl_word_set(__u64 word)
{
	return (((word & ~KRL_WORD_TOPS) + ~KRL_WORD_TOPS) | word) & KRL_WORD_TOPS;
}

/* @word with its letters A to Z in lower case. */
static __always_inline __u64 krl_word_lower(__u64 word)
{
	return word | (krl_word_between(word & ~KRL_WORD_TOPS, 'A', 'Z') & ~word) >> 2;
}

/* The first @n bytes of @word, 1 to 8, and NULs. */
static __always_inline __u64 krl_word_first(__u64 word, __u32 n)
{
	return word & ~0ULL >> (64 - n * 8);
}

#endif
