// SPDX-License-Identifier: Apache-2.0
/* Rules that count connections, and limits on what goes out: how they are read, and where they are asked. */
#include "decoded.h"

#include "agent/policy/compile.h"
#include "agent/policy/decode_kinds.h"

#define MAX_DOCUMENTS 4
#define OUTBOUND HEAD "spec:\n  service: a\n  direction: Outbound\n"

static struct krl_plan plan;

static int teardown_plan(void **state)
{
	krl_plan_clear(&plan);
	return teardown(state);
}

static void compile(const char *text)
{
	struct krl_diags errors = { 0 }, notes = { 0 };
	struct krl_source_document documents[MAX_DOCUMENTS];
	size_t i;

	decode(text);
	assert_in_range(file.count, 1, MAX_DOCUMENTS);
	for (i = 0; i < file.count; i++)
		documents[i] = (struct krl_source_document){ .file = "f.yaml", .document = file.documents[i].document };
	assert_int_equal(krl_compile(documents, file.count, 0, &plan, &errors, &notes), 0);
	assert_int_equal(errors.count, 0);
	assert_int_equal(notes.count, 0);
}

/* How many rules the plan has at @hook of @port of @ip; 0 also when there is no such endpoint. */
static __u32 rules_at(enum krl_hook hook, const char *ip, __u16 port)
{
	struct krl_endpoint_key key = { .port = port, .hook = hook };
	size_t i;

	assert_int_equal(krl_address_parse(ip, key.addr), 0);
	for (i = 0; i < plan.endpoint_count; i++)
		if (!memcmp(&plan.endpoints[i].key, &key, sizeof(key)))
			return plan.endpoints[i].rule_count;
	return 0;
}

static void max_connections_implies_what_is_counted(void **state)
{
	const struct krl_rule_spec *rule;

	decode(RULE "maxConnections: 7\n");
	rule = only_target()->rules;
	assert_int_equal(rule->count, KRL_COUNT_CONNECTIONS);
	assert_true(rule->concurrent);
	assert_int_equal(rule->settings.max_tokens, 7);
	decode(RULE "limit: 1/day\n");
	assert_int_equal(only_target()->rules->count, KRL_COUNT_REQUESTS);
	assert_false(only_target()->rules->concurrent);
}

static void max_connections_stands_behind_the_limits_in_time(void **state)
{
	const struct krl_target *target;

	decode(RULE "name: a\n      limit: 1/second;2/hour\n      maxConnections: 7\n      count: Connections\n");
	target = only_target();
	assert_int_equal(target->rule_count, 3);
	assert_false(target->rules[0].concurrent);
	assert_int_equal(target->rules[1].settings.max_tokens, 2);
	assert_false(target->rules[1].concurrent);
	assert_string_equal(target->rules[2].name, "a-3");
	assert_true(target->rules[2].concurrent);
	assert_int_equal(target->rules[2].settings.max_tokens, 7);
	assert_int_equal(target->rules[2].count, KRL_COUNT_CONNECTIONS);

	decode(RULE "maxTokens: 5\n      tokensPerFill: 1\n      fillInterval: 1s\n      maxConnections: 7\n");
	target = only_target();
	assert_int_equal(target->rule_count, 2);
	assert_int_equal(target->rules[0].settings.max_tokens, 5);
	assert_false(target->rules[0].concurrent);
	assert_true(target->rules[1].concurrent);
}

static void what_cannot_be_done_is_refused(void **state)
{
	static const struct refusal cases[] = {
		{ RULE "count: Streams\n      limit: 1/day\n",
		  "7:14: spec.rules[0].count: expected Requests, Connections or LLMTokens, found \"Streams\"" },
		{ RULE "maxConnections: 1\n      count: Requests\n",
		  "7:23: spec.rules[0].maxConnections: belongs to a rule that counts Connections" },
		{ RULE "maxConnections: 1\n      response: {status: 503}\n",
		  "8:17: spec.rules[0].response: a connection that is refused is not answered" },
		{ RULE "maxConnections: 1\n      clientSelectors: [{methods: [GET]}]\n",
		  "8:24: spec.rules[0].clientSelectors: of a connection only sourceCIDR or sourceIP and from are known" },
		{ HEAD "spec:\n  service: a\n  direction: Both\n  rules: [{limit: 1/day}]\n",
		  "6:14: spec.direction: expected Inbound or Outbound, found \"Both\"" },
		{ HEAD "spec:\n  service: a\n  onLimit: EPERM\n  rules: [{limit: 1/day}]\n",
		  "6:12: spec.onLimit: belongs to direction: Outbound" },
		{ OUTBOUND "  onLimit: eperm\n  rules: [{limit: 1/day}]\n",
		  "7:12: spec.onLimit: expected ECONNREFUSED or EPERM, found \"eperm\"" },
		{ OUTBOUND "  responseHeaders: Always\n  rules: [{limit: 1/day}]\n",
		  "7:20: spec.responseHeaders: Always is not possible with direction: Outbound" },
		{ OUTBOUND "  clientIP: {header: x, trustedHops: 1}\n  rules: [{limit: 1/day}]\n",
		  "7:13: spec.clientIP: with direction: Outbound the client is on this node" },
		{ OUTBOUND "  rules:\n    - maxConnections: 1\n      clientSelectors: [{sourceIP: 10.0.0.1}]\n",
		  "9:24: spec.rules[0].clientSelectors: connections that go out are not told apart: each network "
		  "namespace has a bucket" },
	};

	check(cases, COUNT(cases));
}

