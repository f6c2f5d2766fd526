// SPDX-License-Identifier: Apache-2.0
/* What the tool prints of statistics: tables, JSON, YAML. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/control/methods.h"
#include "tools/kmesh-rl/cli.h"
#include "tools/kmesh-rl/table.h"

static char *printed;
static size_t printed_bytes;
static FILE *out;

static int setup(void **state)
{
	out = open_memstream(&printed, &printed_bytes);
	return !out;
}

static int teardown(void **state)
{
	fclose(out);
	free(printed);
	return 0;
}

static void assert_printed(const char *expected)
{
	fflush(out);
	assert_string_equal(printed, expected);
	rewind(out);
}

static json_t *two_rules(void)
{
	static struct krl_stats_row rows[] = {
		{ .info = { .ns = "default", .name = "web", .service = "frontend", .rule = "burst",
			    .limit = "10 per 1 minute" },
		  .settings = { 20, 10, 60000000000ULL }, .available = -3, .total = 15, .limited = 5,
		  .flags = KRL_RULE_SHADOW, .shadow_limited = 4,
		  .bucket_count = 2, .endpoint_count = 1 },
		{ .info = { .ns = "ml-models", .name = "model-quota", .limit = "5 per 1 second" },
		  .settings = { INT64_MAX, 5, 1500000000ULL }, .available = INT64_MAX },
	};
	struct krl_stats stats = { .rows = rows, .count = 2 };
	json_t *all;

	stats.reasons[KRL_REASON_TLS] = 7;
	all = krl_stats_json(&stats);
	assert_non_null(all);
	return all;
}

static void a_table_is_aligned_as_kubectl_does(void **state)
{
	json_t *stats = two_rules();

	assert_int_equal(krl_cli_print_stats(stats, false, out), 0);
	assert_printed(
		"NAME          NAMESPACE   SERVICE    RULE     LIMIT             AVAILABLE             TOTAL   LIMITED\n"
		"web           default     frontend   burst    10 per 1 minute   -3                    15      5\n"
		"model-quota   ml-models   <none>     <none>   5 per 1 second    9223372036854775807   0       0\n");
	json_decref(stats);
}

static void a_wide_table_adds_the_settings_and_reasons(void **state)
{
	json_t *stats = two_rules(), *one = krl_cli_select(stats, "default", NULL);

	assert_int_equal(krl_cli_print_stats(one, true, out), 0);
	assert_printed("NAME   NAMESPACE   SERVICE    RULE    LIMIT             AVAILABLE   TOTAL   LIMITED   "
		       "MODE     SHADOWED   MAX   FILL   INTERVAL   ENDPOINTS   BUCKETS   WINDOW   REJECTED   CALLERS\n"
		       "web    default     frontend   burst   10 per 1 minute   -3          15      5         "
		       "Shadow   4          20    10     1m         1           2         2m       33.3%      <none>\n"
		       "\nREASON   COUNT\ntls      7\n");
	json_decref(one);
	json_decref(stats);
}

static void rules_of_the_cluster_have_columns_and_redis_a_row(void **state)
{
	struct krl_stats_row rows[] = {
		{ .id = 7, .info = { .name = "web" }, .settings = { 20, 10, 1 }, .flags = KRL_RULE_CLUSTER | KRL_RULE_AWAY_OPEN },
		{ .id = 8, .info = { .name = "own" }, .settings = { 20, 10, 1 } },
	};
	struct krl_stats stats = { .rows = rows, .count = 2 };
	struct krl_seen_rule rule = { .rule_id = 7, .leased = 5, .left = -2, .at_ns = krl_boot_ns() };
	struct krl_seen seen = { .asked = true, .where = "10.0.0.7:6379", .why = "Connection refused", .exchanges = 3,
				 .failures = 1, .per_s = 1.5, .rules = &rule, .count = 1 };
	json_t *value = krl_stats_json(&stats), *item = json_array_get(json_object_get(value, "items"), 0), *all, *expected;

	assert_int_equal(krl_stats_add_cluster(value, &stats, &seen), 0);
	json_object_set_new(item, "lastExchangeAge", json_integer(250000000));
	expected = json_pack("{s:b, s:s, s:s, s:s, s:f, s:i, s:i}", "up", 0, "since", "1970-01-01T00:00:00Z", "at", "10.0.0.7:6379",
			     "why", "Connection refused", "exchangesPerSecond", 1.5, "exchanges", 3, "failures", 1);
	assert_true(json_equal(json_object_get(value, "cluster"), expected));
	assert_string_equal(json_string_value(json_object_get(item, "whenUnavailable")), "Open");
	json_object_del(json_object_get(value, "cluster"), "since");
	all = krl_cli_select(value, NULL, NULL);
	assert_int_equal(krl_cli_print_stats(all, false, out), 0);
	assert_printed("NAME   NAMESPACE   SERVICE   RULE     LIMIT    AVAILABLE   TOTAL   LIMITED   SCOPE     LEASED   LEFT     EXCHANGED\n"
		       "web    <none>      <none>    <none>   <none>   0           0       0         Cluster   5        -2       250ms\n"
		       "own    <none>      <none>    <none>   <none>   0           0       0         Node      <none>   <none>   <none>\n"
		       "\nREDIS   AT              SINCE       EXCHANGES/S   WHY\n"
		       "away    10.0.0.7:6379   <unknown>   1.5           Connection refused\n");
	json_decref(expected);
	json_decref(all);
	json_decref(value);
}

static void many_rows_fit(void **state)
{
	struct krl_table table = { .columns = 2 };
	const char *const cells[] = { "left", "right" };
	char expected[1000 * 13 + 1] = "";
	int i;

	for (i = 0; i < 1000; i++) {
		assert_int_equal(krl_table_add(&table, cells), 0);
		strcpy(expected + i * 13, "left   right\n");
	}
	krl_table_print(&table, out);
	assert_printed(expected);
	krl_table_free(&table);
}

static void characters_are_counted_not_bytes(void **state)
{
	struct krl_table table = { .columns = 2 };
	const char *const umlauts[] = { "\xc3\xa4\xc3\xb6", "x" }, *const ascii[] = { "abc", "y" };

	krl_table_add(&table, umlauts);
	krl_table_add(&table, ascii);
	krl_table_print(&table, out);
	assert_printed("\xc3\xa4\xc3\xb6    x\nabc   y\n");
	krl_table_free(&table);
}

static void a_cell_cannot_steer_the_terminal(void **state)
{
	struct krl_table table = { .columns = 1 };
	const char *const cells[] = { "a\x1b[31mb\nc\x7f" };

	krl_table_add(&table, cells);
	krl_table_print(&table, out);
	assert_printed("a?[31mb?c?\n");
	krl_table_free(&table);
}

static void intervals_are_exact(void **state)
{
	static const struct {
		__u64 ns;
		const char *text;
	} cases[] = {
		{ 1, "1ns" }, { 1000, "1us" }, { 500000000, "500ms" }, { 1500000000, "1s500ms" },
		{ 90000000000ULL, "1m30s" }, { 86400000000000ULL, "24h" }, { 0, "0s" },
		{ INT64_MAX, "2562047h47m16s854ms775us807ns" },
	};
	char text[KRL_INTERVAL_BYTES];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		krl_table_interval(cases[i].ns, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void select_takes_by_namespace_and_name(void **state)
{
	static const struct {
		const char *ns, *name;
		size_t found;
	} cases[] = {
		{ NULL, NULL, 2 },  { "default", NULL, 1 },  { NULL, "web", 1 },
		{ "default", "web", 1 }, { "ml-models", "web", 0 }, { "Default", NULL, 0 },
	};
	json_t *stats = two_rules(), *chosen;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		chosen = krl_cli_select(stats, cases[i].ns, cases[i].name);
		assert_int_equal(json_array_size(json_object_get(chosen, "items")), cases[i].found);
		assert_int_equal(json_integer_value(json_object_get(json_object_get(chosen, "reasons"),
								     "tls")), 7);
		json_decref(chosen);
	}
	json_decref(stats);
	stats = json_pack("{s:[]}", "items");
	assert_null(krl_cli_select(stats, NULL, NULL));
	json_decref(stats);
}

static void json_has_the_documented_fields(void **state)
{
	json_t *stats = two_rules(), *parsed, *expected;

	assert_int_equal(krl_cli_write(stats, KRL_CLI_JSON, out), 0);
	fflush(out);
	assert_int_equal(printed[strlen(printed) - 1], '\n');
	parsed = json_loads(printed, JSON_REJECT_DUPLICATES, NULL);
	expected = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:i, s:i, s:i, s:i, s:i, s:I, s:f}",
			     "namespace", "default", "name", "web", "service", "frontend", "rule",
			     "burst", "limit", "10 per 1 minute", "mode", "Shadow",
			     "shadowLimitedRequests", 4, "maxTokens", 20, "tokensPerFill", 10,
			     "fillInterval", (json_int_t)60000000000LL, "availableTokens", -3,
			     "totalRequests", 15, "rateLimitedRequests", 5, "endpoints", 1, "buckets", 2,
			     "window", (json_int_t)120000000000LL, "rejectedRatio", 5 / 15.);
	assert_true(json_equal(json_array_get(json_object_get(parsed, "items"), 0), expected));
	assert_int_equal(json_object_size(json_object_get(parsed, "reasons")), KRL_REASON_MAX);
	assert_int_equal(json_object_size(parsed), 2);
	json_decref(expected);
	json_decref(parsed);
	json_decref(stats);
}

static void what_is_open_at_once_is_not_filled_by_time(void **state)
{
	struct krl_stats_row row = { .info = { .name = "web", .limit = "1 at once" }, .flags = KRL_RULE_CONCURRENT,
				     .settings = { 1, 1, INT64_MAX }, .available = 1 };
	json_t *stats = krl_stats_json(&(struct krl_stats){ .rows = &row, .count = 1 });

	assert_int_equal(krl_cli_print_stats(stats, true, out), 0);
	fflush(out);
	assert_non_null(strstr(printed, "1     <none>   <none>     0"));
	rewind(out);
	json_decref(stats);
}

static void a_rule_that_counts_tokens_tells_which(void **state)
{
	struct krl_stats_row rows[] = {
		{ .info = { .name = "llm" }, .flags = KRL_RULE_LLM,
		  .used = { .requests = 9, .estimated = 2, .unreadable = 1, .input = 30, .output = 70, .total = 101,
			    .cached_input = 8, .reasoning = 5, .debited = 300 } },
		{ .info = { .name = "requests" }, .used = { .requests = 1 } },
	};
	struct krl_stats stats = { .rows = rows, .count = 2 };
	json_t *value = krl_stats_json(&stats), *items = json_object_get(value, "items"), *expected;

	expected = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "requests", 9, "estimated", 2, "unreadable", 1,
			     "input", 30, "output", 70, "total", 101, "cachedInput", 8, "reasoning", 5, "debited", 300);
	assert_true(json_equal(json_object_get(json_array_get(items, 0), "tokens"), expected));
	assert_non_null(json_array_get(items, 1));
	assert_null(json_object_get(json_array_get(items, 1), "tokens"));
	json_decref(expected);
	json_decref(value);
}

static void yaml_is_the_same_structure(void **state)
{
	json_t *value = json_pack("{s:[{s:s, s:I, s:b, s:n}], s:{}, s:[]}", "items", "name", "web",
				  "maxTokens", (json_int_t)INT64_MAX, "ready", 1, "agent", "none", "empty");

	assert_int_equal(krl_cli_write(value, KRL_CLI_YAML, out), 0);
	assert_printed("items:\n- name: web\n  maxTokens: 9223372036854775807\n  ready: true\n"
		       "  agent: null\nnone: {}\nempty: []\n");
	json_decref(value);
}

static void yaml_quotes_what_would_be_no_string(void **state)
{
	static const char *const quoted[] = { "", "true", "No", "NULL", "~", "10", "1e3", "0x1f", "12:30:00",
					      "2026-01-01", "-", "y", ".inf", "10 per 1 minute", "a: b",
					      "a #b", "a\nb", " a" };
	json_t *value;
	size_t i;

	for (i = 0; i < sizeof(quoted) / sizeof(*quoted); i++) {
		value = json_pack("[s]", quoted[i]);
		assert_int_equal(krl_cli_write(value, KRL_CLI_YAML, out), 0);
		fflush(out);
		assert_true(printed[2] == '"' || printed[2] == '\'');
		rewind(out);
		json_decref(value);
	}
	value = json_pack("[s, s]", "sklearn-iris", "nothing");
	assert_int_equal(krl_cli_write(value, KRL_CLI_YAML, out), 0);
	assert_printed("- sklearn-iris\n- nothing\n");
	json_decref(value);
}

static void names_that_are_not_utf8_do_not_break_the_answer(void **state)
{
	struct krl_stats_row row = { .info = { .name = "a\xff" "b" } };
	struct krl_stats stats = { .rows = &row, .count = 1 };
	json_t *value = krl_stats_json(&stats);
	json_t *item = json_array_get(json_object_get(value, "items"), 0);

	assert_string_equal(json_string_value(json_object_get(item, "name")), "a?b");
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_table_is_aligned_as_kubectl_does, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wide_table_adds_the_settings_and_reasons, setup, teardown),
		cmocka_unit_test_setup_teardown(rules_of_the_cluster_have_columns_and_redis_a_row, setup, teardown),
		cmocka_unit_test_setup_teardown(many_rows_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(characters_are_counted_not_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cell_cannot_steer_the_terminal, setup, teardown),
		cmocka_unit_test(intervals_are_exact),
		cmocka_unit_test(select_takes_by_namespace_and_name),
		cmocka_unit_test_setup_teardown(json_has_the_documented_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_open_at_once_is_not_filled_by_time, setup, teardown),
		cmocka_unit_test(a_rule_that_counts_tokens_tells_which),
		cmocka_unit_test_setup_teardown(yaml_is_the_same_structure, setup, teardown),
		cmocka_unit_test_setup_teardown(yaml_quotes_what_would_be_no_string, setup, teardown),
		cmocka_unit_test(names_that_are_not_utf8_do_not_break_the_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
