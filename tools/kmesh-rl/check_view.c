// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check_view.h"

#include "agent/policy/explain.h"
#include "table.h"

#define CELL_BYTES 32

void krl_cli_check_clear(struct krl_cli_check_result *result)
{
	size_t i;

	for (i = 0; i < result->count; i++)
		krl_check_verdict_clear(&result->rows[i].verdict);
	free(result->rows);
	free(result->refusing);
	*result = (struct krl_cli_check_result){ 0 };
}

static json_t *row_json(const struct krl_cli_check_row *row, bool live)
{
	const struct krl_check_verdict *verdict = &row->verdict;
	bool known = row->left == KRL_CLI_LEFT_TOKENS || row->left == KRL_CLI_LEFT_FULL;
	json_t *item = json_pack("{s:s, s:s, s:s, s:o, s:s, s:b, s:s, s:s, s:s, s:s}",
				 "name", row->rule->name, "namespace", row->rule->ns,
				 "service", row->rule->service,
				 "tier", verdict->tier ? json_integer(verdict->tier) : json_null(),
				 "rule", row->rule->rule, "counts", verdict->counts,
				 "mode", row->rule->flags & KRL_RULE_SHADOW ? "Shadow" : "Enforce",
				 "limit", row->rule->limit,
				 "bucket", verdict->bucket ? verdict->bucket : "",
				 "why", verdict->why);

	if (item && live)
		json_object_set_new(item, "availableTokens",
				    known ? json_integer((json_int_t)row->available) : json_null());
	return item;
}

static int print_value(const struct krl_cli_check_result *result, bool live,
		       enum krl_cli_output output, FILE *out)
{
	json_t *items = json_array(), *refusing = json_array(), *value;
	char text[KRL_ENDPOINT_BYTES];
	int err = 0;
	size_t i;

	for (i = 0; i < result->count && !err; i++)
		err = json_array_append_new(items, row_json(&result->rows[i], live));
	for (i = 0; i < result->refusing_count && !err; i++) {
		krl_explain_endpoint(&result->refusing[i], text);
		err = json_array_append_new(refusing, json_string(text));
	}
	value = json_pack("{s:o, s:o}", "items", items, "badRequestAt", refusing);
	err = err || !value ? -ENOMEM : krl_cli_write(value, output, out);
	json_decref(value);
	return err;
}

static const char *left_text(const struct krl_cli_check_row *row, char buffer[CELL_BYTES])
{
	switch (row->left) {
	case KRL_CLI_LEFT_UNKNOWN:
		return "";
	case KRL_CLI_LEFT_FULL:
		return "full";
	case KRL_CLI_LEFT_NOTHING:
		return "not in force";
	case KRL_CLI_LEFT_TOKENS:
		break;
	}
	snprintf(buffer, CELL_BYTES, "%lld", (long long)row->available);
	return buffer;
}

static const char *counts_text(const struct krl_cli_check_row *row)
{
	if (!row->verdict.counts)
		return "no";
	return row->rule->flags & KRL_RULE_SHADOW ? "shadow" : "yes";
}

static int add_row(struct krl_table *table, const struct krl_cli_check_row *row, bool live)
{
	char tier[CELL_BYTES] = "", left[CELL_BYTES];
	const char *cells[KRL_TABLE_COLUMNS];
	size_t n = 0;

	if (row->verdict.tier)
		snprintf(tier, sizeof(tier), "%u", row->verdict.tier);
	cells[n++] = row->rule->name;
	cells[n++] = row->rule->ns;
	cells[n++] = row->rule->service;
	cells[n++] = tier;
	cells[n++] = row->rule->rule;
	cells[n++] = counts_text(row);
	cells[n++] = row->rule->limit;
	cells[n++] = row->verdict.bucket ? row->verdict.bucket : "";
	if (live)
		cells[n++] = left_text(row, left);
	cells[n++] = row->verdict.why;
	return krl_table_add(table, cells);
}

static int print_table(const struct krl_cli_check_result *result, bool live, FILE *out)
{
	static const char *const titles[] = { "NAME", "NAMESPACE", "SERVICE", "TIER", "RULE",
					      "COUNTS", "LIMIT", "BUCKET", "AVAILABLE", "WHY" };
	const size_t count = sizeof(titles) / sizeof(*titles);
	const char *cells[KRL_TABLE_COLUMNS];
	struct krl_table table = {};
	size_t i;
	int err;

	for (i = 0; i < count; i++)
		if (live || strcmp(titles[i], "AVAILABLE"))
			cells[table.columns++] = titles[i];
	err = krl_table_add(&table, cells);
	for (i = 0; i < result->count && !err; i++)
		err = add_row(&table, &result->rows[i], live);
	if (!err)
		krl_table_print(&table, out);
	krl_table_free(&table);
	return err;
}

int krl_cli_check_print(const struct krl_cli_check_result *result, bool live,
			enum krl_cli_output output, FILE *out)
{
	char text[KRL_ENDPOINT_BYTES];
	int err = 0;
	size_t i;

	if (output != KRL_CLI_TABLE)
		return print_value(result, live, output, out);
	if (result->count)
		err = print_table(result, live, out);
	else
		fprintf(stderr, "No rate limits found.\n");
	fflush(out);
	for (i = 0; i < result->refusing_count; i++) {
		krl_explain_endpoint(&result->refusing[i], text);
		fprintf(stderr, "%s answers 400: a value that picks a bucket is there twice or too "
				"long, and failurePolicy is Closed\n", text);
	}
	return err;
}
