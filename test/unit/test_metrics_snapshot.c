// SPDX-License-Identifier: Apache-2.0
/* What is told of a node, from rows of maps, without a kernel; and how long things took. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/metrics/server.h"
#include "bpf/lib/histogram.h"

#define NS 1000000000ULL

static struct krl_stats_row row_of(const char *name, __u32 flags)
{
	struct krl_stats_row row = { .flags = flags, .available = -4, .settings = { 10, 1, NS }, .total = 9, .limited = 3,
				     .shadow_limited = 2, .bucket_count = 5, .endpoint_count = 6 };

	strcpy(row.info.ns, "shop");
	strcpy(row.info.name, name);
	strcpy(row.info.rule, "all");
	strcpy(row.info.service, "web:80");
	return row;
}

static char *text_of(const struct krl_snapshot *snapshot)
{
	struct krl_exposition e = { .format = KRL_EXPOSITION_OPEN_METRICS };
	char *text;

	krl_snapshot_write(snapshot, &e);
	assert_false(e.failed);
	text = strndup(e.text, e.len);
	free(e.text);
	return text;
}

static void assert_has(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("not %s in\n%s", line, text);
}

static void assert_has_not(const char *text, const char *line)
{
	if (strstr(text, line))
		fail_msg("%s in\n%s", line, text);
}

#define RULE "namespace=\"shop\",name=\"web\",rule=\"all\",service=\"web:80\""

static void a_rule_is_told_of_by_its_four_names(void **state)
{
	struct krl_stats_row row = row_of("web", 0);
	struct krl_snapshot snapshot = { .stats = { .rows = &row, .count = 1, .buckets = 7, .overflowing = 1 } };
	char *text;

	snapshot.stats.reasons[KRL_REASON_TLS] = 8;
	text = text_of(&snapshot);
	assert_has(text, "\nkmesh_ratelimit_requests_total{" RULE ",decision=\"allowed\"} 4\n"
			 "kmesh_ratelimit_requests_total{" RULE ",decision=\"limited\"} 3\n"
			 "kmesh_ratelimit_requests_total{" RULE ",decision=\"shadow_limited\"} 2\n");
	assert_has(text, "\nkmesh_ratelimit_available_tokens{" RULE "} -4\n");
	assert_has(text, "\nkmesh_ratelimit_max_tokens{" RULE "} 10\n");
	assert_has(text, "\nkmesh_ratelimit_rule_buckets{" RULE "} 5\n");
	assert_has(text, "\nkmesh_ratelimit_rule_endpoints{" RULE "} 6\n");
	assert_has(text, "\nkmesh_ratelimit_buckets 7\n");
	assert_has(text, "\nkmesh_ratelimit_overflow_buckets 1\n");
	assert_has(text, "\nkmesh_ratelimit_rules 1\n");
	assert_has(text, "\nkmesh_ratelimit_reasons_total{reason=\"tls\"} 8\n");
	/* It counts requests. */
	assert_has_not(text, "\nkmesh_ratelimit_llm_");
	free(text);
}

static void the_cluster_is_told_of_where_it_is_asked(void **state)
{
	struct krl_stats_row rows[] = { row_of("web", KRL_RULE_CLUSTER), row_of("api", 0) };
	struct krl_seen_rule rule = { .rule_id = 7, .leased = 5, .left = -2 };
	struct krl_snapshot snapshot = { .stats = { .rows = rows, .count = 2 } };
	char *text = text_of(&snapshot);

	assert_has_not(text, "kmesh_ratelimit_cluster_");
	free(text);
	rows[0].id = 7;
	snapshot.agent.cluster = (struct krl_seen){ .asked = true, .exchanges = 9, .failures = 2, .rules = &rule, .count = 1 };
	text = text_of(&snapshot);
	assert_has(text, "\nkmesh_ratelimit_cluster_up 0\n");
	assert_has(text, "\nkmesh_ratelimit_cluster_leased_tokens{" RULE "} 5\n");
	assert_has(text, "\nkmesh_ratelimit_cluster_left_tokens{" RULE "} -2\n");
	assert_has(text, "\nkmesh_ratelimit_cluster_exchanges_total 9\n");
	assert_has(text, "\nkmesh_ratelimit_cluster_failures_total 2\n");
	assert_has_not(text, "tokens{namespace=\"shop\",name=\"api\",rule=\"all\",service=\"web:80\"} 5\n");
	assert_has_not(text, "kmesh_ratelimit_cluster_last_exchange_timestamp_seconds ");
	free(text);
	snapshot.agent.cluster.up = true;
	snapshot.agent.cluster.last_ms = 1500;
	text = text_of(&snapshot);
	assert_has(text, "\nkmesh_ratelimit_cluster_up 1\n");
	assert_has(text, "\nkmesh_ratelimit_cluster_last_exchange_timestamp_seconds 1.5");
	free(text);
}

