// SPDX-License-Identifier: Apache-2.0
/* References to Services, and ports by name. */
#include "decoded.h"

/* What follows is a field of spec, in line 6. */
#define SPEC HEAD "spec:\n  rules: [{limit: 1/second}]\n  "

static void each_reference_has_the_rules(void **state)
{
	const struct krl_rate_limit *limit;

	decode(HEAD "spec:\n  targetRefs:\n    - {group: \"\", kind: Service, name: a, sectionName: http}\n"
		    "    - {kind: Service, name: b}\n  mode: Shadow\n"
		    "  rules:\n    - {name: x, limit: 1/second;2/day, clientSelectors: [{methods: [GET]}]}\n");
	limit = &only(KRL_KIND_RATE_LIMIT)->rate_limit;
	assert_int_equal(limit->target_count, 2);
	assert_string_equal(limit->targets[0].service, "a");
	assert_string_equal(limit->targets[0].port_name, "http");
	assert_string_equal(limit->targets[1].service, "b");
	assert_string_equal(limit->targets[1].port_name, "");
	assert_int_equal(limit->targets[0].rule_count, 2);
	assert_int_equal(limit->targets[1].rule_count, 2);
	assert_string_equal(limit->targets[1].rules[1].name, "x-2");
	assert_int_equal(limit->targets[1].rules[1].mode, KRL_MODE_SHADOW);
	assert_int_equal(limit->targets[1].rules[0].selector_count, 1);
	assert_ptr_not_equal(limit->targets[0].rules[0].selectors, limit->targets[1].rules[0].selectors);
}

/* Which of them are first in the text does not matter. */
static void references_may_come_behind_the_rules(void **state)
{
	decode(SPEC "targetRefs: [{kind: Service, name: a}]\n");
	assert_string_equal(only_target()->service, "a");
	assert_int_equal(only_target()->rule_count, 1);
}

static void a_port_is_a_number_or_a_name(void **state)
{
	decode(SPEC "service: a\n  port: 80\n");
	assert_int_equal(only_target()->port, 80);
	assert_string_equal(only_target()->port_name, "");
	decode(SPEC "service: a\n  port: 8-http\n");
	assert_int_equal(only_target()->port, 0);
	assert_string_equal(only_target()->port_name, "8-http");
	decode(SPEC "targetRefs: [{kind: Service, name: a, sectionName: \"8080\"}]\n");
	assert_int_equal(only_target()->port, 0);
	assert_string_equal(only_target()->port_name, "8080");
}

static void references_that_lead_to_no_service(void **state)
{
#define REFS SPEC "targetRefs: "
#define A_SERVICE "kind: Service, name: a"
	static const struct refusal cases[] = {
		{ REFS "[]\n", "6:15: spec.targetRefs: expected at least one reference" },
		{ REFS "{" A_SERVICE "}\n", "6:15: spec.targetRefs: expected a list, found a mapping" },
		{ REFS "[{}]\n", "6:16: spec.targetRefs[0]: kind and name are missing" },
		{ REFS "[{kind: HTTPRoute, name: a}]\n",
		  "6:23: spec.targetRefs[0].kind: HTTPRoute has no endpoints: refer to the Services in its backendRefs" },
		{ REFS "[{group: gateway.networking.k8s.io, kind: Gateway, name: a}]\n",
		  "6:57: spec.targetRefs[0].kind: Gateway has no endpoints: refer to the Services in the backendRefs of its "
		  "routes, or to the one that is in front of it" },
		{ REFS "[{kind: Deployment, name: a}]\n",
		  "6:23: spec.targetRefs[0].kind: expected Service, found \"Deployment\"" },
		{ REFS "[{group: apps, " A_SERVICE "}]\n",
		  "6:24: spec.targetRefs[0].group: expected \"\", the group of Services, found \"apps\"" },
		{ REFS "[{group: null, " A_SERVICE "}]\n",
		  "6:24: spec.targetRefs[0].group: expected \"\", the group of Services, found \"null\"" },
		{ REFS "[{kind: Service, name: a.b}]\n",
		  "6:38: spec.targetRefs[0].name: expected the name of a Service, found \"a.b\"" },
		{ REFS "[{" A_SERVICE ", namespace: b}]\n",
		  "6:52: spec.targetRefs[0].namespace: references are within the RateLimit's own namespace" },
		{ REFS "[{" A_SERVICE ", sectionName: a/b}]\n",
		  "6:54: spec.targetRefs[0].sectionName: expected the name of a port of the Service, found \"a/b\"" },
		{ REFS "[{" A_SERVICE ", port: 80}]\n", "6:41: spec.targetRefs[0].port: unknown field" },
		{ REFS "[{" A_SERVICE "}, {" A_SERVICE "}]\n",
		  "6:42: spec.targetRefs[1]: the service a is in targetRefs[0] already" },
		{ REFS "[{" A_SERVICE "}]\n  port: 80\n",
		  "5:3: spec: port belongs into each of targetRefs, as sectionName" },
		{ REFS "[{" A_SERVICE "}]\n  service: a\n",
		  "5:3: spec: only one of service, services, targetRefs and endpoints may be given" },
		{ HEAD "spec: {targetRefs: [{" A_SERVICE "}]}\n", "4:7: spec: rules is missing" },
	};

	check(cases, COUNT(cases));
}

static void services_that_come_twice_with_the_name_of_a_port(void **state)
{
	static const struct refusal cases[] = {
		{ HEAD "spec:\n  services:\n    - {name: a, port: http, rules: [{limit: 1/day}]}\n"
		       "    - {name: a, port: 80, rules: [{limit: 1/day}]}\n"
		       "    - {name: a, port: http, rules: [{limit: 1/day}]}\n",
		  "8:7: spec.services[2]: the service a with port http is in services[0] already" },
	};

	check(cases, COUNT(cases));
}

/* Together they are who a rule is, which has 255 bytes. */
static void a_service_beside_the_name_of_a_port_is_shorter(void **state)
{
	char name[256], text[1024];
	struct refusal one = { text, "4:7: spec: with the name of a port, a service has 1 to 191 bytes" };

	memset(name, 's', sizeof(name));
	snprintf(text, sizeof(text), HEAD "spec: {service: %.191s, port: http, rules: [{limit: 1/day}]}\n", name);
	decode(text);
	snprintf(text, sizeof(text), HEAD "spec: {service: %.192s, port: http, rules: [{limit: 1/day}]}\n", name);
	check(&one, 1);
	one.says = "4:19: spec.services[0]: with the name of a port, a service has 1 to 191 bytes";
	snprintf(text, sizeof(text), HEAD "spec: {services: [{name: %.192s, port: http, rules: [{limit: 1/day}]}]}\n", name);
	check(&one, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_reference_has_the_rules, teardown),
		cmocka_unit_test_teardown(references_may_come_behind_the_rules, teardown),
		cmocka_unit_test_teardown(a_port_is_a_number_or_a_name, teardown),
		cmocka_unit_test(references_that_lead_to_no_service),
		cmocka_unit_test(services_that_come_twice_with_the_name_of_a_port),
		cmocka_unit_test_teardown(a_service_beside_the_name_of_a_port_is_shorter, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
