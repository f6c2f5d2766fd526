// SPDX-License-Identifier: Apache-2.0
#include "describe_view.h"

#include <errno.h>
#include <string.h>

#include "colour.h"
#include "events_view.h"
#include "table.h"

#define LABEL_WIDTH 16

static const struct krl_column rule_columns[] = {
	{ "TARGET", "target", KRL_COLUMN_TEXT, false },
	{ "RULE", "name", KRL_COLUMN_TEXT, false },
	{ "LIMIT", "limit", KRL_COLUMN_TEXT, false },
	{ "COUNTS", "count", KRL_COLUMN_TEXT, false },
	{ "MODE", "mode", KRL_COLUMN_WORD, false },
	{ "NOW", "inForce", KRL_COLUMN_YES, false },
	{ "FOR", "for", KRL_COLUMN_TEXT, false },
};

static const struct krl_column condition_columns[] = {
	{ "TYPE", "type", KRL_COLUMN_TEXT, false },
	{ "STATUS", "status", KRL_COLUMN_WORD, false },
	{ "REASON", "reason", KRL_COLUMN_TEXT, false },
	{ "MESSAGE", "message", KRL_COLUMN_TEXT, false },
};

static const struct krl_column statistics_columns[] = {
	{ "SERVICE", "service", KRL_COLUMN_TEXT, false },
	{ "RULE", "rule", KRL_COLUMN_TEXT, false },
	{ "LIMIT", "limit", KRL_COLUMN_TEXT, false },
	{ "AVAILABLE", "availableTokens", KRL_COLUMN_NUMBER, false },
	{ "TOTAL", "totalRequests", KRL_COLUMN_NUMBER, false },
	{ "LIMITED", "rateLimitedRequests", KRL_COLUMN_NUMBER, false },
	{ "REJECTED", "rejectedRatio", KRL_COLUMN_SHARE, false },
	{ "SHADOWED", "shadowLimitedRequests", KRL_COLUMN_NUMBER, false },
	{ "BUCKETS", "buckets", KRL_COLUMN_NUMBER, false },
};

static const struct krl_column bucket_columns[] = {
	{ "RULE", "rule", KRL_COLUMN_TEXT, false },
	{ "VALUE", "value", KRL_COLUMN_TEXT, false },
	{ "AVAILABLE", "availableTokens", KRL_COLUMN_NUMBER, false },
	{ "LIMIT", "limit", KRL_COLUMN_TEXT, false },
	{ "ENDPOINT", "endpoint", KRL_COLUMN_TEXT, false },
};

static const struct krl_column event_columns[] = {
	{ "TYPE", "type", KRL_COLUMN_WORD, false },
	{ "REASON", "reason", KRL_COLUMN_TEXT, false },
	{ "AGE", "lastTimestamp", KRL_COLUMN_AGE, false },
	{ "COUNT", "count", KRL_COLUMN_NUMBER, false },
	{ "MESSAGE", "message", KRL_COLUMN_TEXT, false },
};

#define COUNT(columns) (sizeof(columns) / sizeof(*(columns)))

static void label(const char *name, FILE *out)
{
	char text[LABEL_WIDTH + 2];

	snprintf(text, sizeof(text), "%s:", name);
	krl_colour_print(out, KRL_COLOUR_TITLE, text);
	fprintf(out, "%*s", LABEL_WIDTH - (int)strlen(text), "");
}

static void print_field(const char *name, const json_t *object, const char *field, FILE *out)
{
	const struct krl_column column = { name, field, KRL_COLUMN_TEXT, false };
	char buffer[KRL_INTERVAL_BYTES];
	const char *text = krl_column_cell(object, &column, buffer);

	label(name, out);
	fprintf(out, "%s\n", *text ? text : "<none>");
}

/* The table of @items below @name, or that there are none. */
static int print_table(const char *name, const struct krl_column *columns, size_t count, const json_t *items, FILE *out)
{
	label(name, out);
	if (!json_array_size(items)) {
		fputs("<none>\n", out);
		return 0;
	}
	fputc('\n', out);
	return krl_table_print_below(columns, count, items, out);
}

/* The requests of late that were limited. */
static int print_limited(const json_t *items, FILE *out)
{
	label("Last Limited", out);
	if (!json_array_size(items)) {
		fputs(items ? "<none>\n" : "<unknown>\n", out);
		return 0;
	}
	fputc('\n', out);
	return krl_events_print_below(items, out);
}

static json_t *joined(const json_t *words, const char *joint)
{
	json_t *text = json_string(""), *next;
	const json_t *word;
	size_t i;

	json_array_foreach(words, i, word) {
		next = json_sprintf("%s%s%s", json_string_value(text), i ? joint : "", json_string_value(word));
		json_decref(text);
		text = next;
	}
	return text;
}

