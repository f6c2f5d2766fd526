/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Framing of HTTP/1.1 requests (RFC 9112), one step at a time, over any segmentation.
 *
 * The parser is stricter than servers are: wherever a server might find another message boundary
 * than this code does (two lengths, length with chunked, bare CR or LF, obs-fold, space before a
 * colon, ...) it says KRL_HTTP_BAD, and the caller refuses the request. It keeps no pointer into the
 * stream, so a message may arrive in any number of pieces.
 *
 * The same lines run in the sk_skb program, in the unit tests and in the fuzzer.
 */
#ifndef KMESH_RL_HTTP1_H
#define KMESH_RL_HTTP1_H

#include "http1_token.h"

#define KRL_HTTP_WINDOW_BYTES 512

/* Bytes of a connection, and room: four words may be read at any of them, and one more than a word behind the last. */
struct krl_http_window {
	char bytes[KRL_HTTP_WINDOW_BYTES + 32];
};

/* The empty line after the fields: where does the body end? RFC 9112, 6.3. */
static __always_inline int krl_http_head_end(struct krl_http *h)
{
	if (h->flags & KRL_HTTP_CHUNKED) {
		if (h->flags & (KRL_HTTP_HAS_LENGTH | KRL_HTTP_1_0))
			return -1;
		h->state = KRL_HTTP_CHUNK_START;
	} else if (h->flags & KRL_HTTP_HAS_LENGTH && h->length) {
		h->remaining = h->length;
		h->state = KRL_HTTP_BODY;
	} else {
		h->state = KRL_HTTP_START;
	}
	h->flags |= KRL_HTTP_LATER;
	if (h->flags & KRL_HTTP_UPGRADE)
		h->flags |= KRL_HTTP_UPGRADE_ASKED;
	else
		h->flags &= ~KRL_HTTP_UPGRADE_ASKED;
	return 0;
}

/* Step over up to @avail bytes of body. Returns how many; 0 when not inside a body. */
static __always_inline __u32 krl_http_skip(struct krl_http *h, __u32 avail)
{
	__u32 n;

	if (h->state != KRL_HTTP_BODY && h->state != KRL_HTTP_CHUNK_DATA)
		return 0;
	n = h->remaining < avail ? (__u32)h->remaining : avail;
	h->remaining -= n;
	if (!h->remaining)
		h->state = h->state == KRL_HTTP_BODY ? KRL_HTTP_START : KRL_HTTP_CHUNK_DATA_CR;
	return n;
}

static __always_inline void krl_http_method_add(struct krl_http *h, __u8 c)
{
	if (c >= 'a' && c <= 'z')
		h->flags |= KRL_HTTP_SMALL;
	krl_http_token_add(h, c);
}

static __always_inline int krl_http_first_byte(struct krl_http *h, __u8 c)
{
	int first = !(h->flags & KRL_HTTP_NOT_FIRST);

	h->flags |= KRL_HTTP_NOT_FIRST;
	if (c == '\r') {
		h->flags |= KRL_HTTP_LATER;
		h->state = KRL_HTTP_START_LF;
		return KRL_HTTP_NOTHING;
	}
	if (krl_http_is_tchar(c)) {
		h->flags &= ~(KRL_HTTP_REQUEST_FLAGS | KRL_HTTP_STAR);
		h->length = 0;
		h->state = KRL_HTTP_METHOD;
		krl_http_token_clear(h);
		krl_http_method_add(h, c);
		return KRL_HTTP_BEGIN;
	}
	if (h->flags & KRL_HTTP_UPGRADE_ASKED) {
		/* Some servers skip 0x85 and 0xa0 before a request, which some character sets take for
		 * white space; no WebSocket frame begins so. */
		if (c & 0x80)
			return c == 0x85 || c == 0xa0 ? KRL_HTTP_BAD : KRL_HTTP_UPGRADED;
		/* TLS. */
		if (c == 0x16)
			return KRL_HTTP_UPGRADED;
		if (c <= 2 || c == 0x40) {
			h->state = KRL_HTTP_FRAME;
			return KRL_HTTP_NOTHING;
		}
	}
	if (first && c == 0x16)
		return KRL_HTTP_TLS;
	return KRL_HTTP_BAD;
}

