// SPDX-License-Identifier: Apache-2.0
#include "pods.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/k8s/watch.h"

struct krl_pods {
	uv_loop_t *loop;
	struct krl_http *http;
	struct krl_pods_options options;
	struct krl_peers *peers;
	void (*changed)(void *arg);
	void *arg;
	char node[256];			/* "": not known */
	struct krl_watch *pods, *namespaces;	/* NULL: nobody asks for them */
	bool own;			/* pods are those of this node alone */
};

static void on_pod_list(void *arg)
{
	krl_peers_list_pods(((struct krl_pods *)arg)->peers);
}

static void on_pod(void *arg, const json_t *object)
{
	krl_peers_put_pod(((struct krl_pods *)arg)->peers, object);
}

static void on_pod_gone(void *arg, const json_t *object)
{
	krl_peers_remove_pod(((struct krl_pods *)arg)->peers, object);
}

static void on_pods_listed(void *arg)
{
	struct krl_pods *p = arg;

	krl_peers_pods_listed(p->peers);
	p->changed(p->arg);
}

static void on_namespace_list(void *arg)
{
	krl_peers_list_namespaces(((struct krl_pods *)arg)->peers);
}

static void on_namespace(void *arg, const json_t *object)
{
	krl_peers_put_namespace(((struct krl_pods *)arg)->peers, object);
}

static void on_namespace_gone(void *arg, const json_t *object)
{
	krl_peers_remove_namespace(((struct krl_pods *)arg)->peers, object);
}

static void on_namespaces_listed(void *arg)
{
	struct krl_pods *p = arg;

	krl_peers_namespaces_listed(p->peers);
	p->changed(p->arg);
}

static void on_trouble(void *arg)
{
	struct krl_pods *p = arg;

	p->changed(p->arg);
}

/* Addresses of Pods and their service accounts are in none of their metadata, so Pods come whole; of Namespaces that is
 * enough. */
static int follow_pods(struct krl_pods *p)
{
	static const struct krl_watch_calls calls = { .begin = on_pod_list, .object = on_pod, .gone = on_pod_gone,
						      .listed = on_pods_listed, .changed = on_trouble };
	struct krl_watch_options options = { .what = "Pods", .watch_s = p->options.watch_s };
	char path[256] = "/api/v1/pods", fields[300];

	if (p->options.ns)
		snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods", p->options.ns);
	snprintf(fields, sizeof(fields), "spec.nodeName=%s", p->node);
	if (p->own)
		options.fields = fields;
	options.paths[0] = path;
	return krl_watch_open(p->loop, p->http, &options, &calls, p, &p->pods);
}

static int follow_namespaces(struct krl_pods *p)
{
	static const struct krl_watch_calls calls = { .begin = on_namespace_list, .object = on_namespace,
						      .gone = on_namespace_gone, .listed = on_namespaces_listed,
						      .changed = on_trouble };
	struct krl_watch_options options = { .what = "Namespaces", .paths = { "/api/v1/namespaces" }, .metadata = true,
					     .watch_s = p->options.watch_s };

	return krl_watch_open(p->loop, p->http, &options, &calls, p, &p->namespaces);
}

int krl_pods_open(uv_loop_t *loop, struct krl_http *http, const struct krl_pods_options *options, struct krl_peers *peers,
		  void (*changed)(void *arg), void *arg, struct krl_pods **ret)
{
	struct krl_pods *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->loop = loop;
	p->http = http;
	p->options = *options;
	snprintf(p->node, sizeof(p->node), "%s", options->node ? options->node : "");
	p->peers = peers;
	p->changed = changed;
	p->arg = arg;
	*ret = p;
	return 0;
}

void krl_pods_close(struct krl_pods *p)
{
	if (!p)
		return;
	krl_watch_close(p->pods);
	krl_watch_close(p->namespaces);
	free(p);
}

static void leave(struct krl_watch **watch)
{
	krl_watch_close(*watch);
	*watch = NULL;
}

int krl_pods_follow(struct krl_pods *p)
{
	bool all = p->peers && krl_peers_need_pods(p->peers), pods = p->peers && krl_peers_need_own_pods(p->peers);
	bool own = !all && *p->node;
	/* Who may read one namespace may not read what Namespaces there are. */
	bool namespaces = p->peers && !p->options.ns && krl_peers_need_namespaces(p->peers);
	int err = 0;

	if (!namespaces && p->namespaces) {
		leave(&p->namespaces);
		krl_peers_forget_namespaces(p->peers);
	}
	if (!pods && p->pods) {
		leave(&p->pods);
		krl_peers_forget_pods(p->peers);
	}
	/* What is known stays until the other list is whole. */
	if (p->pods && p->own != own)
		leave(&p->pods);
	p->own = own;
	if (namespaces && !p->namespaces)
		err = follow_namespaces(p);
	if (pods && !p->pods && !err)
		err = follow_pods(p);
	return err;
}

static int say(const struct krl_pods *p, const struct krl_watch *watch, struct krl_diags *errors)
{
	if (!watch)
		return 0;
	if (krl_watch_trouble(watch))
		krl_diags_add(errors, p->options.server, 0, 0, "%s: who has which address stays as it was known",
			      krl_watch_trouble(watch));
	return krl_watch_trouble(watch) || !krl_watch_is_read(watch) ? -EAGAIN : 0;
}

int krl_pods_say(const struct krl_pods *p, struct krl_diags *errors)
{
	int namespaces = say(p, p->namespaces, errors), pods = say(p, p->pods, errors);

	return namespaces ? namespaces : pods;
}

bool krl_pods_unread(const struct krl_pods *p, const char **ret_trouble)
{
	const struct krl_watch *watches[] = { p->pods, p->namespaces };
	size_t i;

	for (i = 0; i < sizeof(watches) / sizeof(*watches); i++) {
		if (!watches[i] || krl_watch_is_read(watches[i]))
			continue;
		*ret_trouble = krl_watch_trouble(watches[i]);
		return true;
	}
	return false;
}

static void tell(const struct krl_watch *watch, const char *resource, void (*fn)(void *arg, const char *resource, bool up),
		 void *arg)
{
	if (watch)
		fn(arg, resource, krl_watch_is_read(watch) && !krl_watch_trouble(watch));
}

void krl_pods_watches(const struct krl_pods *p, void (*fn)(void *arg, const char *resource, bool up), void *arg)
{
	tell(p->pods, "pods", fn, arg);
	tell(p->namespaces, "namespaces", fn, arg);
}
