// SPDX-License-Identifier: Apache-2.0
#include "top_view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/base/nearest.h"
#include "agent/policy/diag.h"
#include "table.h"

#define GAP 2
#define CELL_BYTES 512
/* Lines that are no rows: about all, titles, keys. */
#define OTHER_LINES 3

/* From left to right; where there is no room those of the highest rank go first, and no text is cut below @least. */
static const struct {
	struct krl_column column;
	int rank, least;
} columns[] = {
	{ { "NAME", "name", KRL_COLUMN_TEXT, false }, 0, 8 },
	{ { "NAMESPACE", "namespace", KRL_COLUMN_TEXT, false }, 4, 9 },
	{ { "SERVICE", "service", KRL_COLUMN_TEXT, false }, 6, 7 },
	{ { "RULE", "rule", KRL_COLUMN_TEXT, false }, 0, 6 },
	{ { "LIMIT", "limit", KRL_COLUMN_TEXT, false }, 1, 12 },
	{ { "AVAILABLE", "availableTokens", KRL_COLUMN_NUMBER, false }, 2, 0 },
	{ { "REQ/S", "requestRate", KRL_COLUMN_RATE, false }, 0, 0 },
	{ { "LIMITED/S", "limitedRate", KRL_COLUMN_RATE, false }, 0, 0 },
	{ { "REJECTED", "rejectedRatio", KRL_COLUMN_SHARE, false }, 5, 0 },
	{ { "TOTAL", "totalRequests", KRL_COLUMN_NUMBER, false }, 3, 0 },
	{ { "LIMITED", "rateLimitedRequests", KRL_COLUMN_NUMBER, false }, 3, 0 },
	{ { "SHADOWED", "shadowLimitedRequests", KRL_COLUMN_NUMBER, false }, 8, 0 },
	{ { "BUCKETS", "buckets", KRL_COLUMN_NUMBER, false }, 7, 0 },
};

#define COLUMN_COUNT (sizeof(columns) / sizeof(*columns))
#define RANKS 9
/* Cleared before it is written: behind the last column that would take what is there. */
#define NEXT_LINE "\r\n\033[K"

size_t krl_top_columns(void)
{
	return COLUMN_COUNT;
}

const char *krl_top_title(size_t column)
{
	return columns[column].column.title;
}

const char *krl_top_field(size_t column)
{
	return columns[column].column.field;
}

int krl_top_find(const char *title, const char **ret_nearest)
{
	size_t i;

	*ret_nearest = NULL;
	for (i = 0; i < COLUMN_COUNT; i++) {
		if (!strcasecmp(columns[i].column.title, title))
			return i;
		*ret_nearest = krl_nearer(title, *ret_nearest, columns[i].column.title);
	}
	return -1;
}

size_t krl_top_rows(int height)
{
	return height > OTHER_LINES ? (size_t)height - OTHER_LINES : 0;
}

static bool is_text(size_t column)
{
	return columns[column].column.form == KRL_COLUMN_TEXT;
}

/* What is to be shown, without bytes that steer a terminal. */
static void cell(const json_t *item, size_t column, char ret[CELL_BYTES])
{
	char buffer[KRL_INTERVAL_BYTES];
	const char *text = krl_column_cell(item, &columns[column].column, buffer);

	snprintf(ret, CELL_BYTES, "%s", *text ? text : is_text(column) ? "<none>" : "-");
	krl_make_printable(ret);
}

