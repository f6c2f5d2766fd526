// SPDX-License-Identifier: Apache-2.0
/* clientSelectors of Envoy Gateway. There all conditions of all entries must hold, here one entry
 * is enough: they become one entry. */
#include <string.h>

#include "conversion.h"

static bool is_type(const yaml_node_t *type, const char *name, const char *by_default)
{
	return type ? krl_convert_is(type, name) : !strcmp(name, by_default);
}

/* Says that @node, the type of a condition, has no counterpart. */
static bool refuse_type(struct krl_conversion *c, const yaml_node_t *node)
{
	size_t len = krl_convert_enter(c, "type");
	const char *text = krl_node_text(node);

	krl_convert_drop(c, node, "%.80s has no counterpart", text ? text : "this");
	krl_convert_leave(c, len);
	return false;
}

static bool refuse_invert(struct krl_conversion *c, const yaml_node_t *node)
{
	size_t len = krl_convert_enter(c, "invert");

	krl_convert_drop(c, node, "has no counterpart but for values of headers");
	krl_convert_leave(c, len);
	return false;
}

static bool add_header(struct krl_conversion *c, yaml_node_t *node, struct krl_convert_match *match)
{
	static const char *const names[] = { "name", "type", "value", "invert", NULL };
	yaml_node_t *v[4];
	const char *name, *value;
	bool invert;

	if (!krl_convert_fields(c, node, names, true, v))
		return false;
	name = v[0] ? krl_node_text(v[0]) : NULL;
	value = v[2] ? krl_node_text(v[2]) : NULL;
	invert = krl_convert_is_true(v[3]);
	if (!name)
		return krl_convert_drop(c, node, "name is missing");
	if (is_type(v[1], "Distinct", "Exact") && invert)
		return refuse_invert(c, v[3]);
	if (is_type(v[1], "Distinct", "Exact"))
		return krl_convert_add_header(c, node, match, name, "Distinct", NULL, false);
	if (!is_type(v[1], "Exact", "Exact"))
		return refuse_type(c, v[1]);
	if (!value)
		return krl_convert_drop(c, node, "value is missing");
	return krl_convert_add_header(c, node, match, name, "Exact", value, invert);
}

static bool add_method(struct krl_conversion *c, yaml_node_t *node, struct krl_convert_match *match)
{
	static const char *const names[] = { "value", "invert", NULL };
	yaml_node_t *v[2];

	if (krl_node_text(node))
		return krl_convert_add_method(c, node, match, krl_node_text(node));
	if (!krl_convert_fields(c, node, names, true, v))
		return false;
	if (krl_convert_is_true(v[1]))
		return refuse_invert(c, v[1]);
	if (!v[0] || !krl_node_text(v[0]))
		return krl_convert_drop(c, node, "value is missing");
	return krl_convert_add_method(c, node, match, krl_node_text(v[0]));
}

static bool add_path(struct krl_conversion *c, yaml_node_t *node, struct krl_convert_match *match)
{
	static const char *const names[] = { "type", "value", "invert", NULL };
	const char *value;
	yaml_node_t *v[3];

	if (!krl_convert_fields(c, node, names, true, v))
		return false;
	value = v[1] ? krl_node_text(v[1]) : "/";
	if (krl_convert_is_true(v[2]))
		return refuse_invert(c, v[2]);
	if (!is_type(v[0], "PathPrefix", "PathPrefix") && !is_type(v[0], "Exact", "PathPrefix"))
		return refuse_type(c, v[0]);
	return krl_convert_add_path(c, node, match, v[0] ? krl_node_text(v[0]) : "PathPrefix",
				    value ? value : "");
}

static bool add_source(struct krl_conversion *c, yaml_node_t *node, struct krl_convert_match *match)
{
	static const char *const names[] = { "type", "value", "invert", NULL };
	yaml_node_t *v[3];

	if (krl_node_text(node))
		return krl_convert_add_source(c, node, match, krl_node_text(node), false);
	if (!krl_convert_fields(c, node, names, true, v))
		return false;
	if (krl_convert_is_true(v[2]))
		return refuse_invert(c, v[2]);
	if (!is_type(v[0], "Exact", "Exact") && !is_type(v[0], "Distinct", "Exact"))
		return refuse_type(c, v[0]);
	if (!v[1] || !krl_node_text(v[1]))
		return krl_convert_drop(c, node, "value is missing");
	return krl_convert_add_source(c, node, match, krl_node_text(v[1]),
				      is_type(v[0], "Distinct", "Exact"));
}

typedef bool (*add_fn)(struct krl_conversion *c, yaml_node_t *node,
		       struct krl_convert_match *match);

/* The field @name of where the reader is: @add for it, or for each item of it if it is a @list. */
static bool add(struct krl_conversion *c, yaml_node_t *node, const char *name, bool list,
		add_fn add_one, struct krl_convert_match *match)
{
	size_t len = krl_convert_enter(c, name), inner, i, count;
	bool good = true;

	if (!list) {
		good = add_one(c, node, match);
		krl_convert_leave(c, len);
		return good;
	}
	count = node->type == YAML_SEQUENCE_NODE ? krl_convert_count(c, node) : 0;
	if (node->type != YAML_SEQUENCE_NODE)
		good = krl_convert_drop(c, node, "expected a list");
	for (i = 0; i < count; i++) {
		inner = krl_convert_enter_item(c, i);
		good &= add_one(c, krl_convert_item(c, node, i), match);
		krl_convert_leave(c, inner);
	}
	krl_convert_leave(c, len);
	return good;
}

static bool add_entry(struct krl_conversion *c, yaml_node_t *node, struct krl_convert_match *match)
{
	static const char *const names[] = { "headers",	   "methods",  "path",
					     "sourceCIDR", "sourceIP", NULL };
	static const add_fn adders[] = { add_header, add_method, add_path, add_source, add_source };
	yaml_node_t *v[5];
	bool good = krl_convert_fields(c, node, names, true, v);
	size_t i, found = 0;

	if (node->type != YAML_MAPPING_NODE)
		return false;
	/* Methods are alternatives: those of two entries would have to be cut down to what both
	 * name. */
	if (v[1] && match->entry && json_object_get(match->entry, "methods"))
		good = krl_convert_drop(c, v[1],
					"methods in a second selector have no counterpart");
	for (i = 0; i < sizeof(adders) / sizeof(*adders); i++) {
		if (!v[i] || (v[i]->type == YAML_SEQUENCE_NODE && !krl_convert_count(c, v[i])))
			continue;
		found++;
		good &= add(c, v[i], names[i], i < 2, adders[i], match);
	}
	if (good && !found)
		return krl_convert_drop(c, node, "selects nothing");
	return good;
}

bool krl_convert_client_selectors(struct krl_conversion *c, yaml_node_t *node,
				  json_t **ret_selectors)
{
	struct krl_convert_match match = {};
	bool good;

	good = add(c, node, "clientSelectors", true, add_entry, &match);
	if (good)
		*ret_selectors = krl_convert_selectors(c, &match);
	json_decref(match.entry);
	return good;
}
