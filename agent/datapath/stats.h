/* SPDX-License-Identifier: Apache-2.0 */
/* What the pinned maps say about each rule, for the agent's control socket, for metrics, and for the
 * command line tool when no agent runs. Reads only; needs no agent. */
#ifndef KMESH_RL_STATS_H
#define KMESH_RL_STATS_H

#include <stddef.h>

#include <kmesh_rl/abi.h>
#include <kmesh_rl/reasons.h>
#include <kmesh_rl/usage.h>

/* One rule of one service of one RateLimit. */
struct krl_stats_row {
	__u32 slot;			/* row of krl_rules */
	__u32 id;
	struct krl_rule_info info;
	struct krl_settings settings;
	__u32 flags;			/* KRL_RULE_... */
	/* Tokens in the emptiest bucket, now; max_tokens without any bucket; negative in debt. */
	__s64 available;
	__u64 total;			/* requests that the rule judged */
	__u64 limited;			/* ... and refused */
	__u64 shadow_limited;		/* ... and would have refused, in shadow mode */
	__u32 bucket_count;
	__u32 endpoint_count;
	struct krl_llm_stats used;	/* of KRL_RULE_LLM */
};

struct krl_stats {
	struct krl_stats_row *rows;	/* sorted by namespace, name, service, rule */
	size_t count;
	__u64 reasons[KRL_REASON_MAX];
	size_t buckets;			/* of all rules */
	size_t overflowing;		/* rules whose overflow bucket is not full */
};

/* Read the maps pinned below @bpffs. Returns 0 and statistics that krl_stats_free releases, or -ENOENT
 * (nothing is pinned there), -EPERM, -EPROTO (maps of another KRL_ABI_VERSION), -ENOMEM or what the
 * kernel said. A rule that comes or goes meanwhile may be left out. */
int krl_stats_read(const char *bpffs, struct krl_stats *ret);

/* Leave the rules of RateLimits in namespace @ns (NULL: any) that are called @name (NULL: any). */
void krl_stats_choose(struct krl_stats *stats, const char *ns, const char *name);

/* Accepts statistics that are all zero. */
void krl_stats_free(struct krl_stats *stats);

/* The steps of krl_stats_read that need no kernel, in the order they are taken. */

/* Copy a row that another process may be writing. Returns 0, -ENOENT (free) or -EAGAIN (its writer was
 * killed halfway, or never rests). */
int krl_stats_copy_rule(const struct krl_rule *row, struct krl_rule *ret);

/* Order the rows by id, as the two functions below need it. */
void krl_stats_sort_by_id(struct krl_stats *stats);
void krl_stats_count_bucket(struct krl_stats *stats, const struct krl_bucket_key *key,
			    const struct krl_bucket *bucket, __u64 now_ns);
/* The bucket that the rule's descriptors share when there is no room for more; passed over when it is
 * full, as it is until it is used. */
void krl_stats_count_overflow(struct krl_stats_row *row, const struct krl_bucket *bucket, __u64 now_ns);
void krl_stats_count_endpoint(struct krl_stats *stats, const struct krl_endpoint *endpoint);

void krl_stats_sort_by_name(struct krl_stats *stats);

#endif
