/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the status alone: the RateLimits in status.c, what became of them in status_judge.c, requests in
 * status_write.c, entries of nodes that are gone in status_gone.c. */
#ifndef KMESH_RL_SOURCE_STATUS_INTERNAL_H
#define KMESH_RL_SOURCE_STATUS_INTERNAL_H

#include "agent/k8s/conditions.h"
#include "agent/k8s/notice.h"
#include "agent/k8s/lines.h"
#include "agent/k8s/summary.h"
#include "status.h"

enum krl_told { KRL_TOLD_REFUSED, KRL_TOLD_PROGRAMMED, KRL_TOLD_STARTED, KRL_TOLD_ENDED, KRL_TOLD_KINDS };

/* How it is called in an Event. */
struct krl_told_as {
	const char *type, *reason;
};

extern const struct krl_told_as krl_status_told_as[];

/* What a request writes, and on what rights it depends. */
enum krl_lane { KRL_LANE_STATUS, KRL_LANE_EVENTS, KRL_LANES };

/* What goes wrong, be it of a lane or of one RateLimit. */
struct krl_setback {
	unsigned int failures;		/* in a row */
	uint64_t until_ms;		/* not tried again before this */
	char text[KRL_K8S_ERROR_BYTES];	/* that is in the log; "": all is well */
};

struct krl_status_entry {
	char *ns, *name, *uid;
	int64_t generation;
	json_t *seen;			/* the status as it is; NULL: there is none */
	uint64_t version;		/* of the object that it is of; 0: not known */
	char service[KRL_SUMMARY_BYTES], limit[KRL_SUMMARY_BYTES];
	bool offered;			/* in the list that is under way */
	struct krl_verdict own;
	/* While it is judged: */
	struct krl_verdict next;
	size_t last_endpoint;		/* that counted for it, from 1 */
	bool asks_pods;			/* ... and whom it is for depends on which pods there are */
	__u32 cluster;			/* KRL_RULE_CLUSTER and KRL_RULE_AWAY_... of its rules that are in force; 0: none is */
	bool local;			/* ... one of them says Local */
	char *unseen;			/* as krl_unseen_say() has it, of what is in force; NULL: nothing was passed by */
	/* What is limited: */
	uint64_t sum;
	bool limiting;
	uint64_t quiet_ms;		/* limiting is over then, unless there is more */
	/* What is to be written: */
	bool dirty;			/* the status may not be what it is to be */
	bool round;			/* half of it is written */
	uint64_t due_ms;		/* not looked at before this */
	uint64_t next_ms;		/* a round does not begin before this */
	uint64_t settle_ms;		/* others may write the same until then; 0: not looked at yet */
	struct krl_setback setback;
	struct krl_notice told[KRL_TOLD_KINDS];
};

struct krl_status_gone;

struct krl_statuses {
	uv_loop_t *loop;
	struct krl_http *http;
	char *node, *manager;
	unsigned int every_ms;
	struct krl_status_entry **entries;	/* sorted by namespace and name */
	size_t count;
	krl_limited_walk walk_limited;
	krl_unseen_walk walk_unseen;
	void *walk_ctx;
	krl_away_fn is_away;
	void *away_ctx;
	bool away;			/* Redis, as of the last sample */
	bool counted;			/* what was limited before us is known */
	bool forgoes_limiting;		/* the definition is of a version that does not have it in nodes[] */
	uv_timer_t *sampler, *timer;
	struct krl_setback lanes[KRL_LANES];
	uint64_t budget_ms;		/* of requests: as much as this is in the past */
	size_t turn;			/* whose turn it is */
	/* The request that is under way, about at, which is NULL when that is gone: */
	struct krl_http_request *request;
	struct krl_status_entry *at;
	enum krl_lane lane;
	bool shared;			/* it is the part of all nodes */
	enum krl_told kind;
	unsigned int pending;		/* of the Event, that it writes */
	json_t *sent, *before;		/* the status, and that when it was sent: a watch may be faster than the answer */
	struct krl_lines lines;
	struct krl_status_gone *gone;
};

/* NULL: there is none. */
struct krl_status_entry *krl_status_find(const struct krl_statuses *statuses, const char *ns, const char *name);

/* @object is that of @entry, from the watch, or the answer to a request; the other one may have been faster, and what is
 * older is passed over. Returns whether its status is another than before. */
bool krl_status_see(struct krl_status_entry *entry, const json_t *object);

/* It has to be looked at whether the status of @entry is what it is to be. */
void krl_status_touch(struct krl_statuses *statuses, struct krl_status_entry *entry);

/* Look at all that are to be, soon. */
void krl_status_wake(struct krl_statuses *statuses);

/* @entry is about to go: what comes of a request about it concerns nobody. It is not cancelled, since this may be the body
 * of another one. */
void krl_status_leave(struct krl_statuses *statuses, const struct krl_status_entry *entry);

/* Give up the request that is under way. */
void krl_status_cancel(struct krl_statuses *statuses);

/* @kind happened to @entry; @message is for people. */
void krl_status_tell(struct krl_statuses *statuses, struct krl_status_entry *entry, enum krl_told kind,
		     const char *message);

/* Ask what was limited since, and passed by. */
void krl_status_sample(struct krl_statuses *statuses);

/* What the field manager of @node is called; the caller frees it. NULL without memory. */
char *krl_status_manager(const char *node);

/* Look after entries of nodes that are gone: sets gone, which is closed before the rest of @statuses. 0, or -ENOMEM. */
int krl_status_gone_open(struct krl_statuses *statuses);
/* Accepts NULL. */
void krl_status_gone_close(struct krl_status_gone *gone);

/* The timer of requests. */
void krl_status_on_timer(uv_timer_t *timer);

#endif
