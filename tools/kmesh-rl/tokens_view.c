// SPDX-License-Identifier: Apache-2.0
#include "tokens_view.h"

#include <stdio.h>

#include "agent/control/methods.h"
#include "table.h"
#include "values_view.h"

/* The first is left out where all rows have the same. What is not wide is 80 characters wide. */
static const struct krl_column columns[] = {
	{ "NAMESPACE", "namespace", KRL_COLUMN_TEXT, false },
	{ "NAME", "name", KRL_COLUMN_TEXT, false },
	{ "RULE", "rule", KRL_COLUMN_TEXT, false },
	{ "BY", "by", KRL_COLUMN_TEXT, false },
	{ "VALUE", "value", KRL_COLUMN_TEXT, false },
	{ "REQUESTS", "requests", KRL_COLUMN_NUMBER, false },
	{ "INPUT", "input", KRL_COLUMN_NUMBER, false },
	{ "OUTPUT", "output", KRL_COLUMN_NUMBER, false },
	{ "TOTAL", "total", KRL_COLUMN_NUMBER, false },
	{ "DEBITED", "debited", KRL_COLUMN_NUMBER, false },
	{ "CACHED", "cachedInput", KRL_COLUMN_NUMBER, true },
	{ "REASONING", "reasoning", KRL_COLUMN_NUMBER, true },
	{ "ESTIMATED", "estimated", KRL_COLUMN_NUMBER, true },
	{ "UNREADABLE", "unreadable", KRL_COLUMN_NUMBER, true },
	{ "SERVICE", "service", KRL_COLUMN_TEXT, true },
};

#define COLUMN_COUNT (sizeof(columns) / sizeof(*columns))
_Static_assert(COLUMN_COUNT <= KRL_TABLE_COLUMNS, "the table has room for every column");

static json_t *model_json(const struct krl_llm_model_key *model)
{
	char text[sizeof(model->model) + sizeof("...")];

	snprintf(text, sizeof(text), "%.*s%s", (int)sizeof(model->model), model->model,
		 model->len > sizeof(model->model) ? "..." : "");
	return krl_view_text(text);
}

static json_t *value_json(const struct krl_used_row *row)
{
	if (row->by == KRL_USED_MODEL)
		return model_json(&row->model);
	return krl_view_values(row->kept, row->descriptor);
}

static json_t *row_json(const struct krl_used_row *row)
{
	static const char *const by[] = { [KRL_USED_ALL] = "all", [KRL_USED_MODEL] = "model", [KRL_USED_USER] = "user" };
	const struct krl_rule_info *info = &row->rule->info;
	json_t *item, *tokens = krl_tokens_json(&row->tokens);

	item = json_pack("{s:o, s:o, s:o, s:o, s:s, s:o}",
			 "namespace", krl_view_text(info->ns),
			 "name", krl_view_text(info->name),
			 "service", krl_view_text(info->service),
			 "rule", krl_view_text(info->rule),
			 "by", by[row->by],
			 "value", value_json(row));
	if (!item || !tokens || json_object_update(item, tokens)) {
		json_decref(item);
		item = NULL;
	}
	json_decref(tokens);
	return item;
}

json_t *krl_used_json(const struct krl_used *used)
{
	json_t *items = json_array();
	bool failed = !items;
	size_t i;

	for (i = 0; !failed && i < used->count; i++)
		failed = json_array_append_new(items, row_json(&used->rows[i]));
	if (failed) {
		json_decref(items);
		return NULL;
	}
	return json_pack("{s:o, s:I}", "items", items, "total", (json_int_t)used->total);
}

int krl_used_print(const json_t *used, bool namespaces, bool wide, FILE *out)
{
	size_t left_out = namespaces || wide ? 0 : 1;

	return krl_table_print_items(columns + left_out, COLUMN_COUNT - left_out, json_object_get(used, "items"), wide, out);
}
