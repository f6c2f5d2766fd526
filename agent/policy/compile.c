// SPDX-License-Identifier: Apache-2.0
#include "compile_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/vec.h"
#include "limit.h"

static int compare_identity(const struct krl_document *a, const struct krl_document *b)
{
	int order = (int)a->kind - (int)b->kind;

	if (!order)
		order = strcmp(a->ns, b->ns);
	return order ? order : strcmp(a->name, b->name);
}

static int compare_documents(const void *a, const void *b)
{
	const struct krl_source_document *x = a, *y = b;
	int order = compare_identity(x->document, y->document);

	if (!order)
		order = strcmp(x->file, y->file);
	if (order)
		return order;
	return (x->document->line > y->document->line) - (x->document->line < y->document->line);
}

void krl_target_text(const struct krl_target *target, char *ret, size_t size)
{
	if (target->port)
		snprintf(ret, size, "%s:%u", target->service, target->port);
	else if (*target->port_name)
		snprintf(ret, size, "%s:%s", target->service, target->port_name);
	else
		snprintf(ret, size, "%s", target->service);
}

/* In shadow mode nothing is refused, nor cut. */
static __u32 llm_flags(const struct krl_llm_spec *llm, bool shadow)
{
	if (!llm)
		return 0;
	return KRL_RULE_LLM | (llm->reserves ? KRL_RULE_RESERVE : 0) |
	       (llm->require_usage && !shadow ? KRL_RULE_REQUIRE_USAGE : 0) |
	       (llm->cut && !shadow ? KRL_RULE_CUT : 0);
}

static __u32 cluster_flags(const struct krl_rule_spec *spec)
{
	if (!spec->cluster)
		return 0;
	return KRL_RULE_CLUSTER | (spec->away == KRL_AWAY_OPEN ? KRL_RULE_AWAY_OPEN : 0) |
	       (spec->away == KRL_AWAY_CLOSED ? KRL_RULE_AWAY_CLOSED : 0);
}

static void add_rule(struct krl_compiler *c, __u32 at, const struct krl_target *target,
		     const struct krl_rule_spec *spec)
{
	const struct krl_document *document = c->documents[at].document;
	struct krl_plan_rule *rule;
	struct krl_rule_origin *origin;
	bool shadow = spec->mode == KRL_MODE_SHADOW;
	int64_t until_s;

	rule = krl_vec_add(&c->plan->rules, &c->plan->rule_count);
	origin = krl_vec_add(&c->origins, &c->origin_count);
	if (!rule || !origin) {
		c->no_memory = true;
		return;
	}
	*origin = (struct krl_rule_origin){ .document = at, .spec = spec };
	snprintf(rule->ns, sizeof(rule->ns), "%s", document->ns);
	snprintf(rule->name, sizeof(rule->name), "%s", document->name);
	krl_target_text(target, rule->service, sizeof(rule->service));
	snprintf(rule->rule, sizeof(rule->rule), "%s", spec->name);
	rule->settings = spec->settings;
	rule->flags = (shadow ? KRL_RULE_SHADOW : 0) |
		      (spec->concurrent ? KRL_RULE_CONCURRENT : 0) |
		      (document->rate_limit.eperm ? KRL_RULE_EPERM : 0) | llm_flags(spec->llm, shadow) |
		      cluster_flags(spec);
	rule->credit = spec->credit;
	if (spec->llm) {
		rule->cost = spec->llm->cost;
		rule->reserve_default = spec->llm->reserve_default;
		rule->reserve_max = spec->llm->reserve_max;
	}
	if (spec->concurrent)
		snprintf(rule->limit, sizeof(rule->limit), "%llu at once", spec->settings.max_tokens);
	else
		krl_limit_text(&spec->settings, rule->limit, sizeof(rule->limit));
	rule->outside = !krl_schedule_at(spec->schedule, c->plan->now_s, &until_s);
	if (until_s < c->plan->until_s)
		c->plan->until_s = until_s;
	rule->status = krl_form_status(spec->response);
}

