// SPDX-License-Identifier: Apache-2.0
#include "conditions.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/policy/diag.h"

static const char *const reasons[] = {
	[KRL_VERDICT_NONE] = "Pending",
	[KRL_VERDICT_PROGRAMMED] = "Programmed",
	[KRL_VERDICT_UNSEEN] = "HTTP2NotMatched",
	[KRL_VERDICT_AWAY] = "RedisAway",
	[KRL_VERDICT_NO_ENDPOINTS] = "NoEndpoints",
	[KRL_VERDICT_SERVICE_NOT_FOUND] = "ServiceNotFound",
	[KRL_VERDICT_PENDING] = "Pending",
	[KRL_VERDICT_UNSUPPORTED] = "UnsupportedByKernel",
	[KRL_VERDICT_NO_REDIS] = "RedisNotConfigured",
	[KRL_VERDICT_INVALID] = "Invalid",
	[KRL_VERDICT_CONFLICTED] = "Conflicted",
};

/* What a node says; the texts are those of a verdict, or of a status. */
struct opinion {
	const char *node;	/* NULL: nobody says so */
	enum krl_verdict_reason reason;
	const char *message;
};

const char *krl_status_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

void krl_status_time(int64_t time_s, char ret[KRL_STATUS_TIME_BYTES])
{
	time_t time = time_s;
	struct tm tm;

	gmtime_r(&time, &tm);
	strftime(ret, KRL_STATUS_TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static const json_t *find(const json_t *list, const char *key, const char *value)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (!strcmp(krl_status_text(item, key), value))
			return item;
	return NULL;
}

const json_t *krl_status_node(const json_t *seen, const char *node)
{
	return find(json_object_get(seen, "nodes"), "node", node);
}

/* A DNS subdomain (kubernetes.io, "Nodes", Node name uniqueness), as far as it is to be a part of a path. */
static bool is_node_name(const char *name)
{
	return *name && strlen(name) < 254 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(name);
}

const char *krl_status_node_before(const json_t *seen, const char *node)
{
	const char *before = NULL, *last = NULL, *name;
	const json_t *item;
	size_t i;

	if (!krl_status_node(seen, node))
		return NULL;
	json_array_foreach(json_object_get(seen, "nodes"), i, item) {
		name = krl_status_text(item, "node");
		if (!strcmp(name, node) || !is_node_name(name))
			continue;
		if (strcmp(name, node) < 0 && (!before || strcmp(name, before) > 0))
			before = name;
		if (!last || strcmp(name, last) > 0)
			last = name;
	}
	return before ? before : last;
}

const json_t *krl_status_condition(const json_t *status, const char *type)
{
	return find(json_object_get(status, "conditions"), "type", type);
}

bool krl_verdict_is_of_node(const struct krl_verdict *verdict, const json_t *seen, const char *node)
{
	return verdict->endpoints || verdict->reason == KRL_VERDICT_PENDING ||
	       verdict->reason == KRL_VERDICT_UNSUPPORTED || verdict->reason == KRL_VERDICT_NO_REDIS ||
	       verdict->reason == KRL_VERDICT_CONFLICTED ||
	       krl_status_node(seen, node);
}

json_t *krl_status_make_node(const struct krl_verdict *v, const char *node)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:s, s:s, s:o*}", "node", node, "observedGeneration",
			 (json_int_t)v->generation, "endpoints", (json_int_t)v->endpoints, "limited",
			 (json_int_t)v->limited, "reason", reasons[v->reason], "message",
			 v->message, "limiting", v->limiting ? json_true() : NULL);
}

static enum krl_verdict_reason reason_of(const char *text)
{
	enum krl_verdict_reason reason = KRL_VERDICT_CONFLICTED;

	while (reason > KRL_VERDICT_NONE && strcmp(reasons[reason], text))
		reason--;
	return reason;
}

/* Of those who say @reason, the first by name. */
static void take(struct opinion best[], const struct opinion *opinion)
{
	struct opinion *known = &best[opinion->reason];

	if (!known->node || strcmp(opinion->node, known->node) < 0)
		*known = *opinion;
}

/* Who says what, by reason, of the generation of @verdict, and what all have limited together. */
static json_int_t survey(const struct krl_verdict *verdict, const json_t *seen, const char *node, struct opinion best[])
{
	bool of_node = krl_verdict_is_of_node(verdict, seen, node);
	struct opinion own = { node, verdict->reason, verdict->message }, other;
	json_int_t limited = of_node ? verdict->limited : 0;
	const json_t *item;
	size_t i;

	take(best, &own);
	json_array_foreach(json_object_get(seen, "nodes"), i, item) {
		other = (struct opinion){ krl_status_text(item, "node"), reason_of(krl_status_text(item, "reason")),
					  krl_status_text(item, "message") };
		if (!strcmp(other.node, node))
			continue;
		limited += json_integer_value(json_object_get(item, "limited"));
		if (json_integer_value(json_object_get(item, "observedGeneration")) == verdict->generation)
			take(best, &other);
	}
	return limited;
}