static __always_inline int krl_http_method_byte(struct krl_http *h, __u8 c)
{
	if (krl_http_is_tchar(c)) {
		krl_http_method_add(h, c);
		return KRL_HTTP_NOTHING;
	}
	if (c == ' ') {
		/* Methods are told apart by case (RFC 9110, 9.1): who sends "head" waits for a body. */
		if (!(h->flags & KRL_HTTP_SMALL) &&
		    krl_http_token_is(h, KRL_W('h', 'e', 'a', 'd', 0, 0, 0, 0), 0, 0))
			h->flags |= KRL_HTTP_HEAD;
		if (krl_http_token_is(h, KRL_W('c', 'o', 'n', 'n', 'e', 'c', 't', 0), 0, 0))
			h->flags |= KRL_HTTP_UPGRADE;
		h->state = KRL_HTTP_TARGET_START;
		return KRL_HTTP_NOTHING;
	}
	/* RFC 6455, 5.2 and RFC 7692: a fragment that is compressed begins with 0x41 or 0x42. */
	if (h->flags & KRL_HTTP_UPGRADE_ASKED && h->token_len == 1 &&
	    (h->token[0] == 'a' || h->token[0] == 'b') && c & 0x80)
		return KRL_HTTP_UPGRADED;
	return KRL_HTTP_BAD;
}

static __always_inline int krl_http_target_start(struct krl_http *h, __u8 c)
{
	h->state = KRL_HTTP_TARGET;
	h->target = c == '/' ? KRL_HTTP_TARGET_PATH : c == '*' ? KRL_HTTP_TARGET_STAR : KRL_HTTP_TARGET_NAME;
	return krl_http_is_vchar(c) && c != '?' && c != '#' ? KRL_HTTP_NOTHING : KRL_HTTP_BAD;
}

/* The target ended. "host:port" is one of CONNECT alone. */
static __always_inline int krl_http_target_end(struct krl_http *h)
{
	__u8 target = h->target;

	h->digits = 0;
	h->state = KRL_HTTP_VERSION;
	if (target == KRL_HTTP_TARGET_STAR)
		h->flags |= KRL_HTTP_STAR;
	if (target <= KRL_HTTP_TARGET_STAR)
		return KRL_HTTP_NOTHING;
	return target == KRL_HTTP_TARGET_PORT &&
	       krl_http_token_is(h, KRL_W('c', 'o', 'n', 'n', 'e', 'c', 't', 0), 0, 0) ? KRL_HTTP_NOTHING : KRL_HTTP_BAD;
}

/* What has none of the four forms is refused: some servers take "v1" or "a:v1" for "/v1". */
static __always_inline int krl_http_target_byte(struct krl_http *h, __u8 c)
{
	if (c == ' ')
		return krl_http_target_end(h);
	if (!krl_http_is_vchar(c))
		return KRL_HTTP_BAD;
	if (h->target == KRL_HTTP_TARGET_PATH)
		return KRL_HTTP_NOTHING;
	if (c == '/') {
		if (h->target != KRL_HTTP_TARGET_COLON && h->target != KRL_HTTP_TARGET_SLASH)
			return KRL_HTTP_BAD;
		h->target = h->target == KRL_HTTP_TARGET_COLON ? KRL_HTTP_TARGET_SLASH : KRL_HTTP_TARGET_PATH;
		return KRL_HTTP_NOTHING;
	}
	if (h->target == KRL_HTTP_TARGET_STAR || h->target == KRL_HTTP_TARGET_SLASH || c == '?' || c == '#')
		return KRL_HTTP_BAD;
	if (h->target == KRL_HTTP_TARGET_COLON)
		h->target = KRL_HTTP_TARGET_PORT;
	else if (h->target == KRL_HTTP_TARGET_NAME && c == ':')
		h->target = KRL_HTTP_TARGET_COLON;
	return KRL_HTTP_NOTHING;
}

