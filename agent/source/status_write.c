// SPDX-License-Identifier: Apache-2.0
/* What there is to write, one request at a time: the part of the node first, then, with that in it, the part of all. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/log.h"
#include "agent/k8s/answer.h"
#include "agent/k8s/backoff.h"
#include "agent/k8s/json.h"
#include "status_internal.h"

/* The manager of what is no node's own: agents write it as one. */
#define SHARED_MANAGER "kmesh-rl"
#define REQUEST_S 30
#define ANSWER_BYTES (8 << 20)
/* Of requests, as many a second, and after a rest those of so long at once. */
#define REQUESTS_PER_S 50
#define BURST_MS 2000
/* Of every_ms, the part within which those who would write the same begin. */
#define SPREAD 5

const struct krl_told_as krl_status_told_as[KRL_TOLD_KINDS] = {
	[KRL_TOLD_REFUSED] = { "Warning", "Refused" },
	[KRL_TOLD_PROGRAMMED] = { "Normal", "Programmed" },
	[KRL_TOLD_STARTED] = { "Normal", "LimitingStarted" },
	[KRL_TOLD_ENDED] = { "Normal", "LimitingEnded" },
};

static uint32_t random_number(void)
{
	uint32_t number = 0;

	uv_random(NULL, NULL, &number, sizeof(number), 0, NULL);
	return number;
}

static void wake_in(struct krl_statuses *s, uint64_t wait_ms)
{
	uv_timer_start(s->timer, krl_status_on_timer, wait_ms, 0);
}

void krl_status_wake(struct krl_statuses *s)
{
	if (!s->request)
		wake_in(s, 0);
}

void krl_status_touch(struct krl_statuses *s, struct krl_status_entry *e)
{
	e->dirty = true;
	e->due_ms = 0;
	krl_status_wake(s);
}

void krl_status_tell(struct krl_statuses *s, struct krl_status_entry *e, enum krl_told kind, const char *message)
{
	krl_notice_add(&e->told[kind], message, time(NULL));
	krl_status_wake(s);
}

static void forget_request(struct krl_statuses *s)
{
	json_decref(s->sent);
	json_decref(s->before);
	s->sent = s->before = NULL;
	s->request = NULL;
	s->at = NULL;
	krl_lines_clear(&s->lines);
}

void krl_status_leave(struct krl_statuses *s, const struct krl_status_entry *e)
{
	if (s->at == e)
		s->at = NULL;
}

void krl_status_cancel(struct krl_statuses *s)
{
	krl_http_cancel(s->request);
	forget_request(s);
}

/* It went well. */
static void recover(struct krl_setback *setback)
{
	*setback = (struct krl_setback){ 0 };
}

/* Said once, and tried again later and later. */
static void set_back(const struct krl_statuses *s, struct krl_setback *setback, const char *text, unsigned int after_s)
{
	setback->failures++;
	setback->until_ms = uv_now(s->loop) + krl_backoff_ms(setback->failures, after_s, random_number());
	if (strcmp(setback->text, text))
		krl_log_warn("not written to the API server", "why", "%s", text);
	snprintf(setback->text, sizeof(setback->text), "%s", text);
}

static json_t *make_own(const struct krl_statuses *s, const struct krl_status_entry *e)
{
	json_t *own = krl_status_make_node(&e->own, s->node);

	if (s->forgoes_limiting)
		json_object_del(own, "limiting");
	return own;
}

