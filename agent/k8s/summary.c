// SPDX-License-Identifier: Apache-2.0
#include "summary.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/policy/diag.h"

#define PART_BYTES 96
#define MORE ", ..."

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* Is @part one of those in @list already? */
static bool has_part(const char *list, const char *part)
{
	size_t len = strlen(part);
	const char *at = list;

	while ((at = strstr(at, part))) {
		if ((at == list || at[-1] == ' ') && (!at[len] || at[len] == ','))
			return true;
		at += len;
	}
	return false;
}

static void add(char list[KRL_SUMMARY_BYTES], const char *part)
{
	size_t len = strlen(list);

	if (!*part || has_part(list, part) || (len >= strlen(MORE) && !strcmp(list + len - strlen(MORE), MORE)))
		return;
	if (len + strlen(", ") + strlen(part) + strlen(MORE) >= KRL_SUMMARY_BYTES)
		part = len ? "..." : "";
	snprintf(list + len, KRL_SUMMARY_BYTES - len, "%s%s", len ? ", " : "", part);
}

/* The service under @key of @target, with its port, number or name, under @port_key. */
static void add_service(char list[KRL_SUMMARY_BYTES], const json_t *target, const char *key, const char *port_key)
{
	const char *name = text_of(target, key), *port_name = text_of(target, port_key);
	long long port = number_of(target, port_key);
	char part[KRL_SUMMARY_BYTES];

	if (port && *name)
		snprintf(part, sizeof(part), "%s:%lld", name, port);
	else if (*port_name && *name)
		snprintf(part, sizeof(part), "%s:%s", name, port_name);
	else
		snprintf(part, sizeof(part), "%s", name);
	add(list, part);
}

void krl_summary_service(const json_t *spec, char ret[KRL_SUMMARY_BYTES])
{
	char part[KRL_SUMMARY_BYTES];
	const json_t *item;
	size_t i;

	*ret = '\0';
	add_service(ret, spec, "service", "port");
	json_array_foreach(json_object_get(spec, "services"), i, item)
		add_service(ret, item, "name", "port");
	json_array_foreach(json_object_get(spec, "targetRefs"), i, item)
		add_service(ret, item, "name", "sectionName");
	json_array_foreach(json_object_get(spec, "endpoints"), i, item) {
		const char *ip = text_of(item, "ip");
		bool v6 = strchr(ip, ':');

		snprintf(part, sizeof(part), "%s%s%s:%lld", v6 ? "[" : "", ip, v6 ? "]" : "",
			 number_of(item, "port"));
		add(ret, *ip ? part : "");
	}
	krl_make_printable(ret);
}

/* "10/minute", of the mapping @limit, and what the bucket holds where that is another number, 0: it is not. */
static void limit_text(const json_t *limit, char ret[PART_BYTES], long long *ret_burst)
{
	long long fill = number_of(limit, "requests");

	fill = fill ? fill : number_of(limit, "tokens");
	*ret_burst = number_of(limit, "burst");
	snprintf(ret, PART_BYTES, "%lld/%s", fill, text_of(limit, "unit"));
}

/* The same of the three fields of @rule. */
static void fill_text(const json_t *rule, char ret[PART_BYTES], long long *ret_burst)
{
	const json_t *interval = json_object_get(rule, "fillInterval");
	long long fill = number_of(rule, "tokensPerFill");

	*ret_burst = number_of(rule, "maxTokens") != fill ? number_of(rule, "maxTokens") : 0;
	if (json_is_integer(interval))
		snprintf(ret, PART_BYTES, "%lld per %lldns", fill, (long long)json_integer_value(interval));
	else
		snprintf(ret, PART_BYTES, "%lld per %s", fill, text_of(rule, "fillInterval"));
}

static void add_limit(char list[KRL_SUMMARY_BYTES], const json_t *rule)
{
	const json_t *limit = json_object_get(rule, "limit");
	char part[PART_BYTES] = "";
	long long burst = 0;
	size_t len;

	if (json_is_string(limit))
		snprintf(part, sizeof(part), "%s", json_string_value(limit));
	else if (json_is_object(limit))
		limit_text(limit, part, &burst);
	else if (number_of(rule, "maxTokens"))
		fill_text(rule, part, &burst);
	len = strlen(part);
	if (burst)
		snprintf(part + len, sizeof(part) - len, " (burst %lld)", burst);
	add(list, part);
	if (!number_of(rule, "maxConnections"))
		return;
	snprintf(part, sizeof(part), "%lld open", number_of(rule, "maxConnections"));
	add(list, part);
}

static void add_limits(char list[KRL_SUMMARY_BYTES], const json_t *target)
{
	const json_t *rule;
	size_t i;

	json_array_foreach(json_object_get(target, "rules"), i, rule)
		add_limit(list, rule);
}

void krl_summary_limit(const json_t *spec, char ret[KRL_SUMMARY_BYTES])
{
	const json_t *item;
	size_t i;

	*ret = '\0';
	add_limits(ret, spec);
	json_array_foreach(json_object_get(spec, "services"), i, item)
		add_limits(ret, item);
	krl_make_printable(ret);
}
