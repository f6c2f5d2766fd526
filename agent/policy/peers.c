// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/vec.h"
#include "peers_internal.h"

struct krl_peers *krl_peers_new(const char *node)
{
	struct krl_peers *p = calloc(1, sizeof(*p));

	if (p && node)
		p->node = strdup(node);
	if (!p || (node && !p->node)) {
		free(p);
		return NULL;
	}
	return p;
}

static bool is_netns(const __u8 addr[16])
{
	__u8 netns[16];

	krl_netns_address(0, netns);
	return !memcmp(addr, netns, 8);
}

struct krl_peers_ns *krl_peers_find_ns(const struct krl_peers *p, const char *name)
{
	struct krl_link *link = krl_index_find(&p->namespaces, krl_index_hash(name, strlen(name)));

	while (link && strcmp(((struct krl_peers_ns *)link)->name, name))
		link = krl_index_next(link);
	return (struct krl_peers_ns *)link;
}

struct krl_peers_address *krl_peers_find_address(const struct krl_peers *p, const __u8 addr[16])
{
	struct krl_link *link = krl_index_find(&p->addresses, krl_index_hash(addr, 16));

	while (link && memcmp(((struct krl_peers_address *)link)->addr, addr, 16))
		link = krl_index_next(link);
	return (struct krl_peers_address *)link;
}

bool krl_peers_note(struct krl_peers *p, int err)
{
	if (err)
		p->err = err;
	return !err;
}

/* Of two pods that have it, the one that was made later: an address is given to another when the first has ended, which
 * may not have been told yet. */
static const struct krl_peers_pod *owner_of(const struct krl_peers_address *a)
{
	const struct krl_peers_pod *owner = NULL, *pod;
	size_t i;
	int order;

	for (i = 0; i < a->pod_count; i++) {
		pod = a->pods[i];
		order = owner ? strcmp(pod->is.started, owner->is.started) : 1;
		if (order > 0 || (!order && pod->number > owner->number))
			owner = pod;
	}
	return owner;
}

static bool is_met(const struct krl_peers_address *a, __u64 key)
{
	size_t i;

	for (i = 0; i < a->met_count; i++)
		if (a->met[i] == key)
			return true;
	return false;
}

static void set_met(struct krl_peers *p, struct krl_peers_address *a, __u64 key, bool meets)
{
	__u64 *added;
	size_t i;

	if (is_met(a, key) == meets && (meets || p->swept))
		return;
	if (!krl_peers_note(p, p->sink->meet(p->ctx, a->addr, key, meets)))
		return;
	if (meets) {
		added = krl_vec_add(&a->met, &a->met_count);
		if (added)
			*added = key;
		else
			krl_peers_note(p, -ENOMEM);
		return;
	}
	for (i = 0; i < a->met_count; i++)
		if (a->met[i] == key)
			a->met[i--] = a->met[--a->met_count];
}

static bool is_wanted(const struct krl_peers *p, __u64 key)
{
	size_t i;

	for (i = 0; i < p->from_count; i++)
		if (p->from[i]->key == key)
			return true;
	return false;
}

/* What is written of the address goes. */
static void withdraw(struct krl_peers *p, struct krl_peers_address *a)
{
	size_t i;

	if ((a->told || !p->swept) && krl_peers_note(p, p->sink->drop(p->ctx, a->addr)))
		a->told = false;
	for (i = a->met_count; i-- > 0;)
		set_met(p, a, a->met[i], false);
	a->owner = NULL;
}

static bool meets(const struct krl_peers *p, const struct krl_from *from, const struct krl_peers_address *a,
		  const struct krl_peers_pod *pod)
{
	const struct krl_peers_ns *ns = krl_from_asks_namespaces(from) ? krl_peers_find_ns(p, pod->is.facts.ns) : NULL;
	struct krl_pod_facts facts = pod->is.facts;

	if (from->of_callers != is_netns(a->addr))
		return false;
	if (ns) {
		facts.ns_known = true;
		facts.ns_labels = ns->labels;
		facts.ns_label_count = ns->label_count;
	}
	return krl_from_meets(from, &facts);
}

void krl_peers_update(struct krl_peers *p, struct krl_peers_address *a)
{
	const struct krl_peers_pod *owner = owner_of(a);
	size_t i;

	if (!p->sink)
		return;
	if (!owner || a->renamed || a->owner != owner)
		withdraw(p, a);
	a->renamed = false;
	if (!owner)
		return;
	a->owner = owner;
	if (p->tells && !a->told && !is_netns(a->addr))
		a->told = krl_peers_note(p, p->sink->put(p->ctx, a->addr, &owner->is));
	else if (!p->tells && a->told && krl_peers_note(p, p->sink->drop(p->ctx, a->addr)))
		a->told = false;
	for (i = 0; i < p->from_count; i++)
		set_met(p, a, p->from[i]->key, meets(p, p->from[i], a, owner));
	for (i = a->met_count; i-- > 0;)
		if (!is_wanted(p, a->met[i]))
			set_met(p, a, a->met[i], false);
}

