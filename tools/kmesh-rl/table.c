// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/clock.h"
#include "colour.h"
#include "table.h"

#define GAP 3

static char *clean_copy(const char *text)
{
	char *copy = strdup(*text ? text : "<none>"), *at;

	for (at = copy; at && *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
	return copy;
}

/* Characters of UTF-8 text. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

int krl_table_add(struct krl_table *table, const char *const *cells)
{
	size_t room = table->room ? table->room * 2 : 16, i;
	char **row, **grown;

	if (table->count == table->room) {
		grown = realloc(table->cells, room * table->columns * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		table->cells = grown;
		table->room = room;
	}
	row = table->cells + table->count * table->columns;
	for (i = 0; i < table->columns; i++) {
		row[i] = clean_copy(cells[i]);
		if (!row[i])
			break;
	}
	if (i == table->columns) {
		table->count++;
		return 0;
	}
	while (i--)
		free(row[i]);
	return -ENOMEM;
}

/* The width of each column. */
static void measure(const struct krl_table *table, size_t widths[KRL_TABLE_COLUMNS])
{
	size_t row, i, n;

	for (row = 0; row < table->count; row++)
		for (i = 0; i < table->columns; i++) {
			n = width(table->cells[row * table->columns + i]);
			if (n > widths[i])
				widths[i] = n;
		}
}

void krl_table_print(const struct krl_table *table, FILE *out)
{
	size_t measured[KRL_TABLE_COLUMNS] = {}, row, i;
	const size_t *widths = table->widths ? table->widths : measured;
	const char *cell;

	measure(table, measured);
	for (row = table->titled; row < table->count; row++) {
		fprintf(out, "%*s", (int)table->indent, "");
		for (i = 0; i < table->columns; i++) {
			cell = table->cells[row * table->columns + i];
			krl_colour_print(out, !row ? KRL_COLOUR_TITLE : table->judged >> i & 1 ? krl_colour_of(cell)
					 : KRL_COLOUR_NONE, cell);
			if (i + 1 < table->columns)
				fprintf(out, "%*s", GAP + (widths[i] > width(cell) ? (int)(widths[i] - width(cell)) : 0), "");
		}
		fputc('\n', out);
	}
}

void krl_table_free(struct krl_table *table)
{
	size_t i;

	for (i = 0; i < table->count * table->columns; i++)
		free(table->cells[i]);
	free(table->cells);
	memset(table, 0, sizeof(*table));
}

void krl_table_interval(__u64 ns, char ret_text[KRL_INTERVAL_BYTES])
{
	static const struct {
		const char *name;
		__u64 ns;
	} units[] = {
		{ "h", 3600000000000ULL }, { "m", 60000000000ULL }, { "s", 1000000000ULL },
		{ "ms", 1000000ULL },	   { "us", 1000ULL },	    { "ns", 1ULL },
	};
	size_t used = 0, i;

	for (i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (ns < units[i].ns)
			continue;
		used += (size_t)snprintf(ret_text + used, KRL_INTERVAL_BYTES - used, "%llu%s",
					 (unsigned long long)(ns / units[i].ns), units[i].name);
		ns %= units[i].ns;
	}
	if (!used)
		snprintf(ret_text, KRL_INTERVAL_BYTES, "0s");
}

void krl_table_age(int64_t s, char ret_text[KRL_INTERVAL_BYTES])
{
	long long m = s / 60, h = m / 60, d = h / 24;

	if (s < 0)
		snprintf(ret_text, KRL_INTERVAL_BYTES, "0s");
	else if (s < 120)
		snprintf(ret_text, KRL_INTERVAL_BYTES, "%llds", (long long)s);
	else if (m < 10)
		snprintf(ret_text, KRL_INTERVAL_BYTES, s % 60 ? "%lldm%llds" : "%lldm", m, (long long)s % 60);
	else if (h < 3)
		snprintf(ret_text, KRL_INTERVAL_BYTES, "%lldm", m);
	else if (h < 8)
		snprintf(ret_text, KRL_INTERVAL_BYTES, m % 60 ? "%lldh%lldm" : "%lldh", h, m % 60);
	else if (h < 48)
		snprintf(ret_text, KRL_INTERVAL_BYTES, "%lldh", h);
	else if (d < 8)
		snprintf(ret_text, KRL_INTERVAL_BYTES, h % 24 ? "%lldd%lldh" : "%lldd", d, h % 24);
	else
		snprintf(ret_text, KRL_INTERVAL_BYTES, "%lldd", d);
}

static void say_age(const char *text, char buffer[KRL_INTERVAL_BYTES])
{
	int64_t then_s;

	if (text && !krl_time_parse(text, &then_s))
		krl_table_age(time(NULL) - then_s, buffer);
	else
		snprintf(buffer, KRL_INTERVAL_BYTES, "<unknown>");
}

const char *krl_column_cell(const json_t *item, const struct krl_column *column, char buffer[KRL_INTERVAL_BYTES])
{
	const json_t *value = json_object_get(item, column->field);
	const char *text = json_string_value(value);

	if (column->form == KRL_COLUMN_TEXT || column->form == KRL_COLUMN_WORD)
		return text ? text : "";
	*buffer = '\0';
	if (column->form == KRL_COLUMN_AGE)
		say_age(text, buffer);
	else if (column->form == KRL_COLUMN_YES)
		snprintf(buffer, KRL_INTERVAL_BYTES, "%s", json_is_true(value) ? "yes" : "no");
	else if (!json_is_number(value))
		return "";
	else if (column->form == KRL_COLUMN_INTERVAL)
		krl_table_interval((__u64)json_integer_value(value), buffer);
	else if (column->form == KRL_COLUMN_SHARE)
		snprintf(buffer, KRL_INTERVAL_BYTES, "%.1f%%", 100 * json_number_value(value));
	else if (column->form == KRL_COLUMN_RATE)
		snprintf(buffer, KRL_INTERVAL_BYTES, "%.1f", json_number_value(value));
	else
		snprintf(buffer, KRL_INTERVAL_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return buffer;
}

/* @table: without columns. */
static int print_items(const struct krl_column *columns, size_t count, const json_t *items, bool wide, struct krl_table table,
		       FILE *out)
{
	char buffers[KRL_TABLE_COLUMNS][KRL_INTERVAL_BYTES];
	const char *cells[KRL_TABLE_COLUMNS];
	const json_t *item;
	size_t i, row;
	int err;

	for (i = 0; i < count; i++) {
		if (!wide && columns[i].wide)
			break;
		table.judged |= (unsigned int)(columns[i].form == KRL_COLUMN_WORD) << i;
		cells[table.columns++] = columns[i].title;
	}
	err = krl_table_add(&table, cells);
	json_array_foreach(items, row, item) {
		for (i = 0; i < table.columns; i++)
			cells[i] = krl_column_cell(item, &columns[i], buffers[i]);
		if (!err)
			err = krl_table_add(&table, cells);
	}
	if (!err)
		krl_table_print(&table, out);
	krl_table_free(&table);
	return err;
}

int krl_table_print_items(const struct krl_column *columns, size_t count, const json_t *items, bool wide,
			  FILE *out)
{
	return print_items(columns, count, items, wide, (struct krl_table){}, out);
}

int krl_table_print_below(const struct krl_column *columns, size_t count, const json_t *items, FILE *out)
{
	return print_items(columns, count, items, true, (struct krl_table){ .indent = 2 }, out);
}

int krl_table_print_on(const struct krl_column *columns, size_t count, const json_t *items, bool wide, const size_t *widths, bool titled,
		       FILE *out)
{
	return print_items(columns, count, items, wide, (struct krl_table){ .widths = widths, .titled = titled }, out);
}
