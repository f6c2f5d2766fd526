// SPDX-License-Identifier: Apache-2.0
/* What a policy is attached to. Limits of a route or a gateway belong to the services behind it,
 * which only its own document names; a guess could limit somebody else. */
#include <string.h>

#include "conversion.h"

#define MAX_NAME 63
#define MAX_TARGETS 64

static bool has_target(const json_t *targets, const json_t *target)
{
	json_t *other;
	size_t i;

	json_array_foreach(targets, i, other) if (json_equal(other, target)) return true;
	return false;
}

static bool is_name(const yaml_node_t *node)
{
	const char *text = node ? krl_node_text(node) : NULL;

	return text && *text && strlen(text) <= MAX_NAME && !strchr(text, ':');
}

static bool is_service(const yaml_node_t *group, const yaml_node_t *kind)
{
	return krl_convert_is(kind, "Service") && (!group || krl_convert_is(group, ""));
}

/* Append the reference @node to a Service. False, with a line, when it is none. */
static bool add_target(struct krl_conversion *c, yaml_node_t *node, json_t *targets)
{
	static const char *const names[] = { "group", "kind", "name", "sectionName", NULL };
	yaml_node_t *v[4];
	json_t *target;

	c->left_out = "spec.service is to be filled in";
	if (!krl_convert_fields(c, node, names, true, v))
		return false;
	if (!is_name(v[2]))
		return krl_convert_drop(c, node, "name is missing");
	if (!is_service(v[0], v[1]))
		return krl_convert_drop(
			c, node, "%.40s %.80s is no Service",
			v[1] && krl_node_text(v[1]) ? krl_node_text(v[1]) : "target", krl_node_text(v[2]));
	if (v[3] && !is_name(v[3]))
		return krl_convert_drop(c, node, "sectionName is not the name of a port");
	if (json_array_size(targets) == MAX_TARGETS)
		return krl_convert_drop(c, node, "there are %d targets before it", MAX_TARGETS);
	target = json_object();
	krl_convert_put(c, target, "group", json_string(""));
	krl_convert_put(c, target, "kind", json_string("Service"));
	krl_convert_put(c, target, "name", json_string(krl_node_text(v[2])));
	if (v[3])
		krl_convert_put(c, target, "sectionName", json_string(krl_node_text(v[3])));
	if (has_target(targets, target))
		json_decref(target);
	else
		krl_convert_push(c, targets, target);
	return true;
}

json_t *krl_convert_targets(struct krl_conversion *c, yaml_node_t *spec)
{
	yaml_node_t *ref = krl_convert_get(c, spec, "targetRef"),
		    *refs = krl_convert_get(c, spec, "targetRefs");
	yaml_node_t *selectors = krl_convert_get(c, spec, "targetSelectors");
	json_t *targets = json_array();
	size_t i, len, item;
	bool good = true;

	if (ref) {
		len = krl_convert_enter(c, "targetRef");
		good &= add_target(c, ref, targets);
		krl_convert_leave(c, len);
	}
	len = krl_convert_enter(c, "targetRefs");
	for (i = 0; i < krl_convert_count(c, refs); i++) {
		item = krl_convert_enter_item(c, i);
		good &= add_target(c, krl_convert_item(c, refs, i), targets);
		krl_convert_leave(c, item);
	}
	krl_convert_leave(c, len);
	if (selectors) {
		len = krl_convert_enter(c, "targetSelectors");
		krl_convert_note(c, selectors,
				 "labels name no Service, spec.service is to be filled in");
		krl_convert_leave(c, len);
		good = false;
	}
	if (good && !json_array_size(targets))
		krl_convert_note(c, spec, "there is no target, spec.service is to be filled in");
	/* Some of several targets would be taken for all of them. */
	if (!good)
		json_array_clear(targets);
	return targets;
}
