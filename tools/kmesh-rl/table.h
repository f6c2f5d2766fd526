/* SPDX-License-Identifier: Apache-2.0 */
/* Columns for people, aligned as kubectl aligns them. */
#ifndef KMESH_RL_TOOL_TABLE_H
#define KMESH_RL_TOOL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#include <kmesh_rl/abi.h>

#define KRL_TABLE_COLUMNS 16
#define KRL_INTERVAL_BYTES 64
#define KRL_ENDPOINT_BYTES 80

/* Owns its cells. Start from { .columns = n }. */
struct krl_table {
	size_t columns, count, room;
	char **cells;			/* count rows of columns */
};

/* Add a row. Empty cells read "<none>"; control characters, which could steer a terminal, become '?'.
 * Returns 0 or -ENOMEM. */
int krl_table_add(struct krl_table *table, const char *const *cells);

/* Three spaces between columns, nothing after the last. */
void krl_table_print(const struct krl_table *table, FILE *out);

void krl_table_free(struct krl_table *table);

/* @ns as "1m30s", "500ms", "1ns": exact, as the resource accepts it. */
void krl_table_interval(__u64 ns, char ret_text[KRL_INTERVAL_BYTES]);

/* "10.0.0.1:80", "[::1]:80". */
void krl_table_endpoint(const struct krl_endpoint_key *key, char ret_text[KRL_ENDPOINT_BYTES]);

/* A column that shows a field of JSON objects. */
struct krl_column {
	const char *title, *field;
	enum { KRL_COLUMN_TEXT, KRL_COLUMN_NUMBER, KRL_COLUMN_INTERVAL } form;
	bool wide;		/* only in the wide table; such columns are the last */
};

/* Print the objects of the array @items in @count columns, at most KRL_TABLE_COLUMNS. Returns 0 or -ENOMEM. */
int krl_table_print_items(const struct krl_column *columns, size_t count, const json_t *items, bool wide,
			  FILE *out);

#endif
