// SPDX-License-Identifier: Apache-2.0
/* BackendTrafficPolicy of Envoy Gateway, and RateLimitFilter with the same rules. */
#include <string.h>

#include "conversion.h"

#define LEFT_OUT "the rule is left out"
#define LEFT_TO_OTHERS "the rule is left out and its requests count in the rule without selectors"

/* What of an answer costs is in the metadata that another filter sets under a name of its own. */
static bool refuse_response(struct krl_conversion *c, yaml_node_t *response)
{
	size_t len = krl_convert_enter(c, "response");

	krl_convert_drop(c, response, "is count: LLMTokens where it is what a model server's answer used");
	krl_convert_leave(c, len);
	return false;
}

/* A fixed cost of each request is the same as a smaller limit. */
static bool read_cost(struct krl_conversion *c, yaml_node_t *node, struct krl_settings *settings)
{
	static const char *const names[] = { "request", "response", NULL },
				 *const fixed[] = { "from", "number", NULL };
	yaml_node_t *request, *v[2];
	uint64_t number;

	if (!krl_convert_fields(c, node, names, true, v))
		return false;
	if (v[1])
		return refuse_response(c, v[1]);
	request = v[0];
	if (!request)
		return true;
	if (!krl_convert_fields(c, request, fixed, true, v))
		return false;
	if (!krl_convert_is(v[0], "Number"))
		return krl_convert_drop(c, request, "only a fixed number has a counterpart");
	if (!v[1] || !krl_convert_number(c, v[1], &number))
		return v[1] ? false : krl_convert_drop(c, request, "number is missing");
	if (!number || number > settings->tokens_per_fill)
		return krl_convert_drop(c, request, "a cost of %llu of %llu has no counterpart",
					(unsigned long long)number,
					(unsigned long long)settings->tokens_per_fill);
	if (number == 1)
		return true;
	settings->tokens_per_fill /= number;
	settings->max_tokens = settings->tokens_per_fill;
	krl_convert_note(c, request,
			 "a request takes one token here, so the limit is divided by %llu",
			 (unsigned long long)number);
	return true;
}

static bool read_limit(struct krl_conversion *c, yaml_node_t *node, struct krl_settings *ret)
{
	static const char *const names[] = { "requests", "unit", NULL };
	yaml_node_t *v[2];

	return krl_convert_fields(c, node, names, true, v) &&
	       krl_convert_rate(c, node, v[0], v[1], ret);
}

/* Fields of a rule that have no counterpart, and change nothing of who is limited. */
static void note_rule(struct krl_conversion *c, yaml_node_t *shared, yaml_node_t *headers,
		      size_t targets)
{
	size_t len;

	if (krl_convert_is_true(shared) && targets != 1) {
		len = krl_convert_enter(c, "shared");
		krl_convert_note(c, shared,
				 "has no counterpart, each service has a bucket of its own");
		krl_convert_leave(c, len);
	}
	if (headers) {
		len = krl_convert_enter(c, "xRateLimitHeaders");
		krl_convert_note(c, headers,
				 "of a rule has no counterpart, spec.headerStyle and "
				 "spec.responseHeaders are of all rules");
		krl_convert_leave(c, len);
	}
}

static void add_rule(struct krl_conversion *c, yaml_node_t *node, size_t at,
		     struct krl_convert_limit *limit)
{
	static const char *const names[] = {
		"clientSelectors",   "limit", "cost", "shared", "shadowMode",
		"xRateLimitHeaders", NULL
	};
	struct krl_settings settings = {};
	struct krl_convert_rule *rule;
	json_t *selectors = NULL;
	yaml_node_t *v[6];
	char name[32];
	size_t len;
	bool good;

	good = krl_convert_fields(c, node, names, true, v);
	if (node->type != YAML_MAPPING_NODE)
		return;
	if (v[0])
		good &= krl_convert_client_selectors(c, v[0], &selectors);
	len = krl_convert_enter(c, "limit");
	good &= v[1] ? read_limit(c, v[1], &settings) : krl_convert_drop(c, node, "is missing");
	krl_convert_leave(c, len);
	len = krl_convert_enter(c, "cost");
	if (v[2] && settings.tokens_per_fill)
		good &= read_cost(c, v[2], &settings);
	krl_convert_leave(c, len);
	note_rule(c, v[3], v[5], json_array_size(limit->targets));
	snprintf(name, sizeof(name), "rule-%zu", at);
	rule = good ? krl_convert_rule_add(c, node, limit, name) : NULL;
	if (!rule) {
		json_decref(selectors);
		return;
	}
	rule->selectors = selectors;
	rule->settings = settings;
	rule->shadow = krl_convert_is_true(v[4]);
}

static bool has_default(struct krl_conversion *c, const yaml_node_t *rules)
{
	size_t i, count = rules->type == YAML_SEQUENCE_NODE ? krl_convert_count(c, rules) : 0;
	yaml_node_t *selectors;

	for (i = 0; i < count; i++) {
		selectors = krl_convert_get(c, krl_convert_item(c, rules, i), "clientSelectors");
		if (!selectors ||
		    (selectors->type == YAML_SEQUENCE_NODE && !krl_convert_count(c, selectors)))
			return true;
	}
	return false;
}

/* The list @rules of where the reader is. Global rules all count; of local ones, the one without
 * selectors counts what no other selects. */
