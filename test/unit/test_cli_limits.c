// SPDX-License-Identifier: Apache-2.0
/* RateLimits as the agent tells of them and as they are shown: the store, the control socket's JSON, the tool's rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/control/limits.h"
#include "agent/policy/store.h"
#include "tools/kmesh-rl/limits_view.h"
#include "tools/kmesh-rl/table.h"

#define HEAD "apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\n"

/* A store that has read @text as a.yaml, and what the agent says of it. */
static struct {
	struct krl_store *store;
	struct krl_diags errors, notes;
	struct krl_plan plan;
} seen;

static void put(const char *text)
{
	krl_diags_clear(&seen.errors);
	krl_store_begin(seen.store);
	assert_int_equal(krl_store_file(seen.store, "a.yaml", text, strlen(text), &seen.errors), 0);
	krl_store_commit(seen.store);
	krl_plan_clear(&seen.plan);
	krl_diags_clear(&seen.notes);
	assert_int_equal(krl_store_compile(seen.store, 1000, &seen.plan, &seen.errors, &seen.notes), 0);
}

static int setup(void **state)
{
	memset(&seen, 0, sizeof(seen));
	seen.store = krl_store_new();
	return !seen.store;
}

static int teardown(void **state)
{
	krl_store_free(seen.store);
	krl_diags_clear(&seen.errors);
	krl_diags_clear(&seen.notes);
	krl_plan_clear(&seen.plan);
	return 0;
}

static json_t *known(void *ctx, const char *ns, const char *name)
{
	return strcmp(name, ctx) ? NULL : json_pack("{s:[{s:s}]}", "events", "reason", "LimitingStarted");
}

static bool spoken;

static void walk_unseen(void *ctx, krl_unseen_fn fn, void *arg)
{
	size_t i;

	for (i = 0; spoken && i < seen.plan.endpoint_count; i++)
		fn(arg, &seen.plan.rules[seen.plan.endpoints[i].rules[0]], &seen.plan.endpoints[i].key);
}

static json_t *told(void)
{
	struct krl_control_agent agent = { .ready = true, .errors = (const char *const *)seen.errors.lines,
					   .error_count = seen.errors.count, .notes = &seen.notes, .store = seen.store,
					   .plan = &seen.plan, .known = known, .unseen = walk_unseen, .ctx = "two" };
	json_t *limits = krl_limits_json(&agent);

	assert_non_null(limits);
	return limits;
}

static json_t *item(const json_t *limits, size_t i)
{
	return json_array_get(json_object_get(limits, "items"), i);
}

static const char *text(const json_t *object, const char *field)
{
	return json_string_value(json_object_get(object, field));
}

/* "True Accepted " of condition @at. */
static const char *condition(const json_t *limit, size_t at)
{
	const json_t *one = json_array_get(json_object_get(limit, "conditions"), at);
	static char said[2048];

	snprintf(said, sizeof(said), "%s %s %s", text(one, "status"), text(one, "reason"), text(one, "message"));
	return said;
}

static void each_limit_has_its_own_complaints(void **state)
{
	json_t *limits;

	put(HEAD "metadata: {name: one, creationTimestamp: null}\nspec: {endpoints: [{ip: 10.0.0.1, port: 80}], rules: [{limit: 1/x}]}\n"
	    "---\n" HEAD "metadata: {name: two, creationTimestamp: \"2024-01-02T03:04:05Z\"}\n"
	    "spec: {service: web, port: 80, rules: [{name: r, limit: \"10/minute;100/hour\"}]}\n"
	    "---\n" HEAD "metadata: {name: tri}\nspec: {endpoints: [{ip: 10.0.0.1, port: 80}], rules: [{name: r, limit: 5/second, mode: Shadow}]}\n");
	limits = told();
	assert_int_equal(json_array_size(json_object_get(limits, "items")), 3);
	assert_string_equal(text(item(limits, 0), "name"), "one");
	assert_non_null(strstr(condition(item(limits, 0), 0), "False Invalid a.yaml:4:"));
	assert_null(json_object_get(item(limits, 0), "spec"));
	assert_null(json_object_get(item(limits, 0), "creationTimestamp"));
	assert_string_equal(text(item(limits, 2), "name"), "two");
	assert_string_equal(condition(item(limits, 2), 0), "True Accepted ");
	assert_non_null(strstr(condition(item(limits, 2), 1), "False ServiceNotFound a.yaml:6:1: RateLimit default/two waits"));
	assert_string_equal(text(item(limits, 2), "service"), "web:80");
	assert_string_equal(text(item(limits, 2), "limit"), "10 per 1 minute; 100 per 1 hour");
	assert_string_equal(text(item(limits, 2), "creationTimestamp"), "2024-01-02T03:04:05Z");
	assert_int_equal(json_array_size(json_object_get(item(limits, 2), "events")), 1);
	assert_string_equal(text(item(limits, 1), "name"), "tri");
	assert_string_equal(condition(item(limits, 1), 1), "True Programmed it is in force");
	assert_int_equal(json_integer_value(json_object_get(item(limits, 1), "endpoints")), 1);
	json_decref(limits);
}

