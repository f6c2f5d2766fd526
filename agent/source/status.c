// SPDX-License-Identifier: Apache-2.0
#include "status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/vec.h"
#include "agent/k8s/answer.h"
#include "agent/loop/handle.h"
#include "status_internal.h"

/* The API server takes no longer name of a field manager (meta/v1, validation, FieldManagerMaxLength). */
#define MANAGER_BYTES 128
#define SAMPLES 5

static void entry_free(struct krl_status_entry *e)
{
	free(e->ns);
	free(e->name);
	free(e->uid);
	free(e->unseen);
	json_decref(e->seen);
	free(e);
}

/* Where @ns/@name is, or belongs. */
static size_t place_of(const struct krl_statuses *s, const char *ns, const char *name, bool *ret_found)
{
	size_t low = 0, high = s->count, middle;
	int order;

	*ret_found = false;
	while (low < high) {
		middle = low + (high - low) / 2;
		order = strcmp(ns, s->entries[middle]->ns);
		order = order ? order : strcmp(name, s->entries[middle]->name);
		*ret_found |= !order;
		if (order <= 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct krl_status_entry *krl_status_find(const struct krl_statuses *s, const char *ns, const char *name)
{
	bool found;
	size_t at = place_of(s, ns, name, &found);

	return found ? s->entries[at] : NULL;
}

/* One that is new. NULL without memory. */
static struct krl_status_entry *insert(struct krl_statuses *s, const char *ns, const char *name)
{
	struct krl_status_entry *e = calloc(1, sizeof(*e)), **added;
	bool found;
	size_t at;

	if (!e)
		return NULL;
	e->ns = strdup(ns);
	e->name = strdup(name);
	added = e->ns && e->name ? krl_vec_add(&s->entries, &s->count) : NULL;
	if (!added) {
		entry_free(e);
		return NULL;
	}
	s->count--;
	at = place_of(s, ns, name, &found);
	memmove(&s->entries[at + 1], &s->entries[at], (s->count - at) * sizeof(*s->entries));
	s->entries[at] = e;
	s->count++;
	return e;
}

static void remove_at(struct krl_statuses *s, size_t at)
{
	struct krl_status_entry *e = s->entries[at];

	krl_status_leave(s, e);
	memmove(&s->entries[at], &s->entries[at + 1], (--s->count - at) * sizeof(*s->entries));
	entry_free(e);
}

/* What field managers may be called: the name of a node is, but for what somebody else than Kubernetes calls one. */
char *krl_status_manager(const char *node)
{
	char *manager, *at;

	if (asprintf(&manager, "kmesh-rl-%s", node) < 0)
		return NULL;
	for (at = manager; *at; at++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", *at))
			*at = '_';
	/* Names this long differ in their ends, if at all. */
	if (strlen(manager) > MANAGER_BYTES)
		memmove(manager + strlen("kmesh-rl-"), manager + strlen(manager) - (MANAGER_BYTES - strlen("kmesh-rl-")),
			MANAGER_BYTES - strlen("kmesh-rl-") + 1);
	return manager;
}

int krl_statuses_open(uv_loop_t *loop, struct krl_http *http, const struct krl_statuses_options *options,
		      struct krl_statuses **ret)
{
	struct krl_statuses *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->http = http;
	s->every_ms = options->every_s * 1000;
	s->node = strdup(options->node);
	s->manager = krl_status_manager(options->node);
	s->timer = krl_handle_new(sizeof(*s->timer), s);
	if (s->timer)
		uv_timer_init(loop, s->timer);
	if (!s->node || !s->manager || !s->timer || krl_status_gone_open(s)) {
		krl_statuses_close(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

void krl_statuses_close(struct krl_statuses *s)
{
	if (!s)
		return;
	krl_status_gone_close(s->gone);
	krl_status_cancel(s);
	krl_handle_close(s->timer);
	krl_handle_close(s->sampler);
	while (s->count)
		entry_free(s->entries[--s->count]);
	free(s->entries);
	free(s->manager);
	free(s->node);
	free(s);
}

static void on_sample(uv_timer_t *timer)
{
	struct krl_statuses *s = timer->data;

	/* Before they are judged there are none to count for. */
	if (s->counted)
		krl_status_sample(s);
}

void krl_statuses_count(struct krl_statuses *s, krl_limited_walk limited, krl_unseen_walk unseen, void *ctx)
{
	if (!s)
		return;
	s->walk_limited = limited;
	s->walk_unseen = unseen;
	s->walk_ctx = ctx;
	if (!s->sampler)
		s->sampler = krl_timer_new(s->loop, s, on_sample, s->every_ms / SAMPLES);
}

void krl_statuses_ask_away(struct krl_statuses *s, krl_away_fn is_away, void *ctx)
{
	if (!s)
		return;
	s->is_away = is_away;
	s->away_ctx = ctx;
}

void krl_statuses_list(struct krl_statuses *s)
{
	size_t i;

	/* Of a server that was restored, versions may be lower than before. */
	for (i = 0; s && i < s->count; i++) {
		s->entries[i]->offered = false;
		s->entries[i]->version = 0;
	}
}

void krl_statuses_listed(struct krl_statuses *s)
{
	size_t i;

	for (i = s ? s->count : 0; i-- > 0;)
		if (!s->entries[i]->offered)
			remove_at(s, i);
}

/* The entry of @object, another one where that was made anew. NULL: it is not to be written, or without memory. */
static struct krl_status_entry *entry_of(struct krl_statuses *s, const json_t *object)
{
	const char *ns = krl_answer_meta(object, "namespace"), *name = krl_answer_meta(object, "name");
	const char *uid = krl_answer_meta(object, "uid");
	struct krl_status_entry *e;
	size_t at;
	bool found;

	/* What the API server never says would not be a path. */
	if (!*ns || !*name || strpbrk(ns, "/?#% ") || strpbrk(name, "/?#% "))
		return NULL;
	at = place_of(s, ns, name, &found);
	if (found && !strcmp(s->entries[at]->uid, uid))
		return s->entries[at];
	if (found)
		remove_at(s, at);
	e = insert(s, ns, name);
	if (!e)
		return NULL;
	e->uid = strdup(uid);
	if (e->uid)
		return e;
	remove_at(s, place_of(s, ns, name, &found));
	return NULL;
}

/* 0: it is no number, as etcd's are. */
static uint64_t version_of(const json_t *object)
{
	const char *text = krl_answer_meta(object, "resourceVersion");
	uint64_t version;
	char *end;

	errno = 0;
	version = strtoull(text, &end, 10);
	return errno || *end || *text < '0' || *text > '9' ? 0 : version;
}

bool krl_status_see(struct krl_status_entry *e, const json_t *object)
{
	json_t *status = json_object_get(object, "status");
	uint64_t version = version_of(object);
	bool changed;

	if (version && version < e->version)
		return false;
	changed = e->seen ? !json_equal(e->seen, status) : status != NULL;
	e->version = version;
	json_decref(e->seen);
	e->seen = json_incref(status);
	return changed;
}

bool krl_statuses_put(struct krl_statuses *s, const json_t *object)
{
	const json_t *spec = json_object_get(object, "spec");
	struct krl_status_entry *e = s ? entry_of(s, object) : NULL;
	int64_t generation;
	bool changed;

	if (!e)
		return false;
	e->offered = true;
	generation = json_integer_value(json_object_get(json_object_get(object, "metadata"), "generation"));
	changed = generation != e->generation;
	e->generation = generation;
	if (changed) {
		krl_summary_service(spec, e->service);
		krl_summary_limit(spec, e->limit);
	}
	if (krl_status_see(e, object) || changed)
		krl_status_touch(s, e);
	return changed;
}

void krl_statuses_remove(struct krl_statuses *s, const json_t *object)
{
	size_t at;
	bool found;

	if (!s)
		return;
	at = place_of(s, krl_answer_meta(object, "namespace"), krl_answer_meta(object, "name"), &found);
	if (found)
		remove_at(s, at);
}
