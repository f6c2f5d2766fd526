// SPDX-License-Identifier: Apache-2.0
#include "kubernetes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/k8s/watch.h"
#include "agent/loop/handle.h"
#include "pods.h"

/* Changes that come together are one. */
#define SETTLE_MS 5
/* Of its time, the agent spends at most one part in this many on following changes that do not end; what comes after a
 * rest of BURST_MS is followed at once for a part of that. */
#define BUSY_SHARE 4
#define BURST_MS 1000
#define REST_MAX_MS 1000

struct resource {
	const char *what;
	const char *groups[KRL_WATCH_PATHS];	/* the next one where the server has none of the first */
	const char *name;
};

static const struct resource resources[KRL_KINDS] = {
	[KRL_KIND_RATE_LIMIT] = { "RateLimits", { "/apis/kmesh.net/v1alpha1" }, "ratelimits" },
	[KRL_KIND_SERVICE] = { "Services", { "/api/v1" }, "services" },
	[KRL_KIND_SLICE] = { "EndpointSlices",
			     { "/apis/discovery.k8s.io/v1", "/apis/discovery.k8s.io/v1beta1" },
			     "endpointslices" },
};

/* The objects of one kind, on their way into the store. */
struct follower {
	struct krl_kubernetes *owner;
	enum krl_kind kind;
	struct krl_watch *watch;	/* NULL: nobody needs them */
};

struct krl_kubernetes {
	uv_loop_t *loop;
	struct krl_store *store;
	struct krl_k8s_config config;
	struct krl_http *http;
	char *ns;
	unsigned int watch_s;
	struct follower followers[KRL_KINDS];
	struct krl_pods *pods;
	struct krl_statuses *statuses;	/* NULL: this node has no name */
	uv_timer_t *settle;
	uint64_t paid_ms;		/* by when what was spent is within the share */
	bool no_memory;			/* something is missing of what was told of */
	krl_kubernetes_fn changed;
	void *arg;
};

static int follow(struct krl_kubernetes *k, enum krl_kind kind);

