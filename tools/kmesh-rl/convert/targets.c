// SPDX-License-Identifier: Apache-2.0
/* What a policy is attached to. Limits of a route or a gateway belong to the services behind it,
 * which only its own document names; a guess could limit somebody else. */
#include <string.h>

#include "conversion.h"

#define MAX_SERVICE 249
#define MAX_TARGETS 64

static bool has_service(const json_t *services, const char *name)
{
	json_t *service;
	size_t i;

	json_array_foreach(services, i,
			   service) if (!strcmp(json_string_value(service), name)) return true;
	return false;
}

/* Append the service that @node names. False, with a line, when it is none. */
static bool add_target(struct krl_conversion *c, yaml_node_t *node, json_t *services)
{
	static const char *const names[] = { "group", "kind", "name", NULL };
	yaml_node_t *v[3];
	const char *name;

	c->left_out = "spec.service is to be filled in";
	if (!krl_convert_fields(c, node, names, true, v))
		return false;
	name = v[2] ? krl_node_text(v[2]) : NULL;
	if (!name || !*name || strlen(name) > MAX_SERVICE)
		return krl_convert_drop(c, node, "name is missing");
	if (!krl_convert_is(v[1], "Service"))
		return krl_convert_drop(
			c, node, "%.40s %.80s is no Service",
			v[1] && krl_node_text(v[1]) ? krl_node_text(v[1]) : "target", name);
	if (json_array_size(services) == MAX_TARGETS)
		return krl_convert_drop(c, node, "there are %d targets before it", MAX_TARGETS);
	if (!has_service(services, name))
		krl_convert_push(c, services, json_string(name));
	return true;
}

json_t *krl_convert_targets(struct krl_conversion *c, yaml_node_t *spec)
{
	yaml_node_t *ref = krl_convert_get(c, spec, "targetRef"),
		    *refs = krl_convert_get(c, spec, "targetRefs");
	yaml_node_t *selectors = krl_convert_get(c, spec, "targetSelectors");
	json_t *services = json_array();
	size_t i, len, item;
	bool good = true;

	if (ref) {
		len = krl_convert_enter(c, "targetRef");
		good &= add_target(c, ref, services);
		krl_convert_leave(c, len);
	}
	len = krl_convert_enter(c, "targetRefs");
	for (i = 0; i < krl_convert_count(c, refs); i++) {
		item = krl_convert_enter_item(c, i);
		good &= add_target(c, krl_convert_item(c, refs, i), services);
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
	if (good && !json_array_size(services))
		krl_convert_note(c, spec, "there is no target, spec.service is to be filled in");
	/* Some of several targets would be taken for all of them. */
	if (!good)
		json_array_clear(services);
	return services;
}
