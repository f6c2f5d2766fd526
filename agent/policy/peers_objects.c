// SPDX-License-Identifier: Apache-2.0
/* Pods and Namespaces, one by one: who has which address. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/vec.h"
#include "peers_internal.h"

static uint64_t text_hash(const char *text)
{
	return krl_index_hash(text, strlen(text));
}

static struct krl_peers_pod *find_pod(const struct krl_peers *p, const char *name)
{
	struct krl_link *link = krl_index_find(&p->pods, text_hash(name));

	while (link && strcmp(((struct krl_peers_pod *)link)->is.names[KRL_PEER_POD], name))
		link = krl_index_next(link);
	return (struct krl_peers_pod *)link;
}

/* Without memory, somebody is taken for unknown. */
static struct krl_peers_address *make_address(struct krl_peers *p, const __u8 addr[16])
{
	struct krl_peers_address *a = krl_peers_find_address(p, addr);

	if (a)
		return a;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	memcpy(a->addr, addr, sizeof(a->addr));
	if (!krl_index_add(&p->addresses, &a->link, krl_index_hash(addr, 16)))
		return a;
	free(a);
	return NULL;
}

static void attach(struct krl_peers *p, struct krl_peers_pod *pod)
{
	struct krl_peers_address *a;
	struct krl_peers_pod **added;
	size_t i;

	for (i = 0; i < pod->is.addr_count; i++) {
		a = make_address(p, pod->is.addrs[i]);
		added = a ? krl_vec_add(&a->pods, &a->pod_count) : NULL;
		if (added)
			*added = pod;
		else
			krl_peers_note(p, -ENOMEM);
	}
}

static void detach(struct krl_peers *p, const struct krl_peers_pod *pod)
{
	struct krl_peers_address *a;
	size_t i, k;

	for (i = 0; i < pod->is.addr_count; i++) {
		a = krl_peers_find_address(p, pod->is.addrs[i]);
		for (k = 0; a && k < a->pod_count; k++)
			if (a->pods[k] == pod)
				a->pods[k--] = a->pods[--a->pod_count];
	}
}

/* Addresses that nobody has any more are forgotten. */
static void update_each(struct krl_peers *p, __u8 (*addrs)[16], size_t count, bool renamed)
{
	struct krl_peers_address *a;
	size_t i;

	for (i = 0; i < count; i++) {
		a = krl_peers_find_address(p, addrs[i]);
		if (!a)
			continue;
		a->renamed |= renamed;
		krl_peers_update(p, a);
		if (a->pod_count || a->owner || a->met_count || a->told)
			continue;
		krl_index_remove(&p->addresses, &a->link);
		free(a->pods);
		free(a->met);
		free(a);
	}
}

static bool same_labels(const struct krl_pod *a, const struct krl_pod *b)
{
	size_t i;

	if (a->facts.label_count != b->facts.label_count)
		return false;
	for (i = 0; i < a->facts.label_count; i++)
		if (strcmp(a->labels[i].key, b->labels[i].key) || strcmp(a->labels[i].value, b->labels[i].value))
			return false;
	return true;
}

static bool same_names(const struct krl_pod *a, const struct krl_pod *b)
{
	enum krl_peer_by by;

	for (by = KRL_PEER_POD; by < KRL_PEER_BY_MAX; by++)
		if (strcmp(a->names[by], b->names[by]))
			return false;
	return true;
}

static bool same_pod(const struct krl_pod *a, const struct krl_pod *b)
{
	return a->addr_count == b->addr_count &&
	       (!a->addr_count || !memcmp(a->addrs, b->addrs, a->addr_count * sizeof(*a->addrs))) &&
	       !strcmp(a->started, b->started) && !strcmp(a->uid, b->uid) && !strcmp(a->node, b->node) &&
	       a->ended == b->ended && a->on_host == b->on_host && same_names(a, b) && same_labels(a, b);
}

/* @pod is @is now, which is taken over. What it had and has is written anew. */
static void replace(struct krl_peers *p, struct krl_peers_pod *pod, struct krl_pod *is)
{
	struct krl_pod was = pod->is;
	bool renamed = was.text && !same_names(&was, is);

	detach(p, pod);
	pod->is = *is;
	pod->number = ++p->number;
	attach(p, pod);
	update_each(p, was.addrs, was.addr_count, renamed);
	update_each(p, pod->is.addrs, pod->is.addr_count, renamed);
	krl_pod_clear(&was);
}

