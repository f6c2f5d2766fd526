// SPDX-License-Identifier: Apache-2.0
/* What the status of a RateLimit is to say, and the Events on it. */
#include <string.h>

#include "agent/k8s/conditions.h"
#include "agent/k8s/notice.h"
#include "agent/k8s/summary.h"
#include "quoted.h"

#define NOW 1750000000
#define NOW_TEXT "2025-06-15T15:06:40Z"
#define BEFORE "2025-01-01T00:00:00Z"

static void check_summary(void (*summary)(const json_t *, char *), const char *spec, const char *expected)
{
	json_t *object = parse(spec);
	char text[KRL_SUMMARY_BYTES];

	summary(object, text);
	assert_string_equal(text, expected);
	json_decref(object);
}

static void a_service_is_named_with_its_port(void **state)
{
	check_summary(krl_summary_service, "{'service': 'web'}", "web");
	check_summary(krl_summary_service, "{'service': 'web', 'port': 80}", "web:80");
	check_summary(krl_summary_service, "{'services': [{'name': 'a'}, {'name': 'b', 'port': 1}, {'name': 'a'}]}",
		      "a, b:1");
	check_summary(krl_summary_service, "{'service': 'web', 'port': 'http'}", "web:http");
	check_summary(krl_summary_service,
		      "{'targetRefs': [{'name': 'a'}, {'kind': 'Service', 'name': 'b', 'sectionName': 'http'}]}", "a, b:http");
	check_summary(krl_summary_service, "{'endpoints': [{'ip': '10.0.0.1', 'port': 80}, {'ip': '::1', 'port': 80}]}",
		      "10.0.0.1:80, [::1]:80");
	check_summary(krl_summary_service, "{'service': 7, 'services': 'x', 'endpoints': [5, {'port': 80}]}", "");
	check_summary(krl_summary_service, "{}", "");
}

static void limits_are_told_as_they_are_written(void **state)
{
	check_summary(krl_summary_limit, "{'rules': [{'limit': '10/minute'}, {'limit': '10/minute'}, {'limit': '1/second'}]}",
		      "10/minute, 1/second");
	check_summary(krl_summary_limit, "{'rules': [{'limit': {'requests': 10, 'unit': 'Minute'}}]}", "10/Minute");
	check_summary(krl_summary_limit, "{'rules': [{'limit': {'tokens': 10, 'unit': 'Hour', 'burst': 20}}]}",
		      "10/Hour (burst 20)");
	check_summary(krl_summary_limit, "{'rules': [{'maxTokens': 5, 'tokensPerFill': 5, 'fillInterval': '1s'}]}",
		      "5 per 1s");
	check_summary(krl_summary_limit, "{'rules': [{'maxTokens': 9, 'tokensPerFill': 5, 'fillInterval': 1000}]}",
		      "5 per 1000ns (burst 9)");
	check_summary(krl_summary_limit, "{'rules': [{'maxConnections': 4, 'limit': '1/second'}]}", "1/second, 4 open");
	check_summary(krl_summary_limit, "{'services': [{'rules': [{'limit': '1/day'}]}, {'rules': [{'limit': '2/day'}]}]}",
		      "1/day, 2/day");
	check_summary(krl_summary_limit, "{'rules': [5, {'limit': 7}, {'limit': []}]}", "");
}

static void what_does_not_fit_is_cut_between_items(void **state)
{
	json_t *rules = json_array(), *spec = json_pack("{s:o}", "rules", rules);
	char text[KRL_SUMMARY_BYTES], limit[32];
	int i;

	for (i = 1; i < 100; i++) {
		snprintf(limit, sizeof(limit), "%d/minute", i);
		json_array_append_new(rules, json_pack("{s:s}", "limit", limit));
	}
	krl_summary_limit(spec, text);
	assert_in_range(strlen(text), 200, KRL_SUMMARY_BYTES - 1);
	assert_string_equal(text + strlen(text) - strlen("/minute, ..."), "/minute, ...");
	json_decref(spec);
}

/* A status: what it is to say by @verdict of node-b, beside @seen. */
static json_t *shared_of(const struct krl_verdict *verdict, const char *seen)
{
	json_t *status = parse(seen), *shared;

	shared = krl_status_make_shared(verdict, status, "node-b", "web", "10/minute", NOW);
	assert_non_null(shared);
	json_decref(status);
	return shared;
}

static void check_condition(const json_t *status, const char *type, const char *expected)
{
	const json_t *condition = krl_status_condition(status, type);
	char text[2048];

	snprintf(text, sizeof(text), "%s %s since %s: %s", krl_status_text(condition, "status"),
		 krl_status_text(condition, "reason"), krl_status_text(condition, "lastTransitionTime"),
		 krl_status_text(condition, "message"));
	assert_string_equal(text, expected);
}

