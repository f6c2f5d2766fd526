/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Leases of rules that all nodes keep together: constants of the protocol, and what an agent keeps of it over its own
 * restarts. */
#ifndef KMESH_RL_CLUSTER_H
#define KMESH_RL_CLUSTER_H

#include <linux/types.h>

enum {
	KRL_LEASE_TTL_MS = 3000,	/* of Redis' clock; all agents of a cluster have the same */
	KRL_REDIS_SHARDS = 64,
	KRL_REDIS_EPOCH_BYTES = 24,	/* 16 hexadecimal digits, NUL padded */
};

#define KRL_CLUSTER_MAX_TOKENS ((1ULL << 53) - 1)	/* Lua counts in doubles */

/* The last exchange in a shard whose answer came: who knows it can tell that Redis lost what came later. */
struct krl_redis_shard {
	char epoch[KRL_REDIS_EPOCH_BYTES];	/* empty: none yet */
	__u64 seq;
};

struct krl_redis_memory {
	struct krl_redis_shard shards[KRL_REDIS_SHARDS];
};

_Static_assert(sizeof(struct krl_redis_memory) == 32 * KRL_REDIS_SHARDS, "ABI");

#endif
