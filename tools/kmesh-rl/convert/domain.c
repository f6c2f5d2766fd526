// SPDX-License-Identifier: Apache-2.0
/* The configuration of Envoy's rate limit service: a tree of descriptors.
 *
 * A request carries lists of descriptors. A list is looked up level by level, in the entry with its
 * value before the one with a wildcard before the one without a value, and limited by the entry
 * where it ends; the lists count independently of each other. So the entries with the same keys on
 * the way down are the tiers of one RateLimit, the most specific first, and other keys make another
 * RateLimit. */
#include <string.h>

#include "agent/policy/yaml_stream.h"
#include "conversion.h"

#define MAX_LEVELS KRL_YAML_MAX_DEPTH
#define MAX_SHAPES 64
#define LEFT_OUT "the limit is left out and less specific ones count its requests"

/* The keys on the way down to a limit, as the descriptors that have them. */
struct shape {
	yaml_node_t *levels[MAX_LEVELS];
	size_t depth;
};

struct domain {
	struct krl_conversion *c;
	struct shape shapes[MAX_SHAPES];
	size_t shape_count;
	struct shape way;		/* to where the reader is */
	struct krl_convert_limit limit; /* of the shape that is made */
};

static const char *text_of(struct krl_conversion *c, yaml_node_t *node, const char *name)
{
	yaml_node_t *value = krl_convert_get(c, node, name);
	const char *text = value ? krl_node_text(value) : NULL;

	return text && *text ? text : NULL;
}

/* Chosen by the route, not by the request: stands for a target, not for a condition. */
static bool is_route(const char *key)
{
	return !strcmp(key, "generic_key") || !strcmp(key, "destination_cluster");
}

/* Do the descriptors @a and @b belong to one RateLimit? */
static bool is_alike(struct krl_conversion *c, yaml_node_t *a, yaml_node_t *b)
{
	const char *x = text_of(c, a, "key"), *y = text_of(c, b, "key");
	const char *left = text_of(c, a, "value"), *right = text_of(c, b, "value");

	if (!x || !y || strcmp(x, y))
		return false;
	return !is_route(x) || (left && right ? !strcmp(left, right) : left == right);
}

static bool is_known(struct domain *d, const struct shape *shape)
{
	size_t i, level;

	for (i = 0; i < d->shape_count; i++) {
		for (level = 0; level < shape->depth; level++)
			if (!is_alike(d->c, shape->levels[level], d->shapes[i].levels[level]))
				break;
		if (level == shape->depth && level == d->shapes[i].depth)
			return true;
	}
	return false;
}

/* What there is to say about a descriptor as such; false when it makes no sense. */
static bool check_descriptor(struct krl_conversion *c, yaml_node_t *node)
{
	static const char *const names[] = { "key",	    "value",	   "rate_limit",
					     "descriptors", "shadow_mode", "share_threshold",
					     "quota_mode",  NULL };
	yaml_node_t *v[7];

	krl_convert_fields(c, node, names, false, v);
	if (node->type != YAML_MAPPING_NODE)
		return false;
	if (v[0] && krl_node_text(v[0]))
		return true;
	return krl_convert_drop(c, node, "key is missing");
}

/* Collect the shapes of the limits in the list @descriptors, in the order of the text. */
static void collect(struct domain *d, yaml_node_t *descriptors)
{
	size_t len, i, count = krl_convert_count(d->c, descriptors);
	yaml_node_t *node, *limit, *inner;

	for (i = 0; i < count && d->way.depth < MAX_LEVELS; i++) {
		len = krl_convert_enter_item(d->c, i);
		node = krl_convert_item(d->c, descriptors, i);
		d->way.levels[d->way.depth] = node;
		if (check_descriptor(d->c, node)) {
			d->way.depth++;
			limit = krl_convert_get(d->c, node, "rate_limit");
			if (limit && !is_known(d, &d->way)) {
				if (d->shape_count < MAX_SHAPES)
					d->shapes[d->shape_count++] = d->way;
				else
					krl_convert_drop(d->c, limit,
							 "there are %d lists of keys before it",
							 MAX_SHAPES);
			}
			inner = krl_convert_get(d->c, node, "descriptors");
			krl_convert_enter(d->c, "descriptors");
			collect(d, inner);
			d->way.depth--;
		}
		krl_convert_leave(d->c, len);
	}
}

/* The conditions on the way down to where the reader is. */
static bool read_way(struct domain *d, struct krl_convert_match *match)
{
	struct krl_conversion *c = d->c;
	size_t i;

	for (i = 0; i < d->way.depth; i++) {
		yaml_node_t *node = d->way.levels[i];
		const char *key = text_of(c, node, "key"), *value = text_of(c, node, "value");

		if (is_route(key)) {
			if (krl_convert_first(c, key))
				krl_convert_note(
					c, node,
					"%s stands for a route, fill in the service behind it",
					key);
			continue;
		}
		if (!krl_convert_descriptor(
			    c, node, key, value, true,
			    krl_convert_is_true(krl_convert_get(c, node, "share_threshold")),
			    match))
			return false;
	}
	return true;
}

/* The way down as the service itself writes it: key_value.key */
static void name_way(struct domain *d, char *ret, size_t size)
{
	const char *key, *value;
	size_t i, len = 0;

	*ret = '\0';
	for (i = 0; i < d->way.depth && len < size; i++) {
		key = text_of(d->c, d->way.levels[i], "key");
		value = text_of(d->c, d->way.levels[i], "value");
		len += (size_t)snprintf(ret + len, size - len, "%s%.80s%s%.80s", i ? "." : "", key,
					value ? "_" : "", value ? value : "");
	}
}