static void check(const struct krl_verdict *verdict, const char *seen, const char *accepted, const char *programmed,
		  int limited)
{
	json_t *shared = shared_of(verdict, seen);

	check_condition(shared, "Accepted", accepted);
	check_condition(shared, "Programmed", programmed);
	assert_int_equal(json_integer_value(json_object_get(shared, "limited")), limited);
	json_decref(shared);
}

static const struct krl_verdict in_force = { .reason = KRL_VERDICT_PROGRAMMED, .generation = 2, .endpoints = 1,
					     .limited = 3, .message = "it is in force" };

/* In force since now, by node-b and what @seen has. */
static void check_in_force(const char *seen, int limited)
{
	check(&in_force, seen, "True Accepted since " NOW_TEXT ": it is valid",
	      "True Programmed since " NOW_TEXT ": it is in force", limited);
}

static void one_node_is_enough(void **state)
{
	check_in_force("{}", 3);
}

static void nodes_are_added_up(void **state)
{
	check_in_force("{'nodes': [{'node': 'node-a', 'limited': 4}, {'node': 'node-b', 'limited': 99}]}", 7);
}

static void a_status_that_stays_keeps_its_time(void **state)
{
	check(&in_force,
	      "{'conditions': [{'type': 'Accepted', 'status': 'True', 'lastTransitionTime': '" BEFORE "'},"
	      " {'type': 'Programmed', 'status': 'False', 'lastTransitionTime': '" BEFORE "'}]}",
	      "True Accepted since " BEFORE ": it is valid", "True Programmed since " NOW_TEXT ": it is in force", 3);
}

static void who_refuses_decides_and_the_first_by_name_tells(void **state)
{
	struct krl_verdict refused = { .reason = KRL_VERDICT_CONFLICTED, .generation = 2, .message = "too many" };

	check(&refused, "{}", "False Conflicted since " NOW_TEXT ": too many",
	      "False Conflicted since " NOW_TEXT ": refused: what was in force before stays", 0);
	check(&in_force,
	      "{'nodes': [{'node': 'node-c', 'reason': 'Invalid', 'message': 'c', 'observedGeneration': 2},"
	      " {'node': 'node-a', 'reason': 'Invalid', 'message': 'a', 'observedGeneration': 2}]}",
	      "False Invalid since " NOW_TEXT ": a",
	      "False Invalid since " NOW_TEXT ": refused: what was in force before stays", 3);
}

static void what_was_said_of_another_generation_is_over(void **state)
{
	check_in_force("{'nodes': [{'node': 'node-a', 'reason': 'Invalid', 'message': 'a', 'observedGeneration': 1}]}", 3);
}

static void a_node_that_cannot_is_named(void **state)
{
	check(&in_force,
	      "{'nodes': [{'node': 'node-a', 'reason': 'UnsupportedByKernel', 'message': 'no', 'observedGeneration': 2}]}",
	      "True Accepted since " NOW_TEXT ": it is valid",
	      "False UnsupportedByKernel since " NOW_TEXT ": node-a: no", 3);
	check(&in_force,
	      "{'nodes': [{'node': 'node-a', 'reason': 'RedisNotConfigured', 'message': 'no', 'observedGeneration': 2}]}",
	      "True Accepted since " NOW_TEXT ": it is valid",
	      "False RedisNotConfigured since " NOW_TEXT ": node-a: no", 3);
}

static void without_endpoints_nothing_is_in_force(void **state)
{
	struct krl_verdict lost = { .reason = KRL_VERDICT_SERVICE_NOT_FOUND, .generation = 2, .message = "no web" };
	struct krl_verdict away = { .reason = KRL_VERDICT_NO_ENDPOINTS, .generation = 2, .message = "elsewhere" };

	check(&lost, "{}", "True Accepted since " NOW_TEXT ": it is valid",
	      "False ServiceNotFound since " NOW_TEXT ": no web", 0);
	check(&away, "{}", "True Accepted since " NOW_TEXT ": it is valid",
	      "False Pending since " NOW_TEXT ": no node with an endpoint says that it is in force", 0);
	check(&away, "{'nodes': [{'node': 'node-a', 'reason': 'Programmed', 'observedGeneration': 2, 'limited': 1}]}",
	      "True Accepted since " NOW_TEXT ": it is valid", "True Programmed since " NOW_TEXT ": it is in force", 1);
}

/* PartiallyApplied, "": it is not there. */
static void check_partial(const struct krl_verdict *verdict, const char *seen, const char *partial)
{
	json_t *shared = shared_of(verdict, seen);

	if (*partial)
		check_condition(shared, "PartiallyApplied", partial);
	else
		assert_null(krl_status_condition(shared, "PartiallyApplied"));
	json_decref(shared);
}

