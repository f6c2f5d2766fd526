/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs and maps of a datapath cost the node. */
#ifndef KMESH_RL_SPENT_H
#define KMESH_RL_SPENT_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "datapath.h"

#define KRL_SPENT_PROGRAMS 48
#define KRL_SPENT_MAPS 64

/* Names are those of the sources, and stay. */
struct krl_spent_program {
	const char *name;
	__u64 run_ns, runs;	/* since it was loaded, while the kernel measured */
};

struct krl_spent_map {
	const char *name;
	__u64 bytes;		/* before Linux 6.4 the most that it may become (bpf_map_memory_footprint) */
};

struct krl_spent {
	bool measured;		/* the kernel measures programs; else there are none here */
	struct krl_spent_program programs[KRL_SPENT_PROGRAMS];
	size_t program_count;
	struct krl_spent_map maps[KRL_SPENT_MAPS];
	size_t map_count;
};

/* Have the kernel measure the programs of all its users until krl_datapath_close(), at the cost of two readings of the
 * clock for each run (kernel/bpf/syscall.c, bpf_enable_runtime_stats). 0, or -errno. */
int krl_datapath_measure(struct krl_datapath *datapath);

/* Never waits. What the kernel does not tell is left out. */
void krl_datapath_spent(const struct krl_datapath *datapath, struct krl_spent *ret);

/* The CPU time of all programs in @ret_ns. False: it is not measured. */
bool krl_datapath_run_ns(const struct krl_datapath *datapath, __u64 *ret_ns);

#endif
