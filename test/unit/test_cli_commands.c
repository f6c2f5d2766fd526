// SPDX-License-Identifier: Apache-2.0
/* `get` and `version` as a user meets them: an agent behind a real socket, exit status, both streams. */
#include <errno.h>
#include <unistd.h>

#include "agent_thread.h"

static int answer_stats(void *ctx, const json_t *params, json_t **ret_result,
			char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	static struct krl_stats_row rows[] = {
		{ .info = { .ns = "default", .name = "web", .limit = "10 per 1 minute" },
		  .settings = { 10, 10, 60000000000ULL }, .available = 4, .total = 6 },
		{ .info = { .ns = "shop", .name = "cart", .limit = "5 per 1 second" },
		  .settings = { 5, 5, 1000000000ULL }, .available = 5 },
	};
	struct krl_stats stats = { .rows = rows, .count = 2 };

	*ret_result = krl_stats_json(&stats);
	return 0;
}

static int refuse_stats(void *ctx, const json_t *params, json_t **ret_result,
			char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	snprintf(ret_error, KRL_CONTROL_ERROR_BYTES, "the maps are gone");
	return -EIO;
}

static int answer_nonsense(void *ctx, const json_t *params, json_t **ret_result,
			char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	*ret_result = json_string("hello");
	return 0;
}

static int answer_limits(void *ctx, const json_t *params, json_t **ret_result,
			char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	*ret_result = json_pack("{s:[{s:s, s:s}]}", "items", "namespace", "default", "name", "asleep");
	return 0;
}

static const struct krl_control_method refusing[] = { { "stats", refuse_stats, NULL }, { NULL, NULL, NULL } };
static const struct krl_control_method nonsense[] = { { "stats", answer_nonsense, NULL }, { NULL, NULL, NULL } };
static struct krl_control_method working[] = { { "stats", answer_stats, NULL }, { "version", NULL, NULL },
					       { "ratelimits", answer_limits, NULL }, { NULL, NULL, NULL } };

static const char *const agent_errors[] = { "a.yaml:3:5: spec.rules: missing" };
static struct krl_control_agent about = { .bpffs = "/nowhere", .source = "dir:/etc/kmesh-rl",
					  .ready = true, .errors = agent_errors, .error_count = 1 };

static void start(const struct krl_control_method *methods)
{
	start_with(methods, &about);
}

static int setup(void **state)
{
	const struct krl_control_method *method;

	for (method = krl_control_agent_methods; method->name; method++)
		if (!strcmp(method->name, "version"))
			working[1].answer = method->answer;
	return make_dir(state);
}

static enum krl_cli_exit get(struct krl_cli cli, const char *name)
{
	return run(krl_cli_get, cli, "ratelimit-stats", name);
}

static void the_default_namespace_is_shown(void **state)
{
	start(working);
	assert_int_equal(get((struct krl_cli){}, NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "\nweb    default     <none>    <none>   10 per 1 minute   4 "));
	assert_null(strstr(out, "cart"));
	assert_string_equal(err, "");
	stop();
}

static void every_namespace_or_another_one(void **state)
{
	start(working);
	assert_int_equal(get((struct krl_cli){ .all_namespaces = true }, NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "web"));
	assert_non_null(strstr(out, "cart"));
	assert_int_equal(get((struct krl_cli){ .ns = "shop" }, "cart"), KRL_CLI_GOOD);
	assert_null(strstr(out, "web"));
	assert_non_null(strstr(out, "cart"));
	stop();
}

static void none_found_is_said_on_stderr(void **state)
{
	start(working);
	assert_int_equal(get((struct krl_cli){ .ns = "empty" }, NULL), KRL_CLI_GOOD);
	assert_string_equal(out, "");
	assert_string_equal(err, "No rate limits found in empty namespace.\n");
	assert_int_equal(get((struct krl_cli){ .ns = "empty", .output = KRL_CLI_JSON }, NULL),
			 KRL_CLI_GOOD);
	assert_non_null(strstr(out, "\"items\": []"));
	assert_string_equal(err, "");
	stop();
}

