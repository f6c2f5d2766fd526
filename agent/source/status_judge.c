// SPDX-License-Identifier: Apache-2.0
/* What became of RateLimits: by what is in force, what was complained about, and what was limited. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status_internal.h"

/* Limiting is over after so many times every_s without a request that was. */
#define QUIET 3

/* The RateLimit that @line is about, and what it says of it. NULL: it is about none. */
static struct krl_status_entry *subject_of(const struct krl_statuses *s, const char *line, const char **ret_text)
{
	struct krl_diag_subject subject;

	*ret_text = krl_diag_about(line, &subject);
	return *ret_text ? krl_status_find(s, subject.ns, subject.name) : NULL;
}

/* Several complaints are one, each once. */
static void complain(struct krl_verdict *verdict, enum krl_verdict_reason reason, const char *text)
{
	size_t len = strlen(verdict->message);

	if (verdict->reason != reason)
		len = 0;
	verdict->reason = reason;
	snprintf(verdict->message + len, sizeof(verdict->message) - len, "%s%s", len ? "; " : "", text);
	/* It may be cut in the middle of a character. */
	krl_make_printable(verdict->message);
}

static enum krl_verdict_reason refusal(bool of_compiler, const char *text)
{
	if (!of_compiler)
		return KRL_VERDICT_INVALID;
	return strcmp(text, KRL_COMPILE_NO_REDIS) ? KRL_VERDICT_CONFLICTED : KRL_VERDICT_NO_REDIS;
}

static void take_complaints(struct krl_statuses *s, const struct krl_diags *errors)
{
	struct krl_status_entry *e;
	const char *of_compiler, *text;
	size_t i;

	for (i = 0; i < errors->count; i++) {
		of_compiler = krl_diag_of(errors->lines[i], KRL_DIAG_OBJECTS);
		e = subject_of(s, of_compiler ?: errors->lines[i], &text);
		if (!e || (of_compiler && e->next.reason == KRL_VERDICT_INVALID))
			continue;
		complain(&e->next, refusal(of_compiler, text), text);
	}
}

static void take_notes(struct krl_statuses *s, const struct krl_diags *notes)
{
	struct krl_status_entry *e;
	const char *text;
	size_t i;

	for (i = 0; i < notes->count; i++) {
		e = subject_of(s, krl_diag_of(notes->lines[i], KRL_DIAG_OBJECTS) ?: notes->lines[i], &text);
		if (!e || e->next.reason >= KRL_VERDICT_NO_REDIS || e->next.endpoints)
			continue;
		text += strncmp(text, "waits: ", 7) ? 0 : 7;
		complain(&e->next, KRL_VERDICT_SERVICE_NOT_FOUND, text);
	}
}

static void take_scope(struct krl_status_entry *e, __u32 flags)
{
	if (!(flags & KRL_RULE_CLUSTER))
		return;
	e->cluster |= flags & (KRL_RULE_CLUSTER | KRL_RULE_AWAY_OPEN | KRL_RULE_AWAY_CLOSED);
	e->local |= !(flags & (KRL_RULE_AWAY_OPEN | KRL_RULE_AWAY_CLOSED));
}

/* Each endpoint counts once for a RateLimit, however many rules of it are there. 0, or -ENOMEM. */
static int count_endpoints(struct krl_statuses *s, const struct krl_plan *plan)
{
	struct krl_status_entry **of_rule, *e;
	size_t i, k;

	if (!plan->rule_count)
		return 0;
	of_rule = calloc(plan->rule_count, sizeof(struct krl_status_entry *));
	if (!of_rule)
		return -ENOMEM;
	for (i = 0; i < plan->rule_count; i++)
		of_rule[i] = krl_status_find(s, plan->rules[i].ns, plan->rules[i].name);
	for (i = 0; i < plan->endpoint_count; i++) {
		const struct krl_plan_endpoint *endpoint = &plan->endpoints[i];

		for (k = 0; k < endpoint->rule_count + endpoint->outside_count; k++) {
			e = of_rule[endpoint->rules[k]];
			if (e && k < endpoint->rule_count)
				take_scope(e, plan->rules[endpoint->rules[k]].flags);
			if (!e || e->last_endpoint == i + 1)
				continue;
			e->last_endpoint = i + 1;
			e->next.endpoints++;
			e->asks_pods |= plan->rules[endpoint->rules[k]].asks_pods;
		}
	}
	free(of_rule);
	return 0;
}

