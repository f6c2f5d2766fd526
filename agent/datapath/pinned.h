/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the pinned maps, without an agent. */
#ifndef KMESH_RL_PINNED_H
#define KMESH_RL_PINNED_H

#include <kmesh_rl/abi.h>

/* A map in the shape that this version knows. */
struct krl_pinned {
	const char *name;
	__u32 type, key_bytes, value_bytes, rows;
};

extern const struct krl_pinned krl_pinned_buckets, krl_pinned_overflow;

/* Open @map below @bpffs. A file descriptor that the caller closes, or -ENOENT (not there), -EPERM,
 * -EPROTO (another shape) or what the kernel said. */
int krl_pinned_open(const char *bpffs, const struct krl_pinned *map, __u32 file_flags);

typedef void (*krl_pinned_fn)(void *arg, const void *key, const void *value);

/* Call @each for the first @rows rows of @map, in batches; arrays come in the order of their keys,
 * and @value has a value for each possible CPU in a map that has. 0, -ENOMEM, or as
 * krl_pinned_open. */
int krl_pinned_each(const char *bpffs, const struct krl_pinned *map, __u32 rows, krl_pinned_fn each,
		    void *arg);

/* 0, -ENOENT (nothing is pinned, or not written yet), -EPROTO (of another KRL_ABI_VERSION), or as
 * krl_pinned_open. */
int krl_pinned_config(const char *bpffs, struct krl_config *ret);

#endif
