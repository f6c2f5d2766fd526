// SPDX-License-Identifier: Apache-2.0
#include "callers.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "agent/datapath/tally.h"
#include "values_view.h"

#define CALLERS 3

static bool is_of(const json_t *item, const char *field, const char *text)
{
	const char *value = json_string_value(json_object_get(item, field));

	return value && !strcmp(value, text);
}

/* The one of @items that is @rule, NULL: none. */
static json_t *find(json_t *items, const struct krl_rule_info *rule)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
		if (is_of(item, "rule", rule->rule) && is_of(item, "name", rule->name) &&
		    is_of(item, "service", rule->service) && is_of(item, "namespace", rule->ns))
			return item;
	return NULL;
}

static void add_caller(json_t *item, const struct krl_tally_limited *limited)
{
	json_t *callers = json_object_get(item, "topCallers"), *value;
	const char *before = json_string_value(json_object_get(item, "callersText"));

	if (json_array_size(callers) >= CALLERS)
		return;
	value = krl_view_values(limited->kept, limited->descriptor);
	if (value && *json_string_value(value)) {
		json_object_set_new(item, "callersText", json_sprintf("%s%s%s (%llu)", before, *before ? "; " : "",
								      json_string_value(value),
								      (unsigned long long)limited->count));
		json_array_append_new(callers, json_pack("{s:O, s:I}", "value", value, "limitedRequests",
							 (json_int_t)limited->count));
	}
	json_decref(value);
}

/* The first of all may be of one rule: then the others' are behind them. */
static void add_callers(json_t *items, const struct krl_tally *tally)
{
	const struct krl_stats_row *rule = NULL;
	json_t *item = NULL;
	size_t i;

	for (i = 0; i < tally->limited_count; i++) {
		if (tally->limited[i].rule != rule) {
			rule = tally->limited[i].rule;
			item = find(items, &rule->info);
		}
		if (item)
			add_caller(item, &tally->limited[i]);
	}
}

int krl_callers_add(json_t *items, const char *bpffs)
{
	struct krl_tally tally = {};
	struct krl_stats stats = {};
	json_int_t limited = 0;
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item) {
		limited += json_integer_value(json_object_get(item, "rateLimitedRequests"));
		if (json_object_set_new(item, "topCallers", json_array()) ||
		    json_object_set_new(item, "callersText", json_string("")))
			return -ENOMEM;
	}
	if (!limited || krl_stats_read(bpffs, &stats))
		return 0;
	if (!krl_tally_read(bpffs, &stats, KRL_MAX_USED, &tally)) {
		add_callers(items, &tally);
		krl_tally_free(&tally);
	}
	krl_stats_free(&stats);
	return 0;
}
