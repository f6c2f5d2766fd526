/* SPDX-License-Identifier: Apache-2.0 */
/* From documents to what the maps shall hold. No I/O. */
#ifndef KMESH_RL_COMPILE_H
#define KMESH_RL_COMPILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kmesh_rl/abi.h>
#include <kmesh_rl/cost.h>
#include <kmesh_rl/policy.h>

#include "diag.h"
#include "model.h"

/* A rule is the same as before when the four names are: it keeps its buckets and counters. */
struct krl_plan_rule {
	char ns[64];
	char name[256];
	char service[256];	/* "NAME", or "NAME:PORT" of one port, by number or name; "" for a target by address */
	char rule[64];
	char limit[KRL_LIMIT_TEXT_BYTES];
	struct krl_settings settings;
	__u32 flags;		/* KRL_RULE_... */
	__u32 status;		/* of its answers */
	struct krl_form *form;		/* owned, of a rule that is in force on some endpoint, else NULL */
	struct krl_form *headers;	/* on the server's answers; owned; NULL: none */
	struct krl_cost cost;		/* of KRL_RULE_LLM */
	__u64 reserve_default, reserve_max;	/* of KRL_RULE_RESERVE, as in krl_rule */
	__u64 credit;			/* of KRL_RULE_CLUSTER, as in krl_rule */
	bool outside;		/* its schedule: it is not in force, as if it were not written */
	bool asks_pods;		/* whom it is for depends on which pods there are */
	bool idle;		/* its service has no endpoint here: it needs no row, and may keep one that it has as it is */
};

struct krl_plan_endpoint {
	struct krl_endpoint_key key;
	__u32 flags;		/* KRL_ENDPOINT_... */
	__u64 policy;		/* key of one of krl_plan.policies; 0: no rule has selectors or counts LLMTokens */
	__u64 unseen;		/* a bit for each rule in force that requests over HTTP/2 may pass by, see unseen.h */
	__u32 rule_count;	/* in force; there may be none for now */
	__u32 outside_count;	/* behind those, the rules that are outside their schedules */
	__u32 rules[KRL_MAX_ENDPOINT_RULES];	/* indices into krl_plan.rules */
	__u8 scopes[KRL_MAX_ENDPOINT_RULES];	/* enum krl_scope of each */
};

struct krl_plan_policy {
	__u64 key;
	struct krl_policy *policy;
};

/* A RateLimit that is refused now and was not read before: what the maps hold of it stays. */
struct krl_plan_retain {
	char ns[64];
	char name[256];
};

/* What is known of pods. */
enum krl_plan_pods {
	KRL_PODS_UNTOLD,	/* whatever is asked: what goes out is limited for all */
	KRL_PODS_NONE,		/* nothing: the same, and what asks is refused */
	KRL_PODS_KNOWN,		/* what the API server says: what goes out is limited for pods of the RateLimit's namespace */
};

struct krl_plan {
	struct krl_plan_rule *rules;
	size_t rule_count;
	struct krl_plan_endpoint *endpoints;	/* sorted by the bytes of their keys */
	size_t endpoint_count;
	struct krl_plan_policy *policies;
	size_t policy_count;
	struct krl_from **from;		/* which pods its rules ask for, each once: references */
	size_t from_count;
	bool asks_peers;		/* some rule asks which pod connects */
	bool tells_peers;		/* ... and has a bucket for each */
	bool asks_callers;		/* ... or which pod of this node a client is of */
	enum krl_plan_pods pods;
	bool no_cluster;		/* there is no Redis: rules of the cluster are refused */
	struct krl_plan_retain *retain;
	size_t retain_count;
	int64_t now_s, until_s;	/* by what time schedules were judged, and when that changes; or KRL_ZONE_NEVER */
	bool retain_all;	/* something of before the start is unread still: any document may be in it */
	const struct krl_plan *before;	/* what this agent put into force last, NULL: nothing yet; not owned */
};

/* What is said of one that asks for the cluster where there is no Redis. */
#define KRL_COMPILE_NO_REDIS "scope: Cluster counts in Redis, of which the agent was not told (--redis)"

/* A document and the file it is from. */
struct krl_source_document {
	const char *file;
	const struct krl_document *document;
	bool *over;	/* set to true when it goes past a bound; may be NULL */
};

/* Compile @documents, in any order; their order does not matter. A RateLimit that is in force twice,
 * or that goes past a limit of the maps, is refused with a line in @errors; one whose service has no
 * endpoint anywhere counts nowhere, with a line in @notes. @now_s, in seconds since 1970, is for schedules: the
 * limits of the maps are for all rules, so that nothing is refused by the time of the day. The caller releases
 * @ret with krl_plan_clear. Leaves retain, retain_all, pods and no_cluster alone, and before to the caller. 0, or -ENOMEM. */
int krl_compile(const struct krl_source_document *documents, size_t count, int64_t now_s, struct krl_plan *ret,
		struct krl_diags *errors, struct krl_diags *notes);

/* @target as krl_plan_rule.service has it, in @size bytes. */
void krl_target_text(const struct krl_target *target, char *ret, size_t size);

/* @ret is the wildcard endpoint of @scope that covers @key. False: there is none, or @key is it. */
bool krl_plan_widen(const struct krl_endpoint_key *key, enum krl_scope scope, struct krl_endpoint_key *ret);

void krl_plan_clear(struct krl_plan *plan);

#endif