static struct krl_kept kept_of(const char *value)
{
	struct krl_kept kept = { .count = 1, .values = { { .how = KRL_KEPT_TEXT, .len = strlen(value) } } };

	/* A header. */
	kept.values[0].field = KRL_FIELD_HEADER;
	strcpy(kept.values[0].name, "u");
	memcpy(kept.values[0].text, value, strlen(value));
	return kept;
}

static void users_that_look_the_same_are_one(void **state)
{
	struct krl_stats_row rows[] = { row_of("web", KRL_RULE_LLM), row_of("api", 0) };
	const struct krl_kept alice = kept_of("alice"), again = kept_of("alice");
	struct krl_tally_limited limited[] = {
		{ &rows[0], { 1, 2 }, &alice, 50, { .input = 7 } },
		{ &rows[1], { 1, 2 }, &alice, 60, { .input = 1 } },
		{ &rows[0], { 3, 4 }, &again, 5, { .input = 2 } },
		{ &rows[0], { 0xabcdef0123, 4 }, NULL, 4, { .total = 3 } },
	};
	struct krl_snapshot snapshot = { .stats = { .rows = rows, .count = 2 }, .tally = { .limited = limited } };
	char *text;

	snapshot.tally.limited_count = 4;
	krl_tally_sort(&snapshot.tally, 4);
	text = text_of(&snapshot);
	assert_has(text, "\nkmesh_ratelimit_limited_requests_total{" RULE ",user=\"u=alice\"} 55\n");
	assert_has(text, "name=\"api\",rule=\"all\",service=\"web:80\",user=\"u=alice\"} 60\n");
	/* ... each once. */
	assert_has_not(text, RULE ",user=\"u=alice\"} 0\n");
	assert_has_not(text, RULE ",user=\"u=alice\"} 5\n");
	assert_has(text, "\nkmesh_ratelimit_limited_requests_total{" RULE ",user=\"#cdef0123\"} 4\n");
	assert_has(text, "\nkmesh_ratelimit_llm_user_tokens_total{" RULE ",type=\"input\",user=\"u=alice\"} 9\n");
	assert_has(text, "\nkmesh_ratelimit_llm_user_tokens_total{" RULE ",type=\"total\",user=\"#cdef0123\"} 3\n");
	/* That counts requests. */
	assert_has_not(text, "kmesh_ratelimit_llm_user_tokens_total{namespace=\"shop\",name=\"api\"");
	free(text);
	krl_tally_sort(&snapshot.tally, 1);
	text = text_of(&snapshot);
	assert_has(text, "name=\"api\",rule=\"all\",service=\"web:80\",user=\"u=alice\"} 60\n# ");
	assert_has_not(text, "limited_requests_total{" RULE);
	free(text);
}

static struct krl_llm_model_key model_of(const char *name, __u32 len)
{
	struct krl_llm_model_key key = { .len = len ? len : strlen(name) };

	memcpy(key.model, name, strlen(name) < KRL_MODEL_BYTES ? strlen(name) : KRL_MODEL_BYTES);
	return key;
}

/* Names that are cut look the same; the rest of the rule's tokens is that of all models without a name. */
static void tokens_of_models_add_up_to_those_of_the_rule(void **state)
{
	struct krl_stats_row row = row_of("web", KRL_RULE_LLM);
	struct krl_used_row used[4] = {
		{ .rule = &row, .by = KRL_USED_ALL },
		{ .rule = &row, .by = KRL_USED_MODEL, .model = model_of("m", 0), .tokens = { .input = 3, .total = 5 } },
		{ .rule = &row, .by = KRL_USED_MODEL, .model = model_of("m", 70), .tokens = { .input = 4, .total = 6 } },
		{ .rule = &row, .by = KRL_USED_MODEL, .model = model_of("no histogram", 0), .tokens = { .total = 10 } },
	};
	struct krl_tally_usage usages[] = { { .key = model_of("m", 0) }, { .key = model_of("m", 70) } };
	struct krl_snapshot snapshot = { .stats = { .rows = &row, .count = 1 },
					 .used = { .rows = used, .count = 4 },
					 .tally = { .usages = usages, .usage_count = 2 } };
	char *text;

	row.used = (struct krl_llm_stats){ .requests = 9, .estimated = 2, .unreadable = 1, .input = 17, .total = 30,
					   .debited = 31 };
	text = text_of(&snapshot);
	assert_has(text, "\nkmesh_ratelimit_llm_tokens_total{" RULE ",type=\"input\",model=\"m\"} 7\n");
	assert_has(text, "\nkmesh_ratelimit_llm_tokens_total{" RULE ",type=\"total\",model=\"m\"} 11\n");
	assert_has(text, "\nkmesh_ratelimit_llm_tokens_total{" RULE ",type=\"input\",model=\"_OTHER\"} 10\n");
	assert_has(text, "\nkmesh_ratelimit_llm_tokens_total{" RULE ",type=\"total\",model=\"_OTHER\"} 19\n");
	assert_has_not(text, "no histogram");
	assert_has(text, "\nkmesh_ratelimit_llm_answers_total{" RULE ",usage=\"told\"} 6\n"
			 "kmesh_ratelimit_llm_answers_total{" RULE ",usage=\"estimated\"} 2\n"
			 "kmesh_ratelimit_llm_answers_total{" RULE ",usage=\"unreadable\"} 1\n");
	assert_has(text, "\nkmesh_ratelimit_llm_debited_tokens_total{" RULE "} 31\n");
	/* Some of them was counted after the rule was read. */
	row.used.total = 4;
	free(text);
	text = text_of(&snapshot);
	assert_has_not(text, "_OTHER");
	free(text);
}

