// SPDX-License-Identifier: Apache-2.0
#include "limits_view.h"

#include <stdlib.h>
#include <string.h>

#include "table.h"

/* The first is left out where all rows have the same. */
static const struct krl_column columns[] = {
	{ "NAMESPACE", "namespace", KRL_COLUMN_TEXT, false },
	{ "NAME", "name", KRL_COLUMN_TEXT, false },
	{ "SERVICE", "service", KRL_COLUMN_TEXT, false },
	{ "LIMIT", "limit", KRL_COLUMN_TEXT, false },
	{ "ACCEPTED", "accepted", KRL_COLUMN_WORD, false },
	{ "LIMITED", "limitedRequests", KRL_COLUMN_NUMBER, false },
	{ "AGE", "creationTimestamp", KRL_COLUMN_AGE, false },
	{ "PROGRAMMED", "programmed", KRL_COLUMN_WORD, true },
	{ "REASON", "reason", KRL_COLUMN_TEXT, true },
	{ "RULES", "rules", KRL_COLUMN_NUMBER, true },
	{ "ENDPOINTS", "endpoints", KRL_COLUMN_NUMBER, true },
	{ "TOTAL", "totalRequests", KRL_COLUMN_NUMBER, true },
	{ "SOURCE", "source", KRL_COLUMN_TEXT, true },
};

#define COLUMN_COUNT (sizeof(columns) / sizeof(*columns))
_Static_assert(COLUMN_COUNT <= KRL_TABLE_COLUMNS, "the table has room for every column");

static const char *text_of(const json_t *item, const char *field)
{
	const char *text = json_string_value(json_object_get(item, field));

	return text ? text : "";
}

static bool is_wanted(const json_t *item, const char *ns, const char *name)
{
	return (!ns || !strcmp(ns, text_of(item, "namespace"))) && (!name || !strcmp(name, text_of(item, "name")));
}

static json_t *find(json_t *by_name, const json_t *item, bool *ret_new)
{
	/* Neither a namespace nor a name has a slash in it. */
	char key[512];
	json_t *found;

	snprintf(key, sizeof(key), "%s/%s", text_of(item, "namespace"), text_of(item, "name"));
	found = json_object_get(by_name, key);
	*ret_new = !found;
	if (!found) {
		found = json_pack("{s:s, s:s, s:i, s:I, s:I}", "namespace", text_of(item, "namespace"), "name",
				  text_of(item, "name"), "rules", 0, "totalRequests", (json_int_t)0, "limitedRequests",
				  (json_int_t)0);
		json_object_set_new(by_name, key, found);
	}
	return found;
}

static void add_to(json_t *item, const char *field, json_int_t more)
{
	json_object_set_new(item, field, json_integer(json_integer_value(json_object_get(item, field)) + more));
}

/* Append @word to the list in @field of @item, unless it ends with it. */
static void add_word(json_t *item, const char *field, const char *joint, const char *word)
{
	const char *before = text_of(item, field);
	size_t len = strlen(before), end = strlen(word);

	if (!*before)
		json_object_set_new(item, field, json_string(word));
	else if (len < end || strcmp(before + len - end, word))
		json_object_set_new(item, field, json_sprintf("%s%s%s", before, joint, word));
}

/* What @stats count, and what they know of those that nobody told of. */
static void take_stats(json_t *by_name, const json_t *stats, const char *ns, const char *name)
{
	const json_t *row;
	json_t *item;
	bool is_new;
	size_t i;

	json_array_foreach(json_object_get(stats, "items"), i, row) {
		if (!is_wanted(row, ns, name))
			continue;
		item = find(by_name, row, &is_new);
		if (is_new)
			json_object_set_new(item, "accepted", json_string("Unknown"));
		if (!json_object_get(item, "spec")) {
			add_word(item, "service", ", ", text_of(row, "service"));
			add_word(item, "limit", "; ", text_of(row, "limit"));
		}
		add_to(item, "rules", 1);
		add_to(item, "totalRequests", json_integer_value(json_object_get(row, "totalRequests")));
		add_to(item, "limitedRequests", json_integer_value(json_object_get(row, "rateLimitedRequests")));
	}
}

static void take_conditions(json_t *item)
{
	const json_t *condition;
	const char *type;
	size_t i;

	json_array_foreach(json_object_get(item, "conditions"), i, condition) {
		type = text_of(condition, "type");
		if (!strcmp(type, "Accepted"))
			json_object_set(item, "accepted", json_object_get(condition, "status"));
		else if (!strcmp(type, "Programmed"))
			json_object_set(item, "programmed", json_object_get(condition, "status"));
		/* Of the first that does not hold, or of what does in part. */
		if (i && strcmp(text_of(item, "accepted"), "True"))
			continue;
		json_object_set(item, "reason", json_object_get(condition, "reason"));
		json_object_set(item, "message", json_object_get(condition, "message"));
	}
}

static void take_known(json_t *by_name, const json_t *known, const char *ns, const char *name)
{
	const json_t *told;
	json_t *item;
	bool is_new;
	size_t i;

	json_array_foreach(json_object_get(known, "items"), i, told) {
		if (!is_wanted(told, ns, name))
			continue;
		item = find(by_name, told, &is_new);
		json_object_update(item, (json_t *)told);
		take_conditions(item);
	}
}

static int compare_items(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int order = strcmp(text_of(x, "namespace"), text_of(y, "namespace"));

	return order ? order : strcmp(text_of(x, "name"), text_of(y, "name"));
}

/* The values of @by_name, sorted. */
static json_t *sorted(json_t *by_name)
{
	size_t count = json_object_size(by_name), i = 0;
	json_t **items = calloc(count + 1, sizeof(json_t *)), *item, *list = json_array();
	const char *key;

	if (!items || !list) {
		free(items);
		json_decref(list);
		return NULL;
	}
	json_object_foreach(by_name, key, item)
		items[i++] = item;
	qsort(items, count, sizeof(json_t *), compare_items);
	for (i = 0; i < count; i++)
		json_array_append(list, items[i]);
	free(items);
	return list;
}

json_t *krl_limits_join(const json_t *known, const json_t *stats, const char *ns, const char *name)
{
	json_t *by_name, *list;

	if (!json_is_array(json_object_get(stats, "items")))
		return NULL;
	by_name = json_object();
	if (!by_name)
		return NULL;
	take_known(by_name, known, ns, name);
	take_stats(by_name, stats, ns, name);
	list = sorted(by_name);
	json_decref(by_name);
	return list ? json_pack("{s:o}", "items", list) : NULL;
}

int krl_limits_print(const json_t *limits, bool namespaces, bool wide, FILE *out)
{
	size_t left_out = namespaces || wide ? 0 : 1;

	return krl_table_print_items(columns + left_out, COLUMN_COUNT - left_out, json_object_get(limits, "items"), wide,
				     out);
}