/* What the status of @e has to be applied, and whether it is the part of all nodes. NULL: nothing. */
static json_t *status_wanted(struct krl_statuses *s, const struct krl_status_entry *e, bool *ret_shared)
{
	json_int_t observed = json_integer_value(json_object_get(e->seen, "observedGeneration"));
	bool of_node = krl_verdict_is_of_node(&e->own, e->seen, s->node);
	json_t *part;

	if (e->own.reason == KRL_VERDICT_NONE || e->own.generation != e->generation || observed > e->generation)
		return NULL;
	*ret_shared = false;
	if (of_node) {
		part = make_own(s, e);
		if (!json_equal(part, krl_status_node(e->seen, s->node)))
			return part ? json_pack("{s:[o]}", "nodes", part) : NULL;
		json_decref(part);
	}
	/* What is right is for those to say who have a part in it. */
	if (!of_node && observed == e->generation && krl_status_condition(e->seen, "Accepted"))
		return NULL;
	*ret_shared = true;
	part = krl_status_make_shared(&e->own, e->seen, s->node, e->service, e->limit, time(NULL));
	if (!krl_status_has(e->seen, part))
		return part;
	json_decref(part);
	return NULL;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* When it may be written. */
static uint64_t due(struct krl_statuses *s, struct krl_status_entry *e, bool shared)
{
	uint64_t begin_ms = later(e->setback.until_ms, e->round ? 0 : e->next_ms), wait_ms;

	if (!shared || e->round)
		return begin_ms;
	/* Others see what we see. Those who have nothing of it leave it to those who have, as long as there are any. */
	wait_ms = (uint64_t)random_number() * (s->every_ms / SPREAD) / UINT32_MAX;
	if (e->own.reason == KRL_VERDICT_NO_ENDPOINTS)
		wait_ms += s->every_ms;
	if (!e->settle_ms)
		e->settle_ms = uv_now(s->loop) + wait_ms;
	return later(begin_ms, e->settle_ms);
}

static bool on_body(void *arg, long status, const char *bytes, size_t len)
{
	struct krl_statuses *s = arg;

	return !krl_lines_add(&s->lines, bytes, len, ANSWER_BYTES);
}

static void on_head(void *arg, long status)
{
}

/* The part of all nodes was written. */
static void tell_of(struct krl_statuses *s, struct krl_status_entry *e)
{
	const json_t *accepted = krl_status_condition(s->sent, "Accepted");
	const json_t *programmed = krl_status_condition(s->sent, "Programmed");

	if (!strcmp(krl_status_text(accepted, "status"), "False") &&
	    !json_equal(accepted, krl_status_condition(s->before, "Accepted")))
		krl_status_tell(s, e, KRL_TOLD_REFUSED, krl_status_text(accepted, "message"));
	if (!strcmp(krl_status_text(programmed, "reason"), "UnsupportedByKernel") &&
	    !json_equal(programmed, krl_status_condition(s->before, "Programmed")))
		krl_status_tell(s, e, KRL_TOLD_REFUSED, krl_status_text(programmed, "message"));
	if (!strcmp(krl_status_text(programmed, "status"), "True") &&
	    strcmp(krl_status_text(krl_status_condition(s->before, "Programmed"), "status"), "True"))
		krl_status_tell(s, e, KRL_TOLD_PROGRAMMED, krl_status_text(programmed, "message"));
}

/* An API server whose definition is older than limiting does not take it, and a node does without: then who reads an Event
 * that it began may not be told that it ended. Returns whether it was sent, and is not any more. */
static bool forgo_limiting(struct krl_statuses *s)
{
	if (!json_object_get(json_array_get(json_object_get(s->sent, "nodes"), 0), "limiting"))
		return false;
	if (!s->forgoes_limiting)
		krl_log_warn("not written to the API server", "why", "status: nodes[].limiting is not in its "
			     "CustomResourceDefinition, which is of a version before");
	s->forgoes_limiting = true;
	return true;
}

/* Does the status that was answered have what was sent? Other versions of the definition leave out what they do not
 * know. */
static bool is_kept(const struct krl_statuses *s, const json_t *status)
{
	json_t *own = json_array_get(json_object_get(s->sent, "nodes"), 0);

	if (own)
		return json_equal(own, krl_status_node(status, s->node));
	return krl_status_has(status, s->sent);
}

static void status_written(struct krl_statuses *s, struct krl_status_entry *e)
{
	json_t *object = s->lines.len ? krl_k8s_json(s->lines.bytes, s->lines.len) : NULL;
	json_t *status = json_object_get(object, "status");
	char text[KRL_K8S_ERROR_BYTES];

	if (object)
		krl_status_see(e, object);
	e->round = !s->shared;
	e->settle_ms = 0;
	e->dirty = true;
	e->due_ms = 0;
	if (s->shared)
		tell_of(s, e);
	if (is_kept(s, status)) {
		recover(&e->setback);
	} else if (!forgo_limiting(s)) {
		snprintf(text, sizeof(text), "status of %s/%s: the API server did not keep it: is its "
			 "CustomResourceDefinition of this version?", e->ns, e->name);
		set_back(s, &e->setback, text, 0);
	}
	json_decref(object);
}

static void event_written(struct krl_statuses *s, struct krl_status_entry *e)
{
	struct krl_notice *event = &e->told[s->kind];

	event->count += s->pending;
	event->pending -= s->pending;
	event->next_ms = uv_now(s->loop) + s->every_ms;
}

/* The server refused what is in the request, or knows no such object. Of a status it says 500 when the object, or what is
 * applied to it, is not what the definition has (apiserver, endpoints/handlers/fieldmanager: "to smd typed"). */
static bool is_about_object(enum krl_lane lane, long status)
{
	return status == 400 || status == 404 || status == 409 || status == 415 || status == 422 ||
	       (status == 500 && lane == KRL_LANE_STATUS);
}

static void event_refused(struct krl_statuses *s, struct krl_status_entry *e, long status)
{
	struct krl_notice *event = &e->told[s->kind];

	if (event->count && status == 404) {
		/* They are kept for an hour or so: then another one. */
		event->count = 0;
		event->first_s = event->last_s;
		return;
	}
	/* Whatever is wrong with it, it is not worth being said again. */
	event->pending = 0;
}

static void refused(struct krl_statuses *s, struct krl_status_entry *e, const struct krl_http_result *result)
{
	json_t *body = s->lines.len ? krl_k8s_json(s->lines.bytes, s->lines.len) : NULL;
	const char *what = s->lane == KRL_LANE_STATUS ? "status" : "events";
	unsigned int after_s = result->retry_after_s;
	/* structured-merge-diff, typed: which field it is that is not declared. */
	bool names_limiting = s->lines.len && memmem(s->lines.bytes, s->lines.len, ".limiting:", strlen(".limiting:"));
	struct krl_setback *lane = &s->lanes[s->lane];
	char text[KRL_K8S_ERROR_BYTES];
	struct krl_status said;

	krl_answer_status(body, &said);
	json_decref(body);
	after_s = after_s ? after_s : said.retry_after_s;
	if (!result->status || result->error)
		snprintf(text, sizeof(text), "%s: %s", what, result->error ? result->error : "no answer");
	else if (is_about_object(s->lane, result->status))
		snprintf(text, sizeof(text), "%s of %s/%s: %ld %s", what, e->ns, e->name, result->status, said.text);
	else if (result->status == 403)
		/* The server names each object that it is about. */
		snprintf(text, sizeof(text), "%s: 403 forbidden: is RBAC as shipped?", what);
	else
		snprintf(text, sizeof(text), "%s: %ld %s", what, result->status, said.text);
	e->due_ms = 0;
	if (s->lane == KRL_LANE_STATUS)
		e->next_ms = 0;
	if (names_limiting && forgo_limiting(s))
		return;
	if (result->error || !is_about_object(s->lane, result->status)) {
		set_back(s, lane, text, after_s);
		return;
	}
	if (s->lane == KRL_LANE_EVENTS) {
		if (result->status != 404)
			set_back(s, lane, text, after_s);
		event_refused(s, e, result->status);
		return;
	}
	recover(lane);
	set_back(s, &e->setback, text, after_s);
}

static void on_done(void *arg, const struct krl_http_result *result)
{
	struct krl_statuses *s = arg;
	struct krl_status_entry *e = s->at;
	bool good = !result->error && (result->status == 200 || result->status == 201);

	uv_update_time(s->loop);
	if (good)
		recover(&s->lanes[s->lane]);
	if (e && !good)
		refused(s, e, result);
	else if (e && s->lane == KRL_LANE_STATUS)
		status_written(s, e);
	else if (e)
		event_written(s, e);
	forget_request(s);
	krl_status_wake(s);
}

/* Send @json, which is taken over, and may be NULL. */
static void ask(struct krl_statuses *s, struct krl_status_entry *e, enum krl_lane lane, const char *method,
		const char *type, const char *path, json_t *json)
{
	static const struct krl_http_calls calls = { .head = on_head, .body = on_body, .done = on_done };
	struct krl_http_get get = { .path = path, .limit_s = REQUEST_S, .silence_s = REQUEST_S,
				    .fresh = s->lanes[lane].failures > 1 };
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL, error[KRL_K8S_ERROR_BYTES] = "out of memory";
	uint64_t now_ms = uv_now(s->loop);
	struct krl_http_body body = { method, type, text };

	json_decref(json);
	s->at = e;
	s->lane = lane;
	s->budget_ms = later(s->budget_ms, now_ms > BURST_MS ? now_ms - BURST_MS : 0) + 1000 / REQUESTS_PER_S;
	if (!text || krl_http_send(s->http, &get, &body, &calls, s, &s->request, error)) {
		set_back(s, &s->lanes[lane], error, 0);
		forget_request(s);
	}
	free(text);
}

static void send_status(struct krl_statuses *s, struct krl_status_entry *e, json_t *status, bool shared)
{
	char path[768];

	/* "Server-Side Apply", Using Server-Side Apply in a controller: it forces what is its own. */
	snprintf(path, sizeof(path), "/apis/kmesh.net/v1alpha1/namespaces/%s/ratelimits/%s/status?fieldManager=%s&force=true",
		 e->ns, e->name, shared ? SHARED_MANAGER : s->manager);
	if (!e->round)
		e->next_ms = uv_now(s->loop) + s->every_ms;
	s->sent = status;
	s->before = json_incref(e->seen);
	s->shared = shared;
	ask(s, e, KRL_LANE_STATUS, "PATCH", "application/apply-patch+yaml", path,
	    json_pack("{s:s, s:s, s:{s:s, s:s}, s:O}", "apiVersion", "kmesh.net/v1alpha1", "kind", "RateLimit",
		      "metadata", "name", e->name, "namespace", e->ns, "status", status));
}

static void send_event(struct krl_statuses *s, struct krl_status_entry *e, enum krl_told kind)
{
	struct krl_notice_of of = { .ns = e->ns, .name = e->name, .uid = e->uid, .node = s->node,
				   .type = krl_status_told_as[kind].type, .reason = krl_status_told_as[kind].reason };
	struct krl_notice *event = &e->told[kind];
	bool is_new = !event->count;
	json_t *json = is_new ? krl_notice_make(event, &of, uv_hrtime() ^ (uint64_t)random_number() << 32)
			      : krl_notice_change(event);
	char path[768];

	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/events%s%s", e->ns, is_new ? "" : "/",
		 is_new ? "" : event->name);
	s->kind = kind;
	s->pending = event->pending;
	ask(s, e, KRL_LANE_EVENTS, is_new ? "POST" : "PATCH",
	    is_new ? "application/json" : "application/merge-patch+json", path, json);
}

