// SPDX-License-Identifier: Apache-2.0
/* Entries of nodes[] whose node is gone. Each node looks after the one before it by name, in each RateLimit that has an
 * entry of both, the first one after the last: so there is nobody to be elected, and whoever is left takes care of all.
 * The entry goes as it came, by the field manager of that node, which applies nothing any more. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/vec.h"
#include "agent/loop/handle.h"
#include "status_internal.h"

/* Of every_ms, up to twice that: when it is looked at first, and how often then. */
#define FIRST 2
#define EVERY 60
#define REQUEST_S 30
#define ANSWER_BYTES (1 << 20)

struct krl_status_gone {
	struct krl_statuses *statuses;
	uv_timer_t *timer;
	struct krl_http_request *request;
	char **nodes;		/* to be asked for, the last one next */
	size_t count;
	char *node;		/* that is asked for, or is gone */
	bool is_gone;
	bool any, found;	/* is there any node before us? ... whose entry was taken back? */
	size_t at;		/* of the RateLimits, where its entry is looked for next */
	bool forbidden;		/* which was said */
	unsigned int again;	/* when it is looked at again where there is a reason to, of every_ms */
};

static const char *before(const struct krl_statuses *s, const struct krl_status_entry *e)
{
	return krl_status_node_before(e->seen, s->node);
}

static void forget(struct krl_status_gone *g)
{
	while (g->count)
		free(g->nodes[--g->count]);
	free(g->nodes);
	free(g->node);
	g->nodes = NULL;
	g->node = NULL;
	g->is_gone = false;
}

/* Those that are before us, each once. */
static void collect(struct krl_status_gone *g)
{
	const struct krl_statuses *s = g->statuses;
	const char *node;
	char **added;
	size_t i, k;

	for (i = 0; i < s->count; i++) {
		node = before(s, s->entries[i]);
		for (k = 0; node && k < g->count && strcmp(g->nodes[k], node);)
			k++;
		if (!node || k < g->count)
			continue;
		added = krl_vec_add(&g->nodes, &g->count);
		if (added)
			*added = strdup(node);
		if (!added || !*added) {
			forget(g);
			return;
		}
	}
}

static void look_in(struct krl_status_gone *g, unsigned int times);
static void go_on(struct krl_status_gone *g);

static void on_head(void *arg, long status)
{
}

static bool on_body(void *arg, long status, const char *bytes, size_t len)
{
	return true;
}

static void on_done(void *arg, const struct krl_http_result *result)
{
	struct krl_status_gone *g = arg;
	bool asked = !g->is_gone;

	g->request = NULL;
	uv_update_time(g->statuses->loop);
	if (asked && result->status == 403 && !g->forbidden)
		krl_log_warn("entries of nodes that are gone stay in nodes[]", "why", "may not get nodes");
	g->forbidden |= asked && result->status == 403;
	/* Whatever else it is, the next time will show. */
	if (result->error || (result->status != 200 && result->status != 404)) {
		forget(g);
		look_in(g, EVERY);
		return;
	}
	g->is_gone |= result->status == 404;
	if (asked)
		g->at = 0;
	go_on(g);
}

static const struct krl_http_calls calls = { .head = on_head, .body = on_body, .done = on_done };

static bool ask(struct krl_status_gone *g, const char *path, const struct krl_http_body *body)
{
	struct krl_http_get get = { .path = path, .limit_s = REQUEST_S, .silence_s = REQUEST_S };
	char error[KRL_K8S_ERROR_BYTES];

	return !(body ? krl_http_send(g->statuses->http, &get, body, &calls, g, &g->request, error)
		      : krl_http_get(g->statuses->http, &get, &calls, g, &g->request, error));
}

static bool ask_for_node(struct krl_status_gone *g)
{
	char path[512];

	snprintf(path, sizeof(path), "/api/v1/nodes/%s", g->node);
	return ask(g, path, NULL);
}

/* Have what the node, which is gone, applied to @e be nothing. */
static bool take_back(struct krl_status_gone *g, const struct krl_status_entry *e)
{
	struct krl_http_body body = { "PATCH", "application/apply-patch+yaml", NULL };
	char *manager = krl_status_manager(g->node), *text = NULL, *path = NULL;
	bool sent = false;

	if (manager &&
	    asprintf(&path, "/apis/kmesh.net/v1alpha1/namespaces/%s/ratelimits/%s/status?fieldManager=%s&force=true",
		     e->ns, e->name, manager) >= 0) {
		json_t *json = json_pack("{s:s, s:s, s:{s:s, s:s}}", "apiVersion", "kmesh.net/v1alpha1", "kind",
					 "RateLimit", "metadata", "name", e->name, "namespace", e->ns);

		text = json ? json_dumps(json, JSON_COMPACT) : NULL;
		json_decref(json);
		body.text = text;
		sent = text && ask(g, path, &body);
	}
	free(path);
	free(text);
	free(manager);
	return sent;
}

/* Another one that is gone may be before the one whose entry went; or that was not of an agent, and stays. And agents that
 * start have no entry yet. */
static void rest(struct krl_status_gone *g)
{
	bool soon = g->found || !g->any;

	look_in(g, soon ? g->again : EVERY);
	g->again = soon ? 2 * g->again : FIRST;
	if (g->again > EVERY)
		g->again = EVERY;
}

/* The next RateLimit with an entry of the node that is gone, or the next node; what cannot be asked is for next time. */
static void go_on(struct krl_status_gone *g)
{
	struct krl_statuses *s = g->statuses;
	const char *node;

	while (g->is_gone && g->at < s->count) {
		const struct krl_status_entry *e = s->entries[g->at++];

		node = before(s, e);
		if (node && !strcmp(node, g->node) && take_back(g, e)) {
			g->found = true;
			return;
		}
	}
	free(g->node);
	g->node = g->count ? g->nodes[--g->count] : NULL;
	g->is_gone = false;
	if (g->node && ask_for_node(g))
		return;
	forget(g);
	rest(g);
}

static void on_timer(uv_timer_t *timer)
{
	struct krl_status_gone *g = timer->data;

	g->found = false;
	collect(g);
	g->any = g->count;
	go_on(g);
}

/* In @times every_ms, up to twice that, so that not all nodes ask at once. */
static void look_in(struct krl_status_gone *g, unsigned int times)
{
	uint64_t wait_ms = (uint64_t)times * g->statuses->every_ms;
	uint32_t number = 0;

	uv_random(NULL, NULL, &number, sizeof(number), 0, NULL);
	uv_timer_start(g->timer, on_timer, wait_ms + wait_ms * number / UINT32_MAX, 0);
}

int krl_status_gone_open(struct krl_statuses *s)
{
	struct krl_status_gone *g = calloc(1, sizeof(*g));

	s->gone = g;
	if (!g)
		return -ENOMEM;
	g->statuses = s;
	g->again = FIRST;
	g->timer = krl_handle_new(sizeof(*g->timer), g);
	if (!g->timer)
		return -ENOMEM;
	uv_timer_init(s->loop, g->timer);
	look_in(g, FIRST);
	return 0;
}

void krl_status_gone_close(struct krl_status_gone *g)
{
	if (!g)
		return;
	krl_http_cancel(g->request);
	krl_handle_close(g->timer);
	forget(g);
	free(g);
}