/* Services and EndpointSlices are followed as long as some RateLimit refers to a service. */
static void follow_services(struct krl_kubernetes *k)
{
	bool needed = krl_store_needs_services(k->store);
	enum krl_kind kind;

	for (kind = KRL_KIND_SERVICE; kind <= KRL_KIND_SLICE; kind++) {
		if (needed == !!k->followers[kind].watch)
			continue;
		if (!needed) {
			krl_watch_close(k->followers[kind].watch);
			k->followers[kind].watch = NULL;
			krl_store_forget(k->store, kind);
			continue;
		}
		krl_store_expect(k->store, kind);
		k->no_memory |= follow(k, kind) != 0;
	}
}

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* What others do on this CPU meanwhile does not count. */
static uint64_t spent_us(void)
{
	struct timespec spent;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
	return spent.tv_sec * 1000000ULL + spent.tv_nsec / 1000;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void on_settled(uv_timer_t *timer)
{
	struct krl_kubernetes *k = timer->data;
	uint64_t before_us = spent_us(), latest_ms;

	follow_services(k);
	krl_store_take_changed(k->store);
	k->changed(k->arg);
	latest_ms = now_ms() + BURST_MS + REST_MAX_MS;
	k->paid_ms = larger(k->paid_ms, now_ms()) + (spent_us() - before_us) * BUSY_SHARE / 1000;
	if (k->paid_ms > latest_ms)
		k->paid_ms = latest_ms;
}

/* Not started again while it runs: what changes all the time is followed all the same. */
static void settle(struct krl_kubernetes *k)
{
	uint64_t now = now_ms(), wait_ms = SETTLE_MS;

	if (uv_is_active((uv_handle_t *)k->settle))
		return;
	if (k->paid_ms > now + BURST_MS + wait_ms)
		wait_ms = k->paid_ms - now - BURST_MS;
	uv_update_time(k->loop);
	uv_timer_start(k->settle, on_settled, wait_ms, 0);
}

/* Of the first list, nothing is done before its end. */
static void settle_changes(struct follower *f)
{
	if (krl_watch_is_read(f->watch) && krl_store_take_changed(f->owner->store))
		settle(f->owner);
}

static void on_begin(void *arg)
{
	struct follower *f = arg;

	krl_store_list(f->owner->store, f->kind);
	if (f->kind == KRL_KIND_RATE_LIMIT)
		krl_statuses_list(f->owner->statuses);
}

static void on_object(void *arg, const json_t *object)
{
	struct follower *f = arg;

	f->owner->no_memory |= krl_store_put(f->owner->store, f->kind, object) != 0;
	/* Another generation has to be judged, though the store finds nothing new, or could not read it. */
	if (f->kind == KRL_KIND_RATE_LIMIT && krl_statuses_put(f->owner->statuses, object) &&
	    krl_watch_is_read(f->watch))
		settle(f->owner);
	settle_changes(f);
}

static void on_gone(void *arg, const json_t *object)
{
	struct follower *f = arg;

	krl_store_remove(f->owner->store, f->kind, object);
	if (f->kind == KRL_KIND_RATE_LIMIT)
		krl_statuses_remove(f->owner->statuses, object);
	settle_changes(f);
}

static void on_listed(void *arg)
{
	struct follower *f = arg;

	krl_store_listed(f->owner->store, f->kind);
	if (f->kind == KRL_KIND_RATE_LIMIT)
		krl_statuses_listed(f->owner->statuses);
	settle_changes(f);
}

static void on_trouble(void *arg)
{
	struct follower *f = arg;

	settle(f->owner);
}

static int follow(struct krl_kubernetes *k, enum krl_kind kind)
{
	static const struct krl_watch_calls calls = { .begin = on_begin, .object = on_object, .gone = on_gone,
						      .listed = on_listed, .changed = on_trouble };
	const struct resource *resource = &resources[kind];
	struct krl_watch_options options = { .what = resource->what, .watch_s = k->watch_s };
	char paths[KRL_WATCH_PATHS][256];
	size_t i;

	for (i = 0; i < KRL_WATCH_PATHS && resource->groups[i]; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s%s%s/%s", resource->groups[i], k->ns ? "/namespaces/" : "",
			 k->ns ? k->ns : "", resource->name);
		options.paths[i] = paths[i];
	}
	k->followers[kind] = (struct follower){ .owner = k, .kind = kind };
	return krl_watch_open(k->loop, k->http, &options, &calls, &k->followers[kind], &k->followers[kind].watch);
}

static void on_pods(void *arg)
{
	settle(arg);
}

static bool is_own(const char *ns)
{
	return ns && !strcmp(ns, KRL_KUBERNETES_OWN);
}

