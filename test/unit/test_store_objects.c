// SPDX-License-Identifier: Apache-2.0
/* Objects of an API server in a store: what counts of them, what stays, and what a change of one is. */
#include <string.h>

#include "agent/policy/store.h"
#include "quoted.h"

#define LIMIT(name, spec) "{'metadata': {'name': '" name "', 'namespace': 'default'}, 'spec': " spec "}"
#define AT_8080 "'endpoints': [{'ip': '127.0.0.1', 'port': 8080}]"
#define RULES(limit) "'rules': [{'limit': '" limit "'}]"
#define SERVICE(name, port, target)                                                                                  \
	"{'metadata': {'name': '" name "', 'namespace': 'default'}, 'spec': {'clusterIP': '10.0.0.1', 'ports': "     \
	"[{'name': 'http', 'port': " port ", 'targetPort': " target "}]}}"
#define SLICE(service, port, endpoints)                                                                              \
	"{'metadata': {'name': 's', 'namespace': 'default', 'labels': {'kubernetes.io/service-name': '" service      \
	"'}}, 'addressType': 'IPv4', 'ports': [{'name': 'http', 'port': " port "}], 'endpoints': [" endpoints "]}"

static struct krl_store *store;
static struct krl_plan plan;
static struct krl_diags errors, notes;

static int setup(void **state)
{
	store = krl_store_new();
	return store ? 0 : -1;
}

static void forget_plan(void)
{
	krl_plan_clear(&plan);
	krl_diags_clear(&errors);
	krl_diags_clear(&notes);
}

static int teardown(void **state)
{
	forget_plan();
	krl_store_free(store);
	return 0;
}

/* Returns whether that matters. */
static bool put(enum krl_kind kind, const char *text)
{
	json_t *object = parse(text);

	krl_store_take_changed(store);
	assert_int_equal(krl_store_put(store, kind, object), 0);
	json_decref(object);
	return krl_store_take_changed(store);
}

static bool remove_object(enum krl_kind kind, const char *text)
{
	json_t *object = parse(text);

	krl_store_take_changed(store);
	krl_store_remove(store, kind, object);
	json_decref(object);
	return krl_store_take_changed(store);
}

static void put_list(enum krl_kind kind, const char *text)
{
	krl_store_list(store, kind);
	if (text)
		put(kind, text);
	krl_store_listed(store, kind);
}

static void compile(void)
{
	forget_plan();
	krl_store_complain(store, &errors);
	assert_int_equal(krl_store_compile(store, 0, &plan, &errors, &notes), 0);
}