static void a_name_that_is_not_there_fails(void **state)
{
	start(working);
	assert_int_equal(get((struct krl_cli){}, "x"), KRL_CLI_FAILED);
	assert_string_equal(err, "Error: rate limit \"x\" not found in namespace \"default\"\n");
	assert_int_equal(get((struct krl_cli){ .output = KRL_CLI_YAML }, "cart"), KRL_CLI_FAILED);
	assert_string_equal(out, "");
	assert_int_equal(get((struct krl_cli){ .all_namespaces = true }, "x"), KRL_CLI_FAILED);
	assert_string_equal(err, "Error: rate limit \"x\" not found in any namespace\n");
	assert_int_equal(get((struct krl_cli){}, "asleep"), KRL_CLI_FAILED);
	assert_string_equal(err, "Error: rate limit \"asleep\" is in force nowhere here, or not now: `kmesh-rl describe ratelimit "
			    "asleep` says why\n");
	stop();
}

static void the_agents_refusal_is_passed_on(void **state)
{
	start(refusing);
	assert_int_equal(get((struct krl_cli){}, NULL), KRL_CLI_FAILED);
	assert_string_equal(err, "Error: the agent: the maps are gone\n");
	stop();
	start(nonsense);
	assert_int_equal(get((struct krl_cli){}, NULL), KRL_CLI_FAILED);
	assert_non_null(strstr(err, "Error: the agent's answer is not understood"));
	stop();
}

static void without_agent_and_pins_it_says_so(void **state)
{
	assert_int_equal(get((struct krl_cli){}, NULL), KRL_CLI_FAILED);
	assert_non_null(strstr(err, "Error: nothing is pinned below "));
	assert_string_equal(out, "");
}

static void resources_are_suggested(void **state)
{
	assert_int_equal(run(krl_cli_get, (struct krl_cli){}, "ratelimit-stat", NULL), KRL_CLI_USAGE);
	assert_string_equal(err, "Error: get \"ratelimit-stat\": did you mean \"ratelimit-stats\"?\n");
	assert_int_equal(run(krl_cli_get, (struct krl_cli){}, "pods", NULL), KRL_CLI_USAGE);
	assert_string_equal(err, "Error: get \"pods\": expected ratelimits, ratelimit-stats, ratelimit-buckets or ratelimit-tokens\n");
	assert_int_equal(run(krl_cli_get, (struct krl_cli){}, "ratelimit-bucket", NULL), KRL_CLI_USAGE);
	assert_string_equal(err, "Error: get \"ratelimit-bucket\": did you mean \"ratelimit-buckets\"?\n");
	assert_int_equal(run(krl_cli_get, (struct krl_cli){}, NULL, NULL), KRL_CLI_USAGE);
}

static void a_name_may_follow_its_resource_as_in_kubectl(void **state)
{
	start(working);
	assert_int_equal(run(krl_cli_get, (struct krl_cli){ .ns = "shop" }, "ratelimit-stats/cart", NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "cart"));
	assert_int_equal(run(krl_cli_get, (struct krl_cli){ .ns = "shop" }, "ratelimit-stats/web", NULL), KRL_CLI_FAILED);
	assert_string_equal(err, "Error: rate limit \"web\" not found in namespace \"shop\"\n");
	assert_int_equal(run(krl_cli_get, (struct krl_cli){}, "ratelimit-stats/web", "cart"), KRL_CLI_USAGE);
	assert_string_equal(err, "Error: get ratelimit-stats takes one name, not \"cart\" too\n");
	assert_int_equal(run(krl_cli_describe, (struct krl_cli){}, "ratelimit/web", "cart"), KRL_CLI_USAGE);
	assert_int_equal(run(krl_cli_describe, (struct krl_cli){}, "rl/nobody", NULL), KRL_CLI_FAILED);
	assert_int_equal(run(krl_cli_describe, (struct krl_cli){}, "rl/", NULL), KRL_CLI_USAGE);
	stop();
}

static void buckets_and_tokens_are_read_from_the_pins_alone(void **state)
{
	start(refusing);
	assert_int_equal(run(krl_cli_get, (struct krl_cli){}, "ratelimit-buckets", NULL), KRL_CLI_FAILED);
	assert_non_null(strstr(err, "Error: nothing is pinned below "));
	assert_int_equal(run(krl_cli_get, (struct krl_cli){}, "ratelimit-tokens", NULL), KRL_CLI_FAILED);
	assert_non_null(strstr(err, "Error: nothing is pinned below "));
	stop();
}

