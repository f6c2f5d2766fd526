/* SPDX-License-Identifier: Apache-2.0 */
/* What became of each RateLimit of an API server, written there: its status, and Events. */
#ifndef KMESH_RL_SOURCE_STATUS_H
#define KMESH_RL_SOURCE_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "agent/k8s/http.h"
#include "agent/policy/compile.h"
#include "agent/policy/diag.h"
#include "agent/policy/unseen.h"

#define KRL_STATUS_EVERY_S 10

/* Requests that the rules of the RateLimit @ns/@name refused; may come several times for one, which are added up. */
typedef void (*krl_limited_fn)(void *arg, const char *ns, const char *name, uint64_t limited);
/* Calls @fn for each. */
typedef void (*krl_limited_walk)(void *ctx, krl_limited_fn fn, void *arg);

struct krl_statuses_options {
	const char *node;	/* who writes */
	unsigned int every_s;	/* the status of a RateLimit is written so often at most, and each Event on it */
};

/* How the last attempt to have the kernel do what the RateLimits say went. */
struct krl_outcome {
	const struct krl_plan *plan;	/* in force */
	const struct krl_diags *errors, *notes;
	bool unread;			/* not all is known that they refer to */
	int err;			/* of the kernel, with why */
	const char *why;
	bool pods_unread;		/* it is not known yet which pods there are */
	const char *pods_trouble;	/* ... and why not; NULL: they are being asked for */
};

struct krl_statuses;

/* @http must outlive it; @options is copied. 0, or -ENOMEM. */
int krl_statuses_open(uv_loop_t *loop, struct krl_http *http, const struct krl_statuses_options *options,
		      struct krl_statuses **ret);

/* What is not written yet is not written. Accepts NULL, as those below do. */
void krl_statuses_close(struct krl_statuses *statuses);

/* Where limited requests are counted, and which rules were passed by: asked several times in every_s, until it is closed. */
void krl_statuses_count(struct krl_statuses *statuses, krl_limited_walk limited, krl_unseen_walk unseen, void *ctx);

/* Is Redis away, by which some rules count? Asked as often, until it is closed. */
typedef bool (*krl_away_fn)(void *ctx);
void krl_statuses_ask_away(struct krl_statuses *statuses, krl_away_fn is_away, void *ctx);

/* The RateLimits, as krl_store_list() and the others have them. True: its generation is another than before. */
void krl_statuses_list(struct krl_statuses *statuses);
bool krl_statuses_put(struct krl_statuses *statuses, const json_t *object);
void krl_statuses_remove(struct krl_statuses *statuses, const json_t *object);
void krl_statuses_listed(struct krl_statuses *statuses);

/* {"events": [{"type", "reason", "message", "count", "firstTimestamp", "lastTimestamp"}]} that this agent told of the
 * RateLimit @ns/@name. The caller lets go of it; NULL: it is not known, or without memory. */
json_t *krl_statuses_describe(const struct krl_statuses *statuses, const char *ns, const char *name);

/* All that were put until now were part of @outcome, which is not needed after. */
void krl_statuses_judge(struct krl_statuses *statuses, const struct krl_outcome *outcome);

#endif
