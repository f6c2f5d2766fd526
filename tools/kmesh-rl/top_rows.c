// SPDX-License-Identifier: Apache-2.0
/* Rates, and order. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "top_view.h"

static const char *const names[] = { "namespace", "name", "service", "rule" };
#define NAMES (sizeof(names) / sizeof(*names))

static int compare_field(const json_t *a, const json_t *b, const char *field)
{
	const json_t *x = json_object_get(a, field), *y = json_object_get(b, field);
	double number_x, number_y;

	if (json_is_string(x) && json_is_string(y))
		return strcmp(json_string_value(x), json_string_value(y));
	/* What has no number has less than any. */
	number_x = json_is_number(x) ? json_number_value(x) : -1e30;
	number_y = json_is_number(y) ? json_number_value(y) : -1e30;
	return (number_x > number_y) - (number_x < number_y);
}

static int compare_names(const json_t *a, const json_t *b)
{
	int order = 0;
	size_t i;

	for (i = 0; !order && i < NAMES; i++)
		order = compare_field(a, b, names[i]);
	return order;
}

static json_int_t more_of(const json_t *item, const json_t *before, const char *field)
{
	json_int_t more = json_integer_value(json_object_get(item, field)) -
			  json_integer_value(json_object_get(before, field));

	/* Less: the rule is another one by now. */
	return more > 0 ? more : 0;
}

/* Both are sorted by names. */
void krl_top_rate(json_t *items, const json_t *before, double seconds)
{
	json_t *item, *was;
	size_t i, k = 0;

	json_array_foreach(items, i, item) {
		while (k < json_array_size(before) && compare_names(json_array_get(before, k), item) < 0)
			k++;
		was = json_array_get(before, k);
		if (!was || compare_names(was, item) || !(seconds > 0)) {
			json_object_set_new(item, "requestRate", json_null());
			json_object_set_new(item, "limitedRate", json_null());
			continue;
		}
		json_object_set_new(item, "requestRate", json_real(more_of(item, was, "totalRequests") / seconds));
		json_object_set_new(item, "limitedRate", json_real(more_of(item, was, "rateLimitedRequests") / seconds));
	}
}

static int compare_rows(const void *a, const void *b, void *arg)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	const struct krl_top *top = arg;
	const char *field = krl_top_field(top->sort);
	int order = compare_field(x, y, field);

	/* Numbers from high to low, names from A to Z. */
	if (!json_is_string(json_object_get(x, field)))
		order = -order;
	if (top->reverse)
		order = -order;
	return order ? order : compare_names(x, y);
}

int krl_top_sort(json_t *items, const struct krl_top *top)
{
	size_t count = json_array_size(items), i;
	json_t **rows = calloc(count + 1, sizeof(json_t *));

	if (!rows)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		rows[i] = json_incref(json_array_get(items, i));
	qsort_r(rows, count, sizeof(json_t *), compare_rows, (void *)top);
	for (i = 0; i < count; i++)
		json_array_set_new(items, i, rows[i]);
	free(rows);
	return 0;
}
