// SPDX-License-Identifier: Apache-2.0
/* What `kmesh-rl diagnose` finds in the facts about a node. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/kmesh-rl/cli.h"
#include "tools/kmesh-rl/diagnose.h"
#include "tools/kmesh-rl/listeners.h"

/* Beside those of features. */
#define CHECKS 18

static struct krl_finding findings[KRL_DIAGNOSE_CHECKS];
static size_t count;

/* A node where all is well. */
static struct krl_facts healthy(void)
{
	static json_t *about, *limits, *unheard;
	struct krl_facts facts = { .bpffs = "/sys/fs/bpf/x", .control_socket = "/run/x", .release = "6.1.0",
				   .cgroup = "/sys/fs/cgroup", .connections = { .count = 3 },
				   .features = { { "sk_skb", "requests are judged by it", false, 1 } }, .feature_count = 1,
				   .fills = { { "krl_forms", 1, 10 } }, .fill_count = 1 };

	if (!about) {
		about = json_pack("{s:s, s:i, s:b, s:s, s:[]}", "version", KRL_VERSION, "pid", 7, "ready", 1, "source",
				  "dir:/etc/x", "errors");
		limits = json_pack("{s:[]}", "items");
		unheard = json_array();
	}
	facts.about = about;
	facts.limits = limits;
	facts.unheard = unheard;
	return facts;
}

static const struct krl_finding *found(const struct krl_facts *facts, const char *name)
{
	size_t i;

	count = krl_diagnose_judge(facts, findings);
	for (i = 0; i < count; i++)
		if (!strcmp(findings[i].name, name))
			return &findings[i];
	return NULL;
}

static void assert_found(const struct krl_facts *facts, const char *name, enum krl_finding_level level,
			 const char *text)
{
	const struct krl_finding *finding = found(facts, name);

	assert_non_null(finding);
	if (finding->level != level || !strstr(finding->text, text))
		fail_msg("%s: %s \"%s\", not %s with \"%s\"", name, krl_finding_levels[finding->level], finding->text,
			 krl_finding_levels[level], text);
}

static void a_healthy_node_is_ok_throughout(void **state)
{
	struct krl_facts facts = healthy();
	size_t i;

	count = krl_diagnose_judge(&facts, findings);
	assert_int_equal(count, CHECKS + facts.feature_count);
	for (i = 0; i < count; i++)
		assert_int_equal(findings[i].level, KRL_FINDING_OK);
}

static void the_machine_is_looked_at(void **state)
{
	struct krl_facts facts = healthy();

	facts.kernel = -ENOTSUP;
	facts.bpffs_mount = -ENOENT;
	facts.cgroup_mount = -ENOENT;
	assert_found(&facts, "kernel", KRL_FINDING_FAIL, "6.1.0 is too old");
	assert_found(&facts, "bpffs", KRL_FINDING_FAIL, "mount -t bpf");
	assert_found(&facts, "cgroup", KRL_FINDING_FAIL, "mount -t cgroup2");
	facts.kernel = -ENODATA;
	assert_found(&facts, "kernel", KRL_FINDING_FAIL, "CONFIG_DEBUG_INFO_BTF");
}

static void without_pins_nothing_more_is_read_from_them(void **state)
{
	static const struct {
		int err;
		const char *text;
	} cases[] = {
		{ -ENOENT, "start the agent" }, { -EPERM, "run as root" }, { -EPROTO, "another version" },
		{ -EIO, "Input/output error" },
	};
	struct krl_facts facts = healthy();
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		facts.pins = cases[i].err;
		assert_found(&facts, "pins", KRL_FINDING_FAIL, cases[i].text);
		assert_null(found(&facts, "programs"));
		assert_null(found(&facts, "connections"));
		assert_null(found(&facts, "buckets"));
		assert_null(found(&facts, "blocking-readers"));
		assert_null(found(&facts, "judged"));
	}
}

static void another_version_may_go_on(void **state)
{
	struct krl_facts facts = healthy();

	facts.former = (struct krl_inspect_former){ 7, 3, true };
	facts.programs = -ENOENT;
	assert_found(&facts, "pins", KRL_FINDING_WARN, "version 7 enforces until");
	assert_null(found(&facts, "programs"));
	facts.programs = 0;
	facts.former.attached = false;
	assert_found(&facts, "pins", KRL_FINDING_OK, "3 connections stay with version 7");
}