/* Give @rule the texts of its answers, which fit, or it would not have been decoded. */
static void add_forms(struct krl_compiler *c, struct krl_plan_rule *rule, const struct krl_rule_origin *origin)
{
	const struct krl_rate_limit *limit = &c->documents[origin->document].document->rate_limit;
	struct krl_form_spec form = krl_rule_form_spec(origin->spec, limit->style);

	rule->form = calloc(1, sizeof(*rule->form));
	if (rule->form)
		krl_form_build(&form, rule->form);
	if (limit->headers_always)
		rule->headers = calloc(1, sizeof(*rule->headers));
	if (rule->headers)
		krl_form_build_headers(&form, rule->headers);
	c->no_memory |= !rule->form || (limit->headers_always && !rule->headers);
}

/* Say why @target has no endpoint. */
static void note_waiting(struct krl_compiler *c, const struct krl_source_document *source,
			 const struct krl_target *target)
{
	const struct krl_document *d = source->document;
	size_t name_len = strlen(target->service);
	char service[256];

	krl_target_text(target, service, sizeof(service));
	if (krl_compiler_lacks_port(c, source, target))
		krl_diags_add(c->notes, source->file, d->line, 1, "RateLimit %s/%s waits: service %s has no port %s", d->ns,
			      d->name, target->service, service + name_len + 1);
	else
		krl_diags_add(c->notes, source->file, d->line, 1, "RateLimit %s/%s waits: service %s has no endpoint",
			      d->ns, d->name, service);
}

static void compile_rate_limit(struct krl_compiler *c, __u32 at)
{
	const struct krl_source_document *source = &c->documents[at];
	const struct krl_document *d = source->document;
	size_t first, i, r;

	for (i = 0; i < d->rate_limit.target_count; i++) {
		const struct krl_target *target = &d->rate_limit.targets[i];

		first = c->plan->rule_count;
		for (r = 0; r < target->rule_count; r++)
			add_rule(c, at, target, &target->rules[r]);
		if (!krl_compiler_place(c, source, target, first) && *target->service)
			note_waiting(c, source, target);
	}
}

void krl_compiler_refuse(struct krl_compiler *c, bool *refused, __u32 rule, const char *why)
{
	__u32 at = c->origins[rule].document;
	const struct krl_source_document *source = &c->documents[at];

	if (refused[at])
		return;
	refused[at] = true;
	if (source->over)
		*source->over = true;
	krl_diags_add(c->errors, source->file, source->document->line, 1, "RateLimit %s/%s: %s",
		      source->document->ns, source->document->name, why);
}

/* Find out which rules count on no endpoint. */
static void mark_idle(struct krl_compiler *c)
{
	size_t i;

	for (i = 0; i < c->plan->rule_count; i++)
		c->plan->rules[i].idle = true;
	for (i = 0; i < c->placement_count; i++)
		c->plan->rules[c->placements[i].rule].idle = false;
}