/* "HTTP/1." and one digit. */
static __always_inline int krl_http_version_byte(struct krl_http *h, __u8 c)
{
	const __u64 prefix = KRL_W('H', 'T', 'T', 'P', '/', '1', '.', 0);
	__u32 at = h->digits;

	if (at < 7) {
		h->digits = at + 1;
		if (c == (__u8)(prefix >> (at * 8)))
			return KRL_HTTP_NOTHING;
		if (at != 5 || c != '2' || !krl_http_token_is(h, KRL_W('p', 'r', 'i', 0, 0, 0, 0, 0), 0, 0) ||
		    (h->flags & (KRL_HTTP_SMALL | KRL_HTTP_STAR)) != KRL_HTTP_STAR)
			return KRL_HTTP_BAD;
		return (h->flags & (KRL_HTTP_LATER | KRL_HTTP_UPGRADE_ASKED)) == KRL_HTTP_LATER ? KRL_HTTP_BAD : KRL_HTTP_H2;
	}
	if (at == 7 && (c == '0' || c == '1')) {
		if (c == '0')
			h->flags |= KRL_HTTP_1_0;
		h->digits = 8;
		return KRL_HTTP_NOTHING;
	}
	if (at == 8 && c == '\r') {
		h->state = KRL_HTTP_LINE_LF;
		return KRL_HTTP_NOTHING;
	}
	return KRL_HTTP_BAD;
}

/* The colon behind a field's name. */
static __always_inline void krl_http_name_end(struct krl_http *h)
{
	h->field = krl_http_classify(h);
	if (h->field == KRL_HTTP_FIELD_UPGRADE)
		h->flags |= KRL_HTTP_UPGRADE;
	if (h->field == KRL_HTTP_FIELD_OTHER || h->field == KRL_HTTP_FIELD_UPGRADE) {
		h->state = KRL_HTTP_FIELD_VALUE;
	} else {
		krl_http_token_clear(h);
		h->state = KRL_HTTP_FIELD_TOKEN;
	}
}

static __always_inline int krl_http_token_byte(struct krl_http *h, __u8 c)
{
	if (c == '\r') {
		if (krl_http_token_end(h, 1))
			return KRL_HTTP_BAD;
		h->state = KRL_HTTP_FIELD_LF;
		return KRL_HTTP_NOTHING;
	}
	if (c == ',') {
		if (krl_http_token_end(h, 0))
			return KRL_HTTP_BAD;
		h->state = KRL_HTTP_FIELD_TOKEN;
		return KRL_HTTP_NOTHING;
	}
	if (c == ' ' || c == '\t') {
		if (h->token_len)
			h->state = KRL_HTTP_FIELD_TOKEN_END;
		return KRL_HTTP_NOTHING;
	}
	if (!krl_http_is_vchar(c))
		return KRL_HTTP_BAD;
	if (h->state == KRL_HTTP_FIELD_TOKEN_END) {
		/* Two words: no known token has a space, and none may look like one. */
		krl_http_token_add(h, ' ');
		h->state = KRL_HTTP_FIELD_TOKEN;
	}
	krl_http_token_add(h, c);
	return KRL_HTTP_NOTHING;
}

static __always_inline int krl_http_chunk_size_byte(struct krl_http *h, __u8 c)
{
	__u8 lower = c | 0x20;
	int digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;

	if (digit >= 0) {
		if (h->digits >= 15)
			return KRL_HTTP_BAD;
		h->remaining = h->remaining << 4 | digit;
		h->digits++;
		h->state = KRL_HTTP_CHUNK_SIZE;
		return KRL_HTTP_NOTHING;
	}
	if (h->state == KRL_HTTP_CHUNK_START || (c != ';' && c != '\r'))
		return KRL_HTTP_BAD;
	h->state = c == ';' ? KRL_HTTP_CHUNK_EXT : KRL_HTTP_CHUNK_LF;
	return KRL_HTTP_NOTHING;
}

/* Go to @next when @c is @want; anything else is malformed. */
static __always_inline int krl_http_expect(struct krl_http *h, __u8 c, __u8 want, __u8 next)
{
	if (c != want)
		return KRL_HTTP_BAD;
	h->state = next;
	return KRL_HTTP_NOTHING;
}

/* Text up to CR, then @next. */
static __always_inline int krl_http_text_byte(struct krl_http *h, __u8 c, __u8 next)
{
	if (c == '\r')
		h->state = next;
	else if (!krl_http_is_text(c))
		return KRL_HTTP_BAD;
	return KRL_HTTP_NOTHING;
}

/* One byte outside of bodies. Returns an enum krl_http_event; after KRL_HTTP_BAD the connection's
 * framing is lost for good. */