static void an_agent_is_to_be_there_and_ready(void **state)
{
	struct krl_facts facts = healthy();
	json_t *about;

	facts.agent = -ECONNREFUSED;
	facts.about = NULL;
	assert_found(&facts, "agent", KRL_FINDING_FAIL, "no agent listens on /run/x");
	facts.agent = -ETIMEDOUT;
	assert_found(&facts, "agent", KRL_FINDING_FAIL, "does not answer");
	facts.agent = 0;
	about = json_pack("{s:s, s:i, s:b, s:[s]}", "version", "0.0.0", "pid", 7, "ready", 0, "errors",
			  "a.yaml:3:5: spec.rules: missing");
	facts.about = about;
	assert_found(&facts, "source", KRL_FINDING_FAIL, "not in force");
	assert_found(&facts, "source", KRL_FINDING_FAIL, "a.yaml:3:5: spec.rules: missing");
	assert_found(&facts, "agent", KRL_FINDING_WARN, "this program is of version " KRL_VERSION);
	json_decref(about);
}

static void programs_are_to_be_attached(void **state)
{
	static const int errors[] = { -ENOENT, -ENOLINK, -ENOEXEC, -EIO };
	struct krl_facts facts = healthy();
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		facts.programs = errors[i];
		assert_int_equal(found(&facts, "programs")->level, KRL_FINDING_FAIL);
	}
}

static void full_maps_are_told(void **state)
{
	struct krl_stats_row row = { .bucket_count = KRL_MAX_BUCKETS };
	struct krl_facts facts = healthy();

	facts.connections.count = KRL_MAX_CONNS;
	facts.stats.rows = &row;
	facts.stats.count = 1;
	assert_found(&facts, "connections", KRL_FINDING_WARN, "65536 of 65536 enrolled: nearly full");
	assert_found(&facts, "buckets", KRL_FINDING_WARN, "1048576 of 1048576 used, 1 rules: nearly full");
	facts = healthy();
	facts.stats.reasons[KRL_REASON_CONN_TABLE_FULL] = 5;
	facts.stats.reasons[KRL_REASON_BUCKET_OVERFLOW] = 6;
	assert_found(&facts, "connections", KRL_FINDING_WARN, "5 found no room");
	assert_found(&facts, "buckets", KRL_FINDING_WARN, "6 requests found no room");
}

static void blocking_readers_are_told_with_what_follows(void **state)
{
	struct krl_endpoint_key key = { .addr = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 }, .port = 8080 };
	struct krl_facts facts = healthy();
	size_t i;

	facts.connections.count = 0;
	for (i = 0; i < 2; i++)
		krl_inspect_count(&facts.connections, &key, true);
	krl_inspect_count(&facts.connections, &key, false);
	facts.stats.reasons[KRL_REASON_BLOCKING_READER] = 12;
	facts.stats.reasons[KRL_REASON_READER_WOKEN] = 3;
	assert_int_equal(facts.connections.count, 3);
	assert_found(&facts, "blocking-readers", KRL_FINDING_WARN, "12 connections so far");
	assert_found(&facts, "blocking-readers", KRL_FINDING_WARN, "now at 127.0.0.1:8080 (2); 3 refused");
	assert_found(&facts, "blocking-readers", KRL_FINDING_WARN, "keep the agent running");
	for (i = 0; i < KRL_INSPECT_ENDPOINTS + 1; i++) {
		key.port++;
		krl_inspect_count(&facts.connections, &key, true);
	}
	assert_found(&facts, "blocking-readers", KRL_FINDING_WARN, "127.0.0.1:8083 (1) and others (2); ");
}

static void what_could_not_be_judged_is_told(void **state)
{
	struct krl_facts facts = healthy();

	facts.stats.reasons[KRL_REASON_TLS] = 4;
	facts.stats.reasons[KRL_REASON_READ_FAILED] = 5;
	assert_found(&facts, "judged", KRL_FINDING_WARN, "tls 4, read_failed 5; see ");
	facts.stats.reasons[KRL_REASON_HTTP2_UNSEEN] = 6;
	assert_found(&facts, "judged", KRL_FINDING_WARN, "tls 4, read_failed 5; http2_unseen 6: requests over HTTP/2");
	memset(facts.stats.reasons, 0, sizeof(facts.stats.reasons));
	facts.stats.reasons[KRL_REASON_HTTP2_UNSEEN] = 6;
	assert_int_equal(strncmp(found(&facts, "judged")->text, "http2_unseen 6: requests over HTTP/2", 36), 0);
	facts.stats.reasons[KRL_REASON_NOT_JUDGED] = 7;
	facts.stats.reasons[KRL_REASON_LLM_BODY_LONG] = 8;
	assert_found(&facts, "judged", KRL_FINDING_WARN, "not_judged 7, llm_body_long 8; http2_unseen 6");
	facts.unseen = json_pack("[s, s]", "1.2.3.4:80 (a/b)", "1.2.3.4:81");
	assert_found(&facts, "judged", KRL_FINDING_WARN, "or count LLMTokens, at 1.2.3.4:80 (a/b), 1.2.3.4:81; see ");
	json_decref((json_t *)facts.unseen);
}

