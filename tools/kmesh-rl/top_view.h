/* SPDX-License-Identifier: Apache-2.0 */
/* The table of `kmesh-rl top`: rules with rates, sorted, and laid out for a terminal of any width. */
#ifndef KMESH_RL_TOOL_TOP_VIEW_H
#define KMESH_RL_TOOL_TOP_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

/* Columns by which can be sorted, from left to right. */
size_t krl_top_columns(void);
const char *krl_top_title(size_t column);
const char *krl_top_field(size_t column);

/* The column that is called @title in any case, or -1; @ret_nearest is what somebody may have meant, or NULL. */
int krl_top_find(const char *title, const char **ret_nearest);

/* By which it is sorted at first. */
#define KRL_TOP_SORT "LIMITED/S"

/* Give each of @items, as krl_stats_json() has them, "requestRate" and "limitedRate" a second, by what it was in @before,
 * @seconds ago. @before may be NULL. */
void krl_top_rate(json_t *items, const json_t *before, double seconds);

struct krl_top {
	size_t sort;		/* column */
	bool reverse;		/* the other way round than the column is usually sorted: numbers from high to low */
	size_t first;		/* row at the top */
	const char *ns;		/* NULL: all namespaces */
	const char *said;	/* what there is to say, or "" */
	const char *time;
	bool colours;
};

/* Sort @items in place. Returns 0 or -ENOMEM. */
int krl_top_sort(json_t *items, const struct krl_top *top);

/* Rows that fit into a screen of @height lines. */
size_t krl_top_rows(int height);

/* Draw a screen of @width columns and @height lines: a line about all of @items, the table, and the keys. No line is longer. */
void krl_top_draw(const json_t *items, const struct krl_top *top, int width, int height, FILE *out);

#endif