#define USAGE "gen_ai_client_token_usage_token"

static void histograms_of_names_that_are_cut_are_one(void **state)
{
	struct krl_tally_usage usages[] = { { .key = model_of("m", 0) }, { .key = model_of("n", 0) },
					    { .key = model_of("m", 70) }, { .key = { .len = KRL_USAGE_OTHERS } } };
	struct krl_snapshot snapshot = { .tally = { .usages = usages, .usage_count = 4 } };
	char *text;

	usages[0].usage.of[KRL_USAGE_INPUT] = (struct krl_usage_histogram){ { 1, 2 }, 9 };
	usages[2].usage.of[KRL_USAGE_INPUT] = (struct krl_usage_histogram){ { 4 }, 1 };
	usages[3].usage.of[KRL_USAGE_TOTAL].buckets[KRL_USAGE_BUCKETS - 1] = 1;
	usages[3].key.rule_id = KRL_USAGE_COMPLETION;
	text = text_of(&snapshot);
#define LABELS "gen_ai_operation_name=\"chat\",gen_ai_request_model=\"m\",gen_ai_token_type=\"input\""
	assert_has(text, USAGE "_bucket{" LABELS ",le=\"1.0\"} 5\n" USAGE "_bucket{" LABELS ",le=\"4.0\"} 7\n");
	assert_has(text, USAGE "_bucket{" LABELS ",le=\"67108864.0\"} 7\n" USAGE "_bucket{" LABELS ",le=\"+Inf\"} 7\n"
			 USAGE "_count{" LABELS "} 7\n" USAGE "_sum{" LABELS "} 10\n");
	assert_has(text, "{gen_ai_operation_name=\"text_completion\",gen_ai_request_model=\"_OTHER\",gen_ai_token_type="
			 "\"total\",le=\"67108864.0\"} 0\n");
	assert_has_not(text, "model=\"n\"");
	assert_has_not(text, "type=\"output\"");
	assert_ptr_equal(strstr(strstr(text, USAGE "_sum{" LABELS "}") + 1, USAGE "_sum{" LABELS "}"), NULL);
	free(text);
}

static void what_is_not_known_is_not_told(void **state)
{
	struct krl_snapshot snapshot = { 0 };
	char *text = text_of(&snapshot);

	assert_has_not(text, "program_runs");
	assert_has_not(text, "last_sync");
	assert_has_not(text, "cpu_overhead");
	assert_has_not(text, "start_time");
	assert_has(text, "\nkmesh_ratelimit_agent_ready 0\n");
	free(text);
	snapshot.agent.spent = (struct krl_spent){ .measured = true, .programs = { { "krl_stream", 1500000000, 7 } },
						   .program_count = 1, .maps = { { "krl_rules", 4096 } }, .map_count = 1 };
	snapshot.agent.last_sync_ms = 1795747503538;
	snapshot.agent.overhead = (struct krl_overhead){ .last = { .at_ns = 1 }, .agent = 0.25, .programs = -1 };
	snapshot.agent.watches[0] = (struct krl_metrics_watch){ "ratelimits", true };
	snapshot.agent.watch_count = 1;
	text = text_of(&snapshot);
	assert_has(text, "\nkmesh_ratelimit_program_run_seconds_total{program=\"krl_stream\"} 1.500000000\n");
	assert_has(text, "\nkmesh_ratelimit_program_runs_total{program=\"krl_stream\"} 7\n");
	assert_has(text, "\nkmesh_ratelimit_map_memory_bytes{map=\"krl_rules\"} 4096\n");
	assert_has(text, "\nkmesh_ratelimit_agent_last_sync_timestamp_seconds 1795747503.538000000\n");
	assert_has(text, "\nkmesh_ratelimit_cpu_overhead_ratio{part=\"agent\"} 0.250000000\n");
	assert_has(text, "\nkmesh_ratelimit_agent_watch_up{resource=\"ratelimits\"} 1\n");
	assert_has_not(text, "part=\"programs\"");
	free(text);
}