static void update_link(void *ctx, struct krl_link *link)
{
	krl_peers_update(ctx, (struct krl_peers_address *)link);
}

static void update_all(struct krl_peers *p)
{
	p->err = 0;
	krl_index_each(&p->addresses, update_link, p);
}

void krl_peers_write_to(struct krl_peers *p, const struct krl_peers_sink *sink, void *ctx)
{
	p->sink = sink;
	p->ctx = ctx;
	update_all(p);
}

static void tell_again(void *ctx, struct krl_link *link)
{
	struct krl_peers_address *a = (struct krl_peers_address *)link;
	struct krl_peers *p = ctx;

	if (a->told && a->owner)
		a->told = krl_peers_note(p, p->sink->put(p->ctx, a->addr, &a->owner->is));
}

void krl_peers_write_again(struct krl_peers *p)
{
	if (p->sink)
		krl_index_each(&p->addresses, tell_again, p);
}

static bool keeps(void *arg, const __u8 addr[16], __u64 selector)
{
	const struct krl_peers_address *a = krl_peers_find_address(arg, addr);
	const struct krl_peers *p = arg;

	if (p->asks_callers && !p->scanned && is_netns(addr))
		return true;
	return a && (selector ? is_met(a, selector) : a->told);
}

void krl_peers_sweep(struct krl_peers *p)
{
	if (!p->swept && p->sink && !p->retains && (p->listed || !krl_peers_need_own_pods(p)))
		p->swept = krl_peers_note(p, p->sink->sweep(p->ctx, keeps, p));
}

static void clear_wanted(struct krl_from **from, size_t count)
{
	while (count)
		krl_from_unref(from[--count]);
	free(from);
}

void krl_peers_want(struct krl_peers *p, const struct krl_plan *plan, bool more)
{
	size_t had = more ? p->from_count : 0, count = 0, i, k;
	struct krl_from **from = calloc(had + plan->from_count + 1, sizeof(*from));
	bool tells = plan->tells_peers || (more && p->tells), changed = tells != p->tells;

	if (!from) {
		krl_peers_note(p, -ENOMEM);
		return;
	}
	for (i = 0; i < had; i++)
		from[count++] = krl_from_ref(p->from[i]);
	for (i = 0; i < plan->from_count; i++) {
		for (k = 0; k < had && from[k]->key != plan->from[i]->key;)
			k++;
		if (k == had)
			from[count++] = krl_from_ref(plan->from[i]);
	}
	changed |= count != p->from_count;
	for (i = 0; i < count && !changed; i++)
		changed = !is_wanted(p, from[i]->key);
	clear_wanted(p->from, p->from_count);
	p->from = from;
	p->from_count = count;
	p->tells = tells;
	p->asks = plan->asks_peers || (more && p->asks);
	p->asks_callers = plan->asks_callers || (more && p->asks_callers);
	if (changed || p->err)
		update_all(p);
	p->retains = more || plan->retain_all;
	krl_peers_sweep(p);
}

bool krl_peers_need_pods(const struct krl_peers *p)
{
	return p->asks;
}

bool krl_peers_need_own_pods(const struct krl_peers *p)
{
	return p->asks || p->asks_callers;
}

bool krl_peers_need_callers(const struct krl_peers *p)
{
	return p->asks_callers;
}

bool krl_peers_need_namespaces(const struct krl_peers *p)
{
	size_t i;

	for (i = 0; i < p->from_count; i++)
		if (krl_from_asks_namespaces(p->from[i]))
			return true;
	return false;
}

int krl_peers_error(const struct krl_peers *p)
{
	return p->err;
}

static void free_address(void *ctx, struct krl_link *link)
{
	free(((struct krl_peers_address *)link)->pods);
	free(((struct krl_peers_address *)link)->met);
	free(link);
}

void krl_peers_free(struct krl_peers *p)
{
	if (!p)
		return;
	/* What is written stays. */
	p->sink = NULL;
	krl_peers_forget_namespaces(p);
	krl_peers_forget_pods(p);
	clear_wanted(p->from, p->from_count);
	krl_index_each(&p->addresses, free_address, NULL);
	krl_index_clear(&p->pods);
	krl_index_clear(&p->namespaces);
	krl_index_clear(&p->addresses);
	free(p->node);
	free(p);
}