/* What goes past a limit of the maps is refused, RateLimits that sort later first. */
static void refuse_excess(struct krl_compiler *c, bool *refused)
{
	size_t i, run = 0, concurrent = 0, endpoints = 0, rows = 0;
	char why[64];

	snprintf(why, sizeof(why), "more than %d rules in all", KRL_MAX_RULES);
	for (i = 0; i < c->plan->rule_count; i++) {
		rows += !c->plan->rules[i].idle;
		if (!c->plan->rules[i].idle && rows > KRL_MAX_RULES)
			krl_compiler_refuse(c, refused, i, why);
	}
	for (i = 0; i < c->placement_count; i++) {
		bool same = i && !memcmp(&c->placements[i].key, &c->placements[i - 1].key,
					 sizeof(c->placements[i].key));

		if (same && c->placements[i].rule == c->placements[i - 1].rule)
			continue;
		run = same ? run + 1 : 1;
		concurrent = (same ? concurrent : 0) + c->origins[c->placements[i].rule].spec->concurrent;
		endpoints += !same;
		snprintf(why, sizeof(why), "more than %d rules on one endpoint", KRL_MAX_ENDPOINT_RULES);
		if (run > KRL_MAX_ENDPOINT_RULES)
			krl_compiler_refuse(c, refused, c->placements[i].rule, why);
		snprintf(why, sizeof(why), "more than %d rules with maxConnections on one endpoint", KRL_HELD_KEYS);
		if (concurrent > KRL_HELD_KEYS)
			krl_compiler_refuse(c, refused, c->placements[i].rule, why);
		snprintf(why, sizeof(why), "more than %d endpoints", KRL_MAX_ENDPOINTS);
		if (endpoints > KRL_MAX_ENDPOINTS)
			krl_compiler_refuse(c, refused, c->placements[i].rule, why);
	}
}

/* What all nodes are to count together is refused where there is nobody to count it. */
static void refuse_cluster(struct krl_compiler *c, bool *refused)
{
	size_t i;

	for (i = 0; i < c->plan->rule_count && c->plan->no_cluster; i++)
		if (c->origins[i].spec->cluster)
			krl_compiler_refuse(c, refused, i, KRL_COMPILE_NO_REDIS);
}

/* Take the rules of refused RateLimits out again, and move the others together. */
static int drop_refused(struct krl_compiler *c, const bool *refused)
{
	__u32 *moved = calloc(c->plan->rule_count + 1, sizeof(*moved));
	size_t i, kept = 0;

	if (!moved)
		return -ENOMEM;
	for (i = 0; i < c->plan->rule_count; i++) {
		if (refused[c->origins[i].document]) {
			moved[i] = UINT32_MAX;
			continue;
		}
		c->plan->rules[kept] = c->plan->rules[i];
		c->origins[kept] = c->origins[i];
		moved[i] = kept++;
	}
	c->plan->rule_count = kept;
	for (i = kept = 0; i < c->placement_count; i++) {
		c->placements[kept] = c->placements[i];
		c->placements[kept].rule = moved[c->placements[i].rule];
		kept += c->placements[kept].rule != UINT32_MAX;
	}
	c->placement_count = kept;
	free(moved);
	return 0;
}

/* Append to @endpoint the placements @from to @to whose rules are outside their schedules, or are not, as
 * @outside says. Returns how many. */
static __u32 add_placed(struct krl_compiler *c, size_t from, size_t to, bool outside,
			struct krl_plan_endpoint *endpoint)
{
	__u32 before = endpoint->rule_count + endpoint->outside_count, at = before;

	for (; from < to; from++) {
		const struct krl_placement *p = &c->placements[from];

		if (c->plan->rules[p->rule].outside != outside || (at > before && endpoint->rules[at - 1] == p->rule))
			continue;
		endpoint->flags |= p->flags & KRL_ENDPOINT_FAIL_CLOSED;
		if (!outside)
			endpoint->flags |= p->flags;
		endpoint->rules[at] = p->rule;
		endpoint->scopes[at++] = p->scope;
	}
	return at - before;
}

/* Placements are sorted by endpoint: one run is one endpoint. One without a rule in force stays, so that what
 * connects meanwhile is known to the kernel when a rule comes into force. */
static void group_endpoints(struct krl_compiler *c)
{
	struct krl_plan_endpoint *endpoint;
	size_t from, to;

	for (from = 0; from < c->placement_count; from = to) {
		endpoint = krl_vec_add(&c->plan->endpoints, &c->plan->endpoint_count);
		if (!endpoint) {
			c->no_memory = true;
			return;
		}
		endpoint->key = c->placements[from].key;
		for (to = from; to < c->placement_count &&
				!memcmp(&c->placements[to].key, &endpoint->key, sizeof(endpoint->key)); to++)
			;
		endpoint->rule_count = add_placed(c, from, to, false, endpoint);
		endpoint->outside_count = add_placed(c, from, to, true, endpoint);
	}
}

