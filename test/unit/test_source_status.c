// SPDX-License-Identifier: Apache-2.0
/* What became of RateLimits, by how it went to do what they say. The loop does not run: nothing is sent. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/source/status_internal.h"

static uv_loop_t loop;
static struct krl_statuses *statuses;
static struct krl_diags errors, notes;
static struct krl_plan plan;
static struct krl_plan_rule rules[3];
static struct krl_plan_endpoint endpoints[2];

static void put(const char *name, int generation, const char *version)
{
	json_t *object = json_pack("{s:{s:s, s:s, s:s, s:s, s:i}, s:{s:s}, s:{s:s}}", "metadata", "namespace", "default",
				   "name", name, "uid", "u", "resourceVersion", version, "generation", generation,
				   "spec", "service", "web", "status", "service", version);

	krl_statuses_put(statuses, object);
	json_decref(object);
}

static int setup(void **state)
{
	struct krl_statuses_options options = { "node-a", 10 };

	uv_loop_init(&loop);
	plan = (struct krl_plan){ .rules = rules };
	return krl_statuses_open(&loop, NULL, &options, &statuses);
}

static int teardown(void **state)
{
	krl_statuses_close(statuses);
	uv_run(&loop, UV_RUN_DEFAULT);
	krl_diags_clear(&errors);
	krl_diags_clear(&notes);
	return uv_loop_close(&loop);
}

static void judge(int err, bool unread)
{
	struct krl_outcome outcome = { &plan, &errors, &notes, unread, err, "kernel: no", false, NULL };

	krl_statuses_judge(statuses, &outcome);
}

static const struct krl_verdict *verdict(const char *name)
{
	return &krl_status_find(statuses, "default", name)->own;
}

static void check(const char *name, enum krl_verdict_reason reason, int generation, int on_endpoints, const char *message)
{
	const struct krl_verdict *v = verdict(name);

	assert_string_equal(v->message, message);
	assert_int_equal(v->reason, reason);
	assert_int_equal(v->generation, generation);
	assert_int_equal(v->endpoints, on_endpoints);
}

/* Rule @number is of @name, and on the endpoints that @bits says. */
static void place(unsigned int number, const char *name, unsigned int bits)
{
	unsigned int i;

	snprintf(rules[number].ns, sizeof(rules[number].ns), "default");
	snprintf(rules[number].name, sizeof(rules[number].name), "%s", name);
	plan.rule_count = number + 1;
	plan.endpoints = endpoints;
	plan.endpoint_count = 2;
	for (i = 0; i < 2; i++) {
		if (!number)
			endpoints[i].rule_count = endpoints[i].outside_count = 0;
		if (bits & 1 << i)
			endpoints[i].rules[endpoints[i].rule_count++] = number;
	}
}

static void an_endpoint_counts_once(void **state)
{
	put("a", 1, "1");
	put("b", 1, "2");
	place(0, "a", 3);
	place(1, "a", 1);
	place(2, "b", 2);
	judge(0, false);
	check("a", KRL_VERDICT_PROGRAMMED, 1, 2, "it is in force");
	check("b", KRL_VERDICT_PROGRAMMED, 1, 1, "it is in force");
}

static void complaints_find_their_object(void **state)
{
	put("a", 1, "1");
	put("ab", 1, "2");
	put("c", 1, "3");
	put("d", 1, "4");
	krl_diags_add(&errors, "RateLimit default/a", 0, 0, "spec.rules: missing, not RateLimit default/c: it");
	krl_diags_add(&errors, "RateLimit default/a", 0, 0, "spec.port: too high");
	krl_diags_add(&errors, "kubernetes", 0, 0, "RateLimit default/ab: too many rules");
	krl_diags_add(&errors, "kubernetes", 0, 0, "RateLimit default/d: %s", KRL_COMPILE_NO_REDIS);
	krl_diags_add(&errors, "https://server", 0, 0, "RateLimit default/c: x");
	krl_diags_add(&notes, "kubernetes", 0, 0, "RateLimit default/c waits: service web has no endpoint");
	judge(0, false);
	check("a", KRL_VERDICT_INVALID, 1, 0, "spec.rules: missing, not RateLimit default/c: it; spec.port: too high");
	check("ab", KRL_VERDICT_CONFLICTED, 1, 0, "too many rules");
	check("d", KRL_VERDICT_NO_REDIS, 1, 0, KRL_COMPILE_NO_REDIS);
	check("c", KRL_VERDICT_SERVICE_NOT_FOUND, 1, 0, "service web has no endpoint");
}

