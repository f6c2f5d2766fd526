/* SPDX-License-Identifier: Apache-2.0 */
/* What people are told of the cluster: whether Redis is there, and what this node holds of it, as of its exchanges. */
#ifndef KMESH_RL_CLUSTER_SEEN_H
#define KMESH_RL_CLUSTER_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <linux/types.h>

#define KRL_SEEN_WHERE_BYTES 300
#define KRL_SEEN_WHY_BYTES 256

struct krl_cluster;

/* Of a rule that exchanged. */
struct krl_seen_rule {
	__u32 rule_id;
	__u64 leased;		/* tokens that this node holds, of all buckets */
	__s64 left;		/* to all, in the emptiest bucket that this node has a lease of, or had last */
	__u64 at_ns;		/* the last exchange, CLOCK_BOOTTIME */
};

/* All zero: no Redis is asked. */
struct krl_seen {
	bool asked, up;
	char where[KRL_SEEN_WHERE_BYTES];	/* "10.0.0.7:6379", the last one while it is away; "": never yet */
	char why[KRL_SEEN_WHY_BYTES];		/* it is not up, one line; "": nothing is known yet */
	int64_t since_s;			/* that it is up, or is not; since 1970 */
	uint64_t exchanges, failures;		/* that were answered, and whose outcome is not known */
	double per_s;				/* exchanges, of the last ten seconds */
	int64_t last_ms;			/* when Redis answered last, since 1970; 0: never */
	struct krl_seen_rule *rules;		/* sorted by rule_id */
	size_t count;
};

/* 0, and what krl_seen_free() releases; or -ENOMEM. @cluster may be NULL. */
int krl_cluster_seen(const struct krl_cluster *cluster, struct krl_seen *ret);
void krl_seen_free(struct krl_seen *seen);

/* What all nodes told: {"items": [{"node", "age" (ns), "namespace", "name", "service", "rule", "limit", "totalRequests",
 * "rateLimitedRequests", "shadowLimitedRequests"}]}, which is the callee's; or NULL with one line in @error. */
typedef void (*krl_seen_read_fn)(void *arg, json_t *value, const char *error);

/* Call @fn once with that, from the loop, as soon as Redis answers or is away, and within krl_cluster_close() at the latest. 0; or
 * -ENOTCONN, it is away, or -ENODATA, none is asked; @cluster may be NULL. */
int krl_cluster_read(struct krl_cluster *cluster, krl_seen_read_fn fn, void *arg);

/* NULL: it did not exchange. */
const struct krl_seen_rule *krl_seen_rule(const struct krl_seen *seen, __u32 rule_id);

#endif
