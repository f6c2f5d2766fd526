// SPDX-License-Identifier: Apache-2.0
#include "watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "agent/loop/handle.h"
#include "answer.h"
#include "backoff.h"
#include "json.h"
#include "lines.h"

/* What client-go asks for as well (tools/pager, defaultPageSize). */
#define PAGE_OBJECTS 500
#define LIST_S 600
#define SILENCE_S 30
/* kubernetes.io, "Kubernetes API Concepts", Metadata-only fetches. Servers that cannot send whole objects. */
#define METADATA "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
#define METADATA_LIST "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
/* A body that says why a request was refused. */
#define REFUSAL_BYTES (64 << 10)
/* One failure is no trouble yet: the server may be starting again. */
#define TROUBLE_FAILURES 2
/* So often a watch is tried from where it was before everything is listed anew. */
#define WATCH_FAILURES 5
/* A watch that ended sooner, with nothing in it, is asked for again as if it had failed. */
#define SHORT_MS 1000
/* One that lasted so long worked: failures before it are over. */
#define STEADY_MS 10000

struct krl_watch {
	uv_loop_t *loop;
	struct krl_http *http;
	struct krl_watch_calls calls;
	void *arg;
	char *what;
	char *paths[KRL_WATCH_PATHS];
	char *fields;		/* "&fieldSelector=...", or nothing */
	unsigned int path, path_count;
	unsigned int watch_s;
	struct krl_http_request *request;
	uv_timer_t *timer;	/* until the next request */
	struct krl_lines lines;
	char *next;		/* of a list: the token of the next page; NULL: it begins anew */
	char *version;		/* to watch from; NULL: to be listed */
	unsigned int limit;	/* objects a page */
	unsigned int failures;	/* in a row */
	uint64_t since_ms;	/* when the request was begun */
	bool metadata, read, watching, moved /* by an event, in this watch */, fresh;
	struct krl_status ended;	/* by an event of the watch itself; code 0: not */
	const char *broken;		/* why the body cannot be read on; NULL: it can */
	char trouble[KRL_K8S_ERROR_BYTES];
};

static void ask(struct krl_watch *w);

static uint32_t random_number(void)
{
	uint32_t number = 0;

	/* Without randomness they come back together: no reason to fail. */
	uv_random(NULL, NULL, &number, sizeof(number), 0, NULL);
	return number;
}

static void set_text(char **text, const char *to)
{
	char *copy = to && *to ? strdup(to) : NULL;

	free(*text);
	*text = copy;
}

static void on_timer(uv_timer_t *timer)
{
	ask(timer->data);
}

static void ask_in(struct krl_watch *w, unsigned int wait_ms)
{
	uv_update_time(w->loop);
	uv_timer_start(w->timer, on_timer, wait_ms, 0);
}

static void set_trouble(struct krl_watch *w, const char *text)
{
	bool changed = strncmp(w->trouble, text, sizeof(w->trouble) - 1);

	snprintf(w->trouble, sizeof(w->trouble), "%s", text);
	if (changed)
		w->calls.changed(w->arg);
}

/* Try again later. @told: the server answered, so that there is no doubt. */
static void fail(struct krl_watch *w, bool told, unsigned int retry_after_s, const char *text)
{
	char line[KRL_K8S_ERROR_BYTES];

	w->failures++;
	if (w->failures >= WATCH_FAILURES)
		set_text(&w->version, NULL);
	snprintf(line, sizeof(line), "%s: %s", w->what, text);
	if (told || w->failures >= TROUBLE_FAILURES)
		set_trouble(w, line);
	ask_in(w, krl_backoff_ms(w->failures, retry_after_s, random_number()));
}

/* The list has to begin anew: the server forgot what was from then on. */
static void expire(struct krl_watch *w)
{
	set_text(&w->version, NULL);
	set_text(&w->next, NULL);
	w->failures++;
	/* At once the first time; when it comes again and again, the server forgets faster than we list. */
	ask_in(w, w->failures > 1 ? krl_backoff_ms(w->failures - 1, 0, random_number()) : 0);
}

static bool on_event(void *arg, const char *line, size_t len)
{
	struct krl_watch *w = arg;
	struct krl_watch_event event;
	const char *version;

	if (!len)
		return true;
	if (!krl_answer_event(line, len, &event)) {
		w->broken = "an event that is no JSON";
		return false;
	}
	if (!strcmp(event.type, "ERROR")) {
		krl_answer_status(event.object, &w->ended);
		w->ended.code += !w->ended.code;
		json_decref(event.root);
		return false;
	}
	version = krl_answer_meta(event.object, "resourceVersion");
	if (*version)
		set_text(&w->version, version);
	if (!strcmp(event.type, "ADDED") || !strcmp(event.type, "MODIFIED"))
		w->calls.object(w->arg, event.object);
	else if (!strcmp(event.type, "DELETED"))
		w->calls.gone(w->arg, event.object);
	w->moved = true;
	json_decref(event.root);
	return true;
}

