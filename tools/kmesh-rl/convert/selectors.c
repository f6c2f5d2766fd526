// SPDX-License-Identifier: Apache-2.0
/* Conditions, checked as far as the agent would refuse the whole document for one of them. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <kmesh_rl/policy.h>

#include "agent/policy/decode.h"
#include "conversion.h"

#define ANY_V4 "0.0.0.0/0"
#define ANY_V6 "::/0"

/* Elsewhere each IPv6 address is a client of its own. */
#define WHOLE_V6 128

bool krl_convert_is_read(struct krl_conversion *c, const yaml_node_t *node, const char *field,
			 json_t *value, const char *part)
{
	json_t *json = json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:[{s:s, s:o}]}}", "apiVersion",
				 "kmesh.net/v1alpha1", "kind", "RateLimit", "metadata", "name",
				 "check", "spec", "service", "check", "rules", "limit", "1/second",
				 field, value);
	char *text = json_dumps(json, JSON_COMPACT), *said;
	struct krl_decoded_file file = {};
	struct krl_diags diags = {};
	bool good;

	if (!text || krl_decode("check", text, strlen(text), &file, &diags))
		c->no_memory = true;
	good = !diags.count;
	if (!good) {
		said = strstr(diags.lines[0], part);
		said = said ? strstr(said, ": ") : NULL;
		krl_convert_drop(c, node, "%s", said ? said + 2 : diags.lines[0]);
	}
	json_decref(json);
	free(text);
	krl_decoded_file_clear(&file);
	krl_diags_clear(&diags);
	return good;
}

/* Would the agent read the conditions of @match? Says at @node what it would complain about. */
static bool check(struct krl_conversion *c, const yaml_node_t *node,
		  const struct krl_convert_match *match)
{
	return krl_convert_is_read(c, node, "clientSelectors", json_pack("[O]", match->entry),
				   "clientSelectors[0]");
}

/* The list @key of the entry of @match, made when it is not there. */
static json_t *list_of(struct krl_conversion *c, struct krl_convert_match *match, const char *key)
{
	if (!match->entry)
		match->entry = json_object();
	if (!json_object_get(match->entry, key))
		krl_convert_put(c, match->entry, key, json_array());
	return json_object_get(match->entry, key);
}

/* The mapping @key of the entry of @match; NULL when it is there already, or without memory. */
static json_t *new_condition(struct krl_conversion *c, struct krl_convert_match *match,
			     const char *key)
{
	if (!match->entry)
		match->entry = json_object();
	if (json_object_get(match->entry, key))
		return NULL;
	krl_convert_put(c, match->entry, key, json_object());
	return json_object_get(match->entry, key);
}

bool krl_convert_add_header(struct krl_conversion *c, const yaml_node_t *node,
			    struct krl_convert_match *match, const char *name, const char *type,
			    const char *value, bool invert)
{
	json_t *header;

	header = json_object();
	krl_convert_put(c, header, "name", json_string(name));
	krl_convert_put(c, header, "type", json_string(type));
	if (value)
		krl_convert_put(c, header, "value", json_string(value));
	if (invert)
		krl_convert_put(c, header, "invert", json_true());
	krl_convert_push(c, list_of(c, match, "headers"), header);
	return check(c, node, match);
}

bool krl_convert_add_path(struct krl_conversion *c, const yaml_node_t *node,
			  struct krl_convert_match *match, const char *type, const char *value)
{
	json_t *path;

	path = new_condition(c, match, "path");
	if (!path)
		return krl_convert_drop(c, node, "a rule can have one path");
	krl_convert_put(c, path, "type", json_string(type));
	if (value)
		krl_convert_put(c, path, "value", json_string(value));
	return check(c, node, match);
}

bool krl_convert_add_method(struct krl_conversion *c, const yaml_node_t *node,
			    struct krl_convert_match *match, const char *method)
{
	krl_convert_push(c, list_of(c, match, "methods"), json_string(method));
	return check(c, node, match);
}

bool krl_convert_add_source(struct krl_conversion *c, const yaml_node_t *node,
			    struct krl_convert_match *match, const char *value, bool distinct)
{
	json_t *source = new_condition(c, match, "sourceCIDR");

	if (!source)
		return krl_convert_drop(c, node, "a rule can have one source");
	match->any_source = !value;
	krl_convert_put(c, source, "value", json_string(value ? value : ANY_V4));
	krl_convert_put(c, source, "type", json_string(distinct ? "Distinct" : "Exact"));
	if (distinct && value && strchr(value, ':'))
		krl_convert_put(c, source, "prefixLength", json_integer(WHOLE_V6));
	if (!check(c, node, match))
		return false;
	if (krl_convert_first(c, "\nsource"))
		krl_convert_note(
			c, node,
			"the client is the peer of the connection here, set spec.clientIP if "
			"that is a proxy");
	return true;
}

