// SPDX-License-Identifier: Apache-2.0
/* A `limit` with several limits: each is a rule, what they share and what they are called. */
#include "decoded.h"

#define X59 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* "NAME=TOKENS" of each rule, with blanks between. */
static const char *rules_of(const char *rule)
{
	static char found[512];
	const struct krl_target *target;
	char text[1024];
	size_t i, at = 0;

	snprintf(text, sizeof(text), RULE "%s\n", rule);
	decode(text);
	target = only_target();
	for (i = 0; i < target->rule_count; i++)
		at += snprintf(found + at, sizeof(found) - at, "%s%s=%llu", i ? " " : "", target->rules[i].name,
			       (unsigned long long)target->rules[i].settings.max_tokens);
	return found;
}

static void each_limit_is_a_rule(void **state)
{
	assert_string_equal(rules_of("limit: 1/second"), "rule-0=1");
	assert_string_equal(rules_of("limit: 1/second;2/hour"), "rule-0=1 rule-0-2=2");
	assert_string_equal(rules_of("{name: a, limit: '1/second, 2/hour | 3/day'}"), "a=1 a-2=2 a-3=3");
	assert_string_equal(rules_of("{name: a, limit: {requests: 1, unit: Day, burst: 4}}"), "a=4");
	/* A rule without a name is called by its place in the text. */
	assert_string_equal(rules_of("limit: 1/second|2/hour\n    - limit: 3/day\n    - limit: 4/day;5/week"),
			    "rule-0=1 rule-0-2=2 rule-1=3 rule-2=4 rule-2-2=5");
	assert_string_equal(rules_of("{name: " X59 "12, limit: 1/second;2/hour}"), X59 "12=1 " X59 "12-2=2");
}

static void all_but_the_limit_is_shared(void **state)
{
	const struct krl_rule_spec *rules;
	size_t i;

	decode(RULE "limit: 1/second;2/hour;3/day\n      mode: Shadow\n      response: {status: 503}\n"
		    "      clientSelectors: [{methods: [PUT]}, {path: {value: /v1}}]\n"
		    "    - {limit: 4/week, response: {status: 418}}\n");
	rules = only_target()->rules;
	assert_int_equal(only_target()->rule_count, 4);
	for (i = 0; i < 3; i++) {
		assert_int_equal(rules[i].mode, KRL_MODE_SHADOW);
		assert_int_equal(rules[i].response->status, 503);
		assert_int_equal(rules[i].selector_count, 2);
		assert_string_equal(rules[i].selectors[1].terms[0].value, "/v1");
	}
	assert_int_equal(rules[3].response->status, 418);
	assert_int_equal(rules[3].selector_count, 0);
}

static void names_that_come_twice(void **state)
{
	static const struct refusal cases[] = {
		{ RULE "{name: a, limit: 1/day;2/week}\n    - {name: a-2, limit: 1/day}\n",
		  "8:7: spec.rules[1]: the name a-2 is given to limit 2 of rules[0] as well" },
		{ RULE "{name: a-2, limit: 1/day}\n    - {name: a, limit: 1/day;2/week}\n",
		  "8:7: spec.rules[1]: the name a-2 of limit 2 is given to rules[0] as well" },
		{ RULE "{name: a, limit: '1/day;1/day;1/day'}\n    - {limit: 1/day}\n"
		       "    - {name: a-3, limit: 1/day;2/week}\n",
		  "9:7: spec.rules[2]: the name a-3 is given to limit 3 of rules[0] as well" },
		{ RULE "{name: rule-1-2, limit: 1/day}\n    - {limit: 1/day;2/week}\n",
		  "8:7: spec.rules[1]: the name rule-1-2 of limit 2 is given to rules[0] as well" },
		{ RULE "{limit: 1/day;2/week}\n    - {name: x, limit: 1/day}\n    - {name: x, limit: 1/day}\n",
		  "9:7: spec.rules[2]: the name x is given to rules[1] as well" },
		{ RULE "{name: " X59 "123, limit: 1/day;2/week}\n",
		  "7:7: spec.rules[0]: the name " X59 "123-2 of limit 2 is longer than 63 bytes" },
	};

	check(cases, COUNT(cases));
}

