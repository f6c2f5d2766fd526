/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's side of leases: which buckets were asked for tokens, and what the agent does to them. */
#ifndef KMESH_RL_DATAPATH_LEASE_H
#define KMESH_RL_DATAPATH_LEASE_H

#include <stdbool.h>

#include <kmesh_rl/cluster.h>
#include <kmesh_rl/lease.h>

#include "datapath.h"

struct krl_leases;

/* Somebody asked for tokens of the bucket under @key, and was refused @need of them, unless that is 0. */
typedef void (*krl_asked_fn)(void *arg, const struct krl_bucket_key *key, bool overflow, __u32 need);

/* 0; or -errno with @ret_error set. The caller closes it, before @datapath. */
int krl_leases_open(struct krl_datapath *datapath, krl_asked_fn fn, void *arg, struct krl_leases **ret,
		    struct krl_error *ret_error);

/* Accepts NULL. */
void krl_leases_close(struct krl_leases *leases);

/* Call fn with those that were asked since the last time. */
void krl_leases_poll(struct krl_leases *leases);

/* What is remembered of Redis, over restarts of the agent. */
struct krl_redis_memory *krl_leases_memory(struct krl_leases *leases);

/* Do @op. 0, -ENOENT: the bucket is gone; or -errno. */
int krl_leases_do(struct krl_leases *leases, struct krl_lease_op *op);

/* The rule that @key is of, and where it comes from; until the next reconciliation. NULL: it is gone, or none of the
 * cluster's. */
const struct krl_rule *krl_leases_rule(const struct krl_leases *leases, const struct krl_bucket_key *key,
				       const struct krl_rule_info **ret_info);

/* The limit of the rule @rule_id in row @slot of krl_rules; false: it is gone, or none of the cluster's. And what this node
 * keeps for itself of it while Redis is away, from now on. */
bool krl_leases_settings(const struct krl_leases *leases, __u32 slot, __u32 rule_id, struct krl_settings *ret);
void krl_leases_set_local(struct krl_leases *leases, __u32 slot, const struct krl_settings *local);

/* Redis counts as there until @until_ns, CLOCK_BOOTTIME; 0: it is away. */
void krl_leases_set_until(struct krl_leases *leases, __u64 until_ns);

/* Its clock is @ahead_ns before CLOCK_BOOTTIME. */
void krl_leases_set_ahead(struct krl_leases *leases, __u64 ahead_ns);

/* The key by which descriptors are hashed: that of the whole cluster, once krl_leases_share_key() was called,
 * which returns whether it is another. */
void krl_leases_key(const struct krl_leases *leases, __u8 ret[16]);
bool krl_leases_share_key(struct krl_leases *leases, const __u8 key[16]);

#endif