/* The limit of the descriptor @node where the reader is, or, without one, that it has none: in a
 * tier of its own, that keeps its requests from the tiers behind. */
static void add_rule(struct domain *d, yaml_node_t *node)
{
	static const char *const names[] = { "unit", "requests_per_unit", "unlimited", "name",
					     NULL };
	yaml_node_t *limit = krl_convert_get(d->c, node, "rate_limit"), *v[4] = {};
	struct krl_settings settings = { KRL_NUMBER_MAX, KRL_NUMBER_MAX, 1000000000 };
	struct krl_convert_match match = {};
	struct krl_convert_rule *rule;
	bool good = true, unlimited;
	json_t *selectors;
	char name[512];
	size_t len;

	len = krl_convert_enter(d->c, "rate_limit");
	if (limit)
		good = krl_convert_fields(d->c, limit, names, false, v) ||
		       limit->type == YAML_MAPPING_NODE;
	unlimited = !limit || krl_convert_is_true(v[2]);
	if (good && !unlimited)
		good = krl_convert_rate(d->c, limit, v[1], v[0], &settings);
	krl_convert_leave(d->c, len);
	if (krl_convert_is_true(krl_convert_get(d->c, node, "quota_mode")))
		good = krl_convert_drop(d->c, node, "quota_mode has no counterpart");
	good = good && read_way(d, &match);
	selectors = krl_convert_selectors(d->c, &match);
	if (good && unlimited) {
		krl_convert_note(d->c, node,
				 "is not limited, which the largest limit stands for where a less "
				 "specific one would count its requests");
		krl_convert_share(d->c, selectors);
	}
	name_way(d, name, sizeof(name));
	rule = good && (selectors || !unlimited)
		       ? krl_convert_rule_add(d->c, node, &d->limit,
					      v[3] && krl_node_text(v[3]) ? krl_node_text(v[3])
									  : name)
		       : NULL;
	if (!rule) {
		json_decref(selectors);
		return;
	}
	rule->selectors = selectors;
	rule->settings = settings;
	rule->unlimited = unlimited;
	rule->shadow = krl_convert_is_true(krl_convert_get(d->c, node, "shadow_mode"));
}

/* 0: with a value, 1: with a wildcard, 2: without a value, which is the order of looking up. */
static int rank_of(struct krl_conversion *c, yaml_node_t *node)
{
	const char *value = text_of(c, node, "value");

	return !value ? 2 : !!strchr(value, '*');
}

/* Add the rules of @shape in the list @descriptors, which is at the depth of the way, the most
 * specific first. Returns whether there were any. */
static bool walk(struct domain *d, const struct shape *shape, yaml_node_t *descriptors)
{
	size_t at = d->way.depth, len, i, count;
	bool found = false;
	yaml_node_t *node;
	int rank;

	count = descriptors && descriptors->type == YAML_SEQUENCE_NODE
			? krl_convert_count(d->c, descriptors)
			: 0;
	for (rank = 0; rank < 3; rank++) {
		for (i = 0; i < count; i++) {
			node = krl_convert_item(d->c, descriptors, i);
			if (!is_alike(d->c, node, shape->levels[at]) ||
			    rank_of(d->c, node) != rank)
				continue;
			len = krl_convert_enter_item(d->c, i);
			d->way.levels[at] = node;
			d->way.depth++;
			if (at + 1 == shape->depth) {
				add_rule(d, node);
			} else {
				size_t inner = krl_convert_enter(d->c, "descriptors");

				if (!walk(d, shape, krl_convert_get(d->c, node, "descriptors"))) {
					krl_convert_leave(d->c, inner);
					add_rule(d, node);
				}
			}
			d->way.depth--;
			krl_convert_leave(d->c, len);
			found = true;
		}
	}
	return found;
}

static void convert_shape(struct domain *d, const struct shape *shape, yaml_node_t *descriptors)
{
	struct krl_convert_limit *limit = &d->limit;

	walk(d, shape, descriptors);
	while (limit->count && limit->rules[limit->count - 1].unlimited)
		json_decref(limit->rules[--limit->count].selectors);
	if (limit->count > 1)
		limit->rule_match = "First";
	krl_convert_finish(d->c, limit);
}

void krl_convert_domain(struct krl_conversion *c, yaml_node_t *root)
{
	static const char *const names[] = { "domain", "descriptors", NULL };
	struct domain d = { .c = c };
	yaml_node_t *v[2];
	size_t i, len;

	c->left_out = LEFT_OUT;
	krl_convert_fields(c, root, names, false, v);
	if (!v[1]) {
		krl_convert_note(c, root, "descriptors is missing");
		return;
	}
	d.limit.name = v[0] ? krl_node_text(v[0]) : NULL;
	d.limit.cluster = true;
	len = krl_convert_enter(c, "descriptors");
	collect(&d, v[1]);
	krl_convert_leave(c, len);
	if (!d.shape_count) {
		krl_convert_note(c, root, "there is no rate_limit");
		return;
	}
	krl_convert_note(c, v[0] ? v[0] : root,
			 "a domain is no target, spec.service is to be filled in");
	len = krl_convert_enter(c, "descriptors");
	for (i = 0; i < d.shape_count; i++)
		convert_shape(&d, &d.shapes[i], v[1]);
	krl_convert_leave(c, len);
}