static void on_head(void *arg, long status)
{
	struct krl_watch *w = arg;

	if (status != 200)
		return;
	w->fresh = false;
	/* Of a list it is known at its end. */
	if (w->watching)
		set_trouble(w, "");
}

static bool on_body(void *arg, long status, const char *bytes, size_t len)
{
	struct krl_watch *w = arg;
	int err;

	if (status != 200)
		return krl_lines_add(&w->lines, bytes, len, REFUSAL_BYTES) != -ENOMEM;
	if (w->watching)
		err = krl_lines_split(&w->lines, bytes, len, KRL_WATCH_EVENT_BYTES, on_event, w);
	else
		err = krl_lines_add(&w->lines, bytes, len, KRL_WATCH_PAGE_BYTES);
	if (err == -EFBIG)
		w->broken = w->watching ? "an event of more than 8 MiB" : "a page of more than 64 MiB";
	else if (err && err != -ECANCELED)
		w->broken = strerror(-err);
	return !err;
}

/* The answer said no, or there was none. */
static void refused(struct krl_watch *w, const struct krl_http_result *result)
{
	json_t *body = w->lines.len ? krl_k8s_json(w->lines.bytes, w->lines.len) : NULL;
	unsigned int after_s = result->retry_after_s;
	char text[KRL_K8S_ERROR_BYTES];
	struct krl_status said;

	krl_answer_status(body, &said);
	json_decref(body);
	krl_lines_clear(&w->lines);
	if (!result->status || result->status == 200) {
		/* Whatever carried it may be dead without anybody having said so. */
		w->fresh = true;
		fail(w, false, 0, w->broken ? w->broken : result->error);
		return;
	}
	if (result->status == 410) {
		expire(w);
		return;
	}
	/* What is wrong, but for the server's load, may be where the request begins. */
	if (result->status < 500 && result->status != 429 && result->status != 401) {
		set_text(&w->version, NULL);
		set_text(&w->next, NULL);
	}
	if (result->status == 404 && w->path_count > 1) {
		w->path = (w->path + 1) % w->path_count;
		if (w->path) {
			ask_in(w, 0);
			return;
		}
	}
	snprintf(text, sizeof(text), "%ld %s", result->status, said.text);
	fail(w, true, after_s ? after_s : said.retry_after_s, text);
}

static void take_page(struct krl_watch *w, json_t *page)
{
	json_t *item;
	size_t i;

	if (!w->next)
		w->calls.begin(w->arg);
	json_array_foreach(json_object_get(page, "items"), i, item)
		w->calls.object(w->arg, item);
	set_text(&w->next, krl_answer_meta(page, "continue"));
	if (w->next) {
		ask_in(w, 0);
		return;
	}
	set_text(&w->version, krl_answer_meta(page, "resourceVersion"));
	w->read = true;
	w->calls.listed(w->arg);
	ask_in(w, 0);
}

static void list_done(struct krl_watch *w, const struct krl_http_result *result)
{
	json_t *page;

	if (w->broken && w->limit > 1) {
		w->limit /= 2;
		set_text(&w->next, NULL);
	}
	if (result->error || result->status != 200) {
		refused(w, result);
		return;
	}
	page = krl_answer_page(w->lines.bytes, w->lines.len);
	krl_lines_clear(&w->lines);
	if (!page) {
		set_text(&w->next, NULL);
		fail(w, true, 0, "an answer that is no list");
		return;
	}
	set_trouble(w, "");
	take_page(w, page);
	json_decref(page);
}

static void watch_done(struct krl_watch *w, const struct krl_http_result *result)
{
	char text[KRL_K8S_ERROR_BYTES];

	if (w->moved || uv_now(w->loop) - w->since_ms >= STEADY_MS)
		w->failures = 0;
	if (w->ended.code == 410) {
		krl_lines_clear(&w->lines);
		expire(w);
		return;
	}
	if (w->ended.code) {
		krl_lines_clear(&w->lines);
		set_text(&w->version, NULL);
		snprintf(text, sizeof(text), "the watch ended: %ld %s", w->ended.code, w->ended.text);
		fail(w, true, w->ended.retry_after_s, text);
		return;
	}
	if (result->error || result->status != 200) {
		refused(w, result);
		return;
	}
	/* It came to its end, as watches do. Half an event behind the last one is told of again. */
	krl_lines_clear(&w->lines);
	if (uv_now(w->loop) - w->since_ms >= SHORT_MS || w->moved) {
		w->failures = 0;
		ask_in(w, 0);
	} else {
		fail(w, false, 0, "watches end as they begin");
	}
}

