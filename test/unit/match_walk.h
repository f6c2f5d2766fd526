/* SPDX-License-Identifier: Apache-2.0 */
/* The walk of bpf/lib/scan.h without an skb: the same steps over the same windows. */
#ifndef KMESH_RL_TEST_MATCH_WALK_H
#define KMESH_RL_TEST_MATCH_WALK_H

#include <string.h>

#include "bpf/lib/tiers.h"

struct match_walk {
	struct krl_http http;
	struct krl_match match;
	const struct krl_policy *policy;
	int event;		/* enum krl_http_event that ended the walk */
	unsigned int begins;
	unsigned int heads;
	void (*head)(struct match_walk *walk);	/* a head ended, and was matched; may be NULL */
};

/* The connection of @source begins, with @key for its hashes. */
static inline void match_walk_begin(struct match_walk *walk, const struct krl_policy *policy, const __u64 key[2],
				    const __u8 source[16])
{
	/* What a begin forgets to set would show. */
	memset(walk, 0xa5, sizeof(*walk));
	memset(&walk->http, 0, sizeof(walk->http));
	memcpy(walk->match.key, key, sizeof(walk->match.key));
	memcpy(walk->match.source, source, sizeof(walk->match.source));
	walk->policy = policy;
	walk->event = KRL_HTTP_NOTHING;
	walk->begins = walk->heads = 0;
	walk->head = NULL;
	krl_match_begin(&walk->match);
}

static inline void match_walk_event(struct match_walk *walk, int event)
{
	if (event == KRL_HTTP_BEGIN) {
		walk->begins++;
		krl_match_begin(&walk->match);
	} else if (event == KRL_HTTP_HEAD_END) {
		walk->heads++;
		krl_match_end(&walk->match, walk->policy);
		if (walk->head)
			walk->head(walk);
	} else {
		walk->event = event;
	}
}

/* The next @len bytes of the connection, in windows of at most @max (to KRL_HTTP_WINDOW_BYTES) bytes. */
static inline void match_walk_on(struct match_walk *walk, const char *bytes, size_t len, size_t max)
{
	struct krl_http_window window;
	size_t off = 0, start = 0, have = 0;
	__u32 steps;
	int event;

	while (off < len && !walk->event) {
		union krl_match_went went = { .before = walk->http.state };

		steps = krl_http_step(&walk->http, &window, off - start < have ? off - start : have, have, len - off,
				      krl_match_collects(&walk->match), &event);
		if (!steps) {
			start = off;
			have = len - off < max ? len - off : max;
			/* Behind the last byte is anything. */
			memset(window.bytes + have, 'a', 8);
			memcpy(window.bytes, bytes + off, have);
			continue;
		}
		went.bytes = steps;
		if (went.before < KRL_HTTP_BODY)
			krl_match_step(&walk->match, walk->policy, &walk->http, krl_http_word(&window, off - start),
				       went.all);
		off += steps;
		match_walk_event(walk, event);
	}
}

#endif
