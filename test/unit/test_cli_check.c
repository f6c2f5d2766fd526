// SPDX-License-Identifier: Apache-2.0
/* `check` as a user meets it: flags, what is printed, exit status. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "caught.h"

#define DOCUMENT(name, spec)                                                                       \
	"---\n{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, metadata: {name: " name "}, "      \
	"spec: " spec "}\n"
#define TIERS                                                                                      \
	"rules: [{name: default, limit: 2/day}, "                                                  \
	"{name: user, limit: 1/day, mode: Shadow, clientSelectors: "                              \
	"[{headers: [{name: x-user, type: Distinct}]}]}]"
#define SERVICE(name, port)                                                                        \
	DOCUMENT(name, "{service: " name ", port: " port ", rules: [{limit: 3/day}]}")

static char path[64], out[CAUGHT_BYTES], err[CAUGHT_BYTES];

static int setup(void **state)
{
	int fd;

	strcpy(path, "/tmp/krl-check-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? fd : close(fd);
}

static int teardown(void **state)
{
	return unlink(path);
}

/* Check against @text with the flags of @cli and up to two headers. */
static enum krl_cli_exit check(const char *text, struct krl_cli cli, const char *first,
			       const char *second)
{
	FILE *file = fopen(path, "w");
	enum krl_cli_exit status;

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	krl_cli_list_add(&cli.files, path);
	if (first)
		krl_cli_list_add(&cli.headers, first);
	if (second)
		krl_cli_list_add(&cli.headers, second);
	status = caught_run(krl_cli_check, &cli, "", out, err);
	krl_cli_list_free(&cli.files);
	krl_cli_list_free(&cli.headers);
	return status;
}

static void rules_come_tier_by_tier(void **state)
{
	static const char text[] =
		DOCUMENT("web", "{endpoints: [{ip: 192.0.2.1, port: 80}], " TIERS "}");

	assert_int_equal(check(text, (struct krl_cli){}, "x-user: alice", NULL), KRL_CLI_GOOD);
	assert_string_equal(out,
		"NAME   NAMESPACE   SERVICE   TIER   RULE      COUNTS   LIMIT         BUCKET         "
		"WHY\n"
		"web    default     <none>    1      user      shadow   1 per 1 day   x-user=alice   "
		"meets clientSelectors[0]\n"
		"web    default     <none>    2      default   no       2 per 1 day   <none>         "
		"an earlier tier counts\n");
	assert_string_equal(err, "");
	assert_int_equal(check(text, (struct krl_cli){ .method = "PUT", .path = "/x" }, NULL, NULL),
			 KRL_CLI_GOOD);
	assert_non_null(strstr(out, "header x-user: expected any value, found none\n"));
	assert_non_null(strstr(out, "for every request\n"));
}

static void json_has_the_same(void **state)
{
	assert_int_equal(check(DOCUMENT("web", "{service: s, " TIERS "}"),
			       (struct krl_cli){ .output = KRL_CLI_JSON }, "x-user: a", NULL),
			 KRL_CLI_GOOD);
	assert_non_null(strstr(out, "            \"service\": \"s\",\n"
				    "            \"tier\": 1,\n"
				    "            \"rule\": \"user\",\n"
				    "            \"counts\": true,\n"
				    "            \"mode\": \"Shadow\",\n"
				    "            \"limit\": \"1 per 1 day\",\n"
				    "            \"bucket\": \"x-user=a\",\n"
				    "            \"why\": \"meets clientSelectors[0]\"\n"));
	assert_non_null(strstr(out, "\"badRequestAt\": []"));
	assert_non_null(strstr(err, "RateLimit default/web waits: service s has no endpoint\n"));
}

/* By the numbers of the limits: which RateLimits are met at @endpoint. */
static void check_met(const char *endpoint, const char *numbers)
{
	static const char text[] =
		DOCUMENT("a", "{endpoints: [{ip: 192.0.2.1, port: 80}, "
			      "{ip: '2001:db8::1', port: 80}], rules: [{limit: 1/day}]}")
		DOCUMENT("b", "{endpoints: [{ip: 0.0.0.0, port: 80}], rules: [{limit: 2/day}]}")
		DOCUMENT("c", "{endpoints: [{ip: '::', port: 81}], rules: [{limit: 3/day}]}")
		DOCUMENT("d", "{services: [{name: web, rules: [{limit: 4/day}]}, "
			      "{name: web, port: 80, rules: [{limit: 5/day}]}, {name: web-2, rules: [{limit: 6/day}]}]}");
	char number[16];
	int i;

	assert_int_equal(check(text, (struct krl_cli){ .endpoint = endpoint }, NULL, NULL),
			 KRL_CLI_GOOD);
	for (i = 1; i <= 6; i++) {
		snprintf(number, sizeof(number), " %d per 1 day", i);
		if (!strstr(out, number) != !strchr(numbers, '0' + i))
			fail_msg("%s: limit %d in\n%s", endpoint ? endpoint : "all", i, out);
	}
}

