/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, https://github.com/veorq/SipHash). */
#ifndef KMESH_RL_SIPHASH_H
#define KMESH_RL_SIPHASH_H

#include "compiler.h"

struct krl_sip {
	__u64 v0, v1, v2, v3;
};

#define KRL_ROTL(x, n) ((x) << (n) | (x) >> (64 - (n)))

static __always_inline void krl_sip_round(struct krl_sip *s)
{
	s->v0 += s->v1;
	s->v1 = KRL_ROTL(s->v1, 13) ^ s->v0;
	s->v0 = KRL_ROTL(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = KRL_ROTL(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = KRL_ROTL(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = KRL_ROTL(s->v1, 17) ^ s->v2;
	s->v2 = KRL_ROTL(s->v2, 32);
}

static __always_inline void krl_sip_start(struct krl_sip *s, const __u64 key[2])
{
	s->v0 = key[0] ^ 0x736f6d6570736575ULL;
	s->v1 = key[1] ^ 0x646f72616e646f6dULL ^ 0xee;
	s->v2 = key[0] ^ 0x6c7967656e657261ULL;
	s->v3 = key[1] ^ 0x7465646279746573ULL;
}

/* The next 8 bytes of the message, little-endian. */
static __always_inline void krl_sip_word(struct krl_sip *s, __u64 word)
{
	s->v3 ^= word;
	krl_sip_round(s);
	krl_sip_round(s);
	s->v0 ^= word;
}

/* @word: the last 0 to 7 bytes of the message, and in the top byte the length of it all. */
static __always_inline void krl_sip_end(struct krl_sip *s, __u64 word, __u64 ret[2])
{
	int i;

	krl_sip_word(s, word);
	s->v2 ^= 0xee;
	for (i = 0; i < 4; i++)
		krl_sip_round(s);
	ret[0] = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
	s->v1 ^= 0xdd;
	for (i = 0; i < 4; i++)
		krl_sip_round(s);
	ret[1] = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

#endif