static void set(struct krl_verdict *verdict, enum krl_verdict_reason reason, const char *message)
{
	verdict->reason = reason;
	snprintf(verdict->message, sizeof(verdict->message), "%s", message);
	krl_make_printable(verdict->message);
}

static void on_unseen(void *arg, const struct krl_plan_rule *rule, const struct krl_endpoint_key *key)
{
	struct krl_status_entry *e = krl_status_find(arg, rule->ns, rule->name);

	if (e && !e->unseen)
		e->unseen = calloc(1, KRL_UNSEEN_BYTES);
	if (e && e->unseen)
		krl_unseen_say(e->unseen, rule, key);
}

/* Is Redis away, and of which RateLimits were rules passed by lately? */
static void look_around(struct krl_statuses *s)
{
	size_t i;

	s->away = s->is_away && s->is_away(s->away_ctx);
	if (!s->walk_unseen)
		return;
	for (i = 0; i < s->count; i++) {
		free(s->entries[i]->unseen);
		s->entries[i]->unseen = NULL;
	}
	s->walk_unseen(s->walk_ctx, on_unseen, s);
}

/* What rules of the cluster do without Redis. */
static void say_away(const struct krl_status_entry *e, char ret[KRL_VERDICT_BYTES])
{
	const char *parts[3];
	size_t count = 0;

	if (e->local)
		parts[count++] = "each node keeps the limit for itself";
	if (e->cluster & KRL_RULE_AWAY_OPEN)
		parts[count++] = "rules with whenUnavailable: Open let all through";
	if (e->cluster & KRL_RULE_AWAY_CLOSED)
		parts[count++] = "rules with whenUnavailable: Closed refuse all";
	snprintf(ret, KRL_VERDICT_BYTES, "Redis is away: %s%s%s%s%s", parts[0], count > 1 ? ", " : "", count > 1 ? parts[1] : "",
		 count > 2 ? ", " : "", count > 2 ? parts[2] : "");
}

static void set_in_force(const struct krl_statuses *s, struct krl_verdict *verdict, const struct krl_status_entry *e)
{
	char away[KRL_VERDICT_BYTES];

	if (s->away && e->cluster) {
		say_away(e, away);
		set(verdict, KRL_VERDICT_AWAY, away);
	} else if (e->unseen) {
		set(verdict, KRL_VERDICT_UNSEEN, e->unseen);
	} else {
		set(verdict, KRL_VERDICT_PROGRAMMED, "it is in force");
	}
}

static bool is_in_force(const struct krl_verdict *verdict)
{
	return verdict->reason == KRL_VERDICT_PROGRAMMED || verdict->reason == KRL_VERDICT_UNSEEN ||
	       verdict->reason == KRL_VERDICT_AWAY;
}

/* What nobody complained about. */
static void conclude(const struct krl_statuses *s, struct krl_status_entry *e, const struct krl_outcome *outcome)
{
	bool stays = is_in_force(&e->own) && e->own.generation == e->generation;

	if (e->next.reason != KRL_VERDICT_NONE)
		return;
	if (outcome->err && !stays)
		set(&e->next, outcome->err == -ENOTSUP ? KRL_VERDICT_UNSUPPORTED : KRL_VERDICT_PENDING, outcome->why);
	else if (e->asks_pods && outcome->pods_unread && !outcome->pods_trouble)
		return;
	else if (e->asks_pods && outcome->pods_unread)
		set(&e->next, KRL_VERDICT_PENDING, outcome->pods_trouble);
	else if (e->next.endpoints)
		set_in_force(s, &e->next, e);
	else if (!outcome->unread)
		set(&e->next, KRL_VERDICT_NO_ENDPOINTS, "its endpoints are on other nodes");
}

