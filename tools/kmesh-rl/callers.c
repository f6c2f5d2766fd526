// SPDX-License-Identifier: Apache-2.0
#include "callers.h"

#include <errno.h>
#include <string.h>

#include "agent/datapath/buckets.h"
#include "values_view.h"

#define CALLERS 3
/* Buckets that are looked at, the emptiest of the node. */
#define BUCKETS 4096

static bool is_of(const json_t *item, const char *field, const char *text)
{
	const char *value = json_string_value(json_object_get(item, field));

	return value && !strcmp(value, text);
}

/* The one of @items that is @rule, looked for from @from on, NULL: none. */
static json_t *find(json_t *items, const struct krl_rule_info *rule, size_t *from)
{
	json_t *item;
	size_t i;

	for (i = *from; i < json_array_size(items); i++) {
		item = json_array_get(items, i);
		if (!is_of(item, "rule", rule->rule) || !is_of(item, "name", rule->name) ||
		    !is_of(item, "service", rule->service) || !is_of(item, "namespace", rule->ns))
			continue;
		*from = i;
		return item;
	}
	return NULL;
}

static void add_caller(json_t *item, const struct krl_bucket_row *row)
{
	json_t *callers = json_object_get(item, "topCallers"), *value;
	const char *before = json_string_value(json_object_get(item, "callersText"));

	if (json_array_size(callers) >= CALLERS || row->overflow ||
	    row->available >= (__s64)row->rule->settings.max_tokens)
		return;
	value = krl_view_values(row->kept, row->key.descriptor);
	if (value && *json_string_value(value)) {
		json_object_set_new(item, "callersText", json_sprintf("%s%s%s", before, *before ? "; " : "",
								      json_string_value(value)));
		json_array_append_new(callers, json_pack("{s:O, s:I}", "value", value, "availableTokens",
							 (json_int_t)row->available));
	}
	json_decref(value);
}

/* Both are sorted by rule. */
static void add_callers(json_t *items, const struct krl_buckets *buckets)
{
	const struct krl_stats_row *rule = NULL;
	json_t *item = NULL;
	size_t from = 0, i;

	for (i = 0; i < buckets->count; i++) {
		if (buckets->rows[i].rule != rule) {
			rule = buckets->rows[i].rule;
			item = find(items, &rule->info, &from);
		}
		if (item)
			add_caller(item, &buckets->rows[i]);
	}
}

int krl_callers_add(json_t *items, const char *bpffs)
{
	struct krl_buckets buckets = {};
	struct krl_stats stats = {};
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
		if (json_object_set_new(item, "topCallers", json_array()) ||
		    json_object_set_new(item, "callersText", json_string("")))
			return -ENOMEM;
	if (krl_stats_read(bpffs, &stats))
		return 0;
	if (!krl_buckets_read(bpffs, &stats, BUCKETS, &buckets)) {
		add_callers(items, &buckets);
		krl_buckets_free(&buckets);
	}
	krl_stats_free(&stats);
	return 0;
}