static void a_kernel_that_fails_is_no_fault_of_what_is_in_force(void **state)
{
	put("old", 1, "1");
	place(0, "old", 1);
	judge(0, false);
	put("new", 1, "2");
	judge(-ENOSPC, false);
	check("old", KRL_VERDICT_PROGRAMMED, 1, 1, "it is in force");
	check("new", KRL_VERDICT_PENDING, 1, 0, "kernel: no");
	judge(-ENOTSUP, false);
	check("new", KRL_VERDICT_UNSUPPORTED, 1, 0, "kernel: no");
	put("old", 2, "3");
	judge(-ENOSPC, false);
	check("old", KRL_VERDICT_PENDING, 2, 1, "kernel: no");
}

static void nothing_is_said_while_services_are_unread(void **state)
{
	put("a", 1, "1");
	judge(0, true);
	check("a", KRL_VERDICT_NONE, 0, 0, "");
	judge(0, false);
	check("a", KRL_VERDICT_NO_ENDPOINTS, 1, 0, "its endpoints are on other nodes");
}

static bool is_spoken;

static void walk_limited(void *ctx, krl_limited_fn fn, void *arg)
{
	fn(arg, "default", "a", 7);
}

static void walk_unseen(void *ctx, krl_unseen_fn fn, void *arg)
{
	static const struct krl_endpoint_key key = { .addr = { [10] = 0xff, 0xff, 10, 0, 0, 1 }, .port = 80 };

	if (is_spoken)
		fn(arg, &rules[0], &key);
}

static void what_http2_passes_by_is_looked_for_again_and_again(void **state)
{
	static const char says[] = "requests over HTTP/2, of which the head is not read, are not matched by rule r at 10.0.0.1:80";

	krl_statuses_count(statuses, walk_limited, walk_unseen, NULL);
	put("a", 1, "1");
	put("b", 1, "2");
	place(0, "a", 1);
	place(1, "b", 1);
	strcpy(rules[0].rule, "r");
	is_spoken = true;
	judge(0, false);
	check("a", KRL_VERDICT_UNSEEN, 1, 1, says);
	check("b", KRL_VERDICT_PROGRAMMED, 1, 1, "it is in force");
	judge(-ENOTSUP, false);
	check("a", KRL_VERDICT_UNSEEN, 1, 1, says);
	is_spoken = false;
	krl_status_find(statuses, "default", "a")->dirty = false;
	krl_status_sample(statuses);
	check("a", KRL_VERDICT_PROGRAMMED, 1, 1, "it is in force");
	assert_true(krl_status_find(statuses, "default", "a")->dirty);
	assert_int_equal(verdict("a")->limited, 7);
	krl_status_find(statuses, "default", "a")->dirty = false;
	krl_status_sample(statuses);
	assert_false(krl_status_find(statuses, "default", "a")->dirty);
	is_spoken = true;
	krl_status_sample(statuses);
	check("a", KRL_VERDICT_UNSEEN, 1, 1, says);
	/* What is refused is not said to be in force in part. */
	krl_diags_add(&errors, "RateLimit default/a", 0, 0, "no");
	judge(0, false);
	krl_status_sample(statuses);
	check("a", KRL_VERDICT_INVALID, 1, 1, "no");
}

static void check_limiting(const char *name, bool limiting, unsigned int began)
{
	struct krl_status_entry *e = krl_status_find(statuses, "default", name);

	assert_int_equal(e->limiting, limiting);
	assert_int_equal(e->own.limiting, limiting);
	assert_int_equal(e->told[KRL_TOLD_STARTED].pending, began);
	assert_int_equal(e->told[KRL_TOLD_ENDED].pending, 0);
}

/* What this node said in the status, which is 7 limited by now. */
static void put_said(const char *name, const char *node, int limited, bool limiting)
{
	json_t *entry = json_pack("{s:s, s:i, s:b}", "node", node, "limited", limited, "limiting", limiting), *status;

	put(name, 1, "1");
	status = krl_status_find(statuses, "default", name)->seen;
	json_object_set_new(status, "nodes", json_pack("[o]", entry));
}

static void limiting_goes_on_by_what_the_agent_before_wrote(void **state)
{
	krl_statuses_count(statuses, walk_limited, walk_unseen, NULL);
	put_said("a", "node-a", 7, true);
	judge(0, false);
	check_limiting("a", true, 0);
}

static void what_the_agent_before_did_not_write_is_told(void **state)
{
	krl_statuses_count(statuses, walk_limited, walk_unseen, NULL);
	put_said("a", "node-a", 6, false);
	judge(0, false);
	check_limiting("a", true, 1);
}

