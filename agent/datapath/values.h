/* SPDX-License-Identifier: Apache-2.0 */
/* The values that picked buckets, as the kernel keeps them for people: rows of krl_values. Reads only; needs no agent. */
#ifndef KMESH_RL_VALUES_H
#define KMESH_RL_VALUES_H

#include <stddef.h>

#include <kmesh_rl/abi.h>

struct krl_kept_row {
	__u64 descriptor[2];
	struct krl_kept kept;
};

/* Zero at first. */
struct krl_values {
	struct krl_kept_row *rows;	/* sorted by descriptor once krl_values_sort() was called */
	size_t count;
};

/* Read those below @bpffs. 0, and krl_values_free() releases @ret; or as krl_stats_read. */
int krl_values_read(const char *bpffs, struct krl_values *ret);
void krl_values_free(struct krl_values *values);

/* The steps of krl_values_read that need no kernel. 0, or -ENOMEM. */
int krl_values_add(struct krl_values *values, const __u64 descriptor[2], const struct krl_kept *kept);
void krl_values_sort(struct krl_values *values);

/* NULL: no values pick it, or they are not known any more. Points into @values. */
const struct krl_kept *krl_values_find(const struct krl_values *values, const __u64 descriptor[2]);

#endif