static void each_rule_is_asked_where_it_can_be(void **state)
{
	compile(HEAD "spec:\n  endpoints: [{ip: 10.0.0.1, port: 80}, {ip: 0.0.0.0, port: 80}]\n"
		     "  rules: [{limit: 1/day}, {limit: 2/day, count: Connections}, {maxConnections: 5}]\n");
	assert_int_equal(rules_at(KRL_HOOK_STREAM, "10.0.0.1", 80), 1);
	assert_int_equal(rules_at(KRL_HOOK_LOOKUP, "10.0.0.1", 80), 2);
	assert_int_equal(rules_at(KRL_HOOK_LOOKUP, "0.0.0.0", 80), 2);
	assert_int_equal(plan.endpoint_count, 4);
	assert_int_equal(plan.rules[0].flags, 0);
	assert_int_equal(plan.rules[2].flags, KRL_RULE_CONCURRENT);
	assert_string_equal(plan.rules[2].limit, "5 at once");
}

static void five_rules_of_what_is_open_are_too_many_on_one_endpoint(void **state)
{
	struct krl_diags errors = { 0 }, notes = { 0 };
	struct krl_source_document document;

	compile(HEAD "spec:\n  endpoints: [{ip: 10.0.0.1, port: 80}]\n"
		     "  rules: [{maxConnections: 1}, {maxConnections: 2}, {maxConnections: 3}, {maxConnections: 4}]\n");
	assert_int_equal(rules_at(KRL_HOOK_LOOKUP, "10.0.0.1", 80), 4);
	teardown_plan(state);
	decode(HEAD "spec:\n  endpoints: [{ip: 10.0.0.1, port: 80}, {ip: 0.0.0.0, port: 80}]\n"
		    "  rules: [{maxConnections: 1}, {maxConnections: 2}, {maxConnections: 3}, {maxConnections: 4}, "
		    "{maxConnections: 5}]\n");
	document = (struct krl_source_document){ .file = "f.yaml", .document = file.documents[0].document };
	assert_int_equal(krl_compile(&document, 1, 0, &plan, &errors, &notes), 0);
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], "RateLimit default/web: more than 4 rules with maxConnections on one "
						"endpoint"));
	assert_int_equal(plan.endpoint_count, 0);
	krl_diags_clear(&errors);
}

static void what_is_dialled_is_the_service_and_its_endpoints(void **state)
{
	compile(OUTBOUND "  onLimit: EPERM\n  rules: [{limit: 1/day}, {maxConnections: 5}]\n"
			 "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
			 "spec: {clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7, 'fd00::7'], "
			 "ports: [{port: 81, targetPort: 8081}]}\n"
			 "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
			 "metadata: {name: a-1, labels: {kubernetes.io/service-name: a}}\n"
			 "ports: [{port: 8081}]\nendpoints: [{addresses: [10.0.0.2]}]\n");
	assert_int_equal(rules_at(KRL_HOOK_SEND, "10.96.0.7", 81), 1);
	assert_int_equal(rules_at(KRL_HOOK_CONNECT, "10.96.0.7", 81), 1);
	assert_int_equal(rules_at(KRL_HOOK_SEND, "fd00::7", 81), 1);
	assert_int_equal(rules_at(KRL_HOOK_SEND, "10.0.0.2", 8081), 1);
	assert_int_equal(plan.endpoint_count, 6);
	assert_true(plan.rules[0].flags & KRL_RULE_EPERM);
}

static void a_headless_service_has_its_endpoints_alone(void **state)
{
	compile(OUTBOUND "  rules: [{limit: 1/day}]\n"
			 "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
			 "spec: {clusterIP: None, clusterIPs: [None], ports: [{port: 81, targetPort: 8081}]}\n"
			 "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
			 "metadata: {name: a-1, labels: {kubernetes.io/service-name: a}}\n"
			 "ports: [{port: 8081}]\nendpoints: [{addresses: [10.0.0.2]}]\n");
	assert_int_equal(plan.endpoint_count, 1);
	assert_int_equal(rules_at(KRL_HOOK_SEND, "10.0.0.2", 8081), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(max_connections_implies_what_is_counted, teardown),
		cmocka_unit_test_teardown(max_connections_stands_behind_the_limits_in_time, teardown),
		cmocka_unit_test_teardown(what_cannot_be_done_is_refused, teardown),
		cmocka_unit_test_teardown(each_rule_is_asked_where_it_can_be, teardown_plan),
		cmocka_unit_test_teardown(five_rules_of_what_is_open_are_too_many_on_one_endpoint, teardown_plan),
		cmocka_unit_test_teardown(what_is_dialled_is_the_service_and_its_endpoints, teardown_plan),
		cmocka_unit_test_teardown(a_headless_service_has_its_endpoints_alone, teardown_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