static void a_value_is_in_the_bucket_up_to_whose_bound_it_is(void **state)
{
	assert_int_equal(krl_usage_bucket(0), 0);
	assert_int_equal(krl_usage_bucket(1), 0);
	assert_int_equal(krl_usage_bucket(2), 1);
	assert_int_equal(krl_usage_bucket(4), 1);
	assert_int_equal(krl_usage_bucket(5), 2);
	assert_int_equal(krl_usage_bucket(67108864), 13);
	assert_int_equal(krl_usage_bucket(67108865), 14);
	assert_int_equal(krl_usage_bucket(UINT64_MAX), 14);
	assert_int_equal(krl_latency_bucket(0), 0);
	assert_int_equal(krl_latency_bucket(256), 0);
	assert_int_equal(krl_latency_bucket(257), 1);
	assert_int_equal(krl_latency_bucket(2097152), 13);
	assert_int_equal(krl_latency_bucket(UINT64_MAX), 14);
}

static void a_duration_is_in_the_bucket_up_to_whose_bound_it_is(void **state)
{
	struct krl_timing timing = { 0 };

	krl_timing_add(&timing, 0);
	krl_timing_add(&timing, 1000000);
	krl_timing_add(&timing, 1000001);
	krl_timing_add(&timing, 10 * NS);
	krl_timing_add(&timing, 11 * NS);
	assert_int_equal(timing.buckets[0], 2);
	assert_int_equal(timing.buckets[1], 1);
	assert_int_equal(timing.buckets[KRL_TIMING_BUCKETS - 2], 1);
	assert_int_equal(timing.buckets[KRL_TIMING_BUCKETS - 1], 1);
	assert_int_equal(timing.sum_ns, 21 * NS + 2000001);
}

static void a_share_is_of_all_cpus_between_two_samples(void **state)
{
	struct krl_overhead overhead = { 0 };

	krl_overhead_update(&overhead, &(struct krl_overhead_sample){ 10 * NS, 5 * NS, 3 * NS, true }, 4);
	assert_true(overhead.agent < 0 && overhead.programs < 0);
	krl_overhead_update(&overhead, &(struct krl_overhead_sample){ 20 * NS, 7 * NS, 4 * NS, true }, 4);
	assert_true(overhead.agent == 0.05 && overhead.programs == 0.025);
	/* Programs that were loaded anew began at zero. */
	krl_overhead_update(&overhead, &(struct krl_overhead_sample){ 30 * NS, 7 * NS, NS, true }, 4);
	assert_true(overhead.agent == 0 && overhead.programs == 0);
	krl_overhead_update(&overhead, &(struct krl_overhead_sample){ 40 * NS, 7 * NS, 0, false }, 4);
	assert_true(overhead.agent == 0 && overhead.programs < 0);
}

static void an_address_is_a_number_and_a_port(void **state)
{
	static const char *const good[] = { "127.0.0.1:9464", "0.0.0.0:0", "[::1]:65535", ":9464", "localhost:1" };
	static const char *const bad[] = { "", "9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
					   "127.0.0.1:1x", "::1:9464", "[::1]", "[::1:9464", "example.com:80", "[]:1", "*:1" };
	struct sockaddr_storage address;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (krl_metrics_address(good[i], &address))
			fail_msg("%s", good[i]);
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (krl_metrics_address(bad[i], &address) != -EINVAL)
			fail_msg("%s", bad[i]);
	assert_int_equal(krl_metrics_address(":9464", &address), 0);
	assert_int_equal(address.ss_family, AF_INET6);
	assert_int_equal(ntohs(((struct sockaddr_in6 *)&address)->sin6_port), 9464);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_is_told_of_by_its_four_names),
		cmocka_unit_test(the_cluster_is_told_of_where_it_is_asked),
		cmocka_unit_test(users_that_look_the_same_are_one),
		cmocka_unit_test(tokens_of_models_add_up_to_those_of_the_rule),
		cmocka_unit_test(histograms_of_names_that_are_cut_are_one),
		cmocka_unit_test(what_is_not_known_is_not_told),
		cmocka_unit_test(a_value_is_in_the_bucket_up_to_whose_bound_it_is),
		cmocka_unit_test(a_duration_is_in_the_bucket_up_to_whose_bound_it_is),
		cmocka_unit_test(a_share_is_of_all_cpus_between_two_samples),
		cmocka_unit_test(an_address_is_a_number_and_a_port),
	};

	return cmocka_run_group_tests_name("metrics_snapshot", tests, NULL, NULL);
}
