/* SPDX-License-Identifier: Apache-2.0 */
/* How long things take, and what share of the CPUs. */
#ifndef KMESH_RL_METRICS_TIMING_H
#define KMESH_RL_METRICS_TIMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Durations of work of the agent, from a millisecond to ten seconds. */
#define KRL_TIMING_BUCKETS 14

extern const char *const krl_timing_bounds[KRL_TIMING_BUCKETS - 1];	/* in seconds, as they are written */

/* All zero at first. */
struct krl_timing {
	uint64_t buckets[KRL_TIMING_BUCKETS];	/* each without those before it; the last has the rest */
	uint64_t sum_ns;
};

void krl_timing_add(struct krl_timing *timing, uint64_t took_ns);

/* CPU time by now. */
struct krl_overhead_sample {
	uint64_t at_ns;			/* of a clock that is not set */
	uint64_t agent_ns;
	uint64_t programs_ns;
	bool measured;			/* programs_ns is known */
};

/* Shares of all CPUs between the last two samples; below zero: not known. All zero at first. */
struct krl_overhead {
	struct krl_overhead_sample last;
	double agent, programs;
};

/* @cpus: how many there are. Programs that were loaded anew begin at zero: that is no time. */
void krl_overhead_update(struct krl_overhead *overhead, const struct krl_overhead_sample *sample, unsigned int cpus);

/* Of this process. */
struct krl_process {
	uint64_t cpu_ns;
	uint64_t resident_bytes;
	int64_t start_ms;		/* since 1970; 0: not known */
};

void krl_process_read(struct krl_process *ret);

#endif
