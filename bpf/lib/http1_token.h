/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A connection's place in an HTTP/1.1 stream, and the header fields that decide framing: collected
 * token by token, in lower case, and compared as words. */
#ifndef KMESH_RL_HTTP1_TOKEN_H
#define KMESH_RL_HTTP1_TOKEN_H

#include "word.h"

enum krl_http_state {
	KRL_HTTP_START,		/* between two messages; empty lines are skipped (section 2.2) */
	KRL_HTTP_START_LF,
	KRL_HTTP_FRAME,		/* after an Upgrade, the first byte of what may be a WebSocket frame */
	KRL_HTTP_METHOD,
	KRL_HTTP_TARGET_START,
	KRL_HTTP_TARGET,
	KRL_HTTP_VERSION,
	KRL_HTTP_LINE_LF,
	KRL_HTTP_FIELD_START,
	KRL_HTTP_FIELD_NAME,
	KRL_HTTP_FIELD_VALUE,
	KRL_HTTP_FIELD_TOKEN,	/* a value that decides framing: collected token by token */
	KRL_HTTP_FIELD_TOKEN_END,
	KRL_HTTP_FIELD_LF,
	KRL_HTTP_HEAD_LF,
	KRL_HTTP_BODY,		/* remaining bytes by Content-Length */
	KRL_HTTP_CHUNK_START,
	KRL_HTTP_CHUNK_SIZE,
	KRL_HTTP_CHUNK_EXT,
	KRL_HTTP_CHUNK_LF,
	KRL_HTTP_CHUNK_DATA,	/* remaining bytes of this chunk */
	KRL_HTTP_CHUNK_DATA_CR,
	KRL_HTTP_CHUNK_DATA_LF,
	KRL_HTTP_TRAILER_START,
	KRL_HTTP_TRAILER_NAME,
	KRL_HTTP_TRAILER_VALUE,
	KRL_HTTP_TRAILER_LF,
	KRL_HTTP_TRAILER_END_LF,
	KRL_HTTP_STATE_BAD,
};

/* Which form of a request target (RFC 9112, 3.2) it may still be. */
enum krl_http_target {
	KRL_HTTP_TARGET_PATH,	/* origin-form, or what follows "scheme://": it may end at any byte */
	KRL_HTTP_TARGET_STAR,	/* "*" alone */
	KRL_HTTP_TARGET_NAME,	/* a scheme, or the host of "host:port" */
	KRL_HTTP_TARGET_COLON,
	KRL_HTTP_TARGET_SLASH,	/* "scheme:/" */
	KRL_HTTP_TARGET_PORT,
};

enum krl_http_field {
	KRL_HTTP_FIELD_OTHER,
	KRL_HTTP_FIELD_CONTENT_LENGTH,
	KRL_HTTP_FIELD_TRANSFER_ENCODING,
	KRL_HTTP_FIELD_CONNECTION,
	KRL_HTTP_FIELD_EXPECT,
	KRL_HTTP_FIELD_UPGRADE,
	KRL_HTTP_FIELD_CONTENT_ENCODING,
};

enum {
	KRL_HTTP_HAS_LENGTH = 1U << 0,
	KRL_HTTP_CHUNKED = 1U << 1,
	KRL_HTTP_1_0 = 1U << 2,
	KRL_HTTP_CLOSE = 1U << 3,	/* Connection: close */
	KRL_HTTP_EXPECT = 1U << 4,	/* Expect: 100-continue */
	KRL_HTTP_HEAD = 1U << 5,	/* the answer has no body */
	KRL_HTTP_UPGRADE = 1U << 6,	/* or CONNECT: another protocol may follow */
	KRL_HTTP_SMALL = 1U << 7,	/* some letter of the method is a small one */
	KRL_HTTP_CODED = 1U << 12,	/* Content-Encoding: the body is not what it says */
	KRL_HTTP_REQUEST_FLAGS = ((1U << 8) - 1) | KRL_HTTP_CODED,
	KRL_HTTP_NOT_FIRST = 1U << 8,	/* some byte of the connection was seen */
	KRL_HTTP_UPGRADE_ASKED = 1U << 9,	/* the request before this one asked to upgrade */
	KRL_HTTP_LATER = 1U << 10,	/* something came before this request */
	KRL_HTTP_STAR = 1U << 11,	/* its target is "*" */
};

