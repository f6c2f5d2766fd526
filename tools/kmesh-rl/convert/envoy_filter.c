// SPDX-License-Identifier: Apache-2.0
/* EnvoyFilter of Istio and Kmesh: patches that hold the configuration of Envoy's local_ratelimit
 * filter, for a whole listener or for a route, anywhere in them. */
#include <string.h>

#include "conversion.h"

#define FILTER "envoy.filters.http.local_ratelimit"
#define TYPE "envoy.extensions.filters.http.local_ratelimit."

/* Remember which header field is behind each descriptor key, as far as actions in the document
 * tell; null for keys that stand for something else. */
static void learn_headers(struct krl_conversion *c, yaml_node_t *node)
{
	yaml_node_t *key = krl_convert_get(c, node, "descriptor_key");
	yaml_node_t *name = krl_convert_get(c, node, "header_name");
	yaml_node_pair_t *pair;
	size_t i;

	if (node->type == YAML_SEQUENCE_NODE)
		for (i = 0; i < krl_convert_count(c, node); i++)
			learn_headers(c, krl_convert_item(c, node, i));
	if (node->type != YAML_MAPPING_NODE)
		return;
	if (key && krl_node_text(key))
		krl_convert_put(c, c->headers, krl_node_text(key),
				name && krl_node_text(name) ? json_string(krl_node_text(name))
							    : json_null());
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++)
		learn_headers(c, yaml_document_get_node(c->at.document, pair->value));
}

static bool has_type(struct krl_conversion *c, yaml_node_t *node)
{
	yaml_node_t *type = krl_convert_get(c, node, "type_url");

	if (!type)
		type = krl_convert_get(c, node, "@type");
	return type && krl_node_text(type) && strstr(krl_node_text(type), TYPE);
}

/* Convert the configurations of the filter in @node and below it, which their type tells, or the
 * name that @node is @named by; only count them without @target. Returns how many there are. */
static size_t find_configs(struct krl_conversion *c, yaml_node_t *node, bool named,
			   const struct krl_convert_limit *target)
{
	yaml_node_t *value = krl_convert_get(c, node, "value"), *key;
	bool is_filter = krl_convert_is(krl_convert_get(c, node, "name"), FILTER);
	yaml_node_pair_t *pair;
	size_t len, i, found = 0;
	const char *name;

	if (node->type == YAML_SEQUENCE_NODE)
		for (i = 0; i < krl_convert_count(c, node); i++) {
			len = krl_convert_enter_item(c, i);
			found += find_configs(c, krl_convert_item(c, node, i), false, target);
			krl_convert_leave(c, len);
		}
	if (node->type != YAML_MAPPING_NODE)
		return found;
	if (named || has_type(c, node)) {
		bool typed_struct = value && value->type == YAML_MAPPING_NODE;

		len = strlen(c->at.path);
		if (typed_struct)
			krl_convert_enter(c, "value");
		if (target)
			krl_convert_local_ratelimit(c, typed_struct ? value : node, target);
		krl_convert_leave(c, len);
		return 1;
	}
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		key = yaml_document_get_node(c->at.document, pair->key);
		name = krl_node_text(key);
		named = krl_convert_is(key, FILTER) || (is_filter && name && strstr(name, "onfig"));
		len = krl_convert_enter(c, name ? name : "?");
		found += find_configs(c, yaml_document_get_node(c->at.document, pair->value), named,
				      target);
		krl_convert_leave(c, len);
	}
	return found;
}

/* Parts of a match that choose some of the requests of a workload. */
static const char *const narrowing[] = {
	"proxy",
	"cluster",
	"listener.name",
	"listener.portNumber",
	"listener.filterChain.name",
	"listener.filterChain.sni",
	"listener.filterChain.destinationPort",
	"listener.filterChain.applicationProtocols",
	"routeConfiguration.name",
	"routeConfiguration.gateway",
	"routeConfiguration.portNumber",
	"routeConfiguration.portName",
	"routeConfiguration.vhost.name",
	"routeConfiguration.vhost.route.name",
};

/* The field of @node that @path, names with dots between them, leads to; NULL when there is
 * none. */
static yaml_node_t *follow(struct krl_conversion *c, yaml_node_t *node, const char *path)
{
	char names[64], *name, *rest = names;

	snprintf(names, sizeof(names), "%s", path);
	while (node && (name = strsep(&rest, ".")))
		node = krl_convert_get(c, node, name);
	return node;
}

/* "inbound|http|PORT", as Istio calls what it makes of a port of a service. */
static bool read_inbound(const yaml_node_t *node, unsigned int *ret_port)
{
	const char *text = krl_node_text(node);
	unsigned int port;
	int end = 0;

	if (!text || sscanf(text, "inbound|http|%5u%n", &port, &end) != 1 || text[end] || !port ||
	    port > 65535)
		return false;
	*ret_port = port;
	return true;
}

/* What a patch is for. What only a user can tell takes the service out of @limit: without the line
 * having been read it limits nobody, instead of more than before. */
