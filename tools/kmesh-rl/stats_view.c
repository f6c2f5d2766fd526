// SPDX-License-Identifier: Apache-2.0
/* Choosing and showing statistics. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "table.h"

static const struct krl_column columns[] = {
	{ "NAME", "name", KRL_COLUMN_TEXT, false },
	{ "NAMESPACE", "namespace", KRL_COLUMN_TEXT, false },
	{ "SERVICE", "service", KRL_COLUMN_TEXT, false },
	{ "RULE", "rule", KRL_COLUMN_TEXT, false },
	{ "LIMIT", "limit", KRL_COLUMN_TEXT, false },
	{ "AVAILABLE", "availableTokens", KRL_COLUMN_NUMBER, false },
	{ "TOTAL", "totalRequests", KRL_COLUMN_NUMBER, false },
	{ "LIMITED", "rateLimitedRequests", KRL_COLUMN_NUMBER, false },
	{ "MODE", "mode", KRL_COLUMN_TEXT, true },
	{ "SHADOWED", "shadowLimitedRequests", KRL_COLUMN_NUMBER, true },
	{ "MAX", "maxTokens", KRL_COLUMN_NUMBER, true },
	{ "FILL", "tokensPerFill", KRL_COLUMN_NUMBER, true },
	{ "INTERVAL", "fillInterval", KRL_COLUMN_INTERVAL, true },
	{ "ENDPOINTS", "endpoints", KRL_COLUMN_NUMBER, true },
	{ "BUCKETS", "buckets", KRL_COLUMN_NUMBER, true },
	{ "WINDOW", "window", KRL_COLUMN_INTERVAL, true },
	{ "REJECTED", "rejectedRatio", KRL_COLUMN_SHARE, true },
	{ "CALLERS", "callersText", KRL_COLUMN_TEXT, true },
};

#define COLUMN_COUNT (sizeof(columns) / sizeof(*columns))
_Static_assert(COLUMN_COUNT <= KRL_TABLE_COLUMNS, "the table has room for every column");

static const char *text_of(const json_t *item, const char *field)
{
	const char *text = json_string_value(json_object_get(item, field));

	return text ? text : "";
}

json_t *krl_cli_select(json_t *stats, const char *ns, const char *name)
{
	json_t *items = json_object_get(stats, "items"), *reasons = json_object_get(stats, "reasons");
	json_t *chosen, *item;
	size_t i;

	if (!json_is_array(items) || !json_is_object(reasons))
		return NULL;
	chosen = json_array();
	json_array_foreach(items, i, item) {
		if (ns && strcmp(ns, text_of(item, "namespace")))
			continue;
		if (name && strcmp(name, text_of(item, "name")))
			continue;
		json_array_append(chosen, item);
	}
	return json_pack("{s:o, s:O}", "items", chosen, "reasons", reasons);
}

/* Behind the rules, what was counted on the whole node. */
static int print_reasons(json_t *reasons, FILE *out)
{
	static const struct krl_column reason_columns[] = {
		{ "REASON", "reason", KRL_COLUMN_TEXT, false },
		{ "COUNT", "count", KRL_COLUMN_NUMBER, false },
	};
	json_t *items = json_array();
	json_t *count;
	const char *name;
	int err = items ? 0 : -ENOMEM;

	json_object_foreach(reasons, name, count)
		if (!err && json_integer_value(count) &&
		    json_array_append_new(items, json_pack("{s:s, s:O}", "reason", name, "count", count)))
			err = -ENOMEM;
	if (!err && json_array_size(items)) {
		fputc('\n', out);
		err = krl_table_print_items(reason_columns, 2, items, false, out);
	}
	json_decref(items);
	return err;
}

int krl_cli_print_stats(const json_t *stats, bool wide, FILE *out)
{
	int err = krl_table_print_items(columns, COLUMN_COUNT, json_object_get(stats, "items"), wide, out);

	return err || !wide ? err : print_reasons(json_object_get(stats, "reasons"), out);
}
