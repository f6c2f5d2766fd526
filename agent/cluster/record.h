/* SPDX-License-Identifier: Apache-2.0 */
/* What happened to exchanges, and to Redis, written down as it happens. No I/O but for the time. */
#ifndef KMESH_RL_CLUSTER_RECORD_H
#define KMESH_RL_CLUSTER_RECORD_H

#include <kmesh_rl/abi.h>

#include "agent/redis/redis.h"
#include "seen.h"
#include "table.h"

/* The rate is of as many whole seconds. */
#define KRL_RECORD_SECONDS 10

struct krl_record {
	struct krl_seen seen;		/* without rules, rate and last_ms */
	uint64_t opened_ns, heard_ns;	/* CLOCK_BOOTTIME; 0: never */
	struct { uint64_t second, count; } seconds[KRL_RECORD_SECONDS + 1];
	struct krl_seen_rule rules[KRL_MAX_RULES];	/* the last exchange of each, by its row; without leased */
};

void krl_record_open(struct krl_record *record, uint64_t now_ns);

void krl_record_up(struct krl_record *record, const char *where);
void krl_record_down(struct krl_record *record, const char *why);

/* The exchange of @entry was answered; NULL: what came of it is not known. */
void krl_record_answer(struct krl_record *record, struct krl_lease_entry *entry, const struct krl_granted *granted,
		       uint64_t now_ns);

/* Redis answered, whatever it was asked. */
void krl_record_heard(struct krl_record *record, uint64_t now_ns);

/* As krl_cluster_seen(), at @now_ns, with the leases that are in @table. */
int krl_record_seen(const struct krl_record *record, const struct krl_lease_table *table, uint64_t now_ns,
		    struct krl_seen *ret);

#endif
