// SPDX-License-Identifier: Apache-2.0
#include "buckets_view.h"

#include <stdlib.h>
#include <string.h>

#include "agent/policy/diag.h"
#include "agent/policy/explain.h"
#include "table.h"

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

/* Of names from documents, which may hold anything. */
static json_t *text_json(const char *text)
{
	char *copy = strdup(text);
	json_t *value;

	if (!copy)
		return NULL;
	krl_make_printable(copy);
	value = json_string(copy);
	free(copy);
	return value;
}

/* Whose bucket it is. */
static json_t *value_json(const struct krl_bucket_row *row)
{
	char *text = NULL;
	json_t *value;
	int err = 0;

	if (row->overflow)
		return json_string("<overflow>");
	if (row->kept)
		err = krl_explain_kept(row->kept, &text);
	else if (row->key.descriptor[0] || row->key.descriptor[1])
		err = krl_explain_say(&text, "#%08x", (__u32)row->key.descriptor[0]);
	value = err ? NULL : json_string(text ? text : "");
	free(text);
	return value;
}

static json_t *row_json(const struct krl_bucket_row *row)
{
	struct krl_endpoint_key at = { .port = row->key.port };
	const struct krl_rule_info *info = &row->rule->info;
	char endpoint[KRL_ENDPOINT_BYTES] = "";

	memcpy(at.addr, row->key.addr, sizeof(at.addr));
	if (!row->overflow)
		krl_table_endpoint(&at, endpoint);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:s, s:I}",
			 "name", text_json(info->name),
			 "namespace", text_json(info->ns),
			 "service", text_json(info->service),
			 "rule", text_json(info->rule),
			 "value", value_json(row),
			 "availableTokens", (json_int_t)row->available,
			 "limit", text_json(info->limit),
			 "endpoint", endpoint,
			 "networkNamespace", (json_int_t)row->key.netns_cookie);
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
