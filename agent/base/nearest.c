// SPDX-License-Identifier: Apache-2.0
#include "nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define WORD_MAX 64

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Edits (insert, delete, replace, swap neighbours) from @a to @b; large for long words. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2], *spare;
	size_t length_a = strlen(a), length_b = strlen(b), i, j;

	if (length_a > WORD_MAX || length_b > WORD_MAX)
		return WORD_MAX;
	for (j = 0; j <= length_b; j++)
		last[j] = j;
	for (i = 1; i <= length_a; i++) {
		row[0] = i;
		for (j = 1; j <= length_b; j++) {
			row[j] = last[j - 1] + !same(a[i - 1], b[j - 1]);
			if (last[j] + 1 < row[j])
				row[j] = last[j] + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[length_b];
}

const char *krl_nearer(const char *typed, const char *best, const char *candidate)
{
	size_t length = strlen(typed), edits = distance(typed, candidate);
	bool begins = length > 1 && !strncasecmp(candidate, typed, length);

	if (!begins && edits > (length < 6 ? length / 2 : 3))
		return best;
	return best && distance(typed, best) <= edits ? best : candidate;
}
