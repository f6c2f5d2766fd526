// SPDX-License-Identifier: Apache-2.0
/* An HTTP/2 client's stream on its way through the framing, in skbs of any size: what of it the server gets. */
#ifndef KMESH_RL_TEST_H2_WALK_H
#define KMESH_RL_TEST_H2_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/lib/http2.h"

struct h2_walk {
	struct krl_h2 h;
	unsigned int tokens;	/* requests that are admitted yet */
	unsigned int requests;	/* that were judged */
	unsigned int admitted;	/* ... and got one */
	unsigned int refused;
	bool bad;
};

static inline void h2_walk_begin(struct h2_walk *w, unsigned int tokens)
{
	memset(w, 0, sizeof(*w));
	w->tokens = tokens;
	krl_h2_begin(&w->h, 0);
}

static inline void h2_walk_act(struct h2_walk *w, int event, char *skb, size_t off)
{
	char *type = skb + off - krl_h2_type_back(&w->h);

	switch (event) {
	case KRL_H2_REQUEST:
		w->requests++;
		if (w->admitted < w->tokens) {
			w->admitted++;
			krl_h2_admit(&w->h);
			return;
		}
		krl_h2_refuse(&w->h);
		w->refused++;
		*type = (char)KRL_H2_UNKNOWN;
		break;
	case KRL_H2_REFUSED:
		w->refused++;
		*type = (char)KRL_H2_UNKNOWN;
		break;
	case KRL_H2_HIDE:
		*type = (char)KRL_H2_UNKNOWN;
		break;
	case KRL_H2_END:
		type[0] = KRL_H2_DATA;
		type[1] = KRL_H2_END_STREAM | (w->h.skip ? KRL_H2_PADDED : 0);
		if (w->h.skip)
			skb[off] = w->h.skip - 1;
		break;
	case KRL_H2_BAD:
		w->bad = true;
		break;
	}
}

/* The skb of @len bytes at @skb, of which @window are copied at a time; what is hidden is changed in it. */
static inline void h2_walk_skb(struct h2_walk *w, char *skb, size_t len, size_t window)
{
	char *copy = calloc(1, window + 8);
	size_t off = 0, start = 0, have = 0;
	uint32_t n;
	int event;

	if (!copy)
		abort();
	while (off < len && !w->bad) {
		n = off - start > have ? 0 : krl_h2_step(&w->h, copy, off - start, have, len - off, &event);
		if (!n && w->h.skip)
			n = krl_h2_step(&w->h, copy, 0, 0, len - off, &event);
		if (!n) {
			start = off;
			have = len - off < window ? len - off : window;
			memcpy(copy, skb + off, have);
			continue;
		}
		off += n;
		h2_walk_act(w, event, skb, off);
	}
	if (off > len)
		abort();
	free(copy);
}

#endif
