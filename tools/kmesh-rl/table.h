/* SPDX-License-Identifier: Apache-2.0 */
/* Columns for people, aligned as kubectl aligns them. */
#ifndef KMESH_RL_TOOL_TABLE_H
#define KMESH_RL_TOOL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include <kmesh_rl/abi.h>

#define KRL_TABLE_COLUMNS 24
#define KRL_INTERVAL_BYTES 64

/* Owns its cells. Start from { .columns = n }. */
struct krl_table {
	size_t columns, count, room;
	char **cells;			/* count rows of columns */
	size_t indent;			/* spaces before each row */
	unsigned int judged;		/* a bit for each column whose words are coloured on a terminal */
	const size_t *widths;		/* of the columns; NULL: that of their widest cells */
	bool titled;			/* the title was printed before */
};

/* Add a row. Empty cells read "<none>"; control characters, which could steer a terminal, become '?'.
 * Returns 0 or -ENOMEM. */
int krl_table_add(struct krl_table *table, const char *const *cells);

/* Three spaces between columns, nothing after the last. The first row is the title. */
void krl_table_print(const struct krl_table *table, FILE *out);

void krl_table_free(struct krl_table *table);

/* @ns as "1m30s", "500ms", "1ns": exact, as the resource accepts it. */
void krl_table_interval(__u64 ns, char ret_text[KRL_INTERVAL_BYTES]);

/* A column that shows a field of JSON objects. */
struct krl_column {
	const char *title, *field;
	/* Text; a word that is coloured on a terminal; numbers, intervals in ns, shares of 1, rates a second; the age of what is from a time; whether a list of values is. */
	enum {
		KRL_COLUMN_TEXT,
		KRL_COLUMN_WORD,
		KRL_COLUMN_NUMBER,
		KRL_COLUMN_INTERVAL,
		KRL_COLUMN_SHARE,
		KRL_COLUMN_RATE,
		KRL_COLUMN_AGE,
		KRL_COLUMN_YES,
	} form;
	bool wide;		/* only in the wide table; such columns are the last */
};

/* What a column shows of @item, in @buffer or of the item; "" where it has none. */
const char *krl_column_cell(const json_t *item, const struct krl_column *column, char buffer[KRL_INTERVAL_BYTES]);

/* Print the objects of the array @items in @count columns, at most KRL_TABLE_COLUMNS. Returns 0 or -ENOMEM. */
int krl_table_print_items(const struct krl_column *columns, size_t count, const json_t *items, bool wide,
			  FILE *out);

/* The same below a headline: all columns, set in by two spaces. */
int krl_table_print_below(const struct krl_column *columns, size_t count, const json_t *items, FILE *out);

/* The same as rows of a table that goes on: a column of @widths each, cells that are wider shift those behind them. With @titled the
 * title is there already. */
int krl_table_print_on(const struct krl_column *columns, size_t count, const json_t *items, bool wide, const size_t *widths, bool titled,
		       FILE *out);

/* @seconds as kubectl writes ages: "45s", "5m30s", "3h", "2d4h". */
void krl_table_age(int64_t seconds, char ret_text[KRL_INTERVAL_BYTES]);

#endif