static void what_http2_passes_by_is_in_force_and_told(void **state)
{
	struct krl_verdict unseen = { .reason = KRL_VERDICT_UNSEEN, .generation = 2, .endpoints = 1, .limited = 3,
				      .message = "of b" };
	const char *of_a = "{'nodes': [{'node': 'node-a', 'reason': 'HTTP2NotMatched', 'message': 'of a', "
			   "'observedGeneration': 2}]}";
	const char *was = "{'conditions': [{'type': 'PartiallyApplied', 'status': 'True', 'lastTransitionTime': '" BEFORE "'}]}";
	json_t *entry = krl_status_make_node(&unseen, "node-b");

	check(&unseen, "{}", "True Accepted since " NOW_TEXT ": it is valid",
	      "True Programmed since " NOW_TEXT ": it is in force", 3);
	check_partial(&unseen, "{}", "True HTTP2NotMatched since " NOW_TEXT ": node-b: of b");
	check_partial(&unseen, of_a, "True HTTP2NotMatched since " NOW_TEXT ": node-a: of a");
	check_partial(&in_force, of_a, "True HTTP2NotMatched since " NOW_TEXT ": node-a: of a");
	check_partial(&unseen, was, "True HTTP2NotMatched since " BEFORE ": node-b: of b");
	check_partial(&in_force, was, "False AllMatched since " NOW_TEXT ": rules apply to all requests that came lately");
	check_partial(&in_force, "{'conditions': [{'type': 'PartiallyApplied', 'status': 'False', 'lastTransitionTime': '" BEFORE "'}]}",
		      "False AllMatched since " BEFORE ": rules apply to all requests that came lately");
	check_partial(&in_force, "{}", "");
	assert_string_equal(krl_status_text(entry, "reason"), "HTTP2NotMatched");
	json_decref(entry);
}

static void what_goes_without_redis_is_in_force_and_degraded(void **state)
{
	struct krl_verdict away = { .reason = KRL_VERDICT_AWAY, .generation = 2, .endpoints = 1, .limited = 3, .message = "no" };
	const char *was = "{'conditions': [{'type': 'Degraded', 'status': 'True', 'lastTransitionTime': '" BEFORE "'}]}";
	json_t *shared = krl_status_make_shared(&away, NULL, "node-b", "", "", NOW), *seen = parse(was);

	check(&away, "{}", "True Accepted since " NOW_TEXT ": it is valid",
	      "True Programmed since " NOW_TEXT ": it is in force", 3);
	check_condition(shared, "Degraded", "True RedisAway since " NOW_TEXT ": node-b: no");
	json_decref(shared);
	shared = krl_status_make_shared(&in_force, seen, "node-b", "", "", NOW);
	check_condition(shared, "Degraded", "False RedisThere since " NOW_TEXT ": all nodes reach Redis");
	json_decref(shared);
	json_decref(seen);
}

/* Two agents that see the same entries say the same, whatever they think themselves. */
static void agents_come_to_the_same(void **state)
{
	struct krl_verdict here = { .reason = KRL_VERDICT_PENDING, .generation = 2, .limited = 4, .message = "wait" };
	json_t *a = parse("{'nodes': []}"), *b = parse("{'nodes': []}"), *of_a, *of_b;

	json_array_append_new(json_object_get(a, "nodes"), krl_status_make_node(&in_force, "node-b"));
	json_array_append_new(json_object_get(b, "nodes"), krl_status_make_node(&here, "node-a"));
	of_a = krl_status_make_shared(&here, a, "node-a", "web", "", NOW);
	of_b = krl_status_make_shared(&in_force, b, "node-b", "web", "", NOW);
	assert_true(json_equal(of_a, of_b));
	assert_true(krl_status_has(of_a, of_b));
	json_decref(a);
	json_decref(b);
	json_decref(of_a);
	json_decref(of_b);
}

static void others_may_say_more(void **state)
{
	json_t *shared = shared_of(&in_force, "{}"), *seen = json_deep_copy(shared);

	json_object_set_new(seen, "nodes", json_array());
	json_array_append_new(json_object_get(seen, "conditions"), json_pack("{s:s}", "type", "Theirs"));
	assert_true(krl_status_has(seen, shared));
	json_object_set_new(seen, "limited", json_integer(4));
	assert_false(krl_status_has(seen, shared));
	assert_false(krl_status_has(NULL, shared));
	json_decref(shared);
	json_decref(seen);
}