/* @is, which is what @was is now, has its network namespace still, unless it is another pod, or has none any more. */
static void keep_netns(struct krl_peers *p, const struct krl_pod *was, struct krl_pod *is)
{
	bool same = was->text && !strcmp(was->uid, is->uid);

	if (same && was->has_netns && !is->ended && !is->on_host)
		krl_peers_note(p, krl_pod_add_netns(is, was->addrs[was->addr_count - 1]));
	else if (!same || strcmp(was->node, is->node))
		p->news++;
}

void krl_peers_put_pod(struct krl_peers *p, const json_t *object)
{
	struct krl_pod is;
	struct krl_peers_pod *pod;
	int err = krl_pod_read(object, &is);

	/* What is no Pod has no address either. */
	if (err) {
		krl_peers_note(p, err == -ENOMEM ? err : 0);
		return;
	}
	pod = find_pod(p, is.names[KRL_PEER_POD]);
	if (!pod) {
		pod = calloc(1, sizeof(*pod));
		if (!pod || krl_index_add(&p->pods, &pod->link, text_hash(is.names[KRL_PEER_POD]))) {
			krl_peers_note(p, -ENOMEM);
			free(pod);
			krl_pod_clear(&is);
			return;
		}
	}
	pod->offered = true;
	keep_netns(p, &pod->is, &is);
	if (pod->is.text && same_pod(&pod->is, &is))
		krl_pod_clear(&is);
	else
		replace(p, pod, &is);
}

static bool is_here(const struct krl_peers *p, const struct krl_pod *pod)
{
	return !pod->ended && !pod->on_host && *pod->uid && (!p->node || !strcmp(pod->node, p->node));
}

struct awaiting {
	const struct krl_peers *peers;
	size_t count;
};

static void count_awaiting(void *ctx, struct krl_link *link)
{
	const struct krl_pod *pod = &((struct krl_peers_pod *)link)->is;
	struct awaiting *awaiting = ctx;

	awaiting->count += !pod->has_netns && is_here(awaiting->peers, pod);
}

size_t krl_peers_await_netns(const struct krl_peers *p, unsigned int *ret_news)
{
	struct awaiting awaiting = { .peers = p };

	*ret_news = p->news;
	if (p->asks_callers)
		krl_index_each((struct krl_index *)&p->pods, count_awaiting, &awaiting);
	return awaiting.count;
}

struct finding {
	const struct krl_peers *peers;
	const char *uid;
	struct krl_peers_pod *found;
};

static void find_uid(void *ctx, struct krl_link *link)
{
	struct krl_peers_pod *pod = (struct krl_peers_pod *)link;
	struct finding *finding = ctx;

	if (!strcmp(pod->is.uid, finding->uid) && is_here(finding->peers, &pod->is))
		finding->found = pod;
}

bool krl_peers_found_netns(struct krl_peers *p, const char *uid, __u64 cookie)
{
	struct finding finding = { .peers = p, .uid = uid };
	struct krl_pod *pod;
	__u8 addr[16], old[16];
	bool had;

	krl_index_each(&p->pods, find_uid, &finding);
	if (!finding.found)
		return false;
	pod = &finding.found->is;
	had = pod->has_netns;
	krl_netns_address(cookie, addr);
	if (had && !memcmp(pod->addrs[pod->addr_count - 1], addr, sizeof(addr)))
		return false;
	detach(p, finding.found);
	if (had)
		memcpy(old, pod->addrs[--pod->addr_count], sizeof(old));
	pod->has_netns = false;
	krl_peers_note(p, krl_pod_add_netns(pod, addr));
	attach(p, finding.found);
	if (had)
		update_each(p, &old, 1, false);
	update_each(p, &addr, 1, false);
	return true;
}

static void drop_pod(struct krl_peers *p, struct krl_peers_pod *pod)
{
	detach(p, pod);
	update_each(p, pod->is.addrs, pod->is.addr_count, false);
	krl_index_remove(&p->pods, &pod->link);
	krl_pod_clear(&pod->is);
	free(pod);
}

void krl_peers_remove_pod(struct krl_peers *p, const json_t *object)
{
	struct krl_pod is;
	struct krl_peers_pod *pod;

	if (krl_pod_read(object, &is))
		return;
	pod = find_pod(p, is.names[KRL_PEER_POD]);
	if (pod)
		drop_pod(p, pod);
	krl_pod_clear(&is);
}

