// SPDX-License-Identifier: Apache-2.0
#include "events_view.h"

#include <errno.h>
#include <stdlib.h>

#include "table.h"

#define TIME_CHARS ((int)sizeof("2026-11-27T05:48:42.123") - 1)

static const struct krl_column columns[] = {
	{ "TIME", "timeText", KRL_COLUMN_TEXT, false },
	{ "RULE", "ruleText", KRL_COLUMN_TEXT, false },
	{ "CLIENT", "client", KRL_COLUMN_TEXT, false },
	{ "METHOD", "method", KRL_COLUMN_TEXT, false },
	{ "PATH", "path", KRL_COLUMN_TEXT, false },
	{ "DESCRIPTOR", "descriptor", KRL_COLUMN_TEXT, false },
	{ "MODEL", "model", KRL_COLUMN_TEXT, false },
	{ "NEEDED", "needed", KRL_COLUMN_NUMBER, false },
	{ "LEFT", "left", KRL_COLUMN_NUMBER, false },
	{ "COUNT", "count", KRL_COLUMN_NUMBER, false },
	{ "DECISION", "decision", KRL_COLUMN_TEXT, false },
	{ "SERVICE", "service", KRL_COLUMN_TEXT, true },
	{ "ENDPOINT", "endpoint", KRL_COLUMN_TEXT, true },
	{ "PROTOCOL", "protocol", KRL_COLUMN_TEXT, true },
	{ "DIRECTION", "direction", KRL_COLUMN_TEXT, true },
	{ "RETRY-AFTER", "retryAfter", KRL_COLUMN_NUMBER, true },
	{ "STATUS", "status", KRL_COLUMN_NUMBER, true },
};

#define COLUMN_COUNT (sizeof(columns) / sizeof(*columns))
_Static_assert(COLUMN_COUNT <= KRL_TABLE_COLUMNS, "the table has room for every column");

/* Of a table that goes on: what comes is not known, so this is what most of it fits into. */
static const size_t widths[COLUMN_COUNT] = { TIME_CHARS + 1, 24, 21, 6, 24, 20, 10, 6, 4, 5, 13, 16, 21, 8, 9, 11, 6 };

static const struct krl_column columns_below[] = {
	{ "TIME", "timeText", KRL_COLUMN_TEXT, false },
	{ "RULE", "rule", KRL_COLUMN_TEXT, false },
	{ "CLIENT", "client", KRL_COLUMN_TEXT, false },
	{ "REQUEST", "requestText", KRL_COLUMN_TEXT, false },
	{ "DESCRIPTOR", "descriptor", KRL_COLUMN_TEXT, false },
	{ "DECISION", "decision", KRL_COLUMN_TEXT, false },
	{ "COUNT", "count", KRL_COLUMN_NUMBER, false },
};

static const char *text_of(const json_t *item, const char *field)
{
	const char *text = json_string_value(json_object_get(item, field));

	return text ? text : "";
}

/* @item with what columns show that are made of several fields. */
static json_t *row_of(const json_t *item)
{
	const char *time = text_of(item, "time"), *rule = text_of(item, "rule"), *path = text_of(item, "path");
	json_t *row = json_copy((json_t *)item);

	json_object_set_new(row, "timeText", json_sprintf("%.*s%s", TIME_CHARS, time, *time ? "Z" : ""));
	json_object_set_new(row, "ruleText", json_sprintf("%s/%s%s%s", text_of(item, "namespace"), text_of(item, "name"),
							  *rule ? "/" : "", rule));
	json_object_set_new(row, "requestText", json_sprintf("%s%s%s", text_of(item, "method"), *path ? " " : "", path));
	return row;
}

static json_t *rows_of(const json_t *items)
{
	json_t *rows = json_array();
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
		if (json_array_append_new(rows, row_of(item))) {
			json_decref(rows);
			return NULL;
		}
	return rows;
}

int krl_events_print(const json_t *items, bool wide, FILE *out)
{
	json_t *rows = rows_of(items);
	int err = rows ? krl_table_print_items(columns, COLUMN_COUNT, rows, wide, out) : -ENOMEM;

	json_decref(rows);
	return err;
}

int krl_events_print_on(const json_t *items, bool wide, bool titled, FILE *out)
{
	json_t *rows = rows_of(items);
	int err = rows ? krl_table_print_on(columns, COLUMN_COUNT, rows, wide, widths, titled, out) : -ENOMEM;

	json_decref(rows);
	return err;
}

int krl_events_print_lines(const json_t *items, FILE *out)
{
	const json_t *item;
	char *text;
	size_t i;

	json_array_foreach(items, i, item) {
		text = json_dumps(item, JSON_COMPACT);
		if (!text)
			return -ENOMEM;
		fprintf(out, "%s\n", text);
		free(text);
	}
	return 0;
}

int krl_events_print_below(const json_t *items, FILE *out)
{
	json_t *rows = rows_of(items);
	int err = rows ? krl_table_print_below(columns_below, sizeof(columns_below) / sizeof(*columns_below), rows, out) : -ENOMEM;

	json_decref(rows);
	return err;
}
