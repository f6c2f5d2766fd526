// SPDX-License-Identifier: Apache-2.0
/* The text of metrics, in both formats, and which of them is wanted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/metrics/exposition.h"

static const struct krl_metrics_label who[] = { { "name", "a" }, { "rule", "b" }, { NULL, NULL } };

/* The text, NUL-terminated; the caller frees it. */
static char *text_of(struct krl_exposition *e)
{
	char *text = strndup(e->text, e->len);

	assert_false(e->failed);
	free(e->text);
	return text;
}

static void assert_text(struct krl_exposition *e, const char *expected)
{
	char *text = text_of(e);

	assert_string_equal(text, expected);
	free(text);
}

static void a_counter_ends_in_total_in_its_samples_alone_in_open_metrics(void **state)
{
	struct krl_exposition e = { .format = KRL_EXPOSITION_TEXT };

	krl_exposition_begin(&e, KRL_METRIC_PROGRAM_RUN_SECONDS);
	krl_exposition_seconds(&e, who, 1500000001);
	krl_exposition_end(&e);
	assert_text(&e, "# HELP kmesh_ratelimit_program_run_seconds_total CPU time of a BPF program of this agent, where the "
			"kernel measures it.\n"
			"# TYPE kmesh_ratelimit_program_run_seconds_total counter\n"
			"kmesh_ratelimit_program_run_seconds_total{name=\"a\",rule=\"b\"} 1.500000001\n");
	e = (struct krl_exposition){ .format = KRL_EXPOSITION_OPEN_METRICS };
	krl_exposition_begin(&e, KRL_METRIC_PROGRAM_RUN_SECONDS);
	krl_exposition_seconds(&e, NULL, 0);
	krl_exposition_end(&e);
	assert_text(&e, "# HELP kmesh_ratelimit_program_run_seconds CPU time of a BPF program of this agent, where the "
			"kernel measures it.\n"
			"# TYPE kmesh_ratelimit_program_run_seconds counter\n"
			"# UNIT kmesh_ratelimit_program_run_seconds seconds\n"
			"kmesh_ratelimit_program_run_seconds_total 0.000000000\n"
			"# EOF\n");
}

static void what_says_the_version_is_a_gauge_where_there_is_no_info(void **state)
{
	struct krl_exposition e = { .format = KRL_EXPOSITION_TEXT };
	char *text;

	krl_exposition_begin(&e, KRL_METRIC_BUILD);
	text = text_of(&e);
	assert_non_null(strstr(text, "\n# TYPE kmesh_ratelimit_build_info gauge\n"));
	free(text);
	e = (struct krl_exposition){ .format = KRL_EXPOSITION_OPEN_METRICS };
	krl_exposition_begin(&e, KRL_METRIC_BUILD);
	text = text_of(&e);
	assert_non_null(strstr(text, "\n# TYPE kmesh_ratelimit_build info\n"));
	free(text);
}

static void a_debt_is_below_zero(void **state)
{
	struct krl_exposition e = { 0 };
	char *text;

	krl_exposition_begin(&e, KRL_METRIC_AVAILABLE_TOKENS);
	krl_exposition_number(&e, who, INT64_MIN);
	krl_exposition_count(&e, who, UINT64_MAX);
	text = text_of(&e);
	assert_non_null(strstr(text, "kmesh_ratelimit_available_tokens{name=\"a\",rule=\"b\"} -9223372036854775808\n"));
	assert_non_null(strstr(text, "kmesh_ratelimit_available_tokens{name=\"a\",rule=\"b\"} 18446744073709551615\n"));
	free(text);
}

static void buckets_of_a_histogram_contain_those_before(void **state)
{
	static const char *const bounds[] = { "0.1", "1.0" };
	const uint64_t buckets[] = { 2, 0, 3 };
	struct krl_exposition e = { 0 };
	char *text;

	krl_exposition_begin(&e, KRL_METRIC_RECONCILE);
	krl_exposition_histogram(&e, who, bounds, buckets, 3, 2500000000);
	krl_exposition_begin(&e, KRL_METRIC_TOKEN_USAGE);
	krl_exposition_histogram(&e, NULL, bounds, buckets, 3, 77);
	text = text_of(&e);
#define NAME "kmesh_ratelimit_agent_reconcile_duration_seconds"
	assert_non_null(strstr(text, NAME "_bucket{name=\"a\",rule=\"b\",le=\"0.1\"} 2\n"
				     NAME "_bucket{name=\"a\",rule=\"b\",le=\"1.0\"} 2\n"
				     NAME "_bucket{name=\"a\",rule=\"b\",le=\"+Inf\"} 5\n"
				     NAME "_count{name=\"a\",rule=\"b\"} 5\n"
				     NAME "_sum{name=\"a\",rule=\"b\"} 2.500000000\n"));
#undef NAME
	assert_non_null(strstr(text, "gen_ai_client_token_usage_token_bucket{le=\"+Inf\"} 5\n"
				     "gen_ai_client_token_usage_token_count 5\n"
				     "gen_ai_client_token_usage_token_sum 77\n"));
	free(text);
}

static void assert_value(const char *value, const char *written)
{
	const struct krl_metrics_label labels[] = { { "v", value }, { NULL, NULL } };
	struct krl_exposition e = { 0 };
	char *text, expected[256];

	krl_exposition_begin(&e, KRL_METRIC_READY);
	krl_exposition_count(&e, labels, 1);
	text = text_of(&e);
	snprintf(expected, sizeof(expected), "kmesh_ratelimit_agent_ready{v=\"%s\"} 1\n", written);
	if (!strstr(text, expected))
		fail_msg("not %s in %s", expected, text);
	free(text);
}

