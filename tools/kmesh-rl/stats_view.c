// SPDX-License-Identifier: Apache-2.0
/* Choosing and showing statistics. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "table.h"

static const struct krl_column columns[] = {
	{ "NAME", "name", KRL_COLUMN_TEXT, false },
	{ "NAMESPACE", "namespace", KRL_COLUMN_TEXT, false },
	{ "SERVICE", "service", KRL_COLUMN_TEXT, false },
	{ "RULE", "rule", KRL_COLUMN_TEXT, false },
	{ "LIMIT", "limit", KRL_COLUMN_TEXT, false },
	{ "AVAILABLE", "availableTokens", KRL_COLUMN_NUMBER, false },
	{ "TOTAL", "totalRequests", KRL_COLUMN_NUMBER, false },
	{ "LIMITED", "rateLimitedRequests", KRL_COLUMN_NUMBER, false },
	{ "MODE", "mode", KRL_COLUMN_TEXT, true },
	{ "SHADOWED", "shadowLimitedRequests", KRL_COLUMN_NUMBER, true },
	{ "MAX", "maxTokens", KRL_COLUMN_NUMBER, true },
	{ "FILL", "tokensPerFill", KRL_COLUMN_NUMBER, true },
	{ "INTERVAL", "fillInterval", KRL_COLUMN_INTERVAL, true },
	{ "ENDPOINTS", "endpoints", KRL_COLUMN_NUMBER, true },
	{ "BUCKETS", "buckets", KRL_COLUMN_NUMBER, true },
	{ "WINDOW", "window", KRL_COLUMN_INTERVAL, true },
	{ "REJECTED", "rejectedRatio", KRL_COLUMN_SHARE, true },
	{ "CALLERS", "callersText", KRL_COLUMN_TEXT, true },
	{ "SCOPE", "scope", KRL_COLUMN_TEXT, true },
	{ "LEASED", "leasedTokens", KRL_COLUMN_NUMBER, true },
	{ "LEFT", "clusterTokens", KRL_COLUMN_NUMBER, true },
	{ "EXCHANGED", "lastExchangeAge", KRL_COLUMN_INTERVAL, true },
};

/* The last of them, which are in both tables, but only where some rule is of the cluster. */
#define CLUSTER_COLUMNS 4

#define COLUMN_COUNT (sizeof(columns) / sizeof(*columns))
_Static_assert(COLUMN_COUNT <= KRL_TABLE_COLUMNS, "the table has room for every column");

static const char *text_of(const json_t *item, const char *field)
{
	const char *text = json_string_value(json_object_get(item, field));

	return text ? text : "";
}

json_t *krl_cli_select(json_t *stats, const char *ns, const char *name)
{
	json_t *items = json_object_get(stats, "items"), *reasons = json_object_get(stats, "reasons");
	json_t *chosen, *item, *cluster;
	size_t i;

	if (!json_is_array(items) || !json_is_object(reasons))
		return NULL;
	chosen = json_array();
	json_array_foreach(items, i, item) {
		if (ns && strcmp(ns, text_of(item, "namespace")))
			continue;
		if (name && strcmp(name, text_of(item, "name")))
			continue;
		json_array_append(chosen, item);
	}
	cluster = json_object_get(stats, "cluster");
	return json_pack("{s:o, s:O, s:O*}", "items", chosen, "reasons", reasons, "cluster", cluster);
}

/* Behind the rules, what was counted on the whole node. */
static int print_reasons(json_t *reasons, FILE *out)
{
	static const struct krl_column reason_columns[] = {
		{ "REASON", "reason", KRL_COLUMN_TEXT, false },
		{ "COUNT", "count", KRL_COLUMN_NUMBER, false },
	};
	json_t *items = json_array();
	json_t *count;
	const char *name;
	int err = items ? 0 : -ENOMEM;

	json_object_foreach(reasons, name, count)
		if (!err && json_integer_value(count) &&
		    json_array_append_new(items, json_pack("{s:s, s:O}", "reason", name, "count", count)))
			err = -ENOMEM;
	if (!err && json_array_size(items)) {
		fputc('\n', out);
		err = krl_table_print_items(reason_columns, 2, items, false, out);
	}
	json_decref(items);
	return err;
}

/* The columns of the table that is not wide, with those of the cluster. Returns how many. */
static size_t cluster_columns(struct krl_column ret[COLUMN_COUNT])
{
	size_t count = 0, i;

	for (i = 0; i < COLUMN_COUNT; i++) {
		if (columns[i].wide && i < COLUMN_COUNT - CLUSTER_COLUMNS)
			continue;
		ret[count] = columns[i];
		ret[count++].wide = false;
	}
	return count;
}

static bool has_cluster(const json_t *items)
{
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
		if (!strcmp(text_of(item, "scope"), "Cluster"))
			return true;
	return false;
}

/* Behind the rules, whether Redis is there. */
static int print_redis(const json_t *redis, FILE *out)
{
	static const struct krl_column redis_columns[] = {
		{ "REDIS", "state", KRL_COLUMN_TEXT, false },
		{ "AT", "at", KRL_COLUMN_TEXT, false },
		{ "SINCE", "since", KRL_COLUMN_AGE, false },
		{ "EXCHANGES/S", "exchangesPerSecond", KRL_COLUMN_RATE, false },
		{ "WHY", "why", KRL_COLUMN_TEXT, false },
	};
	const char *state = json_is_true(json_object_get(redis, "up")) ? "there" : "away";
	json_t *row = json_copy((json_t *)redis), *rows = NULL;
	int err = -ENOMEM;

	if (row && !json_object_set_new(row, "state", json_string(state)))
		rows = json_pack("[O]", row);
	if (rows) {
		fputc('\n', out);
		err = krl_table_print_items(redis_columns, sizeof(redis_columns) / sizeof(*redis_columns), rows, false, out);
	}
	json_decref(rows);
	json_decref(row);
	return err;
}

int krl_cli_print_stats(const json_t *stats, bool wide, FILE *out)
{
	const json_t *items = json_object_get(stats, "items"), *redis = json_object_get(stats, "cluster");
	bool of_cluster = has_cluster(items);
	struct krl_column some[COLUMN_COUNT];
	int err;

	if (of_cluster && !wide)
		err = krl_table_print_items(some, cluster_columns(some), items, false, out);
	else
		err = krl_table_print_items(columns, COLUMN_COUNT - (of_cluster ? 0 : CLUSTER_COLUMNS), items, wide, out);
	if (!err && redis && (wide || of_cluster))
		err = print_redis(redis, out);
	return err || !wide ? err : print_reasons(json_object_get(stats, "reasons"), out);
}