enum krl_http_event {
	KRL_HTTP_NOTHING,
	KRL_HTTP_BEGIN,		/* first byte of a request line */
	KRL_HTTP_HEAD_END,	/* a request's head is complete, flags hold what it said */
	KRL_HTTP_BAD,
	KRL_HTTP_TLS,		/* the connection begins as TLS does */
	KRL_HTTP_H2,		/* the connection begins with the HTTP/2 preface (RFC 9113, 3.4) */
	KRL_HTTP_UPGRADED,	/* after an Upgrade, bytes that no HTTP/1.1 server takes as a request */
};

#define KRL_HTTP_TOKEN_BYTES 32
#define KRL_HTTP_TOKEN_MAX 24

/* One connection's place in the stream; all zero is the start of a connection. */
struct krl_http {
	__u64 remaining;	/* bytes of body or chunk to skip, or the chunk size being read */
	__u64 length;		/* Content-Length */
	__u8 token[KRL_HTTP_TOKEN_BYTES];	/* lower case, NUL padded */
	__u8 token_len;		/* KRL_HTTP_TOKEN_MAX: too long to be a known one */
	__u8 state;
	__u8 field;
	union {
		__u8 digits;	/* of the version or of the chunk size */
		__u8 target;	/* enum krl_http_target */
	};
	__u32 flags;
};

_Static_assert(sizeof(struct krl_http) == 56, "kept in krl_conns");

static __always_inline int krl_http_is_vchar(__u8 c)
{
	return c > 0x20 && c != 0x7f;
}

/* RFC 9110, 5.6.2, as a bit set over 0x00-0x7f. */
static __always_inline int krl_http_is_tchar(__u8 c)
{
	__u64 low = 0x03ff6cfa00000000ULL;	/* ! # $ % & ' * + - . 0-9 */
	__u64 high = 0x57ffffffc7fffffeULL;	/* A-Z ^ _ ` a-z | ~ */

	if (c & 0x80)
		return 0;
	return ((c & 0x40 ? high : low) >> (c & 0x3f)) & 1;
}

static __always_inline int krl_http_is_text(__u8 c)
{
	return krl_http_is_vchar(c) || c == ' ' || c == '\t';
}

static __always_inline void krl_http_token_clear(struct krl_http *h)
{
	__u64 *w = (__u64 *)h->token;

	w[0] = 0;
	w[1] = 0;
	w[2] = 0;
	w[3] = 0;
	h->token_len = 0;
}

static __always_inline void krl_http_token_add(struct krl_http *h, __u8 c)
{
	__u32 at = h->token_len;

	if (at >= KRL_HTTP_TOKEN_MAX)
		return;
	h->token[KRL_MASKED(at, KRL_HTTP_TOKEN_BYTES)] = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
	h->token_len = at + 1;
}

/* The first @n bytes of @word, 1 to 8, all of them letters, digits or hyphens. */
static __always_inline void krl_http_token_add_word(struct krl_http *h, __u64 word, __u32 n)
{
	__u32 at = h->token_len;

	if (at >= KRL_HTTP_TOKEN_MAX)
		return;
	if (n > KRL_HTTP_TOKEN_MAX - at)
		n = KRL_HTTP_TOKEN_MAX - at;
	krl_store_word(h->token + KRL_MASKED(at, KRL_HTTP_TOKEN_BYTES), krl_word_first(word | KRL_WORD_BLANKS, n));
	h->token_len = at + n;
}

/* Little-endian words of the tokens that are known, so that comparing is three loads. */
#define KRL_W(a, b, c, d, e, f, g, h)                                                              \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 |   \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)