static void values_are_escaped_and_in_utf_8(void **state)
{
	assert_value("", "");
	assert_value("a\"b\\c\nd", "a\\\"b\\\\c\\nd");
	assert_value("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	/* Cut, too long, of a surrogate, beyond U+10FFFF. */
	assert_value("\xc3", "?");
	assert_value("\xe2\x82", "??");
	assert_value("\xc3\"", "?\\\"");
	assert_value("\xc0\xaf\xe0\x80\xaf", "?????");
	assert_value("\xed\xa0\x80", "???");
	assert_value("\xf4\x90\x80\x80\xff", "?????");
}

static void a_long_value_is_cut_between_characters(void **state)
{
	char from[KRL_EXPOSITION_CUT_BYTES + 8], cut[KRL_EXPOSITION_CUT_BYTES + 1];

	memset(from, 'a', sizeof(from));
	from[KRL_EXPOSITION_CUT_BYTES] = '\0';
	krl_exposition_cut(from, cut);
	assert_string_equal(cut, from);
	strcpy(from + KRL_EXPOSITION_CUT_BYTES - 2, "\xe2\x82\xac");
	krl_exposition_cut(from, cut);
	assert_int_equal(strlen(cut), KRL_EXPOSITION_CUT_BYTES - 2);
	strcpy(from + KRL_EXPOSITION_CUT_BYTES - 3, "\xe2\x82\xac");
	krl_exposition_cut(from, cut);
	assert_string_equal(cut, from);
	krl_exposition_cut("", cut);
	assert_string_equal(cut, "");
}

static void names_are_as_prometheus_has_them(void **state)
{
	const struct krl_metric_family *family;
	size_t i, len, unit;

	for (i = 0; i < KRL_METRIC_COUNT; i++) {
		family = &krl_metric_families[i];
		len = strlen(family->name);
		assert_int_equal(strspn(family->name, "abcdefghijklmnopqrstuvwxyz_"), len);
		if (family->type == KRL_METRIC_COUNTER) {
			assert_string_equal(family->name + len - 6, "_total");
			len -= 6;
		}
		if (family->type == KRL_METRIC_INFO)
			assert_string_equal(family->name + len - 5, "_info");
		unit = strlen(family->unit);
		if (unit)
			assert_memory_equal(family->name + len - unit, family->unit, unit);
		assert_int_equal(family->help[strlen(family->help) - 1], '.');
	}
}

static void the_format_is_the_one_that_is_preferred(void **state)
{
	static const struct {
		const char *accept;
		enum krl_exposition_format format;
	} cases[] = {
		{ NULL, KRL_EXPOSITION_TEXT },
		{ "", KRL_EXPOSITION_TEXT },
		{ "*/*", KRL_EXPOSITION_TEXT },
		{ "text/html", KRL_EXPOSITION_TEXT },
		{ "application/json, ,", KRL_EXPOSITION_TEXT },
		{ "application/openmetrics-text", KRL_EXPOSITION_OPEN_METRICS },
		{ "Application/OpenMetrics-Text; Version=\"1.0.0\"", KRL_EXPOSITION_OPEN_METRICS },
		{ "application/openmetrics-text;version=0.0.1", KRL_EXPOSITION_TEXT },
		{ "application/openmetrics-text;version=2.0.0,*/*;q=0.1", KRL_EXPOSITION_TEXT },
		{ "application/openmetrics-text; version=1.0.0,application/openmetrics-text; version=0.0.1;q=0.75,"
		  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", KRL_EXPOSITION_OPEN_METRICS },
		{ "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3",
		  KRL_EXPOSITION_OPEN_METRICS },
		{ "text/plain;version=1.0.0;q=0.9,application/openmetrics-text;version=1.0.0;q=0.4", KRL_EXPOSITION_OPEN_METRICS },
		{ "text/plain;q=0.9, application/openmetrics-text;q=0.8", KRL_EXPOSITION_TEXT },
		{ "text/plain;q=0.3, application/openmetrics-text;q=0.31", KRL_EXPOSITION_OPEN_METRICS },
		{ "text/plain, application/openmetrics-text", KRL_EXPOSITION_TEXT },
		{ "application/openmetrics-text;q=0, */*;q=0.001", KRL_EXPOSITION_TEXT },
		{ "application/openmetrics-text;q=0", KRL_EXPOSITION_TEXT },
		{ "application/openmetrics-text;q=x, text/*;q=0.001", KRL_EXPOSITION_TEXT },
		{ "application/openmetrics-text;q", KRL_EXPOSITION_OPEN_METRICS },
		{ ";;;=,;q=,\";", KRL_EXPOSITION_TEXT },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (krl_exposition_negotiate(cases[i].accept) != cases[i].format)
			fail_msg("%s", cases[i].accept);
	assert_string_equal(krl_exposition_type(KRL_EXPOSITION_TEXT), "text/plain; version=0.0.4; charset=utf-8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_counter_ends_in_total_in_its_samples_alone_in_open_metrics),
		cmocka_unit_test(what_says_the_version_is_a_gauge_where_there_is_no_info),
		cmocka_unit_test(a_debt_is_below_zero),
		cmocka_unit_test(buckets_of_a_histogram_contain_those_before),
		cmocka_unit_test(values_are_escaped_and_in_utf_8),
		cmocka_unit_test(a_long_value_is_cut_between_characters),
		cmocka_unit_test(names_are_as_prometheus_has_them),
		cmocka_unit_test(the_format_is_the_one_that_is_preferred),
	};

	return cmocka_run_group_tests_name("metrics_text", tests, NULL, NULL);
}
