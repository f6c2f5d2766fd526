/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rows of the maps that hold histograms; a part of the contract of abi.h. */
#ifndef KMESH_RL_HISTOGRAMS_H
#define KMESH_RL_HISTOGRAMS_H

#include <linux/types.h>

enum {
	KRL_MAX_USAGES = 128,		/* models, by operation, of which histograms are kept */
	KRL_USAGE_BUCKETS = 15,		/* see bpf/lib/histogram.h */
	KRL_LATENCY_BUCKETS = 15,
};

/* What was asked of a model, as far as it can be told, and which of its tokens. */
enum krl_usage_operation { KRL_USAGE_CHAT, KRL_USAGE_COMPLETION, KRL_USAGE_EMBEDDINGS, KRL_USAGE_OPERATIONS };
enum krl_usage_type {
	KRL_USAGE_INPUT,
	KRL_USAGE_OUTPUT,
	KRL_USAGE_CACHED_INPUT,
	KRL_USAGE_REASONING,
	KRL_USAGE_TOTAL,
	KRL_USAGE_TYPES
};

/* As the length of a name: all models that find no room in krl_llm_usages. */
#define KRL_USAGE_OTHERS (~0U)

/* How many requests used how many tokens. */
struct krl_usage_histogram {
	__u64 buckets[KRL_USAGE_BUCKETS];
	__u64 sum;
};

/* Rows of krl_llm_usages, which stay. */
struct krl_usage {
	struct krl_usage_histogram of[KRL_USAGE_TYPES];
};

/* How long decisions took, of those that are looked at. Row 0 of krl_latency, per CPU. */
struct krl_latency {
	__u64 buckets[KRL_LATENCY_BUCKETS];
	__u64 sum_ns;
};

_Static_assert(sizeof(struct krl_usage) == 128 * KRL_USAGE_TYPES, "ABI");
_Static_assert(sizeof(struct krl_latency) == 128, "ABI");

#endif