/* The rules of all targets of @spec, for the table. */
static json_t *rules_of(const json_t *spec)
{
	json_t *rules = json_array(), *row;
	const json_t *target, *rule;
	size_t i, k;

	json_array_foreach(json_object_get(spec, "targets"), i, target) {
		json_array_foreach(json_object_get(target, "rules"), k, rule) {
			row = json_copy((json_t *)rule);
			if (json_object_get(target, "service"))
				json_object_set(row, "target", json_object_get(target, "service"));
			else
				json_object_set_new(row, "target", joined(json_object_get(target, "endpoints"), ", "));
			json_object_set_new(row, "for", json_array_size(json_object_get(rule, "selectors"))
							? joined(json_object_get(rule, "selectors"), "; or ")
							: json_string("all"));
			json_array_append_new(rules, row);
		}
	}
	return rules;
}

static int print_spec(const json_t *spec, FILE *out)
{
	const json_t *client = json_object_get(spec, "clientIP");
	json_t *rules;
	int err;

	if (!spec)
		return 0;
	print_field("Direction", spec, "direction", out);
	print_field("Rule Match", spec, "ruleMatch", out);
	print_field("Failure Policy", spec, "failurePolicy", out);
	if (json_is_true(json_object_get(spec, "redact"))) {
		label("Redact", out);
		fputs("values of headers, and paths, that pick buckets\n", out);
	}
	label("Client IP", out);
	if (client)
		fprintf(out, "header %s, address %" JSON_INTEGER_FORMAT " from the right\n",
			json_string_value(json_object_get(client, "header")),
			json_integer_value(json_object_get(client, "trustedHops")));
	else
		fputs("the peer\n", out);
	rules = rules_of(spec);
	err = rules ? print_table("Rules", rule_columns, COUNT(rule_columns), rules, out) : -ENOMEM;
	json_decref(rules);
	return err;
}

static void print_endpoints(const json_t *limit, FILE *out)
{
	const json_t *addresses = json_object_get(limit, "addresses");
	json_int_t count = json_integer_value(json_object_get(limit, "endpoints"));
	json_t *text = joined(addresses, ", ");

	label("Endpoints", out);
	if (!json_is_integer(json_object_get(limit, "endpoints")))
		fputs("<unknown>\n", out);
	else if (!count)
		fputs("<none>\n", out);
	else
		fprintf(out, "%s%s (%" JSON_INTEGER_FORMAT " in all)\n", json_string_value(text),
			(size_t)count > json_array_size(addresses) ? ", ..." : "", count);
	json_decref(text);
}

static void print_age(const json_t *limit, FILE *out)
{
	static const struct krl_column column = { "Age", "creationTimestamp", KRL_COLUMN_AGE, false };
	const char *created = json_string_value(json_object_get(limit, "creationTimestamp"));
	char buffer[KRL_INTERVAL_BYTES];

	label("Created", out);
	fputs(krl_column_cell(limit, &column, buffer), out);
	if (created)
		fprintf(out, " ago, %s", created);
	fputc('\n', out);
}

int krl_describe_print(const json_t *limit, FILE *out)
{
	const json_t *buckets = json_object_get(limit, "buckets");
	int err;

	print_field("Name", limit, "name", out);
	print_field("Namespace", limit, "namespace", out);
	print_field("Source", limit, "source", out);
	print_age(limit, out);
	print_field("Service", limit, "service", out);
	err = print_spec(json_object_get(limit, "spec"), out);
	print_endpoints(limit, out);
	if (!err)
		err = print_table("Conditions", condition_columns, COUNT(condition_columns),
				  json_object_get(limit, "conditions"), out);
	if (!err)
		err = print_table("Statistics", statistics_columns, COUNT(statistics_columns),
				  json_object_get(limit, "statistics"), out);
	if (!err)
		err = print_table("Buckets", bucket_columns, COUNT(bucket_columns), json_object_get(buckets, "items"), out);
	if (!err && json_integer_value(json_object_get(buckets, "total")) >
			    (json_int_t)json_array_size(json_object_get(buckets, "items")))
		fprintf(out, "  ... of %" JSON_INTEGER_FORMAT ", the emptiest\n",
			json_integer_value(json_object_get(buckets, "total")));
	if (!err)
		err = print_limited(json_object_get(limit, "lastLimited"), out);
	if (!err)
		err = print_table("Events", event_columns, COUNT(event_columns), json_object_get(limit, "events"), out);
	return err;
}