static void features_are_told_one_by_one(void **state)
{
	struct krl_facts facts = healthy();

	facts.feature_count = 3;
	facts.features[1] = (struct krl_inspect_feature){ "jit", "it is fast", true, 0 };
	facts.features[2] = (struct krl_inspect_feature){ "queue", "it waits", false, 0 };
	assert_found(&facts, "feature-sk_skb", KRL_FINDING_OK, "requests are judged by it");
	assert_found(&facts, "feature-jit", KRL_FINDING_WARN, "not there: it is fast");
	assert_found(&facts, "feature-queue", KRL_FINDING_FAIL, "not there: it waits");
	facts.features[2].there = -EPERM;
	assert_found(&facts, "feature-queue", KRL_FINDING_WARN, "cannot be told");
	facts.features[0].there = -EPERM;
	assert_found(&facts, "features", KRL_FINDING_WARN, "run as root");
	assert_null(found(&facts, "feature-jit"));
}

static void others_are_named_as_far_as_there_is_room(void **state)
{
	struct krl_facts facts = healthy();

	facts.others.program_count = KRL_INSPECT_OTHERS + 2;
	facts.others.programs[0] = (struct krl_inspect_other){ "sockops_x", "sock_ops", 9 };
	facts.others.map_count = 1;
	facts.others.maps[0] = (struct krl_inspect_other){ "sock_pool", NULL, 8 };
	assert_found(&facts, "hooks", KRL_FINDING_WARN, "sock_ops sockops_x (id 9), ");
	assert_found(&facts, "hooks", KRL_FINDING_WARN, ", and 2 more on the same cgroup");
	assert_found(&facts, "sockmaps", KRL_FINDING_OK, "sock_pool (id 8)");
	facts.stats.reasons[KRL_REASON_NOT_ENROLLED] = 4;
	assert_found(&facts, "sockmaps", KRL_FINDING_WARN, "sock_pool (id 8); 4 connections were not let into ours");
	assert_found(&facts, "sockmaps", KRL_FINDING_WARN, "Multipath TCP");
	facts.others.programs[1] = (struct krl_inspect_other){ "krl_sockops", "sock_ops", 10 };
	assert_found(&facts, "hooks", KRL_FINDING_WARN, ". Those called krl_ are of another kmesh-rl-agent");
}

static void what_the_agent_says_of_rate_limits_is_judged(void **state)
{
	struct krl_facts facts = healthy();
	json_t *limits = json_pack("{s:[{s:s, s:s, s:[{s:s, s:s, s:s, s:s}]}, {s:s, s:s, s:[{s:s, s:s, s:s, s:s}]}]}", "items",
				   "namespace", "a", "name", "b", "conditions", "type", "Accepted", "status", "False", "reason",
				   "Invalid", "message", "x.yaml:1:1: y", "namespace", "c", "name", "d", "conditions", "type",
				   "Programmed", "status", "False", "reason", "NoEndpoints", "message", "elsewhere");
	json_t *unheard = json_pack("[s, s]", "1.2.3.4:80 (a/b)", "1.2.3.4:81"), *outside = json_pack("[s]", "1.2.3.4:82 (a/b)");

	facts.limits = limits;
	facts.unheard = unheard;
	facts.endpoint_count = 5;
	assert_found(&facts, "ratelimits", KRL_FINDING_WARN, "2 read; a/b: Invalid x.yaml:1:1: y");
	assert_found(&facts, "endpoints", KRL_FINDING_WARN, "; c/d: NoEndpoints elsewhere");
	assert_found(&facts, "listeners", KRL_FINDING_WARN, "nobody listens at 1.2.3.4:80 (a/b), 1.2.3.4:81, of 5 endpoints");
	facts.outside = outside;
	assert_found(&facts, "listeners", KRL_FINDING_WARN, "on which port; the servers at 1.2.3.4:82 (a/b) are outside");
	facts.unheard = healthy().unheard;
	assert_found(&facts, "listeners", KRL_FINDING_WARN, "5 endpoints; the servers at 1.2.3.4:82 (a/b) are outside of the cgroup");
	json_decref(limits);
	json_decref(unheard);
	json_decref(outside);
}

