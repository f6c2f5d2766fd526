// SPDX-License-Identifier: Apache-2.0
/* What the server gets of a client's HTTP/2 stream, however that is cut: all of it while nothing is refused; and never
 * more requests than were admitted, as a reader of the whole counts them that knows nothing of streams. The first
 * three bytes of the input say how many are, and how it is cut; the rest is the stream. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/h2_walk.h"

#define MAX_BYTES 4096
#define BEGIN ".0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
#define BEGIN_BYTES (sizeof(BEGIN) - 1)

static size_t length_at(const uint8_t *head)
{
	return (size_t)head[0] << 16 | head[1] << 8 | head[2];
}

static uint32_t id_at(const uint8_t *head)
{
	return (uint32_t)(head[5] & 0x7f) << 24 | head[6] << 16 | head[7] << 8 | head[8];
}

/* Frames of the same lengths, streams, and what is in them, as far as their headers are whole; where one differs, it is
 * hidden, or an end. Counts HEADERS, and those that leave their stream open for trailers. */
static void compare(const uint8_t *sent, const uint8_t *seen, size_t len, unsigned int *ret_headers,
		    unsigned int *ret_sending)
{
	size_t at = BEGIN_BYTES;

	while (at + KRL_H2_HEAD_BYTES <= len) {
		const uint8_t *a = sent + at, *b = seen + at;

		if (length_at(a) != length_at(b) || id_at(a) != id_at(b))
			abort();
		if (b[3] == KRL_H2_HEADERS) {
			(*ret_headers)++;
			*ret_sending += !(b[4] & KRL_H2_END_STREAM);
		}
		if (a[3] != b[3] && b[3] != KRL_H2_UNKNOWN && (a[3] != KRL_H2_HEADERS || b[3] != KRL_H2_DATA))
			abort();
		at += KRL_H2_HEAD_BYTES + length_at(a);
	}
}

static void check(const uint8_t *stream, size_t len, unsigned int tokens, size_t size, size_t window)
{
	unsigned int headers = 0, sending = 0;
	struct h2_walk walk;
	size_t at, n;
	char *seen, *skb;

	seen = malloc(len);
	if (!seen)
		abort();
	h2_walk_begin(&walk, tokens);
	for (at = 0; at < len && !walk.bad; at += n) {
		n = size < len - at ? size : len - at;
		skb = malloc(n);
		if (!skb)
			abort();
		memcpy(skb, stream + at, n);
		h2_walk_skb(&walk, skb, n, window);
		memcpy(seen + at, skb, n);
		free(skb);
	}
	if (walk.bad)
		abort();
	if (!walk.refused && memcmp(seen, stream, len))
		abort();
	compare(stream, (uint8_t *)seen, len, &headers, &sending);
	/* Of each that left its stream open, trailers came for nothing. */
	if (headers > walk.admitted + sending)
		abort();
	free(seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *stream;

	if (size < 3 || size > MAX_BYTES)
		return 0;
	stream = malloc(BEGIN_BYTES + size - 3);
	if (!stream)
		abort();
	memcpy(stream, BEGIN, BEGIN_BYTES);
	memcpy(stream + BEGIN_BYTES, data + 3, size - 3);
	check(stream, BEGIN_BYTES + size - 3, data[0] % 8, MAX_BYTES * 2, 512);
	check(stream, BEGIN_BYTES + size - 3, data[0] % 8, 1 + data[1], 1 + data[2] % 32);
	free(stream);
	return 0;
}