static int length(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* Write @text in @width characters, at the right for numbers; what does not fit ends with '+'. */
static void put(const char *text, int width, bool left, FILE *out)
{
	int n = length(text), shown = 0;

	if (n <= width) {
		fprintf(out, "%*s%s%*s", left ? 0 : width - n, "", text, left ? width - n : 0, "");
		return;
	}
	for (; *text && shown < width - 1; text++) {
		fputc(*text, out);
		shown += (text[1] & 0xc0) != 0x80;
	}
	for (; (*text & 0xc0) == 0x80; text++)
		fputc(*text, out);
	fputc('+', out);
}

/* The widths of the columns, 0 for those that are left out; the one that is sorted by is not. */
static void lay_out(const json_t *items, const struct krl_top *top, int width, int ret[COLUMN_COUNT])
{
	int least[COLUMN_COUNT], sum = -GAP, rank, spare, n;
	char text[CELL_BYTES];
	const json_t *item;
	size_t i, row;

	for (i = 0; i < COLUMN_COUNT; i++) {
		ret[i] = length(columns[i].column.title) + 1;
		json_array_foreach(items, row, item) {
			cell(item, i, text);
			n = length(text);
			ret[i] = n > ret[i] ? n : ret[i];
		}
		least[i] = is_text(i) && columns[i].least < ret[i] ? columns[i].least : ret[i];
		if (top->ns && !strcmp(columns[i].column.field, "namespace") && i != top->sort)
			ret[i] = 0;
		sum += ret[i] ? least[i] + GAP : 0;
	}
	for (rank = RANKS - 1; rank > 0; rank--)
		for (i = COLUMN_COUNT; i-- > 0 && sum > width;)
			if (columns[i].rank == rank && i != top->sort && ret[i]) {
				sum -= least[i] + GAP;
				ret[i] = 0;
			}
	/* What is left goes to those that are cut, from left to right. */
	spare = width > sum ? width - sum : 0;
	for (i = 0; i < COLUMN_COUNT; i++) {
		if (!ret[i])
			continue;
		n = ret[i] - least[i] < spare ? ret[i] - least[i] : spare;
		ret[i] = least[i] + n;
		spare -= n;
	}
}

/* A row of the table, or without @item its titles. */
static void draw_row(const json_t *item, const struct krl_top *top, const int widths[COLUMN_COUNT], int width, FILE *out)
{
	const char *colour;
	char text[CELL_BYTES];
	int used = 0, n;
	size_t i;

	for (i = 0; i < COLUMN_COUNT; i++) {
		n = used ? GAP : 0;
		if (!widths[i])
			continue;
		if (used + n >= width)
			break;
		fprintf(out, "%*s", n, "");
		used += n;
		n = widths[i] < width - used ? widths[i] : width - used;
		colour = item || !top->colours ? "" : i == top->sort ? "\033[1;7m" : "\033[1m";
		if (item)
			cell(item, i, text);
		else
			snprintf(text, sizeof(text), "%s%s", columns[i].column.title,
				 i != top->sort ? "" : is_text(i) != top->reverse ? "^" : "v");
		fputs(colour, out);
		put(text, n, is_text(i), out);
		fputs(*colour ? "\033[0m" : "", out);
		used += n;
	}
}

static double sum_of(const json_t *items, const char *field)
{
	const json_t *item;
	double sum = 0;
	size_t i;

	json_array_foreach(items, i, item)
		sum += json_number_value(json_object_get(item, field));
	return sum;
}

void krl_top_draw(const json_t *items, const struct krl_top *top, int width, int height, FILE *out)
{
	size_t count = json_array_size(items), rows = krl_top_rows(height), i;
	int widths[COLUMN_COUNT];
	char text[CELL_BYTES];

	snprintf(text, sizeof(text), "kmesh-rl %s  %s: %zu rules, %.1f requests/s, %.1f limited/s%s%s", top->time,
		 top->ns ? top->ns : "all namespaces", count, sum_of(items, "requestRate"), sum_of(items, "limitedRate"),
		 *top->said ? "  " : "", top->said);
	krl_make_printable(text);
	put(text, width, true, out);
	fputs(NEXT_LINE, out);
	lay_out(items, top, width, widths);
	draw_row(NULL, top, widths, width, out);
	for (i = 0; i < rows; i++) {
		fputs(NEXT_LINE, out);
		if (top->first + i < count)
			draw_row(json_array_get(items, top->first + i), top, widths, width, out);
	}
	fputs(NEXT_LINE, out);
	if (top->colours)
		fputs("\033[7m", out);
	put("q quit  <> sort column  r reverse  up/down PgUp/PgDn scroll  space refresh", width, true, out);
	if (top->colours)
		fputs("\033[0m", out);
}