static void an_endpoint_may_be_asked_for(void **state)
{
	check_met(NULL, "123456");
	check_met("192.0.2.1:80", "12");
	check_met("192.0.2.2:80", "2");
	check_met("192.0.2.2:81", "3");
	check_met("[2001:db8::1]:80", "1");
	check_met("[2001:db8::2]:81", "3");
	check_met("web", "45");
	check_met("web:80", "5");
	check_met("web-2", "6");
	check_met("192.0.2.2:82", "");
	assert_string_equal(out, "");
	assert_non_null(strstr(err, "No rate limits found.\n"));
	assert_int_equal(check("", (struct krl_cli){ .endpoint = "we" }, NULL, NULL),
			 KRL_CLI_FAILED);
	assert_string_equal(err, "Error: no rate limit is for a service \"we\"\n");
}

#define NIGHT                                                                                      \
	"schedule: {from: '22:00', to: '06:00', timeZone: Europe/Berlin}"

static void outside_its_schedule_a_rule_does_not_exist(void **state)
{
	static const char text[] =
		DOCUMENT("web", "{endpoints: [{ip: 192.0.2.1, port: 80}], rules: ["
				"{name: night, limit: 1/day;2/week, clientSelectors: [{methods: [GET]}], " NIGHT "}, "
				"{name: default, limit: 2/day}]}");
	struct krl_cli cli = { .at = "2026-11-22T22:00:00+01:00", .endpoint = "192.0.2.1:80" };

	assert_int_equal(check(text, cli, NULL, NULL), KRL_CLI_GOOD);
	assert_string_equal(out,
		"NAME   NAMESPACE   SERVICE   TIER   RULE      COUNTS   LIMIT          BUCKET   WHY\n"
		"web    default     <none>    1      night     yes      1 per 1 day    <none>   "
		"meets clientSelectors[0]\n"
		"web    default     <none>    1      night-2   yes      2 per 1 week   <none>   "
		"meets clientSelectors[0]\n"
		"web    default     <none>    2      default   no       2 per 1 day    <none>   "
		"an earlier tier counts\n");
	cli.at = "2026-11-22T20:59:59Z";
	assert_int_equal(check(text, cli, NULL, NULL), KRL_CLI_GOOD);
	assert_string_equal(out,
		"NAME   NAMESPACE   SERVICE   TIER     RULE      COUNTS   LIMIT          BUCKET   WHY\n"
		"web    default     <none>    1        default   yes      2 per 1 day    <none>   "
		"for every request\n"
		"web    default     <none>    <none>   night     no       1 per 1 day    <none>   "
		"outside its schedule\n"
		"web    default     <none>    <none>   night-2   no       2 per 1 week   <none>   "
		"outside its schedule\n");
	assert_string_equal(err, "");
	cli.output = KRL_CLI_JSON;
	assert_int_equal(check(text, cli, NULL, NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "\"tier\": null"));
	/* Nor is it an earlier tier. */
	cli.output = KRL_CLI_TABLE;
	assert_int_equal(check(DOCUMENT("web", "{service: s, rules: [{limit: 1/day, clientSelectors: [{methods: [GET]}], "
					NIGHT "}, {limit: 2/day, clientSelectors: [{methods: [PUT]}]}, {limit: 3/day}]}"),
			       (struct krl_cli){ .at = cli.at }, NULL, NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "2        rule-2   yes      3 per 1 day   <none>   for every request\n"));
	/* A RateLimit may be without any rule for now. */
	assert_int_equal(check(DOCUMENT("web", "{ruleMatch: All, service: s, rules: [{limit: 1/day, " NIGHT "}]}"),
			       (struct krl_cli){ .at = cli.at, .endpoint = "s" }, NULL, NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "outside its schedule\n"));
}