static void on_done(void *arg, const struct krl_http_result *result)
{
	struct krl_watch *w = arg;

	w->request = NULL;
	uv_update_time(w->loop);
	if (w->watching)
		watch_done(w, result);
	else
		list_done(w, result);
}

/* The path of the next request; the caller frees it. */
static char *path_of(const struct krl_watch *w, unsigned int watch_s)
{
	const char *from = w->watching ? w->version : w->next ? w->next : "";
	char *path, *escaped = curl_easy_escape(NULL, from, 0);
	int len;

	if (!escaped)
		return NULL;
	if (w->watching)
		len = asprintf(&path, "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=%s%s",
			       w->paths[w->path], watch_s, escaped, w->fields);
	else
		len = asprintf(&path, "%s?limit=%u%s%s%s", w->paths[w->path], w->limit,
			       *escaped ? "&continue=" : "", escaped, w->fields);
	curl_free(escaped);
	return len < 0 ? NULL : path;
}

static void ask(struct krl_watch *w)
{
	static const struct krl_http_calls calls = { .head = on_head, .body = on_body, .done = on_done };
	unsigned int watch_s = w->watch_s + random_number() % w->watch_s;
	char error[KRL_K8S_ERROR_BYTES];
	struct krl_http_get get = { .limit_s = LIST_S, .silence_s = SILENCE_S, .fresh = w->fresh };
	char *path;

	w->watching = w->version;
	w->moved = false;
	w->broken = NULL;
	w->ended = (struct krl_status){ 0 };
	krl_lines_clear(&w->lines);
	if (w->watching) {
		/* The server ends a watch in time; one that lasts longer is dead. */
		get.limit_s = watch_s + 2 + (watch_s < 280 ? watch_s / 10 : 28);
		get.silence_s = 0;
	}
	if (w->metadata)
		get.accept = w->watching ? METADATA : METADATA_LIST;
	w->since_ms = uv_now(w->loop);
	path = path_of(w, watch_s);
	get.path = path;
	if (!path)
		fail(w, true, 0, "out of memory");
	else if (krl_http_get(w->http, &get, &calls, w, &w->request, error))
		fail(w, true, 0, error);
	free(path);
}

static int copy_fields(struct krl_watch *w, const char *fields)
{
	char *escaped = curl_easy_escape(NULL, fields ? fields : "", 0);
	int len;

	if (!escaped)
		return -ENOMEM;
	len = asprintf(&w->fields, "%s%s", fields ? "&fieldSelector=" : "", escaped);
	curl_free(escaped);
	if (len >= 0)
		return 0;
	w->fields = NULL;
	return -ENOMEM;
}

static int copy_options(struct krl_watch *w, const struct krl_watch_options *options)
{
	w->watch_s = options->watch_s;
	w->metadata = options->metadata;
	w->what = strdup(options->what);
	if (!w->what)
		return -ENOMEM;
	for (; w->path_count < KRL_WATCH_PATHS && options->paths[w->path_count]; w->path_count++) {
		w->paths[w->path_count] = strdup(options->paths[w->path_count]);
		if (!w->paths[w->path_count])
			return -ENOMEM;
	}
	return copy_fields(w, options->fields);
}

int krl_watch_open(uv_loop_t *loop, struct krl_http *http, const struct krl_watch_options *options,
		   const struct krl_watch_calls *calls, void *arg, struct krl_watch **ret)
{
	struct krl_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->loop = loop;
	w->http = http;
	w->calls = *calls;
	w->arg = arg;
	w->limit = PAGE_OBJECTS;
	w->timer = krl_handle_new(sizeof(*w->timer), w);
	if (w->timer)
		uv_timer_init(loop, w->timer);
	if (!w->timer || copy_options(w, options)) {
		krl_watch_close(w);
		return -ENOMEM;
	}
	ask_in(w, 0);
	*ret = w;
	return 0;
}

void krl_watch_close(struct krl_watch *w)
{
	unsigned int i;

	if (!w)
		return;
	krl_http_cancel(w->request);
	krl_handle_close(w->timer);
	krl_lines_clear(&w->lines);
	for (i = 0; i < w->path_count; i++)
		free(w->paths[i]);
	free(w->what);
	free(w->fields);
	free(w->next);
	free(w->version);
	free(w);
}

bool krl_watch_is_read(const struct krl_watch *w)
{
	return w->read;
}

const char *krl_watch_trouble(const struct krl_watch *w)
{
	return *w->trouble ? w->trouble : NULL;
}
