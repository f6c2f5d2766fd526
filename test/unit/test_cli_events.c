// SPDX-License-Identifier: Apache-2.0
/* `events` as a user meets it, and what of them comes when, with an agent that the test speaks for. */
#include <errno.h>
#include <unistd.h>

#include "agent_thread.h"
#include "tools/kmesh-rl/events_feed.h"
#include "tools/kmesh-rl/events_view.h"

/* What the agent remembers: events FIRST to LAST, in namespaces that alternate. */
static struct {
	char instance[16];
	json_int_t first, last;
	json_int_t asked;	/* after which it was asked last; -1: for all */
} memory;

static json_t *event(json_int_t sequence)
{
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "sequence", sequence, "time",
			 "2026-11-27T05:48:42.123456Z", "namespace", sequence % 2 ? "default" : "shop", "name",
			 sequence % 2 ? "web" : "cart", "rule", "users", "kind", "Request", "decision", "Limited", "client",
			 "10.0.0.1:53412", "method", "GET", "path", "/v1/x", "descriptor", "x-user=al\x1b[2J\xc2\x9bice", "needed", (json_int_t)1,
			 "left", (json_int_t)-7, "retryAfter", (json_int_t)12, "count", (json_int_t)17);
}

static int answer_events(void *ctx, const json_t *params, json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	const json_t *after = json_object_get(params, "after");
	json_t *items = json_array();
	json_int_t i;

	memory.asked = after ? json_integer_value(after) : -1;
	for (i = memory.first; i <= memory.last; i++)
		if (i > json_integer_value(after))
			json_array_append_new(items, event(i));
	*ret_result = json_pack("{s:s, s:I, s:o}", "instance", memory.instance, "last", memory.last, "items", items);
	return 0;
}

static int answer_nonsense(void *ctx, const json_t *params, json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	*ret_result = json_pack("{s:[]}", "items");
	return 0;
}

static int answer_limits(void *ctx, const json_t *params, json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	*ret_result = json_pack("{s:[{s:s, s:s}]}", "items", "namespace", "default", "name", "idle");
	return 0;
}

static const struct krl_control_method working[] = { { "events", answer_events, NULL }, { NULL, NULL, NULL } };
static const struct krl_control_method knowing[] = { { "events", answer_events, NULL }, { "ratelimits", answer_limits, NULL }, { NULL, NULL, NULL } };
static const struct krl_control_method nonsense[] = { { "events", answer_nonsense, NULL }, { NULL, NULL, NULL } };
static const struct krl_control_method old[] = { { NULL, NULL, NULL } };

static void remember(const char *instance, json_int_t first, json_int_t last)
{
	strcpy(memory.instance, instance);
	memory.first = first;
	memory.last = last;
}

static enum krl_cli_exit events(struct krl_cli cli, const char *name)
{
	return run(krl_cli_events, cli, name, NULL);
}