static void a_model_is_in_the_body_or_in_a_header(void **state)
{
	static const char text[] = DOCUMENT("llm", "{service: s, modelHeaders: [x-model], rules: ["
		"{name: all, limit: 9/day, count: LLMTokens}, {name: requests, limit: 8/day}, "
		"{name: gpt, limit: 7/day, count: LLMTokens, clientSelectors: [{model: {type: Prefix, value: gpt}}]}, "
		"{name: each, limit: 6/day, count: LLMTokens, clientSelectors: [{model: {type: Distinct}}]}]}");

	assert_int_equal(check(text, (struct krl_cli){ .model = "gpt-4" }, NULL, NULL), KRL_CLI_GOOD);
	assert_string_equal(out,
		"NAME   NAMESPACE   SERVICE   TIER   RULE       COUNTS   LIMIT         BUCKET   WHY\n"
		"llm    default     s         1      gpt        yes      7 per 1 day   <none>   meets clientSelectors[0]\n"
		"llm    default     s         2      each       no       6 per 1 day   <none>   an earlier tier counts\n"
		"llm    default     s         3      all        no       9 per 1 day   <none>   an earlier tier counts\n"
		"llm    default     s         3      requests   no       8 per 1 day   <none>   an earlier tier counts\n");
	assert_int_equal(check(text, (struct krl_cli){ .model = "gpt-4" }, "X-Model: qwen3", NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "model: expected one that begins with \"gpt\", found \"qwen3\"\n"));
	assert_non_null(strstr(out, "each       yes      6 per 1 day   model=qwen3   meets clientSelectors[0]\n"));
	assert_int_equal(check(text, (struct krl_cli){ .method = "POST" }, NULL, NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "model: expected one that begins with \"gpt\", found none\n"));
	assert_non_null(strstr(out, "model: expected any, found none\n"));
	assert_non_null(strstr(out, "all        yes      9 per 1 day   <none>   for every POST\n"));
	assert_non_null(strstr(out, "requests   yes      8 per 1 day   <none>   for every request\n"));
	assert_int_equal(check(text, (struct krl_cli){ .path = "/health" }, NULL, NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "all        no       9 per 1 day   <none>   method: expected POST, found GET\n"));
	assert_non_null(strstr(out, "requests   yes      8 per 1 day   <none>   for every request\n"));
}

/* The day may turn meanwhile. */
static void without_a_time_it_is_now(void **state)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	time_t now = time(NULL);
	char text[512];
	struct tm tm;

	gmtime_r(&now, &tm);
	snprintf(text, sizeof(text),
		 DOCUMENT("web", "{service: s, rules: [{limit: 1/day, schedule: {days: [%s, %s]}}, "
				 "{limit: 2/day, schedule: {days: [%s]}}]}"),
		 days[tm.tm_wday], days[(tm.tm_wday + 1) % 7], days[(tm.tm_wday + 3) % 7]);
	assert_int_equal(check(text, (struct krl_cli){}, NULL, NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "1 per 1 day   <none>   for every request\n"));
	assert_non_null(strstr(out, "2 per 1 day   <none>   outside its schedule\n"));
}

static void what_is_refused_as_a_whole_is_told(void **state)
{
	static const char text[] =
		DOCUMENT("web", "{failurePolicy: Closed, endpoints: [{ip: 192.0.2.1, port: 80}], "
				TIERS "}");

	assert_int_equal(check(text, (struct krl_cli){}, "x-user: a", "x-user: b"), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "x-user=<shared>"));
	assert_string_equal(err, "192.0.2.1:80 answers 400: a value that picks a bucket is there "
				 "twice or too long, and failurePolicy is Closed\n");
	assert_int_equal(check(text, (struct krl_cli){ .output = KRL_CLI_YAML }, "x-user: a",
			       "x-user: b"), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "badRequestAt:\n- \"192.0.2.1:80\"\n"));
}

static void a_refused_document_fails_and_others_are_shown(void **state)
{
	assert_int_equal(check(SERVICE("a", "0") SERVICE("b", "80"), (struct krl_cli){}, NULL,
			       NULL), KRL_CLI_FAILED);
	assert_non_null(strstr(out, "b:80"));
	assert_non_null(strstr(err, "spec.port: expected an integer from 1 to 65535"));
	/* The one that counts is the first, wherever its rules come from. */
	assert_int_equal(check(DOCUMENT("a", "{service: s, rules: "
					     "[{limit: 1/day, clientSelectors: [{methods: [PUT]}]}]}")
			       DOCUMENT("a", "{service: s, rules: [{limit: 2/day}]}"),
			       (struct krl_cli){}, NULL, NULL), KRL_CLI_FAILED);
	assert_non_null(strstr(out, "1 per 1 day"));
	assert_non_null(strstr(out, "method: expected PUT, found GET"));
}

