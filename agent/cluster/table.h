/* SPDX-License-Identifier: Apache-2.0 */
/* The leases of this node, by the kernel's bucket. */
#ifndef KMESH_RL_CLUSTER_TABLE_H
#define KMESH_RL_CLUSTER_TABLE_H

#include <kmesh_rl/abi.h>

#include "agent/base/index.h"
#include "lease.h"

#define KRL_LEASE_BUCKET_BYTES 720
#define KRL_LEASE_HOLDER_BYTES 160

struct krl_lease_entry {
	struct krl_link link;		/* first */
	struct krl_lease_entry *next, *before;	/* all of them */
	struct krl_bucket_key key;
	bool overflow;
	struct krl_lease lease;
	__u64 answered_ns;		/* CLOCK_BOOTTIME; 0: never */
};

struct krl_lease_table {
	struct krl_index index;
	struct krl_lease_entry *first, *last;
	size_t count;
};

/* The one of @key, made when it is missing. NULL without memory. */
struct krl_lease_entry *krl_lease_table_get(struct krl_lease_table *table, const struct krl_bucket_key *key,
					    bool overflow);

/* The one whose turn it is: all have theirs, one after the other. NULL: there is none. */
struct krl_lease_entry *krl_lease_table_turn(struct krl_lease_table *table);

/* Forget it. */
void krl_lease_table_drop(struct krl_lease_table *table, struct krl_lease_entry *entry);

void krl_lease_table_clear(struct krl_lease_table *table);

/* The name of its bucket in Redis, which is the same on all nodes. */
void krl_lease_bucket_name(const struct krl_lease_entry *entry, const struct krl_rule_info *info,
			   char ret[KRL_LEASE_BUCKET_BYTES]);

/* Its name as a holder, of @node's incarnation @incarnation. */
void krl_lease_holder_name(const struct krl_lease_entry *entry, const char *node, __u64 incarnation,
			   char ret[KRL_LEASE_HOLDER_BYTES]);

#endif