static void an_object_is_decoded_as_a_document_is(void **state)
{
	assert_true(put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{" AT_8080 ", " RULES("5/day") "}")));
	compile();
	assert_int_equal(errors.count, 0);
	assert_int_equal(plan.rule_count, 1);
	assert_int_equal(plan.rules[0].settings.max_tokens, 5);
	assert_int_equal(plan.endpoint_count, 1);
	assert_int_equal(plan.endpoints[0].key.port, 8080);
}

static void numbers_and_words_keep_their_kind(void **state)
{
	put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{" AT_8080 ", 'rules': [{'maxTokens': 3, 'tokensPerFill': 2, "
					      "'fillInterval': 1000000000}]}"));
	compile();
	assert_int_equal(errors.count, 0);
	assert_int_equal(plan.rules[0].settings.fill_interval_ns, 1000000000);
	put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{" AT_8080 ", 'rules': [{'maxTokens': '3', 'tokensPerFill': 2, "
					      "'fillInterval': 1000000000}]}"));
	compile();
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.lines[0], "RateLimit default/web: spec.rules[0].maxTokens: expected an integer from 1 "
					     "to 9223372036854775807, found \"3\"");
}

static void what_is_refused_stays_as_it_was(void **state)
{
	put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{" AT_8080 ", " RULES("5/day") "}"));
	assert_true(put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{" AT_8080 ", " RULES("many") "}")));
	compile();
	assert_int_equal(errors.count, 1);
	assert_ptr_equal(strstr(errors.lines[0], "RateLimit default/web: spec.rules[0].limit: "), errors.lines[0]);
	assert_int_equal(plan.rules[0].settings.max_tokens, 5);
	compile();
	assert_int_equal(errors.count, 1);
	assert_true(put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{" AT_8080 ", " RULES("6/day") "}")));
	compile();
	assert_int_equal(errors.count, 0);
	assert_int_equal(plan.rules[0].settings.max_tokens, 6);
	assert_true(remove_object(KRL_KIND_RATE_LIMIT, LIMIT("web", "{}")));
	compile();
	assert_int_equal(plan.rule_count, 0);
}

static void of_one_that_was_never_good_the_maps_keep_what_they_have(void **state)
{
	put_list(KRL_KIND_RATE_LIMIT, LIMIT("web", "{" AT_8080 ", " RULES("many") "}"));
	compile();
	assert_int_equal(plan.retain_count, 1);
	assert_string_equal(plan.retain[0].name, "web");
	assert_false(plan.retain_all);
}

static void what_says_nothing_of_itself_is_no_change(void **state)
{
#define VERSION(version, notes, port)                                                                                \
	"{'metadata': {'name': 'web', 'namespace': 'default', 'resourceVersion': '" version "', 'generation': " version \
	", 'managedFields': [" version "], 'annotations': {'a': '" notes "'}}, 'spec': {'endpoints': [{'ip': "        \
	"'127.0.0.1', 'port': " port "}], " RULES("5/day") "}, 'status': {'nodes': [" version "]}}"
	assert_true(put(KRL_KIND_RATE_LIMIT, VERSION("1", "x", "8080")));
	assert_false(put(KRL_KIND_RATE_LIMIT, VERSION("2", "y", "8080")));
	assert_true(put(KRL_KIND_RATE_LIMIT, VERSION("2", "y", "8081")));
}

static void a_list_ends_what_is_not_in_it(void **state)
{
	put(KRL_KIND_RATE_LIMIT, LIMIT("old", "{" AT_8080 ", " RULES("5/day") "}"));
	put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{" AT_8080 ", " RULES("5/day") "}"));
	put(KRL_KIND_SERVICE, SERVICE("web", "80", "8080"));
	krl_store_list(store, KRL_KIND_RATE_LIMIT);
	compile();
	assert_int_equal(plan.rule_count, 2);
	put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{" AT_8080 ", " RULES("5/day") "}"));
	krl_store_listed(store, KRL_KIND_RATE_LIMIT);
	assert_true(krl_store_take_changed(store));
	compile();
	assert_int_equal(plan.rule_count, 1);
	assert_string_equal(plan.rules[0].name, "web");
}

static void services_count_as_far_as_they_are_referred_to(void **state)
{
	assert_false(krl_store_needs_services(store));
	assert_false(put(KRL_KIND_SERVICE, SERVICE("web", "80", "8080")));
	assert_false(put(KRL_KIND_SLICE, SLICE("web", "8080", "{'addresses': ['10.0.0.1']}")));
	assert_true(put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{'service': 'web', " RULES("5/day") "}")));
	assert_true(krl_store_needs_services(store));
	assert_false(put(KRL_KIND_SERVICE, SERVICE("other", "80", "8080")));
	compile();
	assert_int_equal(plan.endpoint_count, 1);
	assert_true(put(KRL_KIND_SLICE, SLICE("web", "8080", "{'addresses': ['10.0.0.1']}, {'addresses': ['10.0.0.2']}")));
	compile();
	assert_int_equal(plan.endpoint_count, 2);
	/* It is another's from now on. */
	assert_true(put(KRL_KIND_SLICE, SLICE("other", "8080", "{'addresses': ['10.0.0.1']}")));
	compile();
	assert_int_equal(plan.endpoint_count, 0);
	assert_int_equal(notes.count, 1);
	assert_string_equal(notes.lines[0], "kubernetes: RateLimit default/web waits: service web has no endpoint");
	assert_true(remove_object(KRL_KIND_RATE_LIMIT, LIMIT("web", "{}")));
	assert_false(krl_store_needs_services(store));
}

/* It is kept as text, with its numbers and words, until a RateLimit refers to it. */
static void a_service_that_was_there_before_is_the_same(void **state)
{
	put_list(KRL_KIND_SERVICE, SERVICE("web", "80", "'serve'"));
	put_list(KRL_KIND_SLICE, "{'metadata': {'name': 's', 'namespace': 'default', 'labels': {'kubernetes.io/service-name': "
				 "'web'}}, 'addressType': 'IPv4', 'ports': [{'name': 'http', 'port': 8080, 'protocol': 'TCP'},"
				 "{'name': 'http', 'port': 8081, 'protocol': 'UDP'}], 'endpoints': [{'addresses': "
				 "['10.0.0.1'], 'conditions': {'ready': true}, 'nodeName': null}]}");
	put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{'service': 'web', 'port': 80, " RULES("5/day") "}"));
	compile();
	assert_int_equal(errors.count + notes.count, 0);
	assert_int_equal(plan.endpoint_count, 1);
	assert_int_equal(plan.endpoints[0].key.port, 8080);
	/* And when nobody referred to it for a while. */
	put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{" AT_8080 ", " RULES("5/day") "}"));
	compile();
	put(KRL_KIND_SLICE, SLICE("web", "9000", "{'addresses': ['10.0.0.2']}"));
	put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{'service': 'web', 'port': 80, " RULES("5/day") "}"));
	compile();
	assert_int_equal(plan.endpoint_count, 1);
	assert_int_equal(plan.endpoints[0].key.port, 9000);
}

static void a_mistake_counts_once_it_is_referred_to(void **state)
{
	put(KRL_KIND_SLICE, SLICE("web", "'x'", "{'addresses': ['10.0.0.1']}"));
	compile();
	assert_int_equal(errors.count, 0);
	put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{'service': 'web', " RULES("5/day") "}"));
	compile();
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.lines[0], "EndpointSlice default/s: ports[0].port: expected an integer from 1 to 65535, "
					     "found \"x\"");
}

static void what_of_an_endpoint_is_not_read_is_no_change(void **state)
{
	put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{'service': 'web', " RULES("5/day") "}"));
	assert_true(put(KRL_KIND_SLICE, SLICE("web", "80", "{'addresses': ['10.0.0.1'], 'conditions': {'ready': true}}")));
	assert_false(put(KRL_KIND_SLICE, SLICE("web", "80", "{'addresses': ['10.0.0.1'], 'conditions': {'ready': false}, "
							    "'targetRef': {'name': 'pod'}, 'zone': 'a'}")));
	assert_true(put(KRL_KIND_SLICE, SLICE("web", "80", "{'addresses': ['10.0.0.1'], 'nodeName': 'there'}")));
}

static void what_is_still_to_be_listed_is_not_taken_for_gone(void **state)
{
	put_list(KRL_KIND_RATE_LIMIT, LIMIT("web", "{'service': 'web', 'port': 80, " RULES("5/day") "}"));
	krl_store_expect(store, KRL_KIND_SERVICE);
	krl_store_expect(store, KRL_KIND_SLICE);
	compile();
	assert_true(plan.retain_all);
	assert_int_equal(notes.count, 0);
	put_list(KRL_KIND_SLICE, SLICE("web", "80", "{'addresses': ['10.0.0.1']}"));
	compile();
	assert_true(plan.retain_all);
	/* Its number is the Service's to say. */
	assert_int_equal(plan.endpoint_count, 0);
	put_list(KRL_KIND_SERVICE, NULL);
	compile();
	assert_false(plan.retain_all);
	assert_int_equal(plan.endpoint_count, 1);
	krl_store_forget(store, KRL_KIND_SLICE);
	compile();
	assert_int_equal(plan.endpoint_count, 0);
	assert_int_equal(notes.count, 1);
}

static void endpoints_on_other_nodes_are_for_clients(void **state)
{
	static const char slice[] = SLICE("web", "8080",
					  "{'addresses': ['10.0.0.1'], 'nodeName': 'here'}, "
					  "{'addresses': ['10.0.0.2'], 'nodeName': 'there'}, "
					  "{'addresses': ['10.0.0.3'], 'topology': {'kubernetes.io/hostname': 'there'}}, "
					  "{'addresses': ['10.0.0.4']}, {'addresses': ['10.0.0.5'], 'nodeName': null}");

	assert_int_equal(krl_store_set_node(store, "here"), 0);
	put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{'service': 'web', " RULES("5/day") "}"));
	put(KRL_KIND_SLICE, slice);
	compile();
	assert_int_equal(plan.endpoint_count, 3);
	put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{'service': 'web', 'direction': 'Outbound', " RULES("5/day") "}"));
	compile();
	assert_int_equal(plan.endpoint_count, 5);
	put(KRL_KIND_RATE_LIMIT, LIMIT("web", "{'service': 'web', " RULES("5/day") "}"));
	put(KRL_KIND_SLICE, SLICE("web", "8080", "{'addresses': ['10.0.0.2'], 'nodeName': 'there'}"));
	compile();
	assert_int_equal(plan.endpoint_count, 0);
	assert_int_equal(notes.count, 0);
}

static void what_is_no_object_is_refused(void **state)
{
	static const char *const odd[] = { "5", "null", "[]", "'x'", "{}", "{'metadata': 5}", "{'metadata': {'name': 5}}",
					   LIMIT("web", "[]"), LIMIT("web", "null") };
	size_t i;

	for (i = 0; i < sizeof(odd) / sizeof(*odd); i++)
		put(KRL_KIND_RATE_LIMIT, odd[i]);
	put(KRL_KIND_SERVICE, "{'metadata': {'name': 'x', 'namespace': 'default'}, 'spec': {'ports': {}}}");
	put(KRL_KIND_SLICE, "{'metadata': {'name': 'x', 'namespace': 'default'}, 'endpoints': 7, 'ports': [[]]}");
	compile();
	assert_int_equal(plan.rule_count, 0);
	assert_int_not_equal(errors.count, 0);
	remove_object(KRL_KIND_RATE_LIMIT, "{'metadata': {'name': 5}}");
	remove_object(KRL_KIND_RATE_LIMIT, "[]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_object_is_decoded_as_a_document_is, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_and_words_keep_their_kind, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_refused_stays_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(of_one_that_was_never_good_the_maps_keep_what_they_have, setup, teardown),
		cmocka_unit_test_setup_teardown(what_says_nothing_of_itself_is_no_change, setup, teardown),
		cmocka_unit_test_setup_teardown(a_list_ends_what_is_not_in_it, setup, teardown),
		cmocka_unit_test_setup_teardown(services_count_as_far_as_they_are_referred_to, setup, teardown),
		cmocka_unit_test_setup_teardown(a_service_that_was_there_before_is_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(a_mistake_counts_once_it_is_referred_to, setup, teardown),
		cmocka_unit_test_setup_teardown(what_of_an_endpoint_is_not_read_is_no_change, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_still_to_be_listed_is_not_taken_for_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(endpoints_on_other_nodes_are_for_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_object_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
