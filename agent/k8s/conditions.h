/* SPDX-License-Identifier: Apache-2.0 */
/* What of a RateLimit's status is whose, and what it is to say. An entry of nodes[] is a node's own. All else follows
 * from those entries, so that all agents come to the same, and none has to write what another one wrote. */
#ifndef KMESH_RL_K8S_CONDITIONS_H
#define KMESH_RL_K8S_CONDITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#define KRL_VERDICT_BYTES 1024

/* What became of a RateLimit on a node. */
enum krl_verdict_reason {
	KRL_VERDICT_NONE,		/* nothing is known yet */
	KRL_VERDICT_PROGRAMMED,		/* it is in force */
	KRL_VERDICT_UNSEEN,		/* ... and passed by by requests over HTTP/2, as the message tells */
	KRL_VERDICT_AWAY,		/* it is in force, but as whenUnavailable says: Redis is away */
	KRL_VERDICT_NO_ENDPOINTS,	/* its service has endpoints, on other nodes */
	KRL_VERDICT_SERVICE_NOT_FOUND,	/* nowhere */
	KRL_VERDICT_PENDING,		/* the kernel has not taken it yet */
	KRL_VERDICT_UNSUPPORTED,	/* the kernel never will */
	KRL_VERDICT_NO_REDIS,		/* it counts in Redis, of which this agent knows none */
	KRL_VERDICT_INVALID,		/* refused, whatever else there is */
	KRL_VERDICT_CONFLICTED,		/* refused beside the others */
};

struct krl_verdict {
	enum krl_verdict_reason reason;
	int64_t generation;		/* that it is about */
	char message[KRL_VERDICT_BYTES];
	int64_t endpoints, limited;	/* here, of what is in force, be it of a generation before */
	bool limiting;			/* it was told that limiting began here, and not yet that it ended */
};

/* Is it up to this node to speak of it in nodes[]: since something of it is here, or was, or is wrong here alone? @seen is
 * the status as it is, or NULL. */
bool krl_verdict_is_of_node(const struct krl_verdict *verdict, const json_t *seen, const char *node);

/* The entry of @node in the nodes[] of @seen; NULL: there is none. Valid as long as @seen. */
const json_t *krl_status_node(const json_t *seen, const char *node);

/* Whose entry is the one before that of @node by the names, the last one before the first. NULL: @node has none, or there is
 * no other one that may be of a node. Valid as long as @seen. */
const char *krl_status_node_before(const json_t *seen, const char *node);

/* What the entry of @node is to be. The caller lets go of it; NULL without memory. */
json_t *krl_status_make_node(const struct krl_verdict *verdict, const char *node);

/* What @seen is to say beside nodes[]: of the entries in that of the generation of @verdict, @verdict for the one of @node,
 * and @service and @limit. A condition that has its status already keeps its time, else that is @now_s. PartiallyApplied and
 * Degraded are there once they were true, as Gateway API's PartiallyInvalid. As above. */
json_t *krl_status_make_shared(const struct krl_verdict *verdict, const json_t *seen, const char *node,
			       const char *service, const char *limit, int64_t now_s);

/* Does @seen say all of @shared? Conditions of other types, and other fields, are others'. */
bool krl_status_has(const json_t *seen, const json_t *shared);

/* The condition @type of a status, NULL: there is none. */
const json_t *krl_status_condition(const json_t *status, const char *type);

/* The text at @key of @object; "" where there is none. */
const char *krl_status_text(const json_t *object, const char *key);

/* @time_s, in seconds since 1970, as Kubernetes has it: RFC 3339, in UTC. */
#define KRL_STATUS_TIME_BYTES 32
void krl_status_time(int64_t time_s, char ret[KRL_STATUS_TIME_BYTES]);

#endif
