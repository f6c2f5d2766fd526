// SPDX-License-Identifier: Apache-2.0
#include "buckets_view.h"

#include <string.h>

#include "agent/control/methods.h"
#include "agent/policy/explain.h"
#include "table.h"
#include "values_view.h"

static const struct krl_column columns[] = {
	{ "NAME", "name", KRL_COLUMN_TEXT, false },
	{ "NAMESPACE", "namespace", KRL_COLUMN_TEXT, false },
	{ "SERVICE", "service", KRL_COLUMN_TEXT, false },
	{ "RULE", "rule", KRL_COLUMN_TEXT, false },
	{ "VALUE", "value", KRL_COLUMN_TEXT, false },
	{ "AVAILABLE", "availableTokens", KRL_COLUMN_NUMBER, false },
	{ "LIMIT", "limit", KRL_COLUMN_TEXT, true },
	{ "ENDPOINT", "endpoint", KRL_COLUMN_TEXT, true },
	{ "NETNS", "networkNamespace", KRL_COLUMN_NUMBER, true },
};

/* Whose bucket it is. */
static json_t *value_json(const struct krl_bucket_row *row)
{
	return row->overflow ? json_string("<overflow>") : krl_view_values(row->kept, row->key.descriptor);
}

static json_t *row_json(const struct krl_bucket_row *row)
{
	struct krl_endpoint_key at = { .port = row->key.port };
	const struct krl_rule_info *info = &row->rule->info;
	char endpoint[KRL_ENDPOINT_BYTES] = "";
	json_t *tokens = NULL;

	if (row->rule->flags & KRL_RULE_LLM && (row->key.descriptor[0] || row->key.descriptor[1])) {
		tokens = krl_tokens_json(&row->used);
		if (!tokens)
			return NULL;
	}
	memcpy(at.addr, row->key.addr, sizeof(at.addr));
	if (!row->overflow)
		krl_explain_endpoint(&at, endpoint);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:s, s:I, s:o*}",
			 "name", krl_view_text(info->name),
			 "namespace", krl_view_text(info->ns),
			 "service", krl_view_text(info->service),
			 "rule", krl_view_text(info->rule),
			 "value", value_json(row),
			 "availableTokens", (json_int_t)row->available,
			 "limit", krl_view_text(info->limit),
			 "endpoint", endpoint,
			 "networkNamespace", (json_int_t)row->key.netns_cookie,
			 "tokens", tokens);
}

json_t *krl_buckets_json(const struct krl_buckets *buckets)
{
	json_t *items = json_array();
	bool failed = !items;
	size_t i;

	for (i = 0; !failed && i < buckets->count; i++)
		failed = json_array_append_new(items, row_json(&buckets->rows[i]));
	if (failed) {
		json_decref(items);
		return NULL;
	}
	return json_pack("{s:o, s:I}", "items", items, "total", (json_int_t)buckets->total);
}

int krl_buckets_print(const json_t *buckets, bool wide, FILE *out)
{
	return krl_table_print_items(columns, sizeof(columns) / sizeof(*columns), json_object_get(buckets, "items"),
				     wide, out);
}