static json_t *condition(const json_t *seen, const char *type, bool holds, int64_t generation, const char *reason,
			 const char *message, int64_t now_s)
{
	const json_t *before = krl_status_condition(seen, type);
	const char *status = holds ? "True" : "False", *since = krl_status_text(before, "lastTransitionTime");
	char now[KRL_STATUS_TIME_BYTES];

	krl_status_time(now_s, now);
	if (!*since || strcmp(krl_status_text(before, "status"), status))
		since = now;
	return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}", "type", type, "status", status, "observedGeneration",
			 (json_int_t)generation, "lastTransitionTime", since, "reason", reason, "message", message);
}

/* Whether it is in force, by those who did not refuse it. */
static json_t *programmed(const struct opinion best[], const json_t *seen, int64_t generation, int64_t now_s)
{
	static const enum krl_verdict_reason troubles[] = { KRL_VERDICT_NO_REDIS, KRL_VERDICT_UNSUPPORTED,
							   KRL_VERDICT_PENDING };
	char message[2 * KRL_VERDICT_BYTES];
	const struct opinion *opinion;
	size_t i;

	for (i = 0; i < sizeof(troubles) / sizeof(*troubles); i++) {
		opinion = &best[troubles[i]];
		if (!opinion->node)
			continue;
		snprintf(message, sizeof(message), "%s: %s", opinion->node, opinion->message);
		krl_make_printable(message);
		return condition(seen, "Programmed", false, generation, reasons[troubles[i]], message, now_s);
	}
	if (best[KRL_VERDICT_PROGRAMMED].node || best[KRL_VERDICT_UNSEEN].node || best[KRL_VERDICT_AWAY].node)
		return condition(seen, "Programmed", true, generation, reasons[KRL_VERDICT_PROGRAMMED],
				 "it is in force", now_s);
	opinion = &best[KRL_VERDICT_SERVICE_NOT_FOUND];
	if (opinion->node)
		return condition(seen, "Programmed", false, generation, reasons[opinion->reason], opinion->message,
				 now_s);
	return condition(seen, "Programmed", false, generation, "Pending",
			 "no node with an endpoint says that it is in force", now_s);
}

/* A condition for what may be wrong with what is in force. */
struct reservation {
	const char *type;
	enum krl_verdict_reason reason;
	const char *well, *message;	/* where it is so no more */
};

/* Some of it is not for all requests; rules of the cluster are not the cluster's. */
static const struct reservation reservations[] = {
	{ "PartiallyApplied", KRL_VERDICT_UNSEEN, "AllMatched", "rules apply to all requests that came lately" },
	{ "Degraded", KRL_VERDICT_AWAY, "RedisThere", "all nodes reach Redis" },
};

/* NULL: it never was so. */
static json_t *reserved(const struct reservation *r, const struct opinion best[], const json_t *seen, int64_t generation,
			int64_t now_s)
{
	const struct opinion *opinion = &best[r->reason];
	char message[2 * KRL_VERDICT_BYTES];

	if (!opinion->node)
		return krl_status_condition(seen, r->type)
			       ? condition(seen, r->type, false, generation, r->well, r->message, now_s) : NULL;
	snprintf(message, sizeof(message), "%s: %s", opinion->node, opinion->message);
	krl_make_printable(message);
	return condition(seen, r->type, true, generation, reasons[r->reason], message, now_s);
}

static json_t *conditions(const struct opinion best[], const json_t *seen, int64_t generation, int64_t now_s)
{
	const struct opinion *refused = &best[KRL_VERDICT_INVALID];
	json_t *accepted, *in_force;

	if (!refused->node)
		refused = &best[KRL_VERDICT_CONFLICTED];
	if (refused->node) {
		accepted = condition(seen, "Accepted", false, generation, reasons[refused->reason], refused->message,
				     now_s);
		in_force = condition(seen, "Programmed", false, generation, reasons[refused->reason],
				     "refused: what was in force before stays", now_s);
	} else {
		accepted = condition(seen, "Accepted", true, generation, "Accepted", "it is valid", now_s);
		in_force = programmed(best, seen, generation, now_s);
	}
	return json_pack("[o, o, o*, o*]", accepted, in_force, reserved(&reservations[0], best, seen, generation, now_s),
			 reserved(&reservations[1], best, seen, generation, now_s));
}

json_t *krl_status_make_shared(const struct krl_verdict *verdict, const json_t *seen, const char *node,
			       const char *service, const char *limit, int64_t now_s)
{
	struct opinion best[KRL_VERDICT_CONFLICTED + 1] = { 0 };
	json_int_t limited = survey(verdict, seen, node, best);

	return json_pack("{s:I, s:s*, s:s*, s:I, s:o}", "observedGeneration", (json_int_t)verdict->generation,
			 "service", *service ? service : NULL, "limit", *limit ? limit : NULL, "limited", limited,
			 "conditions", conditions(best, seen, verdict->generation, now_s));
}

bool krl_status_has(const json_t *seen, const json_t *shared)
{
	static const char *const keys[] = { "observedGeneration", "service", "limit", "limited" };
	const json_t *condition, *said;
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		said = json_object_get(shared, keys[i]);
		if (said && !json_equal(said, json_object_get(seen, keys[i])))
			return false;
	}
	json_array_foreach(json_object_get(shared, "conditions"), i, condition)
		if (!json_equal(condition, krl_status_condition(seen, krl_status_text(condition, "type"))))
			return false;
	return true;
}
