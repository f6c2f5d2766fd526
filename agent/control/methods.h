/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent answers on its control socket, and the form of it. */
#ifndef KMESH_RL_CONTROL_METHODS_H
#define KMESH_RL_CONTROL_METHODS_H

#include <stdbool.h>

#include <jansson.h>

#include "agent/cluster/seen.h"
#include "agent/datapath/stats.h"
#include "agent/policy/store.h"
#include "agent/policy/unseen.h"
#include "events.h"
#include "server.h"

/* The context of krl_control_agent_methods; the agent keeps it true while it runs. */
struct krl_control_agent {
	const char *bpffs;
	const char *source;		/* as the flag says it, "dir:/etc/kmesh-rl" */
	bool ready;			/* limits are enforced as the source says */
	const char *const *errors;	/* the last refused documents and failures, newest last */
	size_t error_count;
	const struct krl_diags *notes;	/* who waits for what; may be NULL */
	const struct krl_store *store;	/* what was read; NULL: nothing yet */
	const struct krl_plan *plan;	/* what is in force of it */
	const struct krl_events *events;
	/* What is known of the cluster, as krl_cluster_seen() has it; NULL: nothing. */
	int (*seen)(const struct krl_cluster *cluster, struct krl_seen *ret);
	/* As krl_cluster_read(); NULL as above. */
	int (*read_cluster)(struct krl_cluster *cluster, krl_seen_read_fn fn, void *arg);
	struct krl_cluster *cluster;
	/* What the source knows of the RateLimit @ns/@name beyond that, an object whose fields go into what krl_limits_json()
	 * says of it; NULL: nothing. May be NULL. */
	json_t *(*known)(void *ctx, const char *ns, const char *name);
	krl_unseen_walk unseen;		/* may be NULL */
	void *ctx;			/* of both */
};

/* "cluster": what all nodes told, as krl_seen_read_fn has it. "events": krl_events_json, of those after the number "after" of its params. "ratelimits": krl_limits_json. "stats":
 * krl_stats_json of krl_stats_read. "version": {"version", "pid", "source", "ready", "errors": [...]}, and where Redis is
 * asked "cluster": krl_cluster_json. */
extern const struct krl_control_method krl_control_agent_methods[];

/* {"items": [{"namespace", "name", "service", "rule", "limit", "maxTokens", "tokensPerFill",
 * "fillInterval" (ns), "availableTokens", "totalRequests", "rateLimitedRequests", "endpoints",
 * "buckets", "window" (ns in which an empty bucket is full again; not with maxConnections), "rejectedRatio" (of 1, once there
 * was a request)}], "reasons": {name: count}}, and of a rule that counts LLMTokens "tokens": krl_tokens_json. Returns a value
 * that the caller releases, or NULL without memory. Bytes of names that are not UTF-8 become '?'. */
json_t *krl_stats_json(const struct krl_stats *stats);

/* Add to @value, of krl_stats_json() with @stats, what is known of the cluster: to items "scope", and of Cluster "whenUnavailable",
 * "leasedTokens", "clusterTokens", "lastExchangeAge" (ns), the last three once it exchanged; and where Redis is asked "cluster":
 * krl_cluster_json(). 0; without memory another number. */
int krl_stats_add_cluster(json_t *value, const struct krl_stats *stats, const struct krl_seen *seen);

/* {"up", "since", "at", "why", "exchangesPerSecond", "exchanges", "failures"}, without "at" where it never was, without "why" where
 * there is nothing wrong. Returns as krl_stats_json. */
json_t *krl_cluster_json(const struct krl_seen *seen);

/* {"requests", "estimated", "unreadable", "input", "output", "total", "cachedInput", "reasoning", "debited"}. Returns as
 * krl_stats_json. */
json_t *krl_tokens_json(const struct krl_llm_stats *used);

/* A line for people about what krl_stats_read returned. */
void krl_stats_explain(int err, const char *bpffs, char *ret_text, size_t size);

#endif