static void a_limit_is_a_number_and_of_buckets(void **state)
{
	static const char *const wrong[] = { "-1", "x", "1x", "99999999999999999999" };
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		assert_int_equal(run(krl_cli_get, (struct krl_cli){ .limit = wrong[i] }, "ratelimit-buckets", NULL),
				 KRL_CLI_USAGE);
		assert_non_null(strstr(err, "expected a number"));
	}
	assert_int_equal(get((struct krl_cli){ .limit = "5" }, NULL), KRL_CLI_USAGE);
	assert_string_equal(err, "Error: flag --limit is of ratelimit-buckets and ratelimit-tokens\n");
}

static void version_shows_both_sides(void **state)
{
	char expected[512];

	start(working);
	assert_int_equal(run(krl_cli_version, (struct krl_cli){}, NULL, NULL), KRL_CLI_GOOD);
	snprintf(expected, sizeof(expected),
		 "Client Version: %s\nAgent Version: %s\nAgent: pid %d, source dir:/etc/kmesh-rl, ready\n"
		 "Agent Error: a.yaml:3:5: spec.rules: missing\n", KRL_VERSION, KRL_VERSION, getpid());
	assert_string_equal(out, expected);
	assert_int_equal(run(krl_cli_version, (struct krl_cli){ .output = KRL_CLI_JSON }, NULL, NULL),
			 KRL_CLI_GOOD);
	assert_non_null(strstr(out, "\"ready\": true"));
	assert_int_equal(run(krl_cli_version, (struct krl_cli){ .running = true }, NULL, NULL), KRL_CLI_GOOD);
	stop();
	assert_int_equal(run(krl_cli_version, (struct krl_cli){ .running = true }, NULL, NULL), KRL_CLI_FAILED);
	assert_non_null(strstr(out, "Agent Version: not running\n"));
	assert_int_equal(run(krl_cli_version, (struct krl_cli){}, NULL, NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "Agent Version: not running\n"));
	assert_string_equal(err, "");
	assert_int_equal(run(krl_cli_version, (struct krl_cli){}, "client", NULL), KRL_CLI_USAGE);
}

/* A socket that may not be connected to says nothing of the agent behind it. */
static void an_agent_that_does_not_answer_is_unknown(void **state)
{
	assert_int_equal(symlink("agent.sock", agent.path), 0);
	assert_int_equal(run(krl_cli_version, (struct krl_cli){}, NULL, NULL), KRL_CLI_GOOD);
	assert_string_equal(out, "Client Version: " KRL_VERSION "\nAgent Version: unknown\n");
	assert_string_equal(err, "agent does not answer: Too many levels of symbolic links\n");
	assert_int_equal(run(krl_cli_version, (struct krl_cli){ .output = KRL_CLI_JSON }, NULL, NULL),
			 KRL_CLI_GOOD);
	assert_non_null(strstr(out, "\"agent\": null"));
	assert_string_equal(err, "agent does not answer: Too many levels of symbolic links\n");
	assert_int_equal(run(krl_cli_version, (struct krl_cli){ .running = true }, NULL, NULL), KRL_CLI_FAILED);
	unlink(agent.path);
}

/* As the agent's --version: nobody is asked. */
static void the_flag_shows_the_version_alone(void **state)
{
	start(working);
	assert_int_equal(run(krl_cli_version, (struct krl_cli){ .version = true }, NULL, NULL), KRL_CLI_GOOD);
	assert_string_equal(out, "kmesh-rl " KRL_VERSION "\n");
	assert_string_equal(err, "");
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_namespace_is_shown),
		cmocka_unit_test(every_namespace_or_another_one),
		cmocka_unit_test(none_found_is_said_on_stderr),
		cmocka_unit_test(a_name_that_is_not_there_fails),
		cmocka_unit_test(the_agents_refusal_is_passed_on),
		cmocka_unit_test(without_agent_and_pins_it_says_so),
		cmocka_unit_test(a_name_may_follow_its_resource_as_in_kubectl),
		cmocka_unit_test(resources_are_suggested),
		cmocka_unit_test(buckets_and_tokens_are_read_from_the_pins_alone),
		cmocka_unit_test(a_limit_is_a_number_and_of_buckets),
		cmocka_unit_test(version_shows_both_sides),
		cmocka_unit_test(an_agent_that_does_not_answer_is_unknown),
		cmocka_unit_test(the_flag_shows_the_version_alone),
	};

	return cmocka_run_group_tests(tests, setup, remove_dir);
}