static void read_match(struct krl_conversion *c, yaml_node_t *match,
		       struct krl_convert_limit *limit)
{
	yaml_node_t *context = krl_convert_get(c, match, "context"), *node;
	size_t len = krl_convert_enter(c, "match"), inner, i;

	if (!krl_convert_is(context, "SIDECAR_INBOUND") && !krl_convert_is(context, "ANY") &&
	    context) {
		inner = krl_convert_enter(c, "context");
		krl_convert_note(c, context,
				 "requests are counted where they are answered, spec.service is to "
				 "be filled in");
		krl_convert_leave(c, inner);
		limit->targets = NULL;
	}
	for (i = 0; i < sizeof(narrowing) / sizeof(*narrowing); i++) {
		node = follow(c, match, narrowing[i]);
		if (!node || read_inbound(node, &limit->port) || krl_convert_is(node, "default"))
			continue;
		inner = krl_convert_enter(c, narrowing[i]);
		krl_convert_note(
			c, node,
			"has no counterpart, spec.service is to be filled in, and a port or "
			"path if it has others");
		krl_convert_leave(c, inner);
		limit->targets = NULL;
	}
	krl_convert_leave(c, len);
}

static void convert_patch(struct krl_conversion *c, yaml_node_t *node,
			  struct krl_convert_limit limit)
{
	static const char *const names[] = { "applyTo", "match", "patch", NULL };
	yaml_node_t *v[3], *value;
	size_t len;

	krl_convert_fields(c, node, names, false, v);
	if (node->type != YAML_MAPPING_NODE)
		return;
	value = krl_convert_get(c, v[2], "value");
	if (!value || krl_convert_is(krl_convert_get(c, v[2], "operation"), "REMOVE")) {
		krl_convert_note(c, node, "adds no rate limit, it is left out");
		return;
	}
	if (!find_configs(c, value, false, NULL)) {
		/* Actions have told their header fields. */
		if (!krl_convert_get(c, value, "rate_limits") &&
		    !follow(c, value, "route.rate_limits"))
			krl_convert_note(c, node, "holds no " FILTER ", it is left out");
		return;
	}
	read_match(c, v[1], &limit);
	len = krl_convert_enter(c, "patch");
	krl_convert_enter(c, "value");
	find_configs(c, value, false, &limit);
	krl_convert_leave(c, len);
}

/* The service of a workload, by the label that names both where people keep to that; empty, with a
 * line, where more or other labels choose the workload. */
static json_t *read_workload(struct krl_conversion *c, yaml_node_t *spec)
{
	yaml_node_t *selector = krl_convert_get(c, spec, "workloadSelector");
	yaml_node_t *labels = krl_convert_get(c, selector, "labels"),
		    *app = krl_convert_get(c, labels, "app");
	json_t *services;
	size_t len;

	if (!selector)
		return krl_convert_targets(c, spec);
	services = json_array();
	len = krl_convert_enter(c, "workloadSelector");
	if (app && krl_node_text(app) && *krl_node_text(app) && strlen(krl_node_text(app)) < 64 && !strchr(krl_node_text(app), ':') &&
	    labels->data.mapping.pairs.top - labels->data.mapping.pairs.start == 1) {
		krl_convert_push(c, services, json_string(krl_node_text(app)));
		krl_convert_note(c, selector,
				 "labels choose pods, taken for those of the service %s",
				 krl_node_text(app));
	} else {
		krl_convert_note(c, selector,
				 "labels choose pods, spec.service is to be filled in");
	}
	krl_convert_leave(c, len);
	return services;
}

void krl_convert_envoy_filter(struct krl_conversion *c, yaml_node_t *root)
{
	static const char *const names[] = { "workloadSelector", "targetRefs", "configPatches",
					     "priority", NULL };
	yaml_node_t *metadata = krl_convert_get(c, root, "metadata"),
		    *spec = krl_convert_get(c, root, "spec");
	yaml_node_t *name = krl_convert_get(c, metadata, "name"),
		    *ns = krl_convert_get(c, metadata, "namespace");
	struct krl_convert_limit limit = { .name = name ? krl_node_text(name) : NULL,
					   .ns = ns ? krl_node_text(ns) : NULL };
	size_t len, item, i;
	yaml_node_t *v[4];

	if (!spec || spec->type != YAML_MAPPING_NODE) {
		krl_convert_note(c, root, "spec is missing");
		return;
	}
	len = krl_convert_enter(c, "spec");
	krl_convert_fields(c, spec, names, false, v);
	learn_headers(c, spec);
	limit.targets = read_workload(c, spec);
	krl_convert_enter(c, "configPatches");
	for (i = 0; i < krl_convert_count(c, v[2]); i++) {
		item = krl_convert_enter_item(c, i);
		convert_patch(c, krl_convert_item(c, v[2], i), limit);
		krl_convert_leave(c, item);
	}
	krl_convert_leave(c, len);
	json_decref(limit.targets);
}
