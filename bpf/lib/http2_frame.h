/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The header of an HTTP/2 frame (RFC 9113, 4.1), read and written; and which streams are underway. */
#ifndef KMESH_RL_HTTP2_FRAME_H
#define KMESH_RL_HTTP2_FRAME_H

#include "compiler.h"

enum {
	KRL_H2_PREFACE_BYTES = 24,	/* section 3.4 */
	KRL_H2_HEAD_BYTES = 9,
	KRL_H2_TYPE_AT = 3,
	KRL_H2_GOAWAY_BYTES = 17,
	KRL_H2_WINDOW_BYTES = 13,	/* of a WINDOW_UPDATE */
	KRL_H2_TELL_BYTES = KRL_H2_WINDOW_BYTES + KRL_H2_GOAWAY_BYTES,
	KRL_H2_FRAME_MAX = 16384,	/* bytes behind a header that everybody takes (section 4.2) */
	KRL_H2_ENHANCE_YOUR_CALM = 0xb,
};

enum krl_h2_frame_type {
	KRL_H2_DATA,
	KRL_H2_HEADERS,
	KRL_H2_PRIORITY,
	KRL_H2_RST_STREAM,
	KRL_H2_SETTINGS,
	KRL_H2_PUSH_PROMISE,
	KRL_H2_PING,
	KRL_H2_GOAWAY,
	KRL_H2_WINDOW_UPDATE,
	KRL_H2_CONTINUATION,
	KRL_H2_UNKNOWN = 0xe4,	/* assigned to nothing (section 11.2) */
};

enum {
	KRL_H2_END_STREAM = 0x1,
	KRL_H2_ACK = 0x1,
	KRL_H2_END_HEADERS = 0x4,
	KRL_H2_PADDED = 0x8,
};

/* A header while its bytes come. */
struct krl_h2_head {
	__u8 bytes[16];
	__u32 len;		/* that are there */
	__u32 pad;
};

static __always_inline void krl_h2_head_add(struct krl_h2_head *head, __u8 c)
{
	__u32 at = head->len;

	head->bytes[at & 15] = c;
	head->len = at + 1;
}

/* All nine bytes. */
static __always_inline void krl_h2_head_load(struct krl_h2_head *head, const char *from)
{
	*(__u64 *)head->bytes = krl_load_word(from);
	head->bytes[8] = from[8];
	head->len = KRL_H2_HEAD_BYTES;
}

static __always_inline __u32 krl_h2_length(const struct krl_h2_head *head)
{
	return (__u32)head->bytes[0] << 16 | (__u32)head->bytes[1] << 8 | head->bytes[2];
}

static __always_inline __u32 krl_h2_type(const struct krl_h2_head *head)
{
	return head->bytes[KRL_H2_TYPE_AT];
}

static __always_inline __u32 krl_h2_flags(const struct krl_h2_head *head)
{
	return head->bytes[4];
}

static __always_inline __u32 krl_h2_id(const struct krl_h2_head *head)
{
	return (__u32)(head->bytes[5] & 0x7f) << 24 | (__u32)head->bytes[6] << 16 | (__u32)head->bytes[7] << 8 |
	       head->bytes[8];
}

static __always_inline void krl_h2_put_u32(char *to, __u32 n)
{
	to[0] = n >> 24;
	to[1] = n >> 16;
	to[2] = n >> 8;
	to[3] = n;
}

/* The header of a frame of the connection's, without flags, with @len bytes behind it. */
static __always_inline void krl_h2_put_head(char *to, __u32 len, __u8 type)
{
	to[0] = len >> 16;
	to[1] = len >> 8;
	to[2] = len;
	to[3] = type;
	to[4] = 0;
	krl_h2_put_u32(to + 5, 0);
}

#define KRL_H2_RING_WORDS 4

/* Of the last streams, 256 counted from the newest 64, those that are in some state. */
struct krl_h2_ring {
	__u64 bits[KRL_H2_RING_WORDS];
	__u32 top;		/* number of the newest word: of the streams divided by 128 */
	__u32 lapped;		/* one was in that state for so long that it was lost sight of */
};

static __always_inline void krl_h2_ring_set(struct krl_h2_ring *ring, __u32 id)
{
	__u32 word = id >> 7, fresh = word - ring->top, i;

	if ((__s32)fresh < 0)
		return;
	for (i = 0; i < KRL_H2_RING_WORDS; i++) {
		if (i >= fresh)
			break;
		ring->lapped |= !!ring->bits[(word - i) & (KRL_H2_RING_WORDS - 1)];
		ring->bits[(word - i) & (KRL_H2_RING_WORDS - 1)] = 0;
	}
	ring->top = word;
	ring->bits[word & (KRL_H2_RING_WORDS - 1)] |= 1ULL << (id >> 1 & 63);
}

static __always_inline int krl_h2_ring_has(const struct krl_h2_ring *ring, __u32 id)
{
	__u32 word = id >> 7;

	return id & 1 && ring->top - word < KRL_H2_RING_WORDS &&
	       ring->bits[word & (KRL_H2_RING_WORDS - 1)] >> (id >> 1 & 63) & 1;
}

static __always_inline void krl_h2_ring_clear(struct krl_h2_ring *ring, __u32 id)
{
	if (krl_h2_ring_has(ring, id))
		ring->bits[id >> 7 & (KRL_H2_RING_WORDS - 1)] &= ~(1ULL << (id >> 1 & 63));
}

/* Is no stream in that state? */
static __always_inline int krl_h2_ring_empty(const struct krl_h2_ring *ring)
{
	return !ring->lapped && !(ring->bits[0] | ring->bits[1] | ring->bits[2] | ring->bits[3]);
}

#endif