static void what_the_agent_before_wrote_is_not_told_again(void **state)
{
	krl_statuses_count(statuses, walk_limited, walk_unseen, NULL);
	put_said("a", "node-a", 7, false);
	judge(0, false);
	check_limiting("a", false, 0);
}

static void other_nodes_limit_by_themselves(void **state)
{
	krl_statuses_count(statuses, walk_limited, walk_unseen, NULL);
	put_said("a", "node-b", 1, true);
	judge(0, false);
	check_limiting("a", false, 0);
}

static bool is_away;

static bool away(void *ctx)
{
	return is_away;
}

static void rules_of_the_cluster_are_degraded_without_redis(void **state)
{
	static const char local[] = "Redis is away: each node keeps the limit for itself";

	krl_statuses_count(statuses, walk_limited, walk_unseen, NULL);
	krl_statuses_ask_away(statuses, away, NULL);
	put("a", 1, "1");
	put("b", 1, "2");
	place(0, "a", 1);
	place(1, "b", 1);
	rules[0].flags = KRL_RULE_CLUSTER;
	is_spoken = false;
	is_away = true;
	judge(0, false);
	check("a", KRL_VERDICT_AWAY, 1, 1, local);
	check("b", KRL_VERDICT_PROGRAMMED, 1, 1, "it is in force");
	is_away = false;
	krl_status_sample(statuses);
	check("a", KRL_VERDICT_PROGRAMMED, 1, 1, "it is in force");
	krl_status_find(statuses, "default", "a")->dirty = false;
	krl_status_sample(statuses);
	assert_false(krl_status_find(statuses, "default", "a")->dirty);
	is_away = true;
	krl_status_sample(statuses);
	check("a", KRL_VERDICT_AWAY, 1, 1, local);
	assert_true(krl_status_find(statuses, "default", "a")->dirty);
	rules[0].flags = KRL_RULE_CLUSTER | KRL_RULE_AWAY_CLOSED;
	judge(0, false);
	check("a", KRL_VERDICT_AWAY, 1, 1, "Redis is away: rules with whenUnavailable: Closed refuse all");
	rules[0].flags = 0;
	judge(0, false);
	check("a", KRL_VERDICT_PROGRAMMED, 1, 1, "it is in force");
}

static void what_is_older_is_passed_over(void **state)
{
	put("a", 1, "10");
	put("a", 2, "9");
	assert_string_equal(krl_status_text(krl_status_find(statuses, "default", "a")->seen, "service"), "10");
	assert_int_equal(krl_status_find(statuses, "default", "a")->generation, 2);
	krl_statuses_list(statuses);
	put("a", 2, "8");
	assert_string_equal(krl_status_text(krl_status_find(statuses, "default", "a")->seen, "service"), "8");
	put("a", 2, "x");
	assert_string_equal(krl_status_text(krl_status_find(statuses, "default", "a")->seen, "service"), "x");
}

static void a_list_says_what_is_gone(void **state)
{
	put("a", 1, "1");
	put("b", 1, "2");
	put("c", 1, "3");
	krl_statuses_list(statuses);
	put("b", 1, "4");
	krl_statuses_listed(statuses);
	assert_int_equal(statuses->count, 1);
	assert_non_null(krl_status_find(statuses, "default", "b"));
	assert_null(krl_status_find(statuses, "default", "a"));
}

static void names_that_are_no_paths_are_left_out(void **state)
{
	put("../a", 1, "1");
	put("a?b", 1, "2");
	assert_int_equal(statuses->count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_endpoint_counts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(complaints_find_their_object, setup, teardown),
		cmocka_unit_test_setup_teardown(a_kernel_that_fails_is_no_fault_of_what_is_in_force, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_said_while_services_are_unread, setup, teardown),
		cmocka_unit_test_setup_teardown(what_http2_passes_by_is_looked_for_again_and_again, setup, teardown),
		cmocka_unit_test_setup_teardown(rules_of_the_cluster_are_degraded_without_redis, setup, teardown),
		cmocka_unit_test_setup_teardown(limiting_goes_on_by_what_the_agent_before_wrote, setup, teardown),
		cmocka_unit_test_setup_teardown(what_the_agent_before_did_not_write_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_the_agent_before_wrote_is_not_told_again, setup, teardown),
		cmocka_unit_test_setup_teardown(other_nodes_limit_by_themselves, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_older_is_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(a_list_says_what_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(names_that_are_no_paths_are_left_out, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