/* It becomes a part of paths. */
static bool is_label(const char *ns)
{
	return ns && *ns && strspn(ns, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(ns);
}

static int start(struct krl_kubernetes *k, const struct krl_kubernetes_options *options)
{
	struct krl_pods_options pods = { .node = options->node, .server = k->config.server, .watch_s = options->watch_s };
	int err;

	if (options->ns) {
		k->ns = strdup(is_own(options->ns) ? k->config.ns : options->ns);
		if (!k->ns)
			return -ENOMEM;
	}
	k->settle = krl_handle_new(sizeof(*k->settle), k);
	if (!k->settle)
		return -ENOMEM;
	uv_timer_init(k->loop, k->settle);
	err = options->node ? krl_store_set_node(k->store, options->node) : 0;
	if (!err)
		err = krl_http_open(k->loop, &k->config, &k->http);
	pods.ns = k->ns;
	if (!err)
		err = krl_pods_open(k->loop, k->http, &pods, options->peers, on_pods, k, &k->pods);
	if (!err && options->node) {
		struct krl_statuses_options statuses = { options->node, options->status_s };

		err = krl_statuses_open(k->loop, k->http, &statuses, &k->statuses);
	}
	return err ? err : follow(k, KRL_KIND_RATE_LIMIT);
}

int krl_kubernetes_open(uv_loop_t *loop, const struct krl_kubernetes_options *options, struct krl_store *store,
			krl_kubernetes_fn changed, void *arg, struct krl_kubernetes **ret,
			char ret_error[KRL_K8S_ERROR_BYTES])
{
	struct krl_kubernetes *k = calloc(1, sizeof(*k));
	int err;

	if (!k) {
		snprintf(ret_error, KRL_K8S_ERROR_BYTES, "out of memory");
		return -ENOMEM;
	}
	k->loop = loop;
	k->store = store;
	k->changed = changed;
	k->arg = arg;
	k->watch_s = options->watch_s;
	err = options->kubeconfig ? krl_k8s_config_file(options->kubeconfig, &k->config, ret_error)
				  : krl_k8s_config_pod(&k->config, ret_error);
	if (!err && is_own(options->ns) && !is_label(k->config.ns)) {
		snprintf(ret_error, KRL_K8S_ERROR_BYTES, "--namespace " KRL_KUBERNETES_OWN ": %s does not say which",
			 options->kubeconfig ? "the current context" : "the service account");
		err = -ENOENT;
	}
	if (!err) {
		err = start(k, options);
		if (err)
			snprintf(ret_error, KRL_K8S_ERROR_BYTES, "out of memory");
	}
	if (err) {
		krl_kubernetes_close(k);
		return err;
	}
	*ret = k;
	return 0;
}

void krl_kubernetes_close(struct krl_kubernetes *k)
{
	enum krl_kind kind;

	if (!k)
		return;
	for (kind = 0; kind < KRL_KINDS; kind++)
		krl_watch_close(k->followers[kind].watch);
	krl_pods_close(k->pods);
	krl_statuses_close(k->statuses);
	krl_http_close(k->http);
	krl_handle_close(k->settle);
	krl_k8s_config_clear(&k->config);
	free(k->ns);
	free(k);
}

int krl_kubernetes_say(const struct krl_kubernetes *k, struct krl_diags *errors)
{
	const struct krl_watch *limits = k->followers[KRL_KIND_RATE_LIMIT].watch;
	enum krl_kind kind;
	int err = 0;

	krl_store_complain(k->store, errors);
	if (k->no_memory) {
		krl_diags_add(errors, k->config.server, 0, 0, "out of memory: something of it is missing");
		err = -EAGAIN;
	}
	for (kind = 0; kind < KRL_KINDS; kind++) {
		const struct krl_watch *watch = k->followers[kind].watch;

		if (!watch)
			continue;
		if (krl_watch_trouble(watch))
			krl_diags_add(errors, k->config.server, 0, 0, "%s: the limits in force stay",
				      krl_watch_trouble(watch));
		if (krl_watch_trouble(watch) || !krl_watch_is_read(watch))
			err = -EAGAIN;
	}
	if (krl_pods_say(k->pods, errors))
		err = -EAGAIN;
	return krl_watch_is_read(limits) ? err : -ENODATA;
}

bool krl_kubernetes_tell(struct krl_kubernetes *k, const struct krl_outcome *outcome)
{
	struct krl_outcome with_pods = *outcome;

	k->no_memory |= krl_pods_follow(k->pods) != 0;
	with_pods.pods_unread = krl_pods_unread(k->pods, &with_pods.pods_trouble);
	if (krl_watch_is_read(k->followers[KRL_KIND_RATE_LIMIT].watch))
		krl_statuses_judge(k->statuses, &with_pods);
	return !with_pods.pods_unread;
}

void krl_kubernetes_watches(const struct krl_kubernetes *k, krl_kubernetes_watch_fn fn, void *arg)
{
	enum krl_kind kind;

	for (kind = 0; kind < KRL_KINDS; kind++) {
		const struct krl_watch *watch = k->followers[kind].watch;

		if (watch)
			fn(arg, resources[kind].name, krl_watch_is_read(watch) && !krl_watch_trouble(watch));
	}
	krl_pods_watches(k->pods, fn, arg);
}

json_t *krl_kubernetes_describe(const struct krl_kubernetes *k, const char *ns, const char *name)
{
	return krl_statuses_describe(k->statuses, ns, name);
}

void krl_kubernetes_count(struct krl_kubernetes *k, krl_limited_walk limited, krl_unseen_walk unseen, void *ctx)
{
	krl_statuses_count(k->statuses, limited, unseen, ctx);
}

void krl_kubernetes_ask_away(struct krl_kubernetes *k, krl_away_fn is_away, void *ctx)
{
	krl_statuses_ask_away(k->statuses, is_away, ctx);
}
