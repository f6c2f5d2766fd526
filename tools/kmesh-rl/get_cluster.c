// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl get ratelimit-stats --cluster: what all nodes counted of rules of the cluster. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control/server.h"
#include "cli.h"
#include "table.h"

/* Where the table has the sum of all nodes; no node is called so. */
#define SUM "(all)"

/* What a rule is known by. */
static const char *const names[] = { "namespace", "name", "service", "rule" };
static const char *const counts[] = { "totalRequests", "rateLimitedRequests", "shadowLimitedRequests" };

#define NAMES (sizeof(names) / sizeof(*names))

static const char *text_of(const json_t *item, const char *field)
{
	const char *text = json_string_value(json_object_get(item, field));

	return text ? text : "";
}

static int compare_rules(const json_t *a, const json_t *b)
{
	int order = 0;
	size_t i;

	for (i = 0; !order && i < NAMES; i++)
		order = strcmp(text_of(a, names[i]), text_of(b, names[i]));
	return order;
}

static int compare(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int order = compare_rules(x, y);

	return order ? order : strcmp(text_of(x, "node"), text_of(y, "node"));
}

/* The items of @value that are asked for, sorted by rule and node. NULL without memory. */
static json_t *choose(const json_t *value, const char *ns, const char *name)
{
	const json_t *all = json_object_get(value, "items");
	json_t **sorted = calloc(json_array_size(all) + 1, sizeof(*sorted)), *item, *chosen = json_array();
	size_t count = 0, i;

	json_array_foreach(all, i, item)
		if (sorted && (!ns || !strcmp(ns, text_of(item, "namespace"))) && (!name || !strcmp(name, text_of(item, "name"))))
			sorted[count++] = item;
	if (count)
		qsort(sorted, count, sizeof(*sorted), compare);
	for (i = 0; i < count; i++)
		json_array_append(chosen, sorted[i]);
	free(sorted);
	return chosen;
}

/* What all nodes counted of the rule of @item. */
static json_t *sum_of(const json_t *items, const json_t *item)
{
	json_t *sum = json_copy((json_t *)item), *other;
	json_int_t total;
	size_t i, k;

	json_object_del(sum, "node");
	json_object_del(sum, "age");
	for (k = 0; k < sizeof(counts) / sizeof(*counts); k++) {
		total = 0;
		json_array_foreach(items, i, other)
			if (!compare_rules(item, other))
				total += json_integer_value(json_object_get(other, counts[k]));
		json_object_set_new(sum, counts[k], json_integer(total));
	}
	return sum;
}

static json_t *sums_of(const json_t *items)
{
	json_t *sums = json_array(), *item, *before = NULL;
	size_t i;

	json_array_foreach(items, i, item) {
		if (!before || compare_rules(before, item))
			json_array_append_new(sums, sum_of(items, item));
		before = item;
	}
	return sums;
}

/* The rows of each rule, and its sum behind them. */
static int print(const json_t *items, const json_t *sums, bool wide)
{
	static const struct krl_column columns[] = {
		{ "NODE", "node", KRL_COLUMN_TEXT, false },
		{ "NAME", "name", KRL_COLUMN_TEXT, false },
		{ "NAMESPACE", "namespace", KRL_COLUMN_TEXT, false },
		{ "SERVICE", "service", KRL_COLUMN_TEXT, false },
		{ "RULE", "rule", KRL_COLUMN_TEXT, false },
		{ "LIMIT", "limit", KRL_COLUMN_TEXT, false },
		{ "TOTAL", "totalRequests", KRL_COLUMN_NUMBER, false },
		{ "LIMITED", "rateLimitedRequests", KRL_COLUMN_NUMBER, false },
		{ "TOLD", "age", KRL_COLUMN_INTERVAL, false },
		{ "SHADOWED", "shadowLimitedRequests", KRL_COLUMN_NUMBER, true },
	};
	json_t *rows = json_array(), *sum, *item, *row;
	size_t i, k;
	int err;

	json_array_foreach(sums, i, sum) {
		json_array_foreach(items, k, item)
			if (!compare_rules(sum, item))
				json_array_append(rows, item);
		row = json_copy(sum);
		json_object_set_new(row, "node", json_string(SUM));
		json_array_append_new(rows, row);
	}
	err = krl_table_print_items(columns, sizeof(columns) / sizeof(*columns), rows, wide, stdout);
	json_decref(rows);
	return err;
}

enum krl_cli_exit krl_cli_get_cluster(const struct krl_cli *cli, const char *ns, const char *name)
{
	bool is_table = cli->output == KRL_CLI_TABLE || cli->output == KRL_CLI_WIDE;
	char why[KRL_CONTROL_ERROR_BYTES];
	json_t *value, *items, *sums;
	int err = krl_cli_ask_agent(cli, "cluster", NULL, &value, why);

	if (err == -EREMOTEIO)
		return krl_cli_fail("the agent: %s", why);
	if (err)
		return krl_cli_fail("only an agent can ask Redis, and none answers: %s", strerror(-err));
	items = choose(value, ns, name);
	json_decref(value);
	sums = sums_of(items);
	if (is_table && json_array_size(items)) {
		err = print(items, sums, cli->output == KRL_CLI_WIDE);
	} else if (is_table) {
		fprintf(stderr, "No node has told of such rules of the cluster.\n");
	} else {
		value = json_pack("{s:O, s:O}", "items", items, "sums", sums);
		err = value ? krl_cli_write(value, cli->output, stdout) : -ENOMEM;
		json_decref(value);
	}
	json_decref(sums);
	json_decref(items);
	return err ? krl_cli_fail("%s", strerror(-err)) : KRL_CLI_GOOD;
}