static void what_was_good_stays_and_says_that_it_is_refused(void **state)
{
	json_t *limits;

	put(HEAD "metadata: {name: one}\nspec: {endpoints: [{ip: 10.0.0.1, port: 80}], rules: [{limit: 1/second}]}\n");
	put(HEAD "metadata: {name: one}\nspec: {endpoints: [{ip: 10.0.0.1, port: 80}], rules: [{limit: 2/x}]}\n");
	limits = told();
	assert_non_null(strstr(condition(item(limits, 0), 0), "False Invalid"));
	assert_string_equal(condition(item(limits, 0), 1), "True Programmed what it was before is in force");
	assert_string_equal(text(item(limits, 0), "limit"), "1 per 1 second");
	json_decref(limits);
	/* The file cannot be read to its end: who is no longer to be found may be in what follows. */
	put("a: [\n");
	limits = told();
	assert_non_null(strstr(condition(item(limits, 0), 0), "False Invalid"));
	json_decref(limits);
}

static void what_http2_passes_by_is_a_condition_more(void **state)
{
	json_t *limits;

	put(HEAD "metadata: {name: one}\nspec: {endpoints: [{ip: 10.0.0.1, port: 80}], rules: [{name: r, limit: 1/second}]}\n"
	    "---\n" HEAD "metadata: {name: two}\nspec: {endpoints: [{ip: 10.0.0.1, port: 81}], rules: [{name: q, limit: 1/second}]}\n");
	limits = told();
	assert_int_equal(json_array_size(json_object_get(item(limits, 0), "conditions")), 2);
	json_decref(limits);
	spoken = true;
	limits = told();
	spoken = false;
	assert_string_equal(condition(item(limits, 0), 1), "True Programmed it is in force");
	assert_string_equal(condition(item(limits, 0), 2), "True HTTP2NotMatched requests over HTTP/2, of which the head is not "
							   "read, are not matched by rule r at 10.0.0.1:80");
	assert_non_null(strstr(condition(item(limits, 1), 2), "by rule q at 10.0.0.1:81"));
	json_decref(limits);
}

static void the_spec_is_told_in_words(void **state)
{
	json_t *limits, *spec, *rule;

	put(HEAD "metadata: {name: one}\nspec:\n  services:\n  - name: web\n    rules:\n    - name: r\n      limit: 10/minute\n"
	    "      clientSelectors:\n      - headers: [{name: X-A, type: Prefix, value: p}, {name: x-b, type: Present, invert: true}]\n"
	    "        sourceCIDR: {value: \"2001:db8::/32\"}\n        methods: [PUT]\n  direction: Outbound\n  ruleMatch: All\n");
	limits = told();
	spec = json_object_get(item(limits, 0), "spec");
	assert_string_equal(text(spec, "direction"), "Outbound");
	assert_string_equal(text(spec, "ruleMatch"), "All");
	rule = json_array_get(json_object_get(json_array_get(json_object_get(spec, "targets"), 0), "rules"), 0);
	assert_string_equal(json_string_value(json_array_get(json_object_get(rule, "selectors"), 0)),
			    "header x-a begins with \"p\", header x-b absent, source in 2001:db8::/32, method PUT");
	assert_true(json_is_true(json_object_get(rule, "inForce")));
	json_decref(limits);
}

static void long_lists_are_cut(void **state)
{
	char text_of_all[8192], *at = text_of_all;
	json_t *limits;
	int i;

	at += sprintf(at, HEAD "metadata: {name: one}\nspec:\n  rules: [{limit: 1/second}]\n  endpoints:\n");
	for (i = 1; i <= 100; i++)
		at += sprintf(at, "  - {ip: 10.0.0.%d, port: 8080}\n", i);
	put(text_of_all);
	limits = told();
	assert_true(strlen(text(item(limits, 0), "service")) < 240);
	assert_string_equal(strrchr(text(item(limits, 0), "service"), ','), ", ...");
	assert_int_equal(json_integer_value(json_object_get(item(limits, 0), "endpoints")), 100);
	assert_int_equal(json_array_size(json_object_get(item(limits, 0), "addresses")), KRL_LIMITS_ADDRESSES);
	json_decref(limits);
}