static void a_node_speaks_where_it_has_a_part(void **state)
{
	struct krl_verdict away = { .reason = KRL_VERDICT_NO_ENDPOINTS }, wrong = { .reason = KRL_VERDICT_INVALID };
	struct krl_verdict odd = { .reason = KRL_VERDICT_UNSUPPORTED };
	json_t *seen = parse("{'nodes': [{'node': 'node-b'}]}");

	assert_true(krl_verdict_is_of_node(&in_force, NULL, "node-b"));
	assert_false(krl_verdict_is_of_node(&away, NULL, "node-b"));
	assert_false(krl_verdict_is_of_node(&wrong, NULL, "node-b"));
	assert_true(krl_verdict_is_of_node(&odd, NULL, "node-b"));
	assert_true(krl_verdict_is_of_node(&away, seen, "node-b"));
	assert_false(krl_verdict_is_of_node(&away, seen, "node-a"));
	json_decref(seen);
}

static void a_status_of_wrong_types_is_none(void **state)
{
	static const char *const wrong[] = { "{'nodes': 5, 'conditions': 'x', 'limited': []}",
					     "{'nodes': [5, {}, {'node': 7}], 'conditions': [[], {'type': 1}]}" };
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		check(&in_force, wrong[i], "True Accepted since " NOW_TEXT ": it is valid",
		      "True Programmed since " NOW_TEXT ": it is in force", 3);
}

static void an_event_is_made_once_and_counted_then(void **state)
{
	struct krl_notice notice = { 0 };
	struct krl_notice_of of = { .ns = "default", .name = "limit", .uid = "u", .node = "node-b", .type = "Normal",
				    .reason = "Programmed" };
	json_t *json;

	krl_notice_add(&notice, "first", NOW);
	krl_notice_add(&notice, "second", NOW + 1);
	json = krl_notice_make(&notice, &of, 0xabc);
	assert_string_equal(notice.name, "limit.abc");
	assert_int_equal(json_integer_value(json_object_get(json, "count")), 2);
	assert_string_equal(krl_status_text(json, "message"), "second");
	assert_string_equal(krl_status_text(json, "firstTimestamp"), NOW_TEXT);
	assert_string_equal(krl_status_text(json, "lastTimestamp"), "2025-06-15T15:06:41Z");
	json_decref(json);
	notice.count = 2;
	notice.pending = 0;
	krl_notice_add(&notice, "third \xc3", NOW + 2);
	json = krl_notice_change(&notice);
	assert_int_equal(json_integer_value(json_object_get(json, "count")), 3);
	assert_string_equal(krl_status_text(json, "message"), "third ?");
	json_decref(json);
}

static void an_event_does_not_go_back_in_time(void **state)
{
	struct krl_notice notice = { 0 };
	json_t *json;

	krl_notice_add(&notice, "first", NOW);
	krl_notice_add(&notice, "after the clock was set back", NOW - 3600);
	json = krl_notice_change(&notice);
	assert_string_equal(krl_status_text(json, "lastTimestamp"), NOW_TEXT);
	json_decref(json);
}

/* Each looks after the one before it, the first one after the last. */
static void a_node_is_before_another_by_its_name(void **state)
{
	json_t *seen = parse("{'nodes': [{'node': 'b'}, {'node': 'd'}, {'node': 'a'}, {'node': 'B/../x'}, {'node': ''}, 5]}");
	json_t *alone = parse("{'nodes': [{'node': 'b'}, {'node': 'b?x'}]}");

	assert_string_equal(krl_status_node_before(seen, "d"), "b");
	assert_string_equal(krl_status_node_before(seen, "b"), "a");
	assert_string_equal(krl_status_node_before(seen, "a"), "d");
	assert_null(krl_status_node_before(seen, "c"));
	assert_null(krl_status_node_before(alone, "b"));
	assert_null(krl_status_node_before(NULL, "b"));
	json_decref(alone);
	json_decref(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_is_before_another_by_its_name),
		cmocka_unit_test(a_service_is_named_with_its_port),
		cmocka_unit_test(limits_are_told_as_they_are_written),
		cmocka_unit_test(what_does_not_fit_is_cut_between_items),
		cmocka_unit_test(one_node_is_enough),
		cmocka_unit_test(nodes_are_added_up),
		cmocka_unit_test(a_status_that_stays_keeps_its_time),
		cmocka_unit_test(who_refuses_decides_and_the_first_by_name_tells),
		cmocka_unit_test(what_was_said_of_another_generation_is_over),
		cmocka_unit_test(a_node_that_cannot_is_named),
		cmocka_unit_test(without_endpoints_nothing_is_in_force),
		cmocka_unit_test(what_http2_passes_by_is_in_force_and_told),
		cmocka_unit_test(what_goes_without_redis_is_in_force_and_degraded),
		cmocka_unit_test(agents_come_to_the_same),
		cmocka_unit_test(others_may_say_more),
		cmocka_unit_test(a_node_speaks_where_it_has_a_part),
		cmocka_unit_test(a_status_of_wrong_types_is_none),
		cmocka_unit_test(an_event_is_made_once_and_counted_then),
		cmocka_unit_test(an_event_does_not_go_back_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