static int compile_all(struct krl_compiler *c)
{
	bool *refused = calloc(c->count + 1, sizeof(*refused));
	int err = 0;
	size_t i;

	if (!refused)
		return -ENOMEM;
	for (i = 0; i < c->count && !c->no_memory; i++)
		if (c->documents[i].document->kind == KRL_KIND_RATE_LIMIT)
			compile_rate_limit(c, i);
	krl_compiler_spread(c);
	if (!c->no_memory) {
		mark_idle(c);
		refuse_cluster(c, refused);
		refuse_excess(c, refused);
		err = krl_compiler_refuse_selectors(c, refused);
		if (!err)
			err = krl_compiler_refuse_from(c, refused);
		if (!err)
			err = drop_refused(c, refused);
	}
	free(refused);
	for (i = 0; !err && !c->no_memory && i < c->plan->rule_count; i++)
		if (!c->plan->rules[i].idle && !c->plan->rules[i].outside)
			add_forms(c, &c->plan->rules[i], &c->origins[i]);
	if (!err && !c->no_memory)
		group_endpoints(c);
	if (!err && !c->no_memory)
		err = krl_compiler_add_policies(c);
	if (!err && !c->no_memory)
		err = krl_compiler_add_from(c);
	return c->no_memory ? -ENOMEM : err;
}

/* Of documents with one identity, the one in the file that sorts first counts. Returns how many are
 * left. */
static size_t drop_repeated(struct krl_source_document *sorted, size_t count, struct krl_diags *errors)
{
	size_t i, kept = 0;

	for (i = 0; i < count; i++) {
		const struct krl_document *d = sorted[i].document;

		if (kept && !compare_identity(d, sorted[kept - 1].document))
			krl_diags_add(errors, sorted[i].file, d->line, 1,
				      "%s/%s is at %s:%zu already, which counts", d->ns, d->name,
				      sorted[kept - 1].file, sorted[kept - 1].document->line);
		else
			sorted[kept++] = sorted[i];
	}
	return kept;
}

int krl_compile(const struct krl_source_document *documents, size_t count, int64_t now_s, struct krl_plan *ret,
		struct krl_diags *errors, struct krl_diags *notes)
{
	struct krl_plan plan = { .retain = ret->retain, .retain_count = ret->retain_count,
				 .retain_all = ret->retain_all, .pods = ret->pods, .no_cluster = ret->no_cluster,
				 .now_s = now_s, .until_s = KRL_ZONE_NEVER };
	struct krl_compiler c = { .plan = &plan, .errors = errors, .notes = notes };
	struct krl_source_document *sorted;
	int err;

	sorted = calloc(count + 1, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	if (count) {
		memcpy(sorted, documents, count * sizeof(*sorted));
		qsort(sorted, count, sizeof(*sorted), compare_documents);
	}
	c.documents = sorted;
	c.count = drop_repeated(sorted, count, errors);
	err = krl_compiler_sort_slices(&c);
	if (!err)
		err = compile_all(&c);
	free(c.slices);
	free(c.placements);
	free(c.origins);
	free(sorted);
	if (err) {
		plan.retain = NULL;
		krl_plan_clear(&plan);
		return err;
	}
	*ret = plan;
	return 0;
}

void krl_plan_clear(struct krl_plan *plan)
{
	size_t i;

	for (i = 0; i < plan->policy_count; i++)
		free(plan->policies[i].policy);
	free(plan->policies);
	krl_plan_clear_from(plan);
	for (i = 0; i < plan->rule_count; i++) {
		free(plan->rules[i].form);
		free(plan->rules[i].headers);
	}
	free(plan->rules);
	free(plan->endpoints);
	free(plan->retain);
	*plan = (struct krl_plan){ 0 };
}