static void pods_are_told_in_words(void **state)
{
	json_t *limits, *spec, *rule;

	put(HEAD "metadata: {name: one}\nspec:\n  service: web\n  rules:\n  - name: r\n    limit: 10/minute\n    clientSelectors:\n"
	    "    - from: {podSelector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: In, values: [a, b]}]},\n"
	    "             namespaceSelector: {matchLabels: {team: x}}, type: Distinct, by: Workload}\n");
	limits = told();
	assert_string_equal(condition(item(limits, 0), 0), "True Accepted ");
	spec = json_object_get(item(limits, 0), "spec");
	rule = json_array_get(json_object_get(json_array_get(json_object_get(spec, "targets"), 0), "rules"), 0);
	assert_string_equal(json_string_value(json_array_get(json_object_get(rule, "selectors"), 0)),
			    "from a pod with app in (web) and tier in (a|b) in namespaces with team in (x), distinct by workload");
	json_decref(limits);
}

static void what_only_the_kernel_knows_is_shown_too(void **state)
{
	json_t *stats = json_pack("{s:[{s:s, s:s, s:s, s:s, s:i, s:i}, {s:s, s:s, s:s, s:s, s:i, s:i}]}", "items",
				  "namespace", "b", "name", "x", "service", "s", "limit", "1 per 1 second", "totalRequests", 5,
				  "rateLimitedRequests", 2, "namespace", "b", "name", "x", "service", "s", "limit",
				  "2 per 1 second", "totalRequests", 5, "rateLimitedRequests", 1);
	json_t *agent = json_pack("{s:[{s:s, s:s, s:s, s:{}, s:[{s:s, s:s, s:s, s:s}, {s:s, s:s, s:s, s:s}]}]}", "items",
				  "namespace", "a", "name", "y", "service", "web", "spec", "conditions",
				  "type", "Accepted", "status", "True", "reason", "Accepted", "message", "",
				  "type", "Programmed", "status", "False", "reason", "NoEndpoints", "message", "elsewhere");
	json_t *partial = json_pack("{s:[{s:s, s:s, s:[{s:s, s:s, s:s}, {s:s, s:s, s:s}, {s:s, s:s, s:s}]}]}", "items",
				    "namespace", "a", "name", "y", "conditions", "type", "Accepted", "status", "True", "reason",
				    "Accepted", "type", "Programmed", "status", "True", "reason", "Programmed", "type",
				    "PartiallyApplied", "status", "Maybe", "reason", "HTTP2NotMatched");
	json_t *all = krl_limits_join(agent, stats, NULL, NULL), *one;

	assert_int_equal(json_array_size(json_object_get(all, "items")), 2);
	assert_string_equal(text(item(all, 0), "reason"), "NoEndpoints");
	assert_string_equal(text(item(all, 0), "accepted"), "True");
	assert_string_equal(text(item(all, 1), "accepted"), "Unknown");
	assert_string_equal(text(item(all, 1), "limit"), "1 per 1 second; 2 per 1 second");
	assert_string_equal(text(item(all, 1), "service"), "s");
	assert_int_equal(json_integer_value(json_object_get(item(all, 1), "limitedRequests")), 3);
	one = krl_limits_join(agent, stats, "a", "x");
	assert_int_equal(json_array_size(json_object_get(one, "items")), 0);
	json_decref(one);
	one = krl_limits_join(partial, stats, "a", "y");
	assert_string_equal(text(item(one, 0), "programmed"), "True");
	assert_string_equal(text(item(one, 0), "reason"), "HTTP2NotMatched");
	json_decref(partial);
	json_decref(one);
	json_decref(all);
	json_decref(agent);
	json_decref(stats);
}

static void ages_are_written_as_kubectl_does(void **state)
{
	static const struct {
		int64_t s;
		const char *text;
	} cases[] = {
		{ -5, "0s" },	     { 119, "119s" },	   { 120, "2m" },	{ 330, "5m30s" },	 { 3600, "60m" },
		{ 3 * 3600, "3h" },  { 4 * 3600 + 60, "4h1m" }, { 47 * 3600, "47h" }, { 50 * 3600, "2d2h" }, { 864000, "10d" },
	};
	char buffer[KRL_INTERVAL_BYTES];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		krl_table_age(cases[i].s, buffer);
		assert_string_equal(buffer, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_limit_has_its_own_complaints, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_good_stays_and_says_that_it_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_http2_passes_by_is_a_condition_more, setup, teardown),
		cmocka_unit_test_setup_teardown(the_spec_is_told_in_words, setup, teardown),
		cmocka_unit_test_setup_teardown(long_lists_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(pods_are_told_in_words, setup, teardown),
		cmocka_unit_test(what_only_the_kernel_knows_is_shown_too),
		cmocka_unit_test(ages_are_written_as_kubectl_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
