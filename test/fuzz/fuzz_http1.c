// SPDX-License-Identifier: Apache-2.0
/* The framing of a stream must not depend on how it is cut: the first byte of the input says where,
 * the rest is the stream. A difference is a way round the limiter. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/lib/http1_step.h"

struct seen {
	struct krl_http http;
	uint32_t begins;
	uint32_t heads;
	int event;
};

static void walk(struct seen *seen, const uint8_t *stream, size_t len, size_t window)
{
	char *copy = malloc(window + 8);
	size_t off = 0, start = 0, have = 0;
	uint32_t n;
	int event;

	while (off < len && !seen->event) {
		n = off - start > have ? 0
				       : krl_http_step(&seen->http, (struct krl_http_window *)copy, off - start, have, len - off, window & 1, &event);
		if (!n) {
			start = off;
			have = len - off < window ? len - off : window;
			memcpy(copy, stream + off, have);
			continue;
		}
		off += n;
		if (event == KRL_HTTP_BEGIN)
			seen->begins++;
		else if (event == KRL_HTTP_HEAD_END)
			seen->heads++;
		else
			seen->event = event;
	}
	if (off > len)
		abort();
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {}, cut = {};
	size_t at;

	if (size < 2)
		return 0;
	at = data[0] % size;
	data++;
	size--;
	walk(&whole, data, size, 512);
	walk(&cut, data, at, 1 + at % 9);
	walk(&cut, data + at, size - at, 1 + at % 7);
	if (memcmp(&whole, &cut, sizeof(whole)))
		abort();
	return 0;
}