static void misuse_is_told(void **state)
{
	struct krl_cli none = {};

	assert_int_equal(krl_cli_check(&none), KRL_CLI_USAGE);
	assert_int_equal(check("", (struct krl_cli){ .source = "10.0.0" }, NULL, NULL),
			 KRL_CLI_USAGE);
	assert_string_equal(err, "Error: --source \"10.0.0\": expected an IPv4 or IPv6 address\n");
	assert_int_equal(check("", (struct krl_cli){ .at = "22:00" }, NULL, NULL), KRL_CLI_USAGE);
	assert_string_equal(err, "Error: --at \"22:00\": expected a time such as 2026-03-29T02:30:00+01:00\n");
	assert_int_equal(check("", (struct krl_cli){ .path = "/a b" }, NULL, NULL), KRL_CLI_USAGE);
	assert_string_equal(err, "Error: \"GET /a b\" begins no request: it is answered with "
				 "400\n");
	assert_int_equal(check("", (struct krl_cli){}, "a: b", "c"), KRL_CLI_USAGE);
	assert_string_equal(err, "Error: --header \"c\": expected NAME: VALUE, as a request has it "
				 "that is not answered with 400\n");
	assert_int_equal(check("", (struct krl_cli){}, "content-length: 1",
			       "transfer-encoding: chunked"), KRL_CLI_USAGE);
	assert_string_equal(err, "Error: the headers contradict one another: such a request is "
				 "answered with 400\n");
}

static void live_without_maps_fails(void **state)
{
	struct krl_cli cli = { .live = true, .bpffs = "/proc/self/nothing" };

	assert_int_equal(check(SERVICE("a", "80"), cli, NULL, NULL), KRL_CLI_FAILED);
	assert_non_null(strstr(err, "Error: nothing is pinned below /proc/self/nothing: no agent "
				    "has run there\n"));
	assert_string_equal(out, "");
}

/* With --pod, what the API server would tell of who connects. */
static void whom_a_rule_is_for_among_pods(void **state)
{
	static const char text[] =
		DOCUMENT("web", "{endpoints: [{ip: 192.0.2.1, port: 80}], rules: [{name: red, limit: 1/day, clientSelectors: "
				"[{from: {type: Distinct, by: Workload, namespaceSelector: {matchLabels: {team: red}}}}]}, "
				"{name: ci, limit: 2/day, clientSelectors: [{from: {serviceAccounts: [shop/ci]}}]}, "
				"{name: rest, limit: 3/day}]}")
		DOCUMENT("out", "{endpoints: [{ip: 192.0.2.1, port: 81}], direction: Outbound, rules: [{limit: 4/day}]}");
	static const char pod[] = "{\"kind\": \"List\", \"items\": [{\"kind\": \"Pod\", \"metadata\": {\"name\": \"p\", "
				  "\"namespace\": \"shop\"}, \"spec\": {\"serviceAccountName\": \"ci\"}}%s]}";
	static const char ns[] = ", {\"kind\": \"Namespace\", \"metadata\": {\"name\": \"shop\", \"labels\": {\"team\": \"red\"}}}";
	char file[] = "/tmp/krl-pod-XXXXXX";
	int fd = mkstemp(file);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, pod, "") > 0);
	assert_int_equal(check(text, (struct krl_cli){ .pod = file }, NULL, NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "from: expected a pod that is selected, found shop/p\n"));
	assert_non_null(strstr(out, "2        ci       yes "));
	assert_non_null(strstr(out, "for clients of other pods\n"));
	assert_int_equal(ftruncate(fd, 0) + lseek(fd, 0, SEEK_SET), 0);
	assert_true(dprintf(fd, pod, ns) > 0);
	assert_int_equal(check(text, (struct krl_cli){ .pod = file }, NULL, NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "workload=shop/Pod/p   meets clientSelectors[0]\n"));
	assert_int_equal(check(text, (struct krl_cli){}, NULL, NULL), KRL_CLI_GOOD);
	assert_non_null(strstr(out, "from: expected a pod that is selected, found none that is known\n"));
	assert_non_null(strstr(out, "3      rest     yes "));
	assert_null(strstr(out, "for clients of other pods\n"));
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(check(text, (struct krl_cli){ .pod = file }, NULL, NULL), KRL_CLI_FAILED);
	close(fd);
	unlink(file);
	assert_int_equal(check(text, (struct krl_cli){ .pod = file }, NULL, NULL), KRL_CLI_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whom_a_rule_is_for_among_pods, setup, teardown),
		cmocka_unit_test_setup_teardown(rules_come_tier_by_tier, setup, teardown),
		cmocka_unit_test_setup_teardown(json_has_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(an_endpoint_may_be_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(outside_its_schedule_a_rule_does_not_exist, setup, teardown),
		cmocka_unit_test_setup_teardown(a_model_is_in_the_body_or_in_a_header, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_time_it_is_now, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_refused_as_a_whole_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refused_document_fails_and_others_are_shown, setup,
						teardown),
		cmocka_unit_test_setup_teardown(misuse_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(live_without_maps_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