static size_t lines_of(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void a_table_shows_what_is_remembered(void **state)
{
	remember("a", 1, 4);
	start_with(working, NULL);
	assert_int_equal(events((struct krl_cli){}, NULL), KRL_CLI_GOOD);
	assert_string_equal(out, "TIME                       RULE                CLIENT           METHOD   PATH    DESCRIPTOR           MODEL"
				 "    NEEDED   LEFT   COUNT   DECISION\n"
				 "2026-11-27T05:48:42.123Z   default/web/users   10.0.0.1:53412   GET      /v1/x   x-user=al?[2J??ice   <none>"
				 "   1        -7     17      Limited\n"
				 "2026-11-27T05:48:42.123Z   default/web/users   10.0.0.1:53412   GET      /v1/x   x-user=al?[2J??ice   <none>"
				 "   1        -7     17      Limited\n");
	assert_string_equal(err, "");
	assert_int_equal(events((struct krl_cli){ .output = KRL_CLI_WIDE }, NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "   RETRY-AFTER   STATUS\n"));
	assert_non_null(strstr(out, "   12            <none>\n"));
	stop();
}

static void a_namespace_and_a_name_choose(void **state)
{
	remember("a", 1, 5);
	start_with(working, NULL);
	assert_int_equal(events((struct krl_cli){ .output = KRL_CLI_JSON }, NULL), KRL_CLI_GOOD);
	assert_int_equal(lines_of(out), 3);
	assert_int_equal(events((struct krl_cli){ .output = KRL_CLI_JSON, .ns = "shop" }, "cart"), KRL_CLI_GOOD);
	assert_int_equal(lines_of(out), 2);
	assert_memory_equal(out, "{\"sequence\":2,\"time\":\"2026-11-27T05:48:42.123456Z\",\"namespace\":\"shop\",", 64);
	assert_int_equal(events((struct krl_cli){ .output = KRL_CLI_JSON, .all_namespaces = true }, NULL), KRL_CLI_GOOD);
	assert_int_equal(lines_of(out), 5);
	assert_int_equal(events((struct krl_cli){ .all_namespaces = true }, "x"), KRL_CLI_GOOD);
	assert_string_equal(out, "");
	assert_string_equal(err, "No events found of rate limit x.\n");
	assert_int_equal(events((struct krl_cli){ .ns = "empty" }, NULL), KRL_CLI_GOOD);
	assert_string_equal(err, "No events found in empty namespace.\n");
	stop();
}

static void a_name_without_events_is_not_one_that_is_not_there(void **state)
{
	remember("a", 1, 5);
	start_with(knowing, NULL);
	assert_int_equal(events((struct krl_cli){}, "idle"), KRL_CLI_GOOD);
	assert_string_equal(err, "No events found of rate limit idle in default namespace.\n");
	assert_int_equal(events((struct krl_cli){}, "ilde"), KRL_CLI_FAILED);
	assert_string_equal(err, "Error: rate limit \"ilde\" not found in namespace \"default\"\n");
	/* What it was limited by is remembered for longer. */
	assert_int_equal(events((struct krl_cli){ .ns = "shop" }, "cart"), KRL_CLI_GOOD);
	assert_string_equal(err, "");
	stop();
}

static void an_agent_that_tells_nothing_is_said(void **state)
{
	assert_int_equal(events((struct krl_cli){}, NULL), KRL_CLI_FAILED);
	assert_string_equal(err, "Error: agent not running: nobody else remembers events\n");
	assert_int_equal(events((struct krl_cli){}, "two"), KRL_CLI_FAILED);
	assert_int_equal(run(krl_cli_events, (struct krl_cli){}, "one", "two"), KRL_CLI_USAGE);
	assert_string_equal(err, "Error: events takes one name, not \"two\" too\n");
	start_with(nonsense, NULL);
	assert_int_equal(events((struct krl_cli){ .follow = true }, NULL), KRL_CLI_FAILED);
	assert_non_null(strstr(err, "Error: the agent's answer is not understood"));
	stop();
	start_with(old, NULL);
	assert_int_equal(events((struct krl_cli){}, NULL), KRL_CLI_FAILED);
	assert_string_equal(err, "Error: the agent: unknown method \"events\"\n");
	stop();
}

/* What came next has the numbers @first to @last, and @missed were forgotten before. */
static void assert_next(struct krl_events_feed *feed, json_int_t first, json_int_t last, json_int_t missed)
{
	const struct krl_cli cli = { .control_socket = agent.path };
	char why[KRL_CONTROL_ERROR_BYTES];
	json_t *items;
	size_t i;

	assert_int_equal(krl_events_next(&cli, feed, &items, why), 0);
	assert_int_equal(feed->missed, missed);
	assert_int_equal(json_array_size(items), last - first + 1);
	for (i = 0; i < json_array_size(items); i++)
		assert_int_equal(json_integer_value(json_object_get(json_array_get(items, i), "sequence")), first + (json_int_t)i);
	json_decref(items);
}

static void each_event_comes_once_from_each_agent(void **state)
{
	struct krl_events_feed feed = {};

	remember("a", 3, 6);
	start_with(working, NULL);
	assert_next(&feed, 3, 6, 0);
	assert_int_equal(memory.asked, -1);
	assert_next(&feed, 7, 6, 0);
	assert_int_equal(memory.asked, 6);
	remember("a", 3, 8);
	assert_next(&feed, 7, 8, 0);
	/* Another one, which is behind or ahead of the one before. */
	remember("b", 1, 2);
	assert_next(&feed, 1, 2, 0);
	remember("b", 1, 3);
	assert_next(&feed, 3, 3, 0);
	remember("c", 1, 9);
	assert_next(&feed, 1, 9, 0);
	assert_next(&feed, 10, 9, 0);
	/* More came than it remembers; and nothing is left of what came. */
	remember("c", 13, 14);
	assert_next(&feed, 13, 14, 3);
	remember("c", 17, 16);
	assert_next(&feed, 17, 16, 2);
	krl_events_feed_end(&feed);
	stop();
}

static void an_answer_that_is_refused_changes_nothing(void **state)
{
	const struct krl_cli cli = { .control_socket = agent.path };
	struct krl_events_feed feed = {};
	char why[KRL_CONTROL_ERROR_BYTES];
	json_t *items = (json_t *)&feed;

	remember("a", 1, 2);
	start_with(working, NULL);
	assert_next(&feed, 1, 2, 0);
	stop();
	assert_int_equal(krl_events_next(&cli, &feed, &items, why), -ENOENT);
	start_with(nonsense, NULL);
	assert_int_equal(krl_events_next(&cli, &feed, &items, why), -EPROTO);
	stop();
	assert_ptr_equal(items, &feed);
	remember("a", 1, 3);
	start_with(working, NULL);
	assert_next(&feed, 3, 3, 0);
	krl_events_feed_end(&feed);
	stop();
}

static void the_last_of_them_can_be_chosen(void **state)
{
	json_t *items = json_array(), *chosen;
	json_int_t i;

	for (i = 1; i <= 30; i++)
		json_array_append_new(items, event(i));
	chosen = krl_events_select(items, "default", "web", 10);
	assert_int_equal(json_array_size(chosen), 10);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(chosen, 0), "sequence")), 11);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(chosen, 9), "sequence")), 29);
	json_decref(chosen);
	json_decref(items);
}

