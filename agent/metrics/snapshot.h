/* SPDX-License-Identifier: Apache-2.0 */
/* All that /metrics tells at one time, and the text of it. No I/O but in krl_snapshot_read(). */
#ifndef KMESH_RL_METRICS_SNAPSHOT_H
#define KMESH_RL_METRICS_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/cluster/seen.h"
#include "agent/datapath/spent.h"
#include "agent/datapath/stats.h"
#include "agent/datapath/tally.h"
#include "agent/datapath/used.h"
#include "exposition.h"
#include "timing.h"

#define KRL_METRICS_WATCHES 8

struct krl_metrics_watch {
	const char *resource;	/* stays */
	bool up;		/* all of it is known, and current */
};

/* What the agent says of itself. */
struct krl_metrics_agent {
	bool ready;		/* as /readyz says */
	int64_t last_sync_ms;	/* since 1970; 0: never */
	size_t refused;		/* complaints of the last reading */
	struct krl_metrics_watch watches[KRL_METRICS_WATCHES];
	size_t watch_count;
	struct krl_timing reconciles;
	uint64_t reconcile_failures;
	struct krl_overhead overhead;
	struct krl_spent spent;
	struct krl_process process;
	struct krl_seen cluster;	/* of krl_snapshot_free() */
};

/* All zero at first. */
struct krl_snapshot {
	struct krl_metrics_agent agent;
	struct krl_stats stats;
	struct krl_used used;
	struct krl_tally tally;
};

/* Read what the maps pinned below @bpffs say into @snapshot, of who was limited the first @top. May take a while, and be
 * called from any thread. 0; or as krl_stats_read(), and nothing of it is there. */
int krl_snapshot_read(const char *bpffs, size_t top, struct krl_snapshot *snapshot);

void krl_snapshot_free(struct krl_snapshot *snapshot);

/* Append all of it to @e. */
void krl_snapshot_write(const struct krl_snapshot *snapshot, struct krl_exposition *e);

#endif