static void redis_is_missed_where_rules_need_it(void **state)
{
	struct krl_stats_row rows[] = { { .flags = KRL_RULE_CLUSTER }, { .flags = KRL_RULE_CLUSTER | KRL_RULE_AWAY_OPEN }, { 0 },
					{ .flags = KRL_RULE_CLUSTER | KRL_RULE_AWAY_CLOSED },
					{ .flags = KRL_RULE_CLUSTER | KRL_RULE_AWAY_CLOSED } };
	struct krl_facts facts = healthy();
	json_t *about = json_deep_copy(facts.about), *redis = json_pack("{s:b, s:s}", "up", 1, "at", "10.0.0.7:6379");

	assert_null(found(&facts, "redis"));
	json_object_set(about, "cluster", redis);
	facts.about = about;
	assert_found(&facts, "redis", KRL_FINDING_OK, "10.0.0.7:6379");
	json_object_set_new(redis, "up", json_false());
	json_object_set_new(redis, "since", json_string("2026-03-01T00:00:00Z"));
	json_object_set_new(redis, "why", json_string("Connection refused"));
	assert_found(&facts, "redis", KRL_FINDING_OK, "away since 2026-03-01T00:00:00Z (Connection refused)");
	facts.stats = (struct krl_stats){ .rows = rows, .count = 5 };
	facts.stats.reasons[KRL_REASON_CLUSTER_AWAY] = 8;
	assert_found(&facts, "redis", KRL_FINDING_WARN, "again: 1 rule is kept by each node for itself (whenUnavailable: Local), "
		     "1 rule lets all through (Open), 2 rules refuse all (Closed); cluster_away 8: requests");
	json_object_set_new(redis, "up", json_true());
	assert_found(&facts, "redis", KRL_FINDING_OK, "10.0.0.7:6379; cluster_away 8");
	json_object_del(about, "cluster");
	assert_found(&facts, "redis", KRL_FINDING_WARN, "no agent asks it: 1 rule is");
	json_decref(redis);
	json_decref(about);
}

static void clocks_and_maps_are_looked_at(void **state)
{
	struct krl_facts facts = healthy();

	facts.clock.behind_ns = -3000000000LL;
	assert_found(&facts, "clock", KRL_FINDING_WARN, "-3 s off");
	facts.fills[1] = (struct krl_inspect_fill){ "krl_held", 8, 10 };
	facts.fill_count = 2;
	assert_found(&facts, "maps", KRL_FINDING_WARN, "the fullest is krl_held, 8 of 10; krl_held is nearly full");
}

static void listeners_are_read_as_proc_has_them(void **state)
{
	static const char text[] =
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
		"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1\n"
		"   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2\n"
		"   2: 0100007F:0051 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 3\n"
		"   3: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 0:0\n";
	struct krl_endpoint_key key = { .addr = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 }, .port = 8080 };
	struct krl_listeners listeners = {};

	assert_int_equal(krl_listeners_parse(&listeners, text), 0);
	assert_int_equal(listeners.count, 3);
	assert_int_equal(krl_listeners_at(&listeners, &key), 1);
	key.port = 80;
	assert_int_equal(krl_listeners_at(&listeners, &key), 1);
	key.port = 81;
	assert_int_equal(krl_listeners_at(&listeners, &key), 0);
	key = (struct krl_endpoint_key){ .addr = { [15] = 1 }, .port = 8081 };
	assert_int_equal(krl_listeners_at(&listeners, &key), 1);
	key.addr[15] = 2;
	assert_int_equal(krl_listeners_at(&listeners, &key), 0);
	memset(key.addr, 0, sizeof(key.addr));
	assert_int_equal(krl_listeners_at(&listeners, &key), 1);
	krl_listeners_free(&listeners);
}

static void one_subject_is_known(void **state)
{
	struct krl_cli cli = {};

	assert_int_equal(krl_cli_diagnose(&cli), KRL_CLI_USAGE);
	krl_cli_list_add(&cli.words, "rate-limits");
	assert_int_equal(krl_cli_diagnose(&cli), KRL_CLI_USAGE);
	cli.words.words[0] = "ratelimit";
	krl_cli_list_add(&cli.words, "web");
	assert_int_equal(krl_cli_diagnose(&cli), KRL_CLI_USAGE);
	krl_cli_list_free(&cli.words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_healthy_node_is_ok_throughout),
		cmocka_unit_test(the_machine_is_looked_at),
		cmocka_unit_test(without_pins_nothing_more_is_read_from_them),
		cmocka_unit_test(another_version_may_go_on),
		cmocka_unit_test(an_agent_is_to_be_there_and_ready),
		cmocka_unit_test(programs_are_to_be_attached),
		cmocka_unit_test(full_maps_are_told),
		cmocka_unit_test(blocking_readers_are_told_with_what_follows),
		cmocka_unit_test(what_could_not_be_judged_is_told),
		cmocka_unit_test(features_are_told_one_by_one),
		cmocka_unit_test(others_are_named_as_far_as_there_is_room),
		cmocka_unit_test(what_the_agent_says_of_rate_limits_is_judged),
		cmocka_unit_test(redis_is_missed_where_rules_need_it),
		cmocka_unit_test(clocks_and_maps_are_looked_at),
		cmocka_unit_test(listeners_are_read_as_proc_has_them),
		cmocka_unit_test(one_subject_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