/* As when it is followed: the rows that come later stand below those before. */
static void a_table_that_goes_on_keeps_its_columns(void **state)
{
	json_t *first = json_pack("[o]", event(1)), *second = json_pack("[o]", event(2)), *item = json_array_get(second, 0);
	char *text, *lines[3];
	size_t size, i;
	FILE *stream = open_memstream(&text, &size);

	json_object_set_new(item, "client", json_string("[2001:db8::1]:53412"));
	json_object_del(item, "method");
	json_object_del(item, "descriptor");
	json_object_del(json_array_get(first, 0), "descriptor");
	assert_int_equal(krl_events_print_on(first, false, false, stream), 0);
	assert_int_equal(krl_events_print_on(second, false, true, stream), 0);
	fclose(stream);
	lines[0] = text;
	for (i = 1; i < 3; i++)
		lines[i] = strchr(lines[i - 1], '\n') + 1;
	assert_int_equal(lines_of(text), 3);
	assert_memory_equal(lines[0], "TIME ", 5);
	for (i = 1; i < 3; i++) {
		assert_int_equal(strstr(lines[i], "/v1/x ") - lines[i], strstr(lines[0], "PATH ") - lines[0]);
		assert_int_equal(strstr(lines[i], "Limited\n") - lines[i], strstr(lines[0], "DECISION\n") - lines[0]);
	}
	free(text);
	/* One that is too wide moves its own row alone. */
	json_object_set_new(item, "path", json_string("/0123456789/0123456789/0123456789"));
	stream = open_memstream(&text, &size);
	assert_int_equal(krl_events_print_on(second, false, true, stream), 0);
	assert_int_equal(krl_events_print_on(first, false, true, stream), 0);
	fclose(stream);
	lines[1] = strchr(text, '\n') + 1;
	assert_int_equal(strstr(text, "Limited\n") - text, strstr(lines[1], "Limited\n") - lines[1] + 33 - 24);
	free(text);
	json_decref(first);
	json_decref(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_shows_what_is_remembered),
		cmocka_unit_test(a_namespace_and_a_name_choose),
		cmocka_unit_test(a_name_without_events_is_not_one_that_is_not_there),
		cmocka_unit_test(an_agent_that_tells_nothing_is_said),
		cmocka_unit_test(each_event_comes_once_from_each_agent),
		cmocka_unit_test(an_answer_that_is_refused_changes_nothing),
		cmocka_unit_test(the_last_of_them_can_be_chosen),
		cmocka_unit_test(a_table_that_goes_on_keeps_its_columns),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