static void unoffer_pod(void *ctx, struct krl_link *link)
{
	((struct krl_peers_pod *)link)->offered = false;
}

static void drop_unoffered_pod(void *ctx, struct krl_link *link)
{
	if (!((struct krl_peers_pod *)link)->offered)
		drop_pod(ctx, (struct krl_peers_pod *)link);
}

void krl_peers_list_pods(struct krl_peers *p)
{
	krl_index_each(&p->pods, unoffer_pod, NULL);
}

void krl_peers_pods_listed(struct krl_peers *p)
{
	krl_index_each(&p->pods, drop_unoffered_pod, p);
	p->listed = true;
	krl_peers_sweep(p);
}

void krl_peers_forget_pods(struct krl_peers *p)
{
	krl_peers_list_pods(p);
	krl_index_each(&p->pods, drop_unoffered_pod, p);
	p->listed = false;
}

void krl_peers_netns_found(struct krl_peers *p)
{
	if (p->scanned || !p->listed)
		return;
	p->scanned = true;
	p->swept = false;
	krl_peers_sweep(p);
}

struct of_ns {
	struct krl_peers *peers;
	const char *ns;
};

static void update_of_ns(void *ctx, struct krl_link *link)
{
	const struct of_ns *of = ctx;
	struct krl_peers_pod *pod = (struct krl_peers_pod *)link;

	if (!strcmp(pod->is.facts.ns, of->ns))
		update_each(of->peers, pod->is.addrs, pod->is.addr_count, false);
}

/* What the labels of @ns are is another than before. */
static void update_ns(struct krl_peers *p, const char *ns)
{
	struct of_ns of = { p, ns };

	krl_index_each(&p->pods, update_of_ns, &of);
}

static const char *name_of(const json_t *object)
{
	return json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
}

static bool same_label_lists(const struct krl_label *a, size_t a_count, const struct krl_label *b, size_t b_count)
{
	size_t i;

	if (a_count != b_count)
		return false;
	for (i = 0; i < a_count; i++)
		if (strcmp(a[i].key, b[i].key) || strcmp(a[i].value, b[i].value))
			return false;
	return true;
}

void krl_peers_put_namespace(struct krl_peers *p, const json_t *object)
{
	const char *name = name_of(object);
	struct krl_label *labels;
	struct krl_peers_ns *ns;
	size_t count;

	if (!name || strlen(name) >= sizeof(ns->name))
		return;
	labels = krl_labels_read(object, &count);
	ns = labels ? krl_peers_find_ns(p, name) : NULL;
	if (labels && !ns) {
		ns = calloc(1, sizeof(*ns));
		if (ns)
			strcpy(ns->name, name);
		if (ns && krl_index_add(&p->namespaces, &ns->link, text_hash(name))) {
			free(ns);
			ns = NULL;
		}
	}
	if (!ns) {
		krl_peers_note(p, -ENOMEM);
		free(labels);
		return;
	}
	ns->offered = true;
	if (ns->labels && same_label_lists(ns->labels, ns->label_count, labels, count)) {
		free(labels);
		return;
	}
	free(ns->labels);
	ns->labels = labels;
	ns->label_count = count;
	update_ns(p, ns->name);
}

static void drop_ns(struct krl_peers *p, struct krl_peers_ns *ns)
{
	krl_index_remove(&p->namespaces, &ns->link);
	update_ns(p, ns->name);
	free(ns->labels);
	free(ns);
}

void krl_peers_remove_namespace(struct krl_peers *p, const json_t *object)
{
	const char *name = name_of(object);
	struct krl_peers_ns *ns = name ? krl_peers_find_ns(p, name) : NULL;

	if (ns)
		drop_ns(p, ns);
}

static void unoffer_ns(void *ctx, struct krl_link *link)
{
	((struct krl_peers_ns *)link)->offered = false;
}

static void drop_unoffered_ns(void *ctx, struct krl_link *link)
{
	if (!((struct krl_peers_ns *)link)->offered)
		drop_ns(ctx, (struct krl_peers_ns *)link);
}

void krl_peers_list_namespaces(struct krl_peers *p)
{
	krl_index_each(&p->namespaces, unoffer_ns, NULL);
}

void krl_peers_namespaces_listed(struct krl_peers *p)
{
	krl_index_each(&p->namespaces, drop_unoffered_ns, p);
}

void krl_peers_forget_namespaces(struct krl_peers *p)
{
	krl_peers_list_namespaces(p);
	krl_peers_namespaces_listed(p);
}
