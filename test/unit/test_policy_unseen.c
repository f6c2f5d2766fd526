// SPDX-License-Identifier: Apache-2.0
/* Which rules requests over HTTP/2 pass by, and how that is said. */
#include "compiled.h"

#include <stdio.h>

#include "agent/policy/unseen.h"

#define SAYS "requests over HTTP/2, of which the head is not read, are not matched by"

static __u16 spoken_at;	/* the port where HTTP/2 is spoken; 0: all */
static unsigned int asked;
static char text[KRL_UNSEEN_BYTES];

static bool is_spoken(void *ctx, const struct krl_endpoint_key *key)
{
	asked++;
	return !spoken_at || key->port == spoken_at;
}

static void say(void *arg, const struct krl_plan_rule *rule, const struct krl_endpoint_key *key)
{
	krl_unseen_say(text, rule, key);
}

static void check(const char *rules, const char *said)
{
	char document[4096];

	snprintf(document, sizeof(document), LIMIT("{%s}"), rules);
	teardown(NULL);
	compile(document);
	text[0] = '\0';
	asked = 0;
	krl_plan_unseen(&plan, is_spoken, NULL, say, NULL);
	assert_string_equal(text, said);
}

static int setup(void **state)
{
	spoken_at = 0;
	return 0;
}

#define AT_80 "endpoints: [{ip: 10.0.0.1, port: 80}], "
#define ONE "name: one, limit: 1/day, clientSelectors: "

static void rules_that_look_at_the_head_are_told(void **state)
{
	static const char *const selectors[] = {
		"[{headers: [{name: x-user, value: a}]}]", "[{path: {value: /}}]", "[{methods: [GET]}]",
		"[{sourceCIDR: {value: 10.0.0.0/8}}, {headers: [{name: x-user, invert: true, value: a}]}]",
	};
	char rules[512];
	size_t i;

	for (i = 0; i < sizeof(selectors) / sizeof(*selectors); i++) {
		snprintf(rules, sizeof(rules), AT_80 "rules: [{" ONE "%s}, {name: rest, limit: 1/day}]", selectors[i]);
		check(rules, SAYS " rule one at 10.0.0.1:80");
	}
	check(AT_80 "clientIP: {header: x-real-ip, trustedHops: 1}, rules: [{" ONE "[{sourceCIDR: {type: Distinct}}]}]",
	      SAYS " rule one at 10.0.0.1:80");
	check(AT_80 "rules: [{name: one, limit: 1/day, count: LLMTokens}, {name: rest, limit: 1/day}]",
	      SAYS " rule one at 10.0.0.1:80");
}

static void of_others_nothing_is_said_and_nobody_is_asked(void **state)
{
	check(AT_80 "rules: [{name: one, limit: 1/day}]", "");
	check(AT_80 "rules: [{" ONE "[{sourceCIDR: {type: Distinct}}]}]", "");
	check(AT_80 "rules: [{name: one, limit: 1/day, count: Connections}]", "");
	check(AT_80 "direction: Outbound, rules: [{" ONE "[{path: {value: /}}]}]", "");
	assert_int_equal(asked, 0);
}

static void each_is_said_once_where_http2_is_spoken(void **state)
{
	const char *rules = "endpoints: [{ip: 10.0.0.1, port: 8080}, {ip: 10.0.0.1, port: 80}], rules: [{name: one, limit: 1/day, "
			    "clientSelectors: [{path: {value: /}}]}, {name: two, limit: 1/day, "
			    "clientSelectors: [{path: {value: /a}}]}]";

	check(rules, SAYS " rule one at 10.0.0.1:80, rule two at 10.0.0.1:80, rule one at 10.0.0.1:8080, rule two at "
			  "10.0.0.1:8080");
	spoken_at = 8080;
	check(rules, SAYS " rule one at 10.0.0.1:8080, rule two at 10.0.0.1:8080");
	assert_int_equal(asked, 2);
	spoken_at = 81;
	check(rules, "");
}

static void a_long_list_is_cut_between_items(void **state)
{
	struct krl_plan_rule rule = { .rule = "one" };
	struct krl_endpoint_key key = { .addr = { 0 } };
	char before[KRL_UNSEEN_BYTES];

	text[0] = '\0';
	for (key.port = 1; key.port < 100; key.port++) {
		strcpy(before, text);
		krl_unseen_say(text, &rule, &key);
		krl_unseen_say(text, &rule, &key);
		if (strstr(text, ", and more"))
			break;
	}
	/* Each takes 20 or 21 bytes. */
	assert_in_range(key.port, 20, 22);
	assert_memory_equal(text, before, strlen(before));
	assert_string_equal(text + strlen(before), ", and more");
	strcpy(before, text);
	key.port++;
	krl_unseen_say(text, &rule, &key);
	assert_string_equal(text, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rules_that_look_at_the_head_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(of_others_nothing_is_said_and_nobody_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(each_is_said_once_where_http2_is_spoken, setup, teardown),
		cmocka_unit_test_setup_teardown(a_long_list_is_cut_between_items, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
