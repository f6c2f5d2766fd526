// SPDX-License-Identifier: Apache-2.0
/* Choosing and showing statistics. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "table.h"

enum form { TEXT, NUMBER, INTERVAL };

static const struct column {
	const char *title, *field;
	enum form form;
	bool wide;		/* only in the wide table */
} columns[] = {
	{ "NAME", "name", TEXT, false },
	{ "NAMESPACE", "namespace", TEXT, false },
	{ "SERVICE", "service", TEXT, false },
	{ "RULE", "rule", TEXT, false },
	{ "LIMIT", "limit", TEXT, false },
	{ "AVAILABLE", "availableTokens", NUMBER, false },
	{ "TOTAL", "totalRequests", NUMBER, false },
	{ "LIMITED", "rateLimitedRequests", NUMBER, false },
	{ "MODE", "mode", TEXT, true },
	{ "SHADOWED", "shadowLimitedRequests", NUMBER, true },
	{ "MAX", "maxTokens", NUMBER, true },
	{ "FILL", "tokensPerFill", NUMBER, true },
	{ "INTERVAL", "fillInterval", INTERVAL, true },
	{ "ENDPOINTS", "endpoints", NUMBER, true },
	{ "BUCKETS", "buckets", NUMBER, true },
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

static const char *cell(const json_t *item, const struct column *column, char buffer[KRL_INTERVAL_BYTES])
{
	json_int_t number = json_integer_value(json_object_get(item, column->field));

	if (column->form == TEXT)
		return text_of(item, column->field);
	if (column->form == INTERVAL)
		krl_table_interval((__u64)number, buffer);
	else
		snprintf(buffer, KRL_INTERVAL_BYTES, "%" JSON_INTEGER_FORMAT, number);
	return buffer;
}

int krl_cli_print_stats(const json_t *stats, bool wide, FILE *out)
{
	char buffers[COLUMN_COUNT][KRL_INTERVAL_BYTES];
	const char *cells[COLUMN_COUNT];
	struct krl_table table = {};
	const json_t *item;
	size_t i, row;
	int err;

	for (i = 0; i < COLUMN_COUNT; i++)
		if (wide || !columns[i].wide)
			cells[table.columns++] = columns[i].title;
	err = krl_table_add(&table, cells);
	json_array_foreach(json_object_get(stats, "items"), row, item) {
		for (i = 0; i < table.columns; i++)
			cells[i] = cell(item, &columns[i], buffers[i]);
		if (!err)
			err = krl_table_add(&table, cells);
	}
	if (!err)
		krl_table_print(&table, out);
	krl_table_free(&table);
	return err;
}
