/* SPDX-License-Identifier: Apache-2.0 */
/* The limits that all nodes keep together: each tick, what this node's kernel used of its leases is told to Redis, and
 * what it needs is leased. */
#ifndef KMESH_RL_CLUSTER_CLUSTER_H
#define KMESH_RL_CLUSTER_CLUSTER_H

#include "agent/datapath/datapath.h"
#include "agent/redis/redis.h"
#include "seen.h"

#define KRL_CLUSTER_TICK_MS 100

struct krl_cluster_options {
	struct krl_redis_options redis;
	const char *node;	/* this node's name; NULL: that of the machine */
	unsigned int tick_ms;
	/* What descriptors are hashed by is another key from now on; with ctx. NULL: nobody is told. */
	void (*rekeyed)(void *ctx);
	void *ctx;
};

/* On @loop until krl_cluster_close(). Without a URL there is nothing to do: 0, and NULL. 0; or -errno with @ret_error set. */
int krl_cluster_open(struct krl_datapath *datapath, uv_loop_t *loop, const struct krl_cluster_options *options,
		     struct krl_cluster **ret, struct krl_error *ret_error);

/* Is Redis known to be away? Accepts NULL: nobody asks it. */
bool krl_cluster_is_away(const struct krl_cluster *cluster);

/* Accepts NULL. Before the datapath is closed. */
void krl_cluster_close(struct krl_cluster *cluster);

#endif
