/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How long decisions take. */
#ifndef KMESH_RL_LATENCY_H
#define KMESH_RL_LATENCY_H

#include "../maps.h"
#include "histogram.h"

/* Of one decision in 2 to this power it is looked at. */
#define KRL_LATENCY_RARE 6

KRL_GLOBAL int krl_latency_add(__u64 since_ns)
{
	__u64 took_ns = bpf_ktime_get_boot_ns() - since_ns;
	__u32 zero = 0, bucket = krl_latency_bucket(took_ns);
	struct krl_latency *l = bpf_map_lookup_elem(&krl_latency, &zero);

	if (!l || bucket >= KRL_LATENCY_BUCKETS)
		return 0;
	__sync_fetch_and_add(&l->buckets[bucket], 1);
	__sync_fetch_and_add(&l->sum_ns, took_ns);
	return 0;
}

/* A decision was made on what came at @since_ns. By that it is chosen which are looked at, without a counter that all
 * would write; its bits are mixed (Knuth, 6.4), since clocks that go in steps have some that never change. */
static __always_inline void krl_latency_note(__u64 since_ns)
{
	if (KRL_UNLIKELY(!(since_ns * 0x9e3779b97f4a7c15ULL >> (64 - KRL_LATENCY_RARE))))
		krl_latency_add(since_ns);
}

#endif
