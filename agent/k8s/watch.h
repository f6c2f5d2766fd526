/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of one resource of the API server as they are and as they change: a list in pages, then a watch from
 * there on (kubernetes.io, "Kubernetes API Concepts", Efficient detection of changes), again and again. Whatever
 * fails is tried again, later and later; what was told of before stays as it was meanwhile. */
#ifndef KMESH_RL_K8S_WATCH_H
#define KMESH_RL_K8S_WATCH_H

#include <jansson.h>

#include "http.h"

/* Bounds of what is put together in memory. The API server takes no object of more than 3 MiB (apiserver, server
 * options, MaxRequestBodyBytes). */
#define KRL_WATCH_EVENT_BYTES (8 << 20)
#define KRL_WATCH_PAGE_BYTES (64 << 20)

#define KRL_WATCH_PATHS 2

struct krl_watch_options {
	const char *what;		/* "RateLimits", for people */
	/* "/api/v1/services"; the next one where the server has none of the first. NULL after the last. */
	const char *paths[KRL_WATCH_PATHS];
	const char *fields;		/* a selector of fields; NULL: all of them */
	bool metadata;			/* it is enough */
	unsigned int watch_s;		/* for how long a watch is asked for: this, up to twice this */
};

/* None of them may close the watch, or open another one of the same krl_http. */
struct krl_watch_calls {
	void (*begin)(void *arg);	/* a list: what is not told of until listed() is not there */
	void (*object)(void *arg, const json_t *object);	/* it is there, like this */
	void (*gone)(void *arg, const json_t *object);		/* it was like this at last */
	void (*listed)(void *arg);
	void (*changed)(void *arg);	/* what krl_watch_trouble() says */
};

struct krl_watch;

/* Begins at once. @http must outlive it; the strings of @options are copied. 0, or -ENOMEM. */
int krl_watch_open(uv_loop_t *loop, struct krl_http *http, const struct krl_watch_options *options,
		   const struct krl_watch_calls *calls, void *arg, struct krl_watch **ret);

/* Accepts NULL. */
void krl_watch_close(struct krl_watch *watch);

/* Has a list come to its end, ever? */
bool krl_watch_is_read(const struct krl_watch *watch);

/* A line for people about why what is known may be old; NULL: it is not, as far as we know. */
const char *krl_watch_trouble(const struct krl_watch *watch);

#endif
