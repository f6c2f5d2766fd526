// SPDX-License-Identifier: Apache-2.0
/* Which endpoints a service has: by its name, and a port by name or number. */
#include "compiled.h"

#define SERVICE(name, spec)                                                                        \
	"---\n{apiVersion: v1, kind: Service, metadata: {name: " name "}, spec: " spec "}\n"
#define TWO_PORTS                                                                                  \
	SERVICE("s", "{ports: [{name: api, port: 80, targetPort: http-api}, {name: admin, port: 81, targetPort: 9000}]}")
#define ITS_SLICE SLICE("s-1", "s", "[{name: api, port: 8080}, {name: admin, port: 9000}]", "[192.0.2.1]")
#define RULES "rules: [{limit: 1/day}]}"
#define REFS(refs) LIMIT("{targetRefs: [" refs "], " RULES)

static void a_port_by_its_name_is_that_of_the_service(void **state)
{
	compile(LIMIT("{service: s, port: api, " RULES) TWO_PORTS ITS_SLICE);
	assert_int_equal(notes.count, 0);
	assert_int_equal(plan.endpoint_count, 1);
	assert_int_equal(plan.endpoints[0].key.port, 8080);
	assert_string_equal(plan.rules[0].service, "s:api");
}

static void without_a_service_it_is_that_of_the_slice(void **state)
{
	compile(LIMIT("{service: s, port: admin, " RULES) ITS_SLICE);
	assert_int_equal(plan.endpoint_count, 1);
	assert_int_equal(plan.endpoints[0].key.port, 9000);
}

static void a_section_is_a_port(void **state)
{
	compile(REFS("{kind: Service, name: s, sectionName: admin}") TWO_PORTS ITS_SLICE);
	assert_int_equal(plan.endpoint_count, 1);
	assert_int_equal(plan.endpoints[0].key.port, 9000);
}

/* So that one may take the place of the other, with all that was counted. */
static void a_reference_is_the_same_target_as_a_service(void **state)
{
	compile(REFS("{group: '', kind: Service, name: s}") TWO_PORTS ITS_SLICE);
	assert_int_equal(plan.rule_count, 1);
	assert_string_equal(plan.rules[0].service, "s");
	assert_int_equal(plan.endpoint_count, 2);
}

static void each_reference_is_a_target_of_its_own(void **state)
{
	compile(REFS("{kind: Service, name: s, sectionName: api}, {kind: Service, name: t}") TWO_PORTS ITS_SLICE
		SLICE("t-1", "t", "[{port: 7000}]", "[192.0.2.2]"));
	assert_int_equal(plan.rule_count, 2);
	assert_string_equal(plan.rules[0].service, "s:api");
	assert_string_equal(plan.rules[1].service, "t");
	assert_int_equal(plan.endpoint_count, 2);
	assert_int_equal(endpoint_at(8080)->rule_count, 1);
	assert_int_equal(endpoint_at(8080)->rules[0], 0);
	assert_int_equal(endpoint_at(7000)->rules[0], 1);
}

static void a_port_that_the_service_lacks_is_noted(void **state)
{
	compile(REFS("{kind: Service, name: s, sectionName: grpc}, {kind: Service, name: s, sectionName: api}, "
		     "{kind: Service, name: t, sectionName: http}")
		TWO_PORTS ITS_SLICE);
	assert_int_equal(notes.count, 2);
	assert_string_equal(notes.lines[0], "f.yaml:1:1: RateLimit default/web waits: service s has no port grpc");
	assert_string_equal(notes.lines[1], "f.yaml:1:1: RateLimit default/web waits: service t:http has no endpoint");
	assert_int_equal(plan.endpoint_count, 1);
}

static void what_is_dialled_is_the_port_of_the_service(void **state)
{
	compile(LIMIT("{direction: Outbound, targetRefs: [{kind: Service, name: s, sectionName: http}], " RULES)
		SERVICE("s", "{clusterIPs: [10.0.0.1, '2001:db8::1'], ports: [{name: http, port: 80, targetPort: 8080}, "
			     "{name: more, port: 81}]}"));
	assert_int_equal(plan.endpoint_count, 2);
	endpoint_of("10.0.0.1", 80);
	endpoint_of("2001:db8::1", 80);
}

/* 65 services with 64 rules each, of which none has an endpoint here, and one that has. */
static void rules_without_endpoints_take_no_rows(void **state)
{
	static char text[1 << 18];
	size_t len, i, r;

	len = snprintf(text, sizeof(text), "{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, metadata: {name: a}, "
					   "spec: {services: [");
	for (i = 0; i < 65; i++) {
		len += snprintf(text + len, sizeof(text) - len, "{name: t%zu, rules: [", i);
		for (r = 0; r < 64; r++)
			len += snprintf(text + len, sizeof(text) - len, "{limit: 1/day},");
		len += snprintf(text + len, sizeof(text) - len, "]},");
	}
	snprintf(text + len, sizeof(text) - len, "]}}\n---\n" REFS("{kind: Service, name: s}") ITS_SLICE);
	compile(text);
	assert_int_equal(plan.rule_count, 65 * 64 + 1);
	assert_true(plan.rules[0].idle);
	assert_true(plan.rules[65 * 64 - 1].idle);
	assert_false(plan.rules[65 * 64].idle);
	assert_int_equal(plan.endpoint_count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_port_by_its_name_is_that_of_the_service, teardown),
		cmocka_unit_test_teardown(without_a_service_it_is_that_of_the_slice, teardown),
		cmocka_unit_test_teardown(a_section_is_a_port, teardown),
		cmocka_unit_test_teardown(a_reference_is_the_same_target_as_a_service, teardown),
		cmocka_unit_test_teardown(each_reference_is_a_target_of_its_own, teardown),
		cmocka_unit_test_teardown(a_port_that_the_service_lacks_is_noted, teardown),
		cmocka_unit_test_teardown(what_is_dialled_is_the_port_of_the_service, teardown),
		cmocka_unit_test_teardown(rules_without_endpoints_take_no_rows, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
