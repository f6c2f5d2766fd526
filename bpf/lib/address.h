/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The address in an element of a list such as X-Forwarded-For, read byte by byte: IPv4 or IPv6 (RFC 4291, 2.2),
 * in brackets or not, with a port or not, and with white space around it. */
#ifndef KMESH_RL_ADDRESS_H
#define KMESH_RL_ADDRESS_H

#include "compiler.h"

#define KRL_ADDRESS_BYTES 16
#define KRL_ADDRESS_NO_GAP 0xff

enum krl_address_state {
	KRL_ADDRESS_BEFORE,
	KRL_ADDRESS_INSIDE,
	KRL_ADDRESS_BEHIND,	/* a port and white space may follow */
	KRL_ADDRESS_PORT,
	KRL_ADDRESS_AFTER,	/* nothing but white space may follow */
	KRL_ADDRESS_BAD,
};

struct krl_address {
	__u8 bytes[KRL_ADDRESS_BYTES];	/* those before "::" */
	__u64 tail[2];		/* those behind it, as one number */
	__u16 value;		/* of the number being read, as hexadecimal */
	__u16 decimal;		/* ... as decimal; 256 when it is none of IPv4 */
	__u8 digits;		/* of the number */
	__u8 len;		/* bytes in all */
	__u8 gap;		/* len at "::", or KRL_ADDRESS_NO_GAP */
	__u8 dots;
	__u8 colons;		/* at the end of what was read */
	__u8 bracket;
	__u8 state;
	__u8 pad[5];
};

static __always_inline void krl_address_begin(struct krl_address *a)
{
	__builtin_memset(a, 0, sizeof(*a));
	a->gap = KRL_ADDRESS_NO_GAP;
}

static __always_inline void krl_address_put(struct krl_address *a, __u8 byte)
{
	__u32 at = a->len;

	if (at >= KRL_ADDRESS_BYTES) {
		a->state = KRL_ADDRESS_BAD;
		return;
	}
	if (a->gap == KRL_ADDRESS_NO_GAP) {
		a->bytes[KRL_MASKED(at, KRL_ADDRESS_BYTES)] = byte;
	} else {
		a->tail[0] = a->tail[0] << 8 | a->tail[1] >> 56;
		a->tail[1] = a->tail[1] << 8 | byte;
	}
	a->len = at + 1;
}

/* The number ended: a group of IPv6, or with a dot before or behind it, @octet, a byte. */
static __always_inline void krl_address_number(struct krl_address *a, int octet)
{
	if (!a->digits || (octet && a->decimal > 255)) {
		a->state = KRL_ADDRESS_BAD;
		return;
	}
	if (!octet)
		krl_address_put(a, a->value >> 8);
	krl_address_put(a, octet ? a->decimal : a->value);
	a->value = 0;
	a->decimal = 0;
	a->digits = 0;
}

static __always_inline void krl_address_digit(struct krl_address *a, __u32 digit)
{
	/* A colon alone begins no address. */
	if (a->digits == 4 || (a->colons == 1 && !a->len)) {
		a->state = KRL_ADDRESS_BAD;
		return;
	}
	/* Not of IPv4: a letter, and a leading zero, which is octal to some. */
	if (digit > 9 || (a->digits && !a->decimal))
		a->decimal = 256;
	if (a->decimal <= 255)
		a->decimal = a->decimal * 10 + digit;
	a->value = a->value << 4 | digit;
	a->digits++;
	a->colons = 0;
}

/* The address ended: at its last byte, or where its port begins. */
static __always_inline void krl_address_finish(struct krl_address *a)
{
	if (a->state != KRL_ADDRESS_INSIDE)
		return;
	a->state = KRL_ADDRESS_BEHIND;
	if (a->digits)
		krl_address_number(a, a->dots);
	else if (a->colons != 2)
		a->state = KRL_ADDRESS_BAD;
	if (a->dots && a->dots != 3)
		a->state = KRL_ADDRESS_BAD;
}

static __always_inline void krl_address_colon(struct krl_address *a)
{
	if (a->dots) {
		/* Of IPv4 alone, what follows is its port. */
		krl_address_finish(a);
		if (a->state == KRL_ADDRESS_BEHIND)
			a->state = KRL_ADDRESS_PORT;
		if (a->len != 4 || a->gap != KRL_ADDRESS_NO_GAP || a->bracket)
			a->state = KRL_ADDRESS_BAD;
		return;
	}
	if (a->digits) {
		krl_address_number(a, 0);
	} else if (a->colons) {
		if (a->gap != KRL_ADDRESS_NO_GAP)
			a->state = KRL_ADDRESS_BAD;
		a->gap = a->len;
	}
	a->colons++;
}

static __always_inline void krl_address_blank(struct krl_address *a)
{
	krl_address_finish(a);
	if (a->bracket)
		a->state = KRL_ADDRESS_BAD;
	if (a->state == KRL_ADDRESS_BEHIND || a->state == KRL_ADDRESS_PORT)
		a->state = KRL_ADDRESS_AFTER;
}

static __always_inline void krl_address_byte(struct krl_address *a, __u8 c)
{
	__u8 lower = c | 0x20;
	int digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;

	if (c == ' ' || c == '\t') {
		krl_address_blank(a);
		return;
	}
	if (a->state >= KRL_ADDRESS_BEHIND) {
		if (a->state == KRL_ADDRESS_BEHIND && c == ':')
			a->state = KRL_ADDRESS_PORT;
		else if (a->state != KRL_ADDRESS_PORT || digit < 0 || digit > 9)
			a->state = KRL_ADDRESS_BAD;
		return;
	}
	if (c == '[' && a->state == KRL_ADDRESS_BEFORE && !a->bracket) {
		a->bracket = 1;
		return;
	}
	a->state = KRL_ADDRESS_INSIDE;
	if (digit >= 0) {
		krl_address_digit(a, digit);
	} else if (c == ':') {
		krl_address_colon(a);
	} else if (c == '.') {
		a->dots++;
		krl_address_number(a, 1);
	} else if (c == ']' && a->bracket) {
		krl_address_finish(a);
		a->bracket = 0;
	} else {
		a->state = KRL_ADDRESS_BAD;
	}
}

/* The element ended. Returns 0 with the address in @ret, IPv4 as ::ffff:a.b.c.d, or -1 when it is none. */
static __always_inline int krl_address_end(struct krl_address *a, __u8 ret[KRL_ADDRESS_BYTES])
{
	__u32 i;

	krl_address_finish(a);
	if (a->state < KRL_ADDRESS_BEHIND || a->state == KRL_ADDRESS_BAD || a->bracket)
		return -1;
	if (a->len == 4 && a->dots && a->gap == KRL_ADDRESS_NO_GAP) {
		for (i = 0; i < 12; i++)
			ret[i] = i < 10 ? 0 : 0xff;
		for (i = 0; i < 4; i++)
			ret[12 + i] = a->bytes[i];
		return 0;
	}
	if ((a->len == KRL_ADDRESS_BYTES) != (a->gap == KRL_ADDRESS_NO_GAP))
		return -1;
	for (i = 0; i < KRL_ADDRESS_BYTES; i++)
		ret[i] = a->bytes[i] | a->tail[i / 8] >> (7 - i % 8) * 8;
	return 0;
}

#endif
