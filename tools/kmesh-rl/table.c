// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/explain.h"
#include "table.h"

#define GAP 3
#define ADDRESS_BITS 128

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

void krl_table_print(const struct krl_table *table, FILE *out)
{
	size_t widths[KRL_TABLE_COLUMNS] = {}, row, i, n;
	const char *cell;

	for (row = 0; row < table->count; row++)
		for (i = 0; i < table->columns; i++) {
			n = width(table->cells[row * table->columns + i]);
			if (n > widths[i])
				widths[i] = n;
		}
	for (row = 0; row < table->count; row++) {
		for (i = 0; i < table->columns; i++) {
			cell = table->cells[row * table->columns + i];
			fputs(cell, out);
			if (i + 1 < table->columns)
				fprintf(out, "%*s", (int)(widths[i] - width(cell) + GAP), "");
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

void krl_table_endpoint(const struct krl_endpoint_key *key, char ret_text[KRL_ENDPOINT_BYTES])
{
	char address[KRL_ADDRESS_TEXT_BYTES];

	krl_explain_address(key->addr, ADDRESS_BITS, address);
	snprintf(ret_text, KRL_ENDPOINT_BYTES, strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, key->port);
}

static const char *cell(const json_t *item, const struct krl_column *column, char buffer[KRL_INTERVAL_BYTES])
{
	const json_t *value = json_object_get(item, column->field);
	const char *text = json_string_value(value);

	if (column->form == KRL_COLUMN_TEXT)
		return text ? text : "";
	if (column->form == KRL_COLUMN_INTERVAL)
		krl_table_interval((__u64)json_integer_value(value), buffer);
	else
		snprintf(buffer, KRL_INTERVAL_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return buffer;
}

int krl_table_print_items(const struct krl_column *columns, size_t count, const json_t *items, bool wide,
			  FILE *out)
{
	char buffers[KRL_TABLE_COLUMNS][KRL_INTERVAL_BYTES];
	const char *cells[KRL_TABLE_COLUMNS];
	struct krl_table table = {};
	const json_t *item;
	size_t i, row;
	int err;

	for (i = 0; i < count; i++)
		if (wide || !columns[i].wide)
			cells[table.columns++] = columns[i].title;
	err = krl_table_add(&table, cells);
	json_array_foreach(items, row, item) {
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