static void limits_of_a_string_that_are_none(void **state)
{
#define A_LIMIT                                                                                    \
	"7:14: spec.rules[0].limit: expected a limit such as 10/minute, 10 per 5 minutes or {requests: 10, unit: " \
	"Minute} (units: second, minute, hour, day, week, month, year), found "
	static const struct refusal cases[] = {
		{ RULE "limit: 10/second;ten/hour\n", A_LIMIT "\"ten/hour\" in \"10/second;ten/hour\"" },
		{ RULE "limit: ten/second;10/hour\n", A_LIMIT "\"ten/second\" in \"ten/second;10/hour\"" },
		{ RULE "limit: 10/second;\n", A_LIMIT "\"\" in \"10/second;\"" },
		{ RULE "limit: 10/second,,1/day\n", A_LIMIT "\"\" in \"10/second,,1/day\"" },
		{ RULE "limit: 10/second; 0/day\n", A_LIMIT "\"0/day\" in \"10/second; 0/day\"" },
		{ RULE "limit: '10/second;1/day '\n", A_LIMIT "\"1/day \" in \"10/second;1/day \"" },
		{ RULE "limit: '10/second '\n", A_LIMIT "\"10/second \"" },
		{ RULE "limit: 10/second 1/day\n", A_LIMIT "\"10/second 1/day\"" },
		{ RULE "limit: [10/second, 1/day]\n", "7:14: spec.rules[0].limit: expected a mapping, found a list" },
		{ RULE "limit: 1/second;2/day\n      maxTokens: 1\n",
		  "7:7: spec.rules[0]: limit stands alone: not with maxTokens, tokensPerFill or fillInterval" },
		/* without quotes, what a comma parts is two fields */
		{ RULE "{limit: 1/second,2/day}\n", "7:24: spec.rules[0].2/day: unknown field" },
	};

	check(cases, COUNT(cases));
}

/* @ret is RULE, @rules times a rule of @limits limits. */
static const char *many(size_t rules, size_t limits, char ret[4096])
{
	size_t i, r;

	strcpy(ret, HEAD "spec:\n  service: a\n  rules:\n");
	for (r = 0; r < rules; r++) {
		strcat(ret, "    - limit: 1/day");
		for (i = 1; i < limits; i++)
			strcat(ret, ";1/day");
		strcat(ret, "\n");
	}
	return ret;
}

static void each_counts_among_the_rules_of_an_endpoint(void **state)
{
	char text[4096];

	decode(many(1, 64, text));
	assert_int_equal(only_target()->rule_count, 64);
	assert_string_equal(only_target()->rules[63].name, "rule-0-64");
	decode(many(4, 16, text));
	assert_int_equal(only_target()->rule_count, 64);
	check(&(struct refusal){ many(1, 65, text), "7:14: spec.rules[0].limit: more than 64 limits" }, 1);
	check(&(struct refusal){ many(5, 15, text), "11:7: spec.rules[4]: more than 64 rules on one endpoint" }, 1);
}

/* The name of the second limit is longer by two bytes, and stands 170 times in its answer. */
static void the_answer_of_each_has_to_fit(void **state)
{
	char body[1024] = "", text[2048];
	size_t i;

	for (i = 0; i < 170; i++)
		strcat(body, "{rule}");
	snprintf(text, sizeof(text), RULE "{name: ten--bytes, limit: 1/day, response: {body: '%s'}}\n", body);
	decode(text);
	snprintf(text, sizeof(text), RULE "{name: ten--bytes, limit: 1/day;2/day, response: {body: '%s'}}\n", body);
	check(&(struct refusal){ text, "7:56: spec.rules[0].response: the answer is longer than 2048 bytes with all "
				       "its headers" }, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_limit_is_a_rule, teardown),
		cmocka_unit_test_teardown(all_but_the_limit_is_shared, teardown),
		cmocka_unit_test(names_that_come_twice),
		cmocka_unit_test(limits_of_a_string_that_are_none),
		cmocka_unit_test_teardown(each_counts_among_the_rules_of_an_endpoint, teardown),
		cmocka_unit_test_teardown(the_answer_of_each_has_to_fit, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