static void convert_rules(struct krl_conversion *c, yaml_node_t *rules, bool global,
			  struct krl_convert_limit *limit)
{
	size_t len = krl_convert_enter(c, "rules"), item, i, count = krl_convert_count(c, rules);
	bool by_default = !global && has_default(c, rules);
	yaml_node_t *node;

	for (i = 0; i < count; i++) {
		item = krl_convert_enter_item(c, i);
		node = krl_convert_item(c, rules, i);
		c->left_out = by_default && krl_convert_get(c, node, "clientSelectors")
				      ? LEFT_TO_OTHERS
				      : LEFT_OUT;
		add_rule(c, node, i, limit);
		krl_convert_leave(c, item);
	}
	if (global)
		krl_convert_every(limit);
	else
		krl_convert_strictest(c, rules, limit);
	krl_convert_leave(c, len);
	krl_convert_finish(c, limit);
}

/* The field @name, local or global, of a rateLimit. With both, the RateLimit is called by it
 * too. */
static void convert_scope(struct krl_conversion *c, yaml_node_t *node, const char *name, bool both,
			  const struct krl_convert_limit *like)
{
	static const char *const names[] = { "rules", NULL };
	struct krl_convert_limit limit = *like;
	bool global = limit.cluster = !strcmp(name, "global");
	size_t len = krl_convert_enter(c, name);
	yaml_node_t *rules;
	char full[320];

	snprintf(full, sizeof(full), "%.255s-%s", like->name ? like->name : "converted", name);
	if (both)
		limit.name = full;
	krl_convert_fields(c, node, names, false, &rules);
	if (global)
		krl_convert_note(c, node,
				 "all nodes count together in Redis, which agents are told with "
				 "--redis");
	if (rules)
		convert_rules(c, rules, global, &limit);
	else
		krl_convert_note(c, node, "rules is missing");
	krl_convert_leave(c, len);
}

/* The mapping @node with type, local and global. A type leaves out the other one. */
static void convert_rate_limit(struct krl_conversion *c, yaml_node_t *node,
			       struct krl_convert_limit *limit)
{
	static const char *const scopes[] = { "local", "global" };
	yaml_node_t *type = krl_convert_get(c, node, "type"),
		    *rules = krl_convert_get(c, node, "rules");
	yaml_node_t *in[2] = { krl_convert_get(c, node, "local"),
			       krl_convert_get(c, node, "global") };
	size_t i, len;

	for (i = 0; i < 2; i++) {
		if (!in[i] || !krl_convert_is(type, i ? "Local" : "Global"))
			continue;
		len = krl_convert_enter(c, scopes[i]);
		krl_convert_note(c, in[i], "is not in force beside the type, and left out");
		krl_convert_leave(c, len);
		in[i] = NULL;
	}
	for (i = 0; i < 2; i++)
		if (in[i])
			convert_scope(c, in[i], scopes[i], in[0] && in[1], limit);
	if (rules)
		convert_rules(c, rules, krl_convert_is(type, "Global"), limit);
	if (!rules && !in[0] && !in[1])
		krl_convert_note(c, node, "there is no rate limit");
}

/* Names and target of @root, then its limits: @nested in spec.rateLimit, or in spec itself. */
static void convert_root(struct krl_conversion *c, yaml_node_t *root, bool nested)
{
	static const char *const in_spec[] = { "targetRef", "targetRefs", "targetSelectors",
					       "rateLimit", NULL };
	static const char *const in_filter[] = { "targetRef", "targetRefs", "targetSelectors",
						 "rateLimit", "type",	    "local",
						 "global",    "rules",	    NULL };
	static const char *const in_limit[] = { "type", "local", "global", "rules", NULL };
	yaml_node_t *metadata = krl_convert_get(c, root, "metadata"),
		    *spec = krl_convert_get(c, root, "spec");
	yaml_node_t *name = krl_convert_get(c, metadata, "name"),
		    *ns = krl_convert_get(c, metadata, "namespace");
	struct krl_convert_limit limit = { .name = name ? krl_node_text(name) : NULL,
					   .ns = ns ? krl_node_text(ns) : NULL };
	yaml_node_t *v[8], *rate_limit;
	size_t len;

	if (!spec || spec->type != YAML_MAPPING_NODE) {
		krl_convert_note(c, root, "spec is missing");
		return;
	}
	len = krl_convert_enter(c, "spec");
	krl_convert_fields(c, spec, nested ? in_spec : in_filter, false, v);
	rate_limit = krl_convert_get(c, spec, "rateLimit");
	if (nested && !rate_limit) {
		krl_convert_note(c, spec, "there is no rateLimit");
		krl_convert_leave(c, len);
		return;
	}
	limit.targets = krl_convert_targets(c, spec);
	if (rate_limit) {
		krl_convert_enter(c, "rateLimit");
		c->left_out = "and left out";
		krl_convert_fields(c, rate_limit, in_limit, false, v);
	}
	convert_rate_limit(c, rate_limit ? rate_limit : spec, &limit);
	krl_convert_leave(c, len);
	json_decref(limit.targets);
}

void krl_convert_traffic_policy(struct krl_conversion *c, yaml_node_t *root)
{
	convert_root(c, root, true);
}

void krl_convert_filter(struct krl_conversion *c, yaml_node_t *root)
{
	convert_root(c, root, false);
}