static __always_inline int krl_http_byte(struct krl_http *h, __u8 c)
{
	switch (h->state) {
	case KRL_HTTP_START:
		return krl_http_first_byte(h, c);
	case KRL_HTTP_START_LF:
		return krl_http_expect(h, c, '\n', KRL_HTTP_START);
	case KRL_HTTP_FRAME:
		/* RFC 6455, 5.1: a client's frame has its mask bit in the second byte. */
		return c & 0x80 ? KRL_HTTP_UPGRADED : KRL_HTTP_BAD;
	case KRL_HTTP_METHOD:
		return krl_http_method_byte(h, c);
	case KRL_HTTP_TARGET_START:
		return krl_http_target_start(h, c);
	case KRL_HTTP_TARGET:
		return krl_http_target_byte(h, c);
	case KRL_HTTP_VERSION:
		return krl_http_version_byte(h, c);
	case KRL_HTTP_LINE_LF:
	case KRL_HTTP_FIELD_LF:
		return krl_http_expect(h, c, '\n', KRL_HTTP_FIELD_START);
	case KRL_HTTP_FIELD_START:
		if (c == '\r') {
			h->state = KRL_HTTP_HEAD_LF;
			return KRL_HTTP_NOTHING;
		}
		krl_http_token_clear(h);
		h->state = KRL_HTTP_FIELD_NAME;
		if (!krl_http_is_tchar(c))
			return KRL_HTTP_BAD;
		krl_http_token_add(h, c);
		return KRL_HTTP_NOTHING;
	case KRL_HTTP_FIELD_NAME:
		if (krl_http_is_tchar(c)) {
			krl_http_token_add(h, c);
			return KRL_HTTP_NOTHING;
		}
		if (c != ':')
			return KRL_HTTP_BAD;
		krl_http_name_end(h);
		return KRL_HTTP_NOTHING;
	case KRL_HTTP_FIELD_VALUE:
		return krl_http_text_byte(h, c, KRL_HTTP_FIELD_LF);
	case KRL_HTTP_FIELD_TOKEN:
	case KRL_HTTP_FIELD_TOKEN_END:
		return krl_http_token_byte(h, c);
	case KRL_HTTP_HEAD_LF:
		if (c != '\n' || krl_http_head_end(h))
			return KRL_HTTP_BAD;
		return KRL_HTTP_HEAD_END;
	case KRL_HTTP_CHUNK_START:
		h->remaining = 0;
		h->digits = 0;
		return krl_http_chunk_size_byte(h, c);
	case KRL_HTTP_CHUNK_SIZE:
		return krl_http_chunk_size_byte(h, c);
	case KRL_HTTP_CHUNK_EXT:
		return krl_http_text_byte(h, c, KRL_HTTP_CHUNK_LF);
	case KRL_HTTP_CHUNK_LF:
		return krl_http_expect(h, c, '\n',
				       h->remaining ? KRL_HTTP_CHUNK_DATA : KRL_HTTP_TRAILER_START);
	case KRL_HTTP_CHUNK_DATA_CR:
		return krl_http_expect(h, c, '\r', KRL_HTTP_CHUNK_DATA_LF);
	case KRL_HTTP_CHUNK_DATA_LF:
		return krl_http_expect(h, c, '\n', KRL_HTTP_CHUNK_START);
	case KRL_HTTP_TRAILER_START:
		h->state = c == '\r' ? KRL_HTTP_TRAILER_END_LF : KRL_HTTP_TRAILER_NAME;
		return c == '\r' || krl_http_is_tchar(c) ? KRL_HTTP_NOTHING : KRL_HTTP_BAD;
	case KRL_HTTP_TRAILER_NAME:
		if (c == ':')
			h->state = KRL_HTTP_TRAILER_VALUE;
		else if (!krl_http_is_tchar(c))
			return KRL_HTTP_BAD;
		return KRL_HTTP_NOTHING;
	case KRL_HTTP_TRAILER_VALUE:
		return krl_http_text_byte(h, c, KRL_HTTP_TRAILER_LF);
	case KRL_HTTP_TRAILER_LF:
		return krl_http_expect(h, c, '\n', KRL_HTTP_TRAILER_START);
	case KRL_HTTP_TRAILER_END_LF:
		return krl_http_expect(h, c, '\n', KRL_HTTP_START);
	default:
		return KRL_HTTP_BAD;
	}
}

/* Did the head of a request begin, and not end? */
static __always_inline int krl_http_in_head(const struct krl_http *h)
{
	return h->state >= KRL_HTTP_METHOD && h->state <= KRL_HTTP_HEAD_LF;
}

#endif
