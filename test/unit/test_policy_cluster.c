// SPDX-License-Identifier: Apache-2.0
/* Rules of all nodes together: how they are read, and what becomes of them without Redis. */
#include "decoded.h"

#include "agent/policy/compile.h"
#include "agent/policy/store.h"

#define TEXT(scope) RULE "limit: 5/second\n" scope

static void what_a_rule_of_the_cluster_says(void **state)
{
	static const struct {
		const char *text;
		bool cluster;
		__u64 credit;
		enum krl_away away;
	} cases[] = {
		{ TEXT(""), false, 0, KRL_AWAY_LOCAL },
		{ TEXT("      scope: Node\n"), false, 0, KRL_AWAY_LOCAL },
		{ TEXT("      scope: Cluster\n"), true, 1, KRL_AWAY_LOCAL },
		{ TEXT("      scope: Cluster\n      initialCredit: 0\n      whenUnavailable: Open\n"), true, 0, KRL_AWAY_OPEN },
		{ TEXT("      whenUnavailable: Closed\n      initialCredit: 5\n      scope: Cluster\n"), true, 5, KRL_AWAY_CLOSED },
	};
	const struct krl_rule_spec *rule;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		decode(cases[i].text);
		rule = only_target()->rules;
		assert_int_equal(rule->cluster, cases[i].cluster);
		assert_int_equal(rule->credit, cases[i].credit);
		assert_int_equal(rule->away, cases[i].away);
	}
}

static void each_limit_of_a_rule_is_of_the_cluster(void **state)
{
	const struct krl_target *target;

	decode(RULE "limit: 5/second;7/hour\n      scope: Cluster\n      initialCredit: 5\n");
	target = only_target();
	assert_int_equal(target->rule_count, 2);
	assert_true(target->rules[1].cluster);
	assert_int_equal(target->rules[1].credit, 5);
}

static void what_cannot_be_leased_is_refused(void **state)
{
#define CLUSTER "      scope: Cluster\n"
#define NUMBERS(max, interval) RULE "maxTokens: " max "\n      tokensPerFill: 1\n      fillInterval: " interval "\n" CLUSTER
	static const struct refusal cases[] = {
		{ RULE "limit: 1/day\n      scope: cluster\n",
		  "8:14: spec.rules[0].scope: expected Node or Cluster, found \"cluster\"" },
		{ RULE "limit: 1/day\n      initialCredit: 1\n",
		  "8:22: spec.rules[0].initialCredit: belongs to scope: Cluster" },
		{ RULE "limit: 1/day\n      whenUnavailable: Open\n",
		  "8:24: spec.rules[0].whenUnavailable: belongs to scope: Cluster" },
		{ RULE "limit: 1/day\n" CLUSTER "      whenUnavailable: open\n",
		  "9:24: spec.rules[0].whenUnavailable: expected Local, Open or Closed, found \"open\"" },
		{ RULE "limit: 1/day\n" CLUSTER "      initialCredit: 2\n",
		  "9:22: spec.rules[0].initialCredit: more than the bucket holds" },
		{ RULE "limit: 5/day,1/hour\n" CLUSTER "      initialCredit: 2\n",
		  "9:22: spec.rules[0].initialCredit: more than the bucket holds" },
		{ RULE "maxConnections: 1\n" CLUSTER,
		  "7:23: spec.rules[0].maxConnections: what is open is counted on each node: not with scope: Cluster" },
		{ NUMBERS("9007199254740992", "1s"),
		  "7:18: spec.rules[0].maxTokens: with scope: Cluster a bucket holds at most 9007199254740991 tokens" },
		{ RULE "limit: 9007199254740992/day\n" CLUSTER,
		  "7:14: spec.rules[0].limit: with scope: Cluster a bucket holds at most 9007199254740991 tokens" },
		{ NUMBERS("1", "1500ns"),
		  "9:21: spec.rules[0].fillInterval: with scope: Cluster the interval is a whole number of microseconds" },
		{ NUMBERS("1", "9007199254740992us"), "9:21: spec.rules[0].fillInterval: with scope: Cluster the interval is at most "
						      "9007199254740991 microseconds" },
	};

	check(cases, COUNT(cases));
	decode(NUMBERS("9007199254740991", "9007199254740991us"));
	assert_true(only_target()->rules->cluster);
}

#define ENDPOINT HEAD "spec:\n  endpoints: [{ip: 10.0.0.1, port: 80}]\n  rules:\n    - limit: 5/second\n      name: a\n"

static void put(struct krl_store *store, const char *text)
{
	struct krl_diags errors = { 0 };

	krl_store_begin(store);
	assert_int_equal(krl_store_file(store, "f.yaml", text, strlen(text), &errors), 0);
	krl_store_commit(store);
	if (errors.count)
		fail_msg("%s", errors.lines[0]);
}

static void check_compiled(struct krl_store *store, size_t rules, __u32 flags, __u64 credit, const char *error)
{
	struct krl_diags errors = { 0 }, notes = { 0 };
	struct krl_plan plan;

	assert_int_equal(krl_store_compile(store, 0, &plan, &errors, &notes), 0);
	assert_int_equal(plan.rule_count, rules);
	if (rules) {
		assert_int_equal(plan.rules->flags, flags);
		assert_int_equal(plan.rules->credit, credit);
	}
	assert_int_equal(errors.count, error ? 1 : 0);
	if (error)
		assert_non_null(strstr(errors.lines[0], error));
	krl_plan_clear(&plan);
	krl_diags_clear(&errors);
	krl_diags_clear(&notes);
}

static void without_redis_a_rule_of_the_cluster_is_refused(void **state)
{
	struct krl_store *store = krl_store_new();

	put(store, ENDPOINT "      scope: Cluster\n      whenUnavailable: Open\n");
	check_compiled(store, 1, KRL_RULE_CLUSTER | KRL_RULE_AWAY_OPEN, 1, NULL);
	krl_store_set_cluster(store, false);
	check_compiled(store, 0, 0, 0, KRL_COMPILE_NO_REDIS);
	put(store, ENDPOINT);
	check_compiled(store, 1, 0, 0, NULL);
	/* What it was before stays. */
	put(store, ENDPOINT "      scope: Cluster\n");
	check_compiled(store, 1, 0, 0, KRL_COMPILE_NO_REDIS);
	krl_store_set_cluster(store, true);
	put(store, ENDPOINT "      scope: Cluster\n      whenUnavailable: Closed\n      initialCredit: 0\n");
	check_compiled(store, 1, KRL_RULE_CLUSTER | KRL_RULE_AWAY_CLOSED, 0, NULL);
	krl_store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_a_rule_of_the_cluster_says, teardown),
		cmocka_unit_test_teardown(each_limit_of_a_rule_is_of_the_cluster, teardown),
		cmocka_unit_test_teardown(what_cannot_be_leased_is_refused, teardown),
		cmocka_unit_test(without_redis_a_rule_of_the_cluster_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
