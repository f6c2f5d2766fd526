/* SPDX-License-Identifier: Apache-2.0 */
/* Filling buckets by hand, through the program that is pinned; needs no agent. */
#ifndef KMESH_RL_RESET_H
#define KMESH_RL_RESET_H

#include "buckets.h"

struct krl_reset_result {
	__u64 filled;	/* buckets */
	__u64 tokens;	/* that were added */
	__u64 busy;	/* buckets that could not be filled now, or are gone */
};

/* Fill the first @count of @rows, which are of the maps below @bpffs. Of a rule with maxConnections nothing is filled. 0,
 * or -ENOENT (no such program is pinned), -EPERM, or what the kernel said. */
int krl_reset_buckets(const char *bpffs, const struct krl_bucket_row *rows, size_t count, struct krl_reset_result *ret);

#endif
