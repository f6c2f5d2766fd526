/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Numbers of a JSON text, byte by byte, as whole ones: some servers write 12 as 12.0 or 1.2e1. */
#ifndef KMESH_RL_JSON_NUMBER_H
#define KMESH_RL_JSON_NUMBER_H

#include "json_text.h"

enum krl_json_part {
	KRL_JSON_WHOLE,
	KRL_JSON_FRACTION,
	KRL_JSON_EXPONENT,
};

/* Behind such a number there is room for a digit, behind this one for up to 5. */
#define KRL_JSON_DIGITS_MAX (~0ULL / 10)

#define KRL_JSON_EXPONENT_MAX 99999999

static __always_inline void krl_json_number_begin(struct krl_json *j)
{
	__builtin_memset(&j->number, 0, sizeof(j->number));
	j->state = KRL_JSON_DIGITS;
}

static __always_inline void krl_json_digit(struct krl_json_number *n, __u32 digit)
{
	if (n->part == KRL_JSON_EXPONENT) {
		if (n->exponent < KRL_JSON_EXPONENT_MAX / 10)
			n->exponent = n->exponent * 10 + digit;
		else
			n->exponent = KRL_JSON_EXPONENT_MAX;
		return;
	}
	if (n->digits < KRL_JSON_DIGITS_MAX || (n->digits == KRL_JSON_DIGITS_MAX && digit <= 5)) {
		n->digits = n->digits * 10 + digit;
		n->scale -= n->part == KRL_JSON_FRACTION;
	} else {
		n->scale += n->part == KRL_JSON_WHOLE;
	}
}

/* Returns whether @c is of the number. */
static __always_inline int krl_json_number_byte(struct krl_json_number *n, __u8 c)
{
	if (c >= '0' && c <= '9') {
		krl_json_digit(n, c - '0');
		return 1;
	}
	switch (c) {
	case '.':
		n->part = KRL_JSON_FRACTION;
		return 1;
	case 'e':
	case 'E':
		n->part = KRL_JSON_EXPONENT;
		return 1;
	case '-':
		if (n->part == KRL_JSON_EXPONENT)
			n->exponent_negative = 1;
		else
			n->negative = 1;
		return 1;
	case '+':
		return 1;
	}
	return 0;
}

/* Is it below zero? */
static __always_inline int krl_json_number_negative(const struct krl_json_number *n)
{
	return n->negative && n->digits;
}

/* Its whole part without the sign, 2^64-1 where it is more. */
static __always_inline __u64 krl_json_number_value(const struct krl_json_number *n)
{
	__s64 scale = n->exponent_negative ? (__s64)n->scale - n->exponent : (__s64)n->scale + n->exponent;
	__u64 value = n->digits;
	__u32 i;

	/* Twenty digits are more than there are, and than there is room for. */
	for (i = 0; i < 20; i++) {
		if (!scale || !value)
			break;
		if (scale < 0) {
			value /= 10;
			scale++;
			continue;
		}
		if (value > ~0ULL / 10)
			return ~0ULL;
		value *= 10;
		scale--;
	}
	return value;
}

/* The same as 32 bits, 2^32-1 where it is more. */
static __always_inline __u32 krl_json_number_u32(const struct krl_json_number *n)
{
	__u64 value = krl_json_number_value(n);

	return value > 0xffffffff ? 0xffffffff : value;
}

#endif
