// SPDX-License-Identifier: Apache-2.0
/* RateLimit documents, as the agent reads them. */
#include <stdlib.h>
#include <string.h>

#include "conversion.h"
#include "tools/kmesh-rl/table.h"

#define MAX_NAMESPACE 63
#define MAX_NAME 240 /* leaves room for a number, of the 255 that a name may have */

void krl_convert_put(struct krl_conversion *c, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value))
		c->no_memory = true;
}

void krl_convert_push(struct krl_conversion *c, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value))
		c->no_memory = true;
}

static const struct {
	const char *name;
	__u64 s;
} units[] = {
	{ "Second", 1 },       { "Minute", 60 },	{ "Hour", 3600 },	 { "Day", 86400 },
	{ "Week", 7 * 86400 }, { "Month", 30 * 86400 }, { "Year", 365 * 86400 },
};

static void put_settings(struct krl_conversion *c, json_t *json,
			 const struct krl_convert_rule *rule)
{
	const struct krl_settings *s = &rule->settings;
	char interval[KRL_INTERVAL_BYTES];
	json_t *limit;
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(*units) && !rule->token_bucket; i++) {
		if (s->fill_interval_ns != units[i].s * 1000000000ULL)
			continue;
		limit = json_object();
		krl_convert_put(c, limit, "requests", json_integer((json_int_t)s->tokens_per_fill));
		krl_convert_put(c, limit, "unit", json_string(units[i].name));
		if (s->max_tokens != s->tokens_per_fill)
			krl_convert_put(c, limit, "burst", json_integer((json_int_t)s->max_tokens));
		krl_convert_put(c, json, "limit", limit);
		return;
	}
	krl_table_interval(s->fill_interval_ns, interval);
	krl_convert_put(c, json, "maxTokens", json_integer((json_int_t)s->max_tokens));
	krl_convert_put(c, json, "tokensPerFill", json_integer((json_int_t)s->tokens_per_fill));
	krl_convert_put(c, json, "fillInterval", json_string(interval));
}

static json_t *rules_json(struct krl_conversion *c, const struct krl_convert_limit *limit)
{
	json_t *rules = json_array(), *json;
	size_t i;

	for (i = 0; i < limit->count; i++) {
		const struct krl_convert_rule *rule = &limit->rules[i];

		json = json_object();
		krl_convert_put(c, json, "name", json_string(rule->name));
		if (rule->selectors)
			krl_convert_put(c, json, "clientSelectors", json_incref(rule->selectors));
		put_settings(c, json, rule);
		if (limit->cluster && !rule->unlimited)
			krl_convert_put(c, json, "scope", json_string("Cluster"));
		if (rule->shadow)
			krl_convert_put(c, json, "mode", json_string("Shadow"));
		if (limit->response)
			krl_convert_put(c, json, "response", json_incref(limit->response));
		krl_convert_push(c, rules, json);
	}
	return rules;
}

/* @text as a DNS-1123 subdomain of at most @max bytes, which may be empty. */
static void dns_name(const char *text, size_t max, char *ret)
{
	size_t len = 0;
	char last;

	for (; *text && len < max; text++) {
		last = len ? ret[len - 1] : '.';
		if ((*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9'))
			ret[len++] = *text;
		else if (*text >= 'A' && *text <= 'Z')
			ret[len++] = (char)(*text | 0x20);
		else if (last == '.' || (last == '-' && *text == '.'))
			continue;
		else
			ret[len++] = *text == '.' ? '.' : '-';
	}
	while (len && (ret[len - 1] == '-' || ret[len - 1] == '.'))
		len--;
	ret[len] = '\0';
}

/* Who the document is: no other one of the result is called the same. */
static json_t *metadata_json(struct krl_conversion *c, const struct krl_convert_limit *limit)
{
	char name[MAX_NAME + 1], ns[MAX_NAMESPACE + 1] = "", unique[MAX_NAME + 16],
						    key[sizeof(unique) + sizeof(ns)];
	json_t *metadata = json_object();
	size_t number = 1;

	dns_name(limit->name ? limit->name : "", MAX_NAME, name);
	if (limit->ns)
		dns_name(limit->ns, MAX_NAMESPACE, ns);
	if (!*name)
		snprintf(name, sizeof(name), "converted");
	snprintf(unique, sizeof(unique), "%s", name);
	for (;;) {
		snprintf(key, sizeof(key), "%s/%s", *ns ? ns : "default", unique);
		if (!json_object_get(c->names, key))
			break;
		snprintf(unique, sizeof(unique), "%s-%zu", name, ++number);
	}
	krl_convert_put(c, c->names, key, json_true());
	krl_convert_put(c, metadata, "name", json_string(unique));
	if (*ns)
		krl_convert_put(c, metadata, "namespace", json_string(ns));
	return metadata;
}

/* The name that @target, a service or a reference to one, has. */
static json_t *name_of(const json_t *target)
{
	return json_incref(json_is_object(target) ? json_object_get(target, "name") : (json_t *)target);
}

/* Each with @rules. A port by its number is in no reference. */
static json_t *services_json(struct krl_conversion *c, const struct krl_convert_limit *limit, const json_t *rules)
{
	json_t *services = json_array(), *service, *target;
	size_t i;

	json_array_foreach(limit->targets, i, target)
	{
		service = json_object();
		krl_convert_put(c, service, "name", name_of(target));
		krl_convert_put(c, service, "port", json_integer(limit->port));
		krl_convert_put(c, service, "rules", json_deep_copy(rules));
		krl_convert_push(c, services, service);
	}
	return services;
}

static json_t *spec_json(struct krl_conversion *c, const struct krl_convert_limit *limit)
{
	json_t *spec = json_object(), *rules = rules_json(c, limit);
	json_t *first = json_array_get(limit->targets, 0);
	bool several = limit->port && json_array_size(limit->targets) > 1;

	if (json_is_object(first) && !limit->port) {
		krl_convert_put(c, spec, "targetRefs", json_incref(limit->targets));
	} else if (!several) {
		krl_convert_put(c, spec, "service", first ? name_of(first) : json_string(KRL_CONVERT_FILL_IN));
		if (limit->port)
			krl_convert_put(c, spec, "port", json_integer(limit->port));
	}
	if (limit->rule_match)
		krl_convert_put(c, spec, "ruleMatch", json_string(limit->rule_match));
	if (limit->headers) {
		krl_convert_put(c, spec, "responseHeaders", json_string("Always"));
		krl_convert_put(c, spec, "headerStyle", json_string("Envoy"));
	}
	if (several) {
		krl_convert_put(c, spec, "services", services_json(c, limit, rules));
		json_decref(rules);
	} else {
		krl_convert_put(c, spec, "rules", rules);
	}
	return spec;
}

void krl_convert_finish(struct krl_conversion *c, struct krl_convert_limit *limit)
{
	json_t *document;
	size_t i;

	if (limit->count) {
		document = json_object();
		krl_convert_put(c, document, "apiVersion", json_string("kmesh.net/v1alpha1"));
		krl_convert_put(c, document, "kind", json_string("RateLimit"));
		krl_convert_put(c, document, "metadata", metadata_json(c, limit));
		krl_convert_put(c, document, "spec", spec_json(c, limit));
		krl_convert_push(c, c->limits, document);
	}
	for (i = 0; i < limit->count; i++)
		json_decref(limit->rules[i].selectors);
	free(limit->rules);
	json_decref(limit->response);
	limit->response = NULL;
	limit->rules = NULL;
	limit->count = 0;
	limit->rule_match = NULL;
}