/* Send what @e has to be sent now. Returns when there may be more to send, 0 with a request under way, UINT64_MAX: only
 * after it is touched. */
static uint64_t serve(struct krl_statuses *s, struct krl_status_entry *e)
{
	uint64_t now_ms = uv_now(s->loop), next_ms = UINT64_MAX, when_ms;
	enum krl_told kind;
	json_t *status;
	bool shared;

	if (e->dirty && now_ms >= e->due_ms) {
		status = status_wanted(s, e, &shared);
		e->dirty = status;
		e->round &= e->dirty;
		e->settle_ms = e->dirty ? e->settle_ms : 0;
		e->due_ms = status ? later(due(s, e, shared), s->lanes[KRL_LANE_STATUS].until_ms) : 0;
		if (status && now_ms >= e->due_ms) {
			send_status(s, e, status, shared);
			return 0;
		}
		json_decref(status);
	}
	if (e->dirty)
		next_ms = e->due_ms;
	for (kind = 0; kind < KRL_TOLD_KINDS; kind++) {
		if (!e->told[kind].pending)
			continue;
		when_ms = later(e->told[kind].next_ms, s->lanes[KRL_LANE_EVENTS].until_ms);
		if (now_ms >= when_ms) {
			send_event(s, e, kind);
			return 0;
		}
		next_ms = when_ms < next_ms ? when_ms : next_ms;
	}
	return next_ms;
}

void krl_status_on_timer(uv_timer_t *timer)
{
	struct krl_statuses *s = timer->data;
	uint64_t now_ms = uv_now(s->loop), next_ms = UINT64_MAX, when_ms;
	size_t i;

	if (s->request)
		return;
	if (s->budget_ms > now_ms) {
		wake_in(s, s->budget_ms - now_ms);
		return;
	}
	for (i = 0; i < s->count; i++) {
		when_ms = serve(s, s->entries[(s->turn + i) % s->count]);
		if (!when_ms) {
			s->turn += i;
			if (!s->request)
				wake_in(s, 0);
			return;
		}
		next_ms = when_ms < next_ms ? when_ms : next_ms;
	}
	if (next_ms != UINT64_MAX)
		wake_in(s, next_ms - now_ms);
}
