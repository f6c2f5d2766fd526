/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What lets one header compile for BPF, for the unit tests and for the fuzzers. */
#ifndef KMESH_RL_COMPILER_H
#define KMESH_RL_COMPILER_H

#include <linux/types.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#endif

#ifndef __noinline
#define __noinline __attribute__((__noinline__))
#endif

/* Makes the compiler read memory again. */
#define KRL_FORGET() __asm__ volatile("" ::: "memory")

/* Makes the compiler forget what it knows of @x, so that a check the verifier needs stays. */
#define KRL_OPAQUE(x) __asm__ volatile("" : "+r"(x))

/* @n, which is known to be 1 .. @max (a power of two), in a form in which the verifier of every kernel
 * knows it too: 6.1's learns nothing from n != 0. */
#define KRL_BOUNDED(n, max)                                                                        \
	({                                                                                         \
		__u32 krl_n = (n) - 1;                                                             \
		KRL_OPAQUE(krl_n);                                                                 \
		(krl_n & ((max) - 1)) + 1;                                                         \
	})

/* @n, which is known to be below @max (a power of two), in such a form. */
#define KRL_MASKED(n, max)                                                                         \
	({                                                                                         \
		__u32 krl_n = (n);                                                                 \
		KRL_OPAQUE(krl_n);                                                                 \
		krl_n & ((max) - 1);                                                               \
	})

/* The counter @i as a map's key: a copy, which the compiler takes for another value, since 6.1's verifier does not follow
 * a counter whose address is taken. */
#define KRL_COUNTED_KEY(i)                                                                         \
	({                                                                                         \
		__u32 krl_n = (i);                                                                 \
		KRL_OPAQUE(krl_n);                                                                 \
		krl_n;                                                                             \
	})

/* A function that the verifier walks once, not once for every path that leads to a call; it wants a check of
 * each pointer there. Weak, since several objects may have it. */
#ifdef __bpf__
#define KRL_GLOBAL __attribute__((noinline, weak))
#else
#define KRL_GLOBAL static inline
#endif

/* Eight bytes at any address, little-endian. A copy would be eight loads of one byte in BPF, which may
 * load unaligned where the kernel has efficient access to such (kernel/bpf/verifier.c,
 * check_ptr_alignment). */
static __always_inline __u64 krl_load_word(const char *at)
{
#ifdef __bpf__
	return *(const __u64 *)at;
#else
	__u64 word;

	__builtin_memcpy(&word, at, sizeof(word));
	return word;
#endif
}

/* Eight bytes to any address, as krl_load_word(). */
static __always_inline void krl_store_word(void *at, __u64 word)
{
#ifdef __bpf__
	*(__u64 *)at = word;
#else
	__builtin_memcpy(at, &word, sizeof(word));
#endif
}

#define KRL_READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define KRL_LIKELY(x) __builtin_expect(!!(x), 1)
#define KRL_UNLIKELY(x) __builtin_expect(!!(x), 0)

#endif
