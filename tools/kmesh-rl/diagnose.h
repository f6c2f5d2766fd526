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
	struct krl_inspect_feature features[KRL_INSPECT_FEATURES];
	size_t feature_count;
	int pins, programs;
	struct krl_inspect_former former;	/* of other versions; none where that could not be read */
	char program[KRL_INSPECT_NAME_BYTES];	/* the pin that programs is about */
	int others_read;
	struct krl_inspect_others others;
	int clock_read;
	struct krl_inspect_clock clock;
	struct krl_inspect_fill fills[KRL_INSPECT_FILLS];
	size_t fill_count;
	int agent;			/* as krl_control_call() */
	const json_t *about;		/* what the agent says of itself; NULL: nothing */
	const json_t *limits;		/* ... and of RateLimits, as krl_limits_json() has them; NULL: nothing */
	const json_t *unheard;		/* endpoints where nobody listens, "127.0.0.1:80 (default/web)"; NULL: not known */
	const json_t *outside;		/* ... and whose servers are of no cgroup that is covered; NULL: not known */
	const json_t *unseen;		/* ... where clients spoke HTTP/2, to which some rule does not apply; NULL: not known */
	size_t endpoint_count;		/* of those in unheard and others */
	int connections_read;
	struct krl_inspect_conns connections;
	int stats_read;
	struct krl_stats stats;
};

enum krl_finding_level { KRL_FINDING_OK, KRL_FINDING_WARN, KRL_FINDING_FAIL };

struct krl_finding {
	char name[40];
	enum krl_finding_level level;
	char text[KRL_DIAGNOSE_TEXT_BYTES];	/* what was found, and what to do */
};

/* "ok", "warn", "fail" */
extern const char *const krl_finding_levels[];

/* At most so many findings. */
#define KRL_DIAGNOSE_CHECKS (19 + KRL_INSPECT_FEATURES)

/* Say what was found, and more of the same, which is at least @level. */
void krl_finding_set(struct krl_finding *finding, enum krl_finding_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void krl_finding_add(struct krl_finding *finding, enum krl_finding_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The checks of the machine and of what is between it and us, and of the agent and its source: true, they have found
 * something. Those of features say how many findings they have. */
bool krl_check_kernel(const struct krl_facts *facts, struct krl_finding *finding);
size_t krl_check_features(const struct krl_facts *facts, struct krl_finding *findings);
bool krl_check_bpffs(const struct krl_facts *facts, struct krl_finding *finding);
bool krl_check_cgroup(const struct krl_facts *facts, struct krl_finding *finding);
bool krl_check_hooks(const struct krl_facts *facts, struct krl_finding *finding);
bool krl_check_sockmaps(const struct krl_facts *facts, struct krl_finding *finding);
bool krl_check_maps(const struct krl_facts *facts, struct krl_finding *finding);
bool krl_check_clock(const struct krl_facts *facts, struct krl_finding *finding);
bool krl_check_agent(const struct krl_facts *facts, struct krl_finding *finding);
bool krl_check_source(const struct krl_facts *facts, struct krl_finding *finding);
bool krl_check_redis(const struct krl_facts *facts, struct krl_finding *finding);
bool krl_check_ratelimits(const struct krl_facts *facts, struct krl_finding *finding);
bool krl_check_endpoints(const struct krl_facts *facts, struct krl_finding *finding);
bool krl_check_listeners(const struct krl_facts *facts, struct krl_finding *finding);

/* Add the first of @names, and how many more there are. */
void krl_finding_add_names(struct krl_finding *finding, const json_t *names);

/* In percent: a map is nearly full. */
#define KRL_NEARLY_FULL 80

/* Judge @facts. Returns how many findings there are, in the order of the checks; a check that has nothing to look at,
 * since one before it failed, finds nothing. */
size_t krl_diagnose_judge(const struct krl_facts *facts, struct krl_finding ret[KRL_DIAGNOSE_CHECKS]);

#endif
