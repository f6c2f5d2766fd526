/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens in the bucket of one request, from the pinned maps. Reads only; needs no agent. */
#ifndef KMESH_RL_LIVE_H
#define KMESH_RL_LIVE_H

#include <stdbool.h>
#include <stddef.h>

#include <kmesh_rl/abi.h>

/* A rule's bucket that is asked for. */
struct krl_live_bucket {
	__u32 slot, rule_id;		/* as krl_stats_read() has them */
	struct krl_settings settings;
	__u64 descriptor[2];
	bool anywhere;			/* on any endpoint of the rule: at is not looked at */
	struct krl_endpoint_key at;	/* where the rule is configured, wildcards included */
	size_t tag;			/* the caller's, to know it again by */
	/* The answer: is there one, and the tokens in it now; negative in debt. Of several, which
	 * differ by endpoint or network namespace, the emptiest. */
	bool found;
	__s64 available;
};

/* The key of descriptors. 0, or as krl_stats_read(). */
int krl_live_hash_key(const char *bpffs, __u64 ret_key[2]);

/* Look for @buckets below @bpffs, which are of different rules; their order may change. One that
 * would not find room any more is the rule's overflow bucket. 0, or as krl_stats_read(). */
int krl_live_read(const char *bpffs, struct krl_live_bucket *buckets, size_t count);

/* The step of krl_live_read() that needs no kernel: @buckets are sorted by rule_id. */
void krl_live_count(struct krl_live_bucket *buckets, size_t count, const struct krl_bucket_key *key,
		    const struct krl_bucket *bucket, __u64 now_ns);

#endif
