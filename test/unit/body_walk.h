/* SPDX-License-Identifier: Apache-2.0 */
/* A body on its way through a scanner, in pieces of any size. */
#ifndef KMESH_RL_TEST_BODY_WALK_H
#define KMESH_RL_TEST_BODY_WALK_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/lib/body.h"

/* One step over bytes of the window from @at on, before @end. Returns how many. */
typedef uint32_t body_step(void *state, const struct krl_http_window *w, uint32_t at, uint32_t end);

/* What is in the window behind the bytes that are there: a scanner that looks at it sees an end. */
#define BODY_BEHIND '"'

/* The @len bytes, of which @window at most are seen at a time. */
static inline void body_walk(body_step *step, void *state, const void *bytes, size_t len, size_t window)
{
	struct krl_http_window *w = malloc(sizeof(*w));
	size_t off = 0, start = 0, have = 0, idle = 0;
	uint32_t n;

	if (!w || window > KRL_HTTP_WINDOW_BYTES)
		abort();
	while (off < len) {
		if (off - start == have) {
			memset(w, BODY_BEHIND, sizeof(*w));
			start = off;
			have = len - off < window ? len - off : window;
			memcpy(w->bytes, (const char *)bytes + off, have);
		}
		n = step(state, w, off - start, have);
		/* What was told without a byte lets the next step go on. */
		idle = n ? 0 : idle + 1;
		off += n;
		if (off - start > have || idle > 2)
			abort();
	}
	free(w);
}

/* The same, cut at byte @cut as well. */
static inline void body_walk_cut(body_step *step, void *state, const void *bytes, size_t len, size_t cut, size_t window)
{
	body_walk(step, state, bytes, cut, window);
	body_walk(step, state, (const char *)bytes + cut, len - cut, window);
}

#endif
