/* SPDX-License-Identifier: Apache-2.0 */
/* The data of a stream of server-sent events as the scanner tells it: \n behind each line, and | behind each event. */
#ifndef KMESH_RL_TEST_SSE_WALK_H
#define KMESH_RL_TEST_SSE_WALK_H

#include "body_walk.h"
#include "bpf/lib/sse.h"

enum { SSE_WALK_BYTES = 65536 };

struct sse_walk {
	struct krl_sse sse;
	char data[SSE_WALK_BYTES];
	size_t len;
};

static inline void sse_walk_begin(struct sse_walk *w)
{
	memset(&w->sse, 0, sizeof(w->sse));
	w->len = 0;
	w->data[0] = '\0';
}

static inline void sse_walk_put(struct sse_walk *w, char c)
{
	if (w->len >= sizeof(w->data) - 1)
		abort();
	w->data[w->len++] = c;
	w->data[w->len] = '\0';
}

static inline uint32_t sse_walk_step(void *state, const struct krl_http_window *window, uint32_t at, uint32_t end)
{
	struct sse_walk *w = state;
	uint32_t did = krl_sse_step(&w->sse, window, at, end), n = did % KRL_BODY_EVENT, i;

	if (!n || n > end - at)
		abort();
	if (did / KRL_BODY_EVENT == KRL_SSE_IS_DATA)
		for (i = 0; i < n; i++)
			sse_walk_put(w, window->bytes[at + i] == '\r' ? '\n' : window->bytes[at + i]);
	if (did / KRL_BODY_EVENT == KRL_SSE_END)
		sse_walk_put(w, '|');
	return n;
}

#endif