json_t *krl_convert_selectors(struct krl_conversion *c, struct krl_convert_match *match)
{
	json_t *selectors, *other;

	if (!match->entry)
		return NULL;
	selectors = json_array();
	other = match->any_source ? json_deep_copy(match->entry) : NULL;
	krl_convert_push(c, selectors, match->entry);
	if (match->any_source) {
		krl_convert_put(c, json_object_get(other, "sourceCIDR"), "value",
				json_string(ANY_V6));
		krl_convert_put(c, json_object_get(other, "sourceCIDR"), "prefixLength",
				json_integer(WHOLE_V6));
		krl_convert_push(c, selectors, other);
	}
	*match = (struct krl_convert_match){};
	return selectors;
}

void krl_convert_share(struct krl_conversion *c, json_t *selectors)
{
	json_t *entry, *header, *source, *path;
	const char *type;
	size_t i, h;

	json_array_foreach(selectors, i, entry)
	{
		source = json_object_get(entry, "sourceCIDR");
		if (source) {
			krl_convert_put(c, source, "type", json_string("Exact"));
			json_object_del(source, "prefixLength");
		}
		path = json_object_get(entry, "path");
		type = json_string_value(json_object_get(path, "type"));
		if (type && !strcmp(type, "Distinct")) {
			krl_convert_put(c, path, "type", json_string("PathPrefix"));
			krl_convert_put(c, path, "value", json_string("/"));
		}
		json_array_foreach(
			json_object_get(entry, "headers"), h,
			header) if (!strcmp(json_string_value(json_object_get(header, "type")),
					    "Distinct"))
			krl_convert_put(c, header, "type", json_string("Present"));
	}
}

/* What Envoy says of a route, and not of a request. */
static bool is_of_envoy(const char *key)
{
	return !strcmp(key, "generic_key") || !strcmp(key, "source_cluster") ||
	       !strcmp(key, "destination_cluster") || !strcmp(key, "masked_remote_address");
}

/* The value of the header field @name. */
static bool add_value(struct krl_conversion *c, const yaml_node_t *node, const char *name,
		      const char *value, bool wildcards, bool shared,
		      struct krl_convert_match *match)
{
	const char *star = value && wildcards ? strchr(value, '*') : NULL;
	char prefix[KRL_VALUE_BYTES + 1];

	if (!value)
		return krl_convert_add_header(c, node, match, name, "Distinct", NULL, false);
	if (!star)
		return krl_convert_add_header(c, node, match, name, "Exact", value, false);
	if (star[1])
		return krl_convert_drop(c, node, "* before the end of a value has no counterpart");
	if (star == value && shared)
		return krl_convert_add_header(c, node, match, name, "Present", NULL, false);
	if (star - value > KRL_VALUE_BYTES)
		return krl_convert_drop(c, node, "values are at most %d bytes", KRL_VALUE_BYTES);
	snprintf(prefix, sizeof(prefix), "%.*s", (int)(star - value), value);
	if (star != value && !krl_convert_add_header(c, node, match, name, "Prefix", prefix, false))
		return false;
	return shared || krl_convert_add_header(c, node, match, name, "Distinct", NULL, false);
}

/* Envoy's :path has the query. */
static bool add_envoy_path(struct krl_conversion *c, const yaml_node_t *node, const char *value,
			   bool wildcards, struct krl_convert_match *match)
{
	if (value && wildcards && strchr(value, '*'))
		return krl_convert_drop(c, node, "* in a path has no counterpart");
	if (value && strchr(value, '?'))
		return krl_convert_drop(c, node, "the query is not part of a path here");
	if (krl_convert_first(c, ":path"))
		krl_convert_note(c, node,
				 "Envoy compares the path and its query: here the path counts with any query");
	return krl_convert_add_path(c, node, match, value ? "Exact" : "Distinct", value);
}

bool krl_convert_descriptor(struct krl_conversion *c, yaml_node_t *node, const char *key,
			    const char *value, bool wildcards, bool shared,
			    struct krl_convert_match *match)
{
	json_t *known = json_object_get(c->headers, key);
	const char *name = known ? json_string_value(known) : key;

	if (!known && !strcmp(key, "remote_address"))
		return krl_convert_add_source(c, node, match, value, !value);
	if (!known && !strcmp(key, "masked_remote_address") && value)
		return krl_convert_add_source(c, node, match, value, false);
	if (!name || (!known && is_of_envoy(key)))
		return krl_convert_drop(
			c, node, "%.80s is not of the request but of Envoy's configuration", key);
	if (!known && !strcasecmp(key, "path")) {
		name = ":path";
		if (krl_convert_first(c, key))
			krl_convert_note(c, node,
					 "%.80s is taken for the path, which one it is stands in "
					 "Envoy's rate_limits actions",
					 key);
	}
	if (!strcmp(name, ":path"))
		return add_envoy_path(c, node, value, wildcards, match);
	if (!strcmp(name, ":method") && value)
		return krl_convert_add_method(c, node, match, value);
	if (!known && krl_convert_first(c, key))
		krl_convert_note(
			c, node,
			"%.80s is taken for the header field of this name, which one it is "
			"stands in Envoy's rate_limits actions",
			key);
	return add_value(c, node, name, value, wildcards, shared, match);
}
