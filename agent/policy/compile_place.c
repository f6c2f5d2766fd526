// SPDX-License-Identifier: Apache-2.0
/* Which endpoints a rule counts on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/vec.h"
#include "compile_internal.h"

static void place(struct krl_compiler *c, const struct krl_endpoint_key *key, __u32 flags, __u32 rule,
		  enum krl_scope scope)
{
	struct krl_placement *p = krl_vec_add(&c->placements, &c->placement_count);

	if (!p) {
		c->no_memory = true;
		return;
	}
	p->key = *key;
	p->flags = flags;
	p->rule = rule;
	p->scope = scope;
}

/* Does @port of an EndpointSlice belong to the Service's @service_port? Kubernetes gives both the same
 * name; a slice written by hand may only have the number. */
static bool port_matches(const struct krl_service_port *service_port, const struct krl_slice_port *port)
{
	if (*port->name)
		return !strcmp(service_port->name, port->name) ||
		       (*service_port->target_name && !strcmp(service_port->target_name, port->name));
	/* What a pod calls its port says nothing of the number; an unnamed port is the Service's only one. */
	if (*service_port->target_name)
		return !*service_port->name;
	return service_port->target_port == port->port;
}

/* Is the port @number, called @name, of those of its service that @target is about? */
static bool is_meant(const struct krl_target *target, __u16 number, const char *name)
{
	if (target->port)
		return target->port == number;
	return !*target->port_name || !strcmp(target->port_name, name);
}

static bool port_wanted(const struct krl_target *target, const struct krl_service *service,
			const struct krl_slice_port *port)
{
	size_t i;

	if (!service)
		return is_meant(target, port->port, port->name);
	for (i = 0; i < service->port_count; i++)
		if (is_meant(target, service->ports[i].port, service->ports[i].name) &&
		    port_matches(&service->ports[i], port))
			return true;
	return false;
}

static int compare_names(const char *ns, const char *name, const char *other_ns, const char *other_name)
{
	int order = strcmp(ns, other_ns);

	return order ? order : strcmp(name, other_name);
}

/* The Services are behind the RateLimits, sorted by who they are. */
static const struct krl_service *find_service(const struct krl_compiler *c, const char *ns, const char *name)
{
	size_t low = 0, high = c->count, at;
	const struct krl_document *d;
	int order;

	while (low < high) {
		at = low + (high - low) / 2;
		d = c->documents[at].document;
		order = (int)d->kind - KRL_KIND_SERVICE;
		if (!order)
			order = compare_names(d->ns, d->name, ns, name);
		if (!order)
			return &d->service;
		if (order < 0)
			low = at + 1;
		else
			high = at;
	}
	return NULL;
}

static int compare_slices(const void *a, const void *b)
{
	const struct krl_document *x = *(const struct krl_document *const *)a;
	const struct krl_document *y = *(const struct krl_document *const *)b;
	int order = compare_names(x->ns, x->slice.service, y->ns, y->slice.service);

	return order ? order : strcmp(x->name, y->name);
}

int krl_compiler_sort_slices(struct krl_compiler *c)
{
	size_t i;

	c->slices = calloc(c->count + 1, sizeof(*c->slices));
	if (!c->slices)
		return -ENOMEM;
	for (i = 0; i < c->count; i++)
		if (c->documents[i].document->kind == KRL_KIND_SLICE)
			c->slices[c->slice_count++] = c->documents[i].document;
	qsort(c->slices, c->slice_count, sizeof(*c->slices), compare_slices);
	return 0;
}

/* The number of the first slice of the service @ns/@name, or of what sorts behind it. */
static size_t first_slice(const struct krl_compiler *c, const char *ns, const char *name)
{
	size_t low = 0, high = c->slice_count, at;

	while (low < high) {
		at = low + (high - low) / 2;
		if (compare_names(c->slices[at]->ns, c->slices[at]->slice.service, ns, name) < 0)
			low = at + 1;
		else
			high = at;
	}
	return low;
}

/* Where the rule @spec of @limit is asked. */
static enum krl_hook hook_of(const struct krl_rate_limit *limit, const struct krl_rule_spec *spec)
{
	if (spec->count == KRL_COUNT_CONNECTIONS)
		return limit->outbound ? KRL_HOOK_CONNECT : KRL_HOOK_LOOKUP;
	return limit->outbound ? KRL_HOOK_SEND : KRL_HOOK_STREAM;
}

/* What the kernel has to do for rules that count LLMTokens, such as @spec. */
static __u32 llm_flags(const struct krl_rate_limit *limit, const struct krl_rule_spec *spec)
{
	__u32 flags = KRL_ENDPOINT_LLM | (limit->no_coding ? KRL_ENDPOINT_NO_CODING : 0);
	size_t i, t;

	if (!spec->llm)
		return 0;
	if (spec->llm->reserves || spec->llm->require_usage)
		flags |= KRL_ENDPOINT_BODIES;
	for (i = 0; i < spec->selector_count; i++)
		for (t = 0; t < spec->selectors[i].term_count; t++)
			if (spec->selectors[i].terms[t].field == KRL_FIELD_MODEL)
				flags |= KRL_ENDPOINT_BODIES;
	return flags;
}

