// SPDX-License-Identifier: Apache-2.0
/* From documents to the plan: who a rule is, and where it counts. */
#include "compiled.h"

/* Two rules of one identity would share a row, and so a bucket. */
static void the_port_of_a_service_is_part_of_who_a_rule_is(void **state)
{
	compile(LIMIT("{services: [{name: s, port: 80, rules: [{limit: 1/day}]}, "
		      "{name: s, port: 81, rules: [{limit: 2/day}]}, {name: s, rules: [{limit: 3/day}]}]}")
		SLICE("s-1", "s", "[{port: 80}, {port: 81}]", "[192.0.2.1]"));
	assert_int_equal(notes.count, 0);
	assert_int_equal(plan.rule_count, 3);
	assert_string_equal(plan.rules[0].service, "s:80");
	assert_string_equal(plan.rules[1].service, "s:81");
	assert_string_equal(plan.rules[2].service, "s");
	assert_int_equal(endpoint_at(80)->rule_count, 2);
	assert_int_equal(endpoint_at(80)->rules[0], 0);
	assert_int_equal(endpoint_at(80)->rules[1], 2);
	assert_int_equal(endpoint_at(81)->rules[0], 1);
	assert_int_equal(endpoint_at(81)->rules[1], 2);
}

static void check_scopes(const char *address, const char *scopes)
{
	const struct krl_plan_endpoint *endpoint = endpoint_of(address, 80);
	char found[KRL_MAX_ENDPOINT_RULES + 1] = "";
	__u32 i;

	for (i = 0; i < endpoint->rule_count; i++)
		found[i] = '0' + endpoint->scopes[i];
	assert_string_equal(found, scopes);
}

/* By the order of the rules: 0 its own, 1 that of 0.0.0.0, 2 that of ::. A rule that is given at an
 * address counts in the bucket of that address alone. */
static void rules_of_wildcards_count_at_addresses(void **state)
{
	compile(LIMIT("{endpoints: [{ip: 192.0.2.1, port: 80}, {ip: '::', port: 80}, {ip: 0.0.0.0, port: 80}, "
		      "{ip: '2001:db8::1', port: 80}, {ip: 192.0.2.1, port: 81}], rules: [{limit: 1/day}]}")
		"---\napiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nmetadata: {name: b}\nspec: "
		"{endpoints: [{ip: 0.0.0.0, port: 80}], rules: [{limit: 2/day}]}\n"
		"---\napiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nmetadata: {name: c}\nspec: "
		"{endpoints: [{ip: '::', port: 80}], rules: [{limit: 3/day}]}\n");
	check_scopes("192.0.2.1", "120");
	check_scopes("0.0.0.0", "020");
	check_scopes("::", "00");
	check_scopes("2001:db8::1", "20");
	assert_int_equal(endpoint_of("192.0.2.1", 81)->rule_count, 1);
}

static void a_service_without_endpoint_is_noted_with_its_port(void **state)
{
	compile(LIMIT("{services: [{name: s, port: 80, rules: [{limit: 1/day}]}, "
		      "{name: s, port: 81, rules: [{limit: 1/day}]}, {name: t, rules: [{limit: 1/day}]}]}")
		SLICE("s-1", "s", "[{port: 80}]", "[192.0.2.1]"));
	assert_int_equal(notes.count, 2);
	assert_string_equal(notes.lines[0],
			    "f.yaml:1:1: RateLimit default/web waits: service s:81 has no endpoint");
	assert_string_equal(notes.lines[1],
			    "f.yaml:1:1: RateLimit default/web waits: service t has no endpoint");
	assert_int_equal(plan.endpoint_count, 1);
}

/* What the form of @rule says, gaps left out. */
static const char *text_of(size_t rule)
{
	static char text[KRL_FORM_TEXT_BYTES + 1];

	memcpy(text, plan.rules[rule].form->text, KRL_FORM_TEXT_BYTES);
	return text;
}

static void a_rule_has_the_text_of_its_answers(void **state)
{
	compile(LIMIT("{headerStyle: Draft, endpoints: [{ip: '::', port: 80}], rules: [{limit: 10/minute}, "
		      "{name: b, limit: 5/second, response: {status: 503, format: Problem, headers: {X-A: b}}}]}"));
	assert_int_equal(plan.rules[0].status, 429);
	assert_string_equal(text_of(0),
			    "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"
			    "Content-Length: 48\r\nRetry-After: \r\nRateLimit-Policy: \"rule-0\";q=10;w=60\r\n"
			    "RateLimit: \"rule-0\";r=;t=\r\n\r\n{\"error\":\"Rate limit exceeded: 10 per 1 minute\"}");
	assert_int_equal(plan.rules[1].status, 503);
	assert_non_null(strstr(text_of(1), "HTTP/1.1 503 Service Unavailable\r\n"));
	assert_non_null(strstr(text_of(1), "RateLimit-Policy: \"b\";q=5;w=1\r\n"));
	assert_non_null(strstr(text_of(1), "X-A: b\r\n\r\n{"));
	assert_non_null(strstr(text_of(1), "\"violated-policies\":[\"b\"]}"));
}

#define CLIENT(name, header, hops, selector)                                                       \
	"---\n{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, metadata: {name: " name "}, spec: "    \
	"{endpoints: [{ip: '::', port: 80}], clientIP: {header: " header ", trustedHops: " hops "}, "   \
	"rules: [{limit: 1/day, clientSelectors: [" selector "]}]}}\n"
#define EACH_SOURCE "{sourceIP: {type: Distinct}}"
#define IS_A "{headers: [{name: x, value: a}]}"

/* Of the endpoint: what selects by no address, and who the peer is, need no header. */
static void a_third_header_of_clients_is_refused_in_its_place(void **state)
{
	compile_in_part(CLIENT("a", "X-A", "1", EACH_SOURCE) CLIENT("b", "X-B", "1", EACH_SOURCE)
			CLIENT("c", "x-a", "2", EACH_SOURCE) CLIENT("d", "X-C", "1", IS_A)
			CLIENT("e", "X-C", "0", EACH_SOURCE) CLIENT("f", "X-C", "1", IS_A ", " EACH_SOURCE));
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.lines[0], "f.yaml:12:1: RateLimit default/f: too many different headers in clientIP "
					     "on one endpoint");
	assert_int_equal(plan.rule_count, 5);
	assert_int_equal(plan.policy_count, 1);
	assert_int_equal(plan.policies[0].policy->client_header_count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_port_of_a_service_is_part_of_who_a_rule_is, teardown),
		cmocka_unit_test_teardown(rules_of_wildcards_count_at_addresses, teardown),
		cmocka_unit_test_teardown(a_service_without_endpoint_is_noted_with_its_port, teardown),
		cmocka_unit_test_teardown(a_rule_has_the_text_of_its_answers, teardown),
		cmocka_unit_test_teardown(a_third_header_of_clients_is_refused_in_its_place, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
