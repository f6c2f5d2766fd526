/* SPDX-License-Identifier: Apache-2.0 */
/* Which buckets there are, and whose, from the pinned maps. Reads only; needs no agent. */
#ifndef KMESH_RL_BUCKETS_H
#define KMESH_RL_BUCKETS_H

#include <stdbool.h>
#include <stddef.h>

#include <kmesh_rl/usage.h>

#include "stats.h"
#include "values.h"

struct krl_bucket_row {
	const struct krl_stats_row *rule;
	struct krl_bucket_key key;
	bool overflow;			/* the one that descriptors share for which there is no room; no key */
	__s64 available;		/* tokens now; negative in debt */
	const struct krl_kept *kept;	/* whose it is; NULL: no values pick it, or they are not known any more */
	struct krl_llm_stats used;	/* of a rule with LLMTokens, where values pick it: by them, in all its buckets */
};

/* A row of krl_llm_users. */
struct krl_bucket_use {
	struct krl_llm_user_key key;
	struct krl_llm_stats used;
};

struct krl_buckets {
	struct krl_bucket_row *rows;	/* rule by rule, the emptiest first */
	size_t count;
	size_t total;			/* ... with those that were left out */
	struct krl_values values;	/* what the rows point to */
	struct krl_bucket_use *uses;	/* sorted by key */
	size_t use_count;
	size_t limit;			/* of rows; 0: none */
	struct krl_bucket_row last;	/* once as many are there: others that come behind it are left out */
	const struct krl_stats_row *rule_of[KRL_MAX_RULES];	/* by row of krl_rules */
};

/* Read the buckets of @rules, which must stay as they are, below @bpffs; of more than @limit (0: of any number) the
 * emptiest. 0, and krl_buckets_free releases @ret; or as krl_stats_read. */
int krl_buckets_read(const char *bpffs, const struct krl_stats *rules, size_t limit, struct krl_buckets *ret);

/* Accepts buckets that are all zero. */
void krl_buckets_free(struct krl_buckets *buckets);

/* The steps of krl_buckets_read that need no kernel, in the order they are taken: start from zero, the values and the limit.
 * 0, or -ENOMEM. */
void krl_buckets_of(struct krl_buckets *buckets, const struct krl_stats *rules);
int krl_buckets_use(struct krl_buckets *buckets, const struct krl_llm_user_key *key, const struct krl_llm_stats *used);
void krl_buckets_known(struct krl_buckets *buckets);
int krl_buckets_add(struct krl_buckets *buckets, const struct krl_bucket_key *key,
		    const struct krl_bucket *bucket, __u64 now_ns);
/* The overflow bucket of the rule in row @slot of krl_rules; passed over when it is full. */
int krl_buckets_add_overflow(struct krl_buckets *buckets, __u32 slot, const struct krl_bucket *bucket,
			     __u64 now_ns);
void krl_buckets_finish(struct krl_buckets *buckets);

#endif