static __always_inline int krl_http_token_is(const struct krl_http *h, __u64 a, __u64 b, __u64 c)
{
	const __u64 *w = (const __u64 *)h->token;

	return w[0] == a && w[1] == b && w[2] == c;
}

static __always_inline __u8 krl_http_classify(const struct krl_http *h)
{
	if (krl_http_token_is(h, KRL_W('c', 'o', 'n', 't', 'e', 'n', 't', '-'),
			      KRL_W('l', 'e', 'n', 'g', 't', 'h', 0, 0), 0))
		return KRL_HTTP_FIELD_CONTENT_LENGTH;
	if (krl_http_token_is(h, KRL_W('t', 'r', 'a', 'n', 's', 'f', 'e', 'r'),
			      KRL_W('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n'), 'g'))
		return KRL_HTTP_FIELD_TRANSFER_ENCODING;
	if (krl_http_token_is(h, KRL_W('c', 'o', 'n', 'n', 'e', 'c', 't', 'i'),
			      KRL_W('o', 'n', 0, 0, 0, 0, 0, 0), 0))
		return KRL_HTTP_FIELD_CONNECTION;
	if (krl_http_token_is(h, KRL_W('e', 'x', 'p', 'e', 'c', 't', 0, 0), 0, 0))
		return KRL_HTTP_FIELD_EXPECT;
	if (krl_http_token_is(h, KRL_W('u', 'p', 'g', 'r', 'a', 'd', 'e', 0), 0, 0))
		return KRL_HTTP_FIELD_UPGRADE;
	if (krl_http_token_is(h, KRL_W('c', 'o', 'n', 't', 'e', 'n', 't', '-'),
			      KRL_W('e', 'n', 'c', 'o', 'd', 'i', 'n', 'g'), 0))
		return KRL_HTTP_FIELD_CONTENT_ENCODING;
	return KRL_HTTP_FIELD_OTHER;
}

/* A token of a framing header ended, at a comma (@last 0) or at the end of the line.
 * Returns 0, or -1 where a server might read another length than the digits say. */
static __always_inline int krl_http_token_end(struct krl_http *h, int last)
{
	__u64 n = 0;
	__u32 i;

	switch (h->field) {
	case KRL_HTTP_FIELD_CONTENT_LENGTH:
		if (!last || !h->token_len || h->token_len > 18 || h->flags & KRL_HTTP_HAS_LENGTH)
			return -1;
		for (i = 0; i < 18; i++) {
			__u8 c = h->token[i];

			if (i >= h->token_len)
				break;
			if (c < '0' || c > '9')
				return -1;
			n = n * 10 + (c - '0');
		}
		h->length = n;
		h->flags |= KRL_HTTP_HAS_LENGTH;
		break;
	case KRL_HTTP_FIELD_TRANSFER_ENCODING:
		if (!last || h->flags & KRL_HTTP_CHUNKED ||
		    !krl_http_token_is(h, KRL_W('c', 'h', 'u', 'n', 'k', 'e', 'd', 0), 0, 0))
			return -1;
		h->flags |= KRL_HTTP_CHUNKED;
		break;
	case KRL_HTTP_FIELD_CONNECTION:
		if (krl_http_token_is(h, KRL_W('c', 'l', 'o', 's', 'e', 0, 0, 0), 0, 0))
			h->flags |= KRL_HTTP_CLOSE;
		break;
	case KRL_HTTP_FIELD_EXPECT:
		if (krl_http_token_is(h, KRL_W('1', '0', '0', '-', 'c', 'o', 'n', 't'),
				      KRL_W('i', 'n', 'u', 'e', 0, 0, 0, 0), 0))
			h->flags |= KRL_HTTP_EXPECT;
		break;
	case KRL_HTTP_FIELD_CONTENT_ENCODING:
		if (h->token_len && !krl_http_token_is(h, KRL_W('i', 'd', 'e', 'n', 't', 'i', 't', 'y'), 0, 0))
			h->flags |= KRL_HTTP_CODED;
		break;
	}
	krl_http_token_clear(h);
	return 0;
}

#endif