static bool is_same(const struct krl_verdict *a, const struct krl_verdict *b)
{
	return a->reason == b->reason && a->generation == b->generation && a->endpoints == b->endpoints &&
	       a->limited == b->limited && a->limiting == b->limiting && !strcmp(a->message, b->message);
}

void krl_statuses_judge(struct krl_statuses *s, const struct krl_outcome *outcome)
{
	struct krl_status_entry *e;
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->count; i++) {
		e = s->entries[i];
		e->next = (struct krl_verdict){ .generation = e->generation, .limited = e->own.limited,
						.limiting = e->limiting };
		e->last_endpoint = 0;
		e->asks_pods = false;
		e->cluster = 0;
		e->local = false;
	}
	if (count_endpoints(s, outcome->plan))
		return;
	take_complaints(s, outcome->errors);
	take_notes(s, outcome->notes);
	look_around(s);
	for (i = 0; i < s->count; i++) {
		e = s->entries[i];
		conclude(s, e, outcome);
		if (is_same(&e->next, &e->own) || e->next.reason == KRL_VERDICT_NONE)
			continue;
		e->own = e->next;
		krl_status_touch(s, e);
	}
	if (!s->counted)
		krl_status_sample(s);
}

static void on_limited(void *arg, const char *ns, const char *name, uint64_t limited)
{
	struct krl_status_entry *e = krl_status_find(arg, ns, name);

	if (e)
		e->sum += limited;
}

/* Tell of limiting that begins and ends. */
static void follow_limiting(struct krl_statuses *s, struct krl_status_entry *e, bool more)
{
	uint64_t now_ms = uv_now(s->loop);
	char message[512];

	if (more) {
		e->quiet_ms = now_ms + QUIET * s->every_ms;
		if (e->limiting)
			return;
		e->limiting = true;
		snprintf(message, sizeof(message), "%s: requests are beyond the limit", s->node);
		krl_status_tell(s, e, KRL_TOLD_STARTED, message);
	} else if (e->limiting && now_ms >= e->quiet_ms) {
		e->limiting = false;
		snprintf(message, sizeof(message), "%s: no request was beyond the limit for %u s", s->node,
			 QUIET * s->every_ms / 1000);
		krl_status_tell(s, e, KRL_TOLD_ENDED, message);
	}
}

/* What the agent before told of goes on; what it did not live to write, or was not there for, is more. */
static bool take_up_limiting(const struct krl_statuses *s, struct krl_status_entry *e)
{
	const json_t *own = krl_status_node(e->seen, s->node);

	e->limiting = json_is_true(json_object_get(own, "limiting"));
	e->quiet_ms = uv_now(s->loop) + QUIET * s->every_ms;
	return own && (int64_t)e->sum > json_integer_value(json_object_get(own, "limited"));
}

void krl_status_sample(struct krl_statuses *s)
{
	struct krl_status_entry *e;
	size_t i;

	if (!s->walk_limited)
		return;
	for (i = 0; i < s->count; i++)
		s->entries[i]->sum = 0;
	s->walk_limited(s->walk_ctx, on_limited, s);
	look_around(s);
	for (i = 0; i < s->count; i++) {
		e = s->entries[i];
		follow_limiting(s, e, s->counted ? (int64_t)e->sum > e->own.limited : take_up_limiting(s, e));
		e->next = e->own;
		e->next.limited = e->sum;
		e->next.limiting = e->limiting;
		if (is_in_force(&e->own))
			set_in_force(s, &e->next, e);
		if (is_same(&e->next, &e->own))
			continue;
		e->own = e->next;
		krl_status_touch(s, e);
	}
	s->counted = true;
}