/* Call place() for every rule of @target, which are those of the plan from @first on, at @port of @addr. */
static void place_rules(struct krl_compiler *c, const struct krl_rate_limit *limit, const struct krl_target *target,
			const __u8 addr[16], __u16 port, size_t first)
{
	__u32 flags = limit->fail_closed ? KRL_ENDPOINT_FAIL_CLOSED : 0;
	struct krl_endpoint_key key = { .port = port };
	size_t r;

	memcpy(key.addr, addr, sizeof(key.addr));
	for (r = 0; r < target->rule_count; r++) {
		key.hook = hook_of(limit, &target->rules[r]);
		place(c, &key, flags | llm_flags(limit, &target->rules[r]), first + r, KRL_SCOPE_EXACT);
	}
}

/* What clients dial is the service's own address, and its ports. Returns how many there are. */
static size_t place_cluster_ips(struct krl_compiler *c, const struct krl_rate_limit *limit,
				const struct krl_target *target, const struct krl_service *service, size_t first)
{
	size_t a, p, found = 0;

	for (p = 0; p < service->port_count; p++) {
		if (!is_meant(target, service->ports[p].port, service->ports[p].name))
			continue;
		for (a = 0; a < service->addr_count; a++, found++)
			place_rules(c, limit, target, service->addrs[a], service->ports[p].port, first);
	}
	return found;
}

/* On every endpoint of its service. Returns how many there are, those on other nodes included. */
static size_t place_service(struct krl_compiler *c, const struct krl_source_document *source,
			    const struct krl_target *target, size_t first)
{
	const struct krl_service *service = find_service(c, source->document->ns, target->service);
	const struct krl_rate_limit *limit = &source->document->rate_limit;
	size_t i, p, a, found = 0;

	if (limit->outbound && service)
		found = place_cluster_ips(c, limit, target, service, first);
	for (i = first_slice(c, source->document->ns, target->service); i < c->slice_count; i++) {
		const struct krl_slice *slice = &c->slices[i]->slice;

		if (compare_names(c->slices[i]->ns, slice->service, source->document->ns, target->service))
			break;
		for (p = 0; p < slice->port_count; p++) {
			if (!port_wanted(target, service, &slice->ports[p]))
				continue;
			for (a = 0; a < slice->addr_count; a++, found++)
				place_rules(c, limit, target, slice->addrs[a], slice->ports[p].port, first);
			found += slice->away_count;
			for (a = 0; limit->outbound && a < slice->away_count; a++)
				place_rules(c, limit, target, slice->away[a], slice->ports[p].port, first);
		}
	}
	return found;
}

bool krl_compiler_lacks_port(const struct krl_compiler *c, const struct krl_source_document *source,
			     const struct krl_target *target)
{
	const struct krl_service *service = find_service(c, source->document->ns, target->service);
	size_t i;

	if (!service)
		return false;
	for (i = 0; i < service->port_count; i++)
		if (is_meant(target, service->ports[i].port, service->ports[i].name))
			return false;
	return target->port || *target->port_name;
}

size_t krl_compiler_place(struct krl_compiler *c, const struct krl_source_document *source,
			  const struct krl_target *target, size_t first)
{
	const struct krl_rate_limit *limit = &source->document->rate_limit;
	size_t i;

	for (i = 0; i < target->endpoint_count; i++)
		place_rules(c, limit, target, target->endpoints[i].addr, target->endpoints[i].port, first);
	return i + (*target->service ? place_service(c, source, target, first) : 0);
}

static int compare_placements(const void *a, const void *b)
{
	const struct krl_placement *x = a, *y = b;
	int order = memcmp(&x->key, &y->key, sizeof(x->key));

	if (!order)
		order = (x->rule > y->rule) - (x->rule < y->rule);
	return order ? order : (int)x->scope - (int)y->scope;
}

static void sort(struct krl_compiler *c)
{
	if (c->placement_count)
		qsort(c->placements, c->placement_count, sizeof(*c->placements), compare_placements);
}

bool krl_plan_widen(const struct krl_endpoint_key *key, enum krl_scope scope, struct krl_endpoint_key *ret)
{
	static const __u8 any_ipv4[16] = { [10] = 0xff, [11] = 0xff };

	memset(ret, 0, sizeof(*ret));
	ret->port = key->port;
	ret->hook = key->hook;
	if (scope == KRL_SCOPE_ANY_IPV4) {
		if (memcmp(key->addr, any_ipv4, 12))
			return false;
		memcpy(ret->addr, any_ipv4, sizeof(ret->addr));
	}
	return memcmp(key, ret, sizeof(*ret));
}

/* A connection belongs to the most exact endpoint alone, and the rules of the wildcards that cover it count there
 * too. */
void krl_compiler_spread(struct krl_compiler *c)
{
	size_t n = c->placement_count, i, at, low, high;
	struct krl_endpoint_key key, wide;
	enum krl_scope scope;

	sort(c);
	for (i = 0; i < n && !c->no_memory; i++) {
		key = c->placements[i].key;
		if (i && !memcmp(&key, &c->placements[i - 1].key, sizeof(key)))
			continue;
		for (scope = KRL_SCOPE_ANY_IPV4; scope <= KRL_SCOPE_ANY; scope++) {
			if (!krl_plan_widen(&key, scope, &wide))
				continue;
			for (low = 0, high = n; low < high;) {
				at = low + (high - low) / 2;
				if (memcmp(&c->placements[at].key, &wide, sizeof(wide)) < 0)
					low = at + 1;
				else
					high = at;
			}
			for (at = low; at < n && !memcmp(&c->placements[at].key, &wide, sizeof(wide)); at++)
				place(c, &key, c->placements[at].flags, c->placements[at].rule, scope);
		}
	}
	sort(c);
}
