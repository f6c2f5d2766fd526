/* SPDX-License-Identifier: Apache-2.0 */
/* What this node counted of rules of the cluster, told to all by way of Redis, and what others told. */
#ifndef KMESH_RL_CLUSTER_COUNTERS_H
#define KMESH_RL_CLUSTER_COUNTERS_H

#include "agent/datapath/datapath.h"
#include "agent/redis/redis.h"
#include "seen.h"

/* All zero at first. */
struct krl_counters {
	uint64_t looked_ns, told_ns;	/* CLOCK_BOOTTIME */
	char *text;			/* told last; NULL: nothing */
};

/* Tell what is counted by @now_ns, if it is time, and another than before, or long ago. */
void krl_counters_tell(struct krl_counters *counters, const struct krl_datapath *datapath, struct krl_redis *redis,
		       const char *node, uint64_t now_ns);

/* What was told may be lost. */
void krl_counters_clear(struct krl_counters *counters);

/* As krl_cluster_read(). */
int krl_counters_read(struct krl_redis *redis, krl_seen_read_fn fn, void *arg);

#endif
