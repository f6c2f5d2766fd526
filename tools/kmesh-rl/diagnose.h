/* SPDX-License-Identifier: Apache-2.0 */
/* What is judged by `kmesh-rl diagnose`: facts, which are gathered first, and checks, which only look at those. */
#ifndef KMESH_RL_TOOL_DIAGNOSE_H
#define KMESH_RL_TOOL_DIAGNOSE_H

#include <jansson.h>

#include "agent/datapath/inspect.h"
#include "agent/datapath/stats.h"

#define KRL_DIAGNOSE_TEXT_BYTES 1024

struct krl_facts {
	const char *bpffs, *control_socket;
	char release[KRL_INSPECT_RELEASE_BYTES];
	char cgroup[KRL_INSPECT_PATH_BYTES];
	int kernel, bpffs_mount, cgroup_mount;	/* as the functions of inspect.h return */
	int pins, programs;
	int agent;			/* as krl_control_call() */
	const json_t *about;		/* what the agent says of itself; NULL: nothing */
	int connections_read;
	struct krl_inspect_conns connections;
	int stats_read;
	struct krl_stats stats;
};

enum krl_finding_level { KRL_FINDING_OK, KRL_FINDING_WARN, KRL_FINDING_FAIL };

struct krl_finding {
	const char *name;
	enum krl_finding_level level;
	char text[KRL_DIAGNOSE_TEXT_BYTES];	/* what was found, and what to do */
};

/* "ok", "warn", "fail" */
extern const char *const krl_finding_levels[];

/* At most so many findings. */
#define KRL_DIAGNOSE_CHECKS 10

/* Judge @facts. Returns how many findings there are, in the order of the checks; a check that has nothing to look at,
 * since one before it failed, finds nothing. */
size_t krl_diagnose_judge(const struct krl_facts *facts, struct krl_finding ret[KRL_DIAGNOSE_CHECKS]);

#endif
