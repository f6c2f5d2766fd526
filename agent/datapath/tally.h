/* SPDX-License-Identifier: Apache-2.0 */
/* What the pinned maps say of the whole node, beside struct krl_stats, for metrics. Reads only; needs no agent. */
#ifndef KMESH_RL_TALLY_H
#define KMESH_RL_TALLY_H

#include <stddef.h>

#include <kmesh_rl/histograms.h>
#include <kmesh_rl/usage.h>

#include "stats.h"
#include "values.h"

struct krl_tally_usage {
	struct krl_llm_model_key key;	/* of krl_llm_usages */
	struct krl_usage usage;
};

/* Requests of one who was limited. */
struct krl_tally_limited {
	const struct krl_stats_row *rule;
	__u64 descriptor[2];
	const struct krl_kept *kept;	/* who that is; NULL: it is not known any more */
	__u64 count;
	struct krl_llm_stats used;	/* of a rule that counts LLMTokens */
};

/* Zero at first. */
struct krl_tally {
	struct krl_latency latency;
	struct krl_tally_usage *usages;	/* sorted by key */
	size_t usage_count;
	struct krl_tally_limited *limited;	/* those that were most, first */
	size_t limited_count;
	struct krl_values values;	/* what they point to */
	size_t inbound, outbound;	/* connections whose requests are judged */
};

/* Read them below @bpffs, and who was limited most by @rules, which must stay as they are: the first @top, none with 0. 0,
 * and krl_tally_free() releases @ret; or as krl_stats_read(). */
int krl_tally_read(const char *bpffs, const struct krl_stats *rules, size_t top, struct krl_tally *ret);

/* Accepts one that is all zero. */
void krl_tally_free(struct krl_tally *tally);

/* The step of krl_tally_read() that needs no kernel: keep the first @top. */
void krl_tally_sort(struct krl_tally *tally, size_t top);

#endif
