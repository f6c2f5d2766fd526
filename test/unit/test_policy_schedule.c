// SPDX-License-Identifier: Apache-2.0
/* `schedule` of a rule: what comes of each field, what is said of what is wrong, and what a plan has of rules that
 * are outside of theirs. */
#include "agent/base/clock.h"
#include "agent/policy/store.h"
#include "decoded.h"

/* What follows is the 8th line from column 17 on. */
#define SCHEDULE RULE "limit: 1/day\n      schedule: "
#define AT "spec.rules[0].schedule"

static const struct krl_schedule *schedule(const char *text)
{
	char document[1024];

	snprintf(document, sizeof(document), SCHEDULE "%s\n", text);
	decode(document);
	return only_target()->rules[0].schedule;
}

static void what_the_fields_say(void **state)
{
	static const struct {
		const char *text;
		unsigned int days, from_min, to_min;
	} cases[] = {
		{ "{}", 0x7f, 0, 1440 },
		{ "{days: [Sun]}", 0x01, 0, 1440 },
		{ "{days: [Mon, Tue, Wed, Thu, Fri]}", 0x3e, 0, 1440 },
		{ "{days: [Sat, Sun, Mon]}", 0x43, 0, 1440 },
		{ "{days: [Sun, Mon, Tue, Wed, Thu, Fri, Sat]}", 0x7f, 0, 1440 },
		{ "{from: 08:00, to: '18:30'}", 0x7f, 480, 1110 },
		{ "{from: \"22:00\", to: 06:00, timeZone: UTC}", 0x7f, 1320, 360 },
		{ "{from: 00:01, to: 00:00}", 0x7f, 1, 0 },
		{ "{from: 23:59}", 0x7f, 1439, 1440 },
		{ "{to: 24:00}", 0x7f, 0, 1440 },
	};
	const struct krl_schedule *s;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		s = schedule(cases[i].text);
		if (s->days != cases[i].days || s->from_min != cases[i].from_min || s->to_min != cases[i].to_min)
			fail_msg("%s: days %x, from %u to %u", cases[i].text, s->days, s->from_min, s->to_min);
		assert_null(s->zone);
	}
	assert_non_null(schedule("{timeZone: Europe/Berlin}")->zone);
	decode(RULE "limit: 1/day\n");
	assert_null(only_target()->rules[0].schedule);
}

static void schedules_that_are_none(void **state)
{
#define A_DAY "expected Mon, Tue, Wed, Thu, Fri, Sat or Sun, found "
#define A_ZONE AT ".timeZone: expected a time zone such as UTC or Europe/Berlin, found "
#define A_FROM AT ".from: expected a time from 00:00 to 23:59, found "
#define A_TO AT ".to: expected a time from 00:00 to 24:00, found "
	static const struct refusal cases[] = {
		{ SCHEDULE "\n", "8:16: " AT ": expected a mapping, found nothing" },
		{ SCHEDULE "'0 8 * * 1-5'\n", "8:17: " AT ": expected a mapping, found \"0 8 * * 1-5\"" },
		{ SCHEDULE "{days: Mon}\n", "8:24: " AT ".days: expected a list, found \"Mon\"" },
		{ SCHEDULE "{days: []}\n", "8:24: " AT ".days: expected at least one day" },
		{ SCHEDULE "{days: [Mon, Mo]}\n", "8:30: " AT ".days[1]: " A_DAY "\"Mo\"" },
		{ SCHEDULE "{days: [Mon-Fri]}\n", "8:25: " AT ".days[0]: " A_DAY "\"Mon-Fri\"" },
		{ SCHEDULE "{days: [1]}\n", "8:25: " AT ".days[0]: " A_DAY "\"1\"" },
		{ SCHEDULE "{days: [Tuesday]}\n", "8:25: " AT ".days[0]: " A_DAY "\"Tuesday\"" },
		{ SCHEDULE "{days: [mon]}\n", "8:25: " AT ".days[0]: " A_DAY "\"mon\"" },
		{ SCHEDULE "{days: [Mon, Tue, Mon]}\n", "8:35: " AT ".days[2]: Mon: given twice" },
		{ SCHEDULE "{days: [[]]}\n", "8:25: " AT ".days[0]: " A_DAY "a list" },
		{ SCHEDULE "{from: 8:00}\n", "8:24: " A_FROM "\"8:00\"" },
		{ SCHEDULE "{from: 0800}\n", "8:24: " A_FROM "\"0800\"" },
		{ SCHEDULE "{from: 08:60}\n", "8:24: " A_FROM "\"08:60\"" },
		{ SCHEDULE "{from: 08:00:00}\n", "8:24: " A_FROM "\"08:00:00\"" },
		{ SCHEDULE "{from: 08-00}\n", "8:24: " A_FROM "\"08-00\"" },
		{ SCHEDULE "{from: 08:0x}\n", "8:24: " A_FROM "\"08:0x\"" },
		{ SCHEDULE "{from: +8:00}\n", "8:24: " A_FROM "\"+8:00\"" },
		{ SCHEDULE "{from: 24:00}\n", "8:24: " A_FROM "\"24:00\"" },
		{ SCHEDULE "{from: }\n", "8:24: " A_FROM "nothing" },
		{ SCHEDULE "{from: 8}\n", "8:24: " A_FROM "\"8\"" },
		{ SCHEDULE "{to: 24:01}\n", "8:22: " A_TO "\"24:01\"" },
		{ SCHEDULE "{to: 6pm}\n", "8:22: " A_TO "\"6pm\"" },
		{ SCHEDULE "{to: []}\n", "8:22: " A_TO "a list" },
		{ SCHEDULE "{timeZone: Europe/Belin}\n", "8:28: " A_ZONE "\"Europe/Belin\"" },
		{ SCHEDULE "{timeZone: europe/berlin}\n", "8:28: " A_ZONE "\"europe/berlin\"" },
		{ SCHEDULE "{timeZone: ../../../etc/passwd}\n", "8:28: " A_ZONE "\"../../../etc/passwd\"" },
		{ SCHEDULE "{timeZone: +02:00}\n", "8:28: " A_ZONE "\"+02:00\"" },
		{ SCHEDULE "{timeZone: ''}\n", "8:28: " A_ZONE "\"\"" },
		{ SCHEDULE "{timeZone: [UTC]}\n", "8:28: " A_ZONE "a list" },
		{ SCHEDULE "{from: 08:00, to: 08:00}\n",
		  "8:17: " AT ": from and to are the same time, and a whole day is from 00:00 to 24:00" },
		{ SCHEDULE "{to: 00:00}\n",
		  "8:17: " AT ": from and to are the same time, and a whole day is from 00:00 to 24:00" },
		{ SCHEDULE "{timezone: UTC}\n", "8:18: " AT ".timezone: unknown field, did you mean timeZone?" },
		{ SCHEDULE "{day: [Mon]}\n", "8:18: " AT ".day: unknown field, did you mean days?" },
		{ SCHEDULE "{to: 10:00, to: 11:00}\n", "8:29: " AT ".to: given twice" },
		{ RULE "limit: 1/day\n      schedul: {}\n",
		  "8:7: spec.rules[0].schedul: unknown field, did you mean schedule?" },
		{ HEAD "spec:\n  service: a\n  schedule: {}\n  rules: [{limit: 1/day}]\n",
		  "6:3: spec.schedule: unknown field" },
	};

	check(cases, COUNT(cases));
}

static void limits_of_one_string_share_it(void **state)
{
	const struct krl_target *target;

	decode(RULE "limit: 1/day;2/week\n      schedule: {days: [Sun], timeZone: Europe/Berlin}\n");
	target = only_target();
	assert_int_equal(target->rule_count, 2);
	assert_int_equal(target->rules[1].schedule->days, 1);
	assert_non_null(target->rules[1].schedule->zone);
}

/* --- plans -------------------------------------------------------------------------------------------- */

#define LIMIT(name, ip, rules)                                                                     \
	"---\n{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, metadata: {name: " name "}, spec: {endpoints: "  \
	"[{ip: " ip ", port: 80}], rules: [" rules "]}}\n"
#define DAY "{name: day, limit: 1/day, schedule: {from: 08:00, to: 18:00}}"
#define NIGHT "{name: night, limit: 2/day, schedule: {from: 18:00, to: 08:00}}"
#define ALWAYS "{name: always, limit: 3/day}"

static struct krl_plan plan;
static struct krl_diags errors;

static int clear_plan(void **state)
{
	krl_plan_clear(&plan);
	krl_diags_clear(&errors);
	return 0;
}

/* Compile @text as of @time. */
static void compile(const char *text, const char *time)
{
	struct krl_store *store = krl_store_new();
	struct krl_diags notes = { 0 };
	int64_t now_s;

	clear_plan(NULL);
	assert_non_null(store);
	assert_int_equal(krl_time_parse(time, &now_s), 0);
	krl_store_begin(store);
	assert_int_equal(krl_store_file(store, "f.yaml", text, strlen(text), &errors), 0);
	krl_store_commit(store);
	assert_int_equal(krl_store_compile(store, now_s, &plan, &errors, &notes), 0);
	krl_diags_clear(&notes);
	krl_store_free(store);
}

/* The rules on the endpoint @number, as "day,always|night": those in force, and those that are not. */
static const char *rules_at(size_t number)
{
	const struct krl_plan_endpoint *endpoint = &plan.endpoints[number];
	static char found[512];
	size_t i, at = 0;

	assert_true(number < plan.endpoint_count);
	*found = '\0';
	for (i = 0; i < (size_t)endpoint->rule_count + endpoint->outside_count; i++) {
		const struct krl_plan_rule *rule = &plan.rules[endpoint->rules[i]];

		assert_int_equal(rule->outside, i >= endpoint->rule_count);
		at += snprintf(found + at, sizeof(found) - at, "%s%s",
			       i == endpoint->rule_count ? "|" : i ? "," : "", rule->rule);
	}
	return found;
}

static void check_until(const char *time)
{
	int64_t t;

	assert_int_equal(krl_time_parse(time, &t), 0);
	assert_int_equal(plan.until_s, t);
}

static void rules_come_and_go(void **state)
{
	static const char text[] = LIMIT("a", "192.0.2.1", DAY ", " NIGHT ", " ALWAYS);

	compile(text, "2026-11-22T08:00:00Z");
	assert_string_equal(rules_at(0), "day,always|night");
	check_until("2026-11-22T18:00:00Z");
	compile(text, "2026-11-22T18:00:00Z");
	assert_string_equal(rules_at(0), "night,always|day");
	check_until("2026-11-23T08:00:00Z");
	compile(LIMIT("a", "192.0.2.1", ALWAYS), "2026-11-22T18:00:00Z");
	assert_string_equal(rules_at(0), "always");
	assert_true(plan.until_s == KRL_ZONE_NEVER);
}

static void the_next_change_is_that_of_any_rule(void **state)
{
	compile(LIMIT("a", "192.0.2.1", DAY) LIMIT("b", "192.0.2.2", ALWAYS)
		LIMIT("c", "192.0.2.3", "{limit: 1/day, schedule: {days: [Sun], to: 12:00}}"), "2026-11-22T09:00:00Z");
	check_until("2026-11-22T12:00:00Z");
}

/* What connects to it meanwhile must be known when a rule comes back. */
static void an_endpoint_stays_without_a_rule_in_force(void **state)
{
	compile(LIMIT("a", "192.0.2.1", DAY), "2026-11-22T07:59:59Z");
	assert_int_equal(errors.count, 0);
	assert_int_equal(plan.endpoint_count, 1);
	assert_string_equal(rules_at(0), "|day");
	assert_int_equal(plan.endpoints[0].policy, 0);
	compile(LIMIT("a", "192.0.2.1", "{name: put, limit: 1/day, clientSelectors: [{methods: [PUT]}], schedule: "
					"{from: 08:00, to: 18:00}}, " ALWAYS), "2026-11-22T07:59:59Z");
	assert_string_equal(rules_at(0), "always|put");
	assert_int_equal(plan.endpoints[0].policy, 0);
}

static void rules_of_wildcards_too(void **state)
{
	static const char text[] = LIMIT("a", "192.0.2.1", DAY) LIMIT("b", "0.0.0.0", NIGHT);

	compile(text, "2026-11-22T12:00:00Z");
	assert_int_equal(plan.endpoint_count, 2);
	assert_string_equal(rules_at(0), "|night");
	assert_string_equal(rules_at(1), "day|night");
	assert_int_equal(plan.endpoints[1].scopes[1], KRL_SCOPE_ANY_IPV4);
	compile(text, "2026-11-22T20:00:00Z");
	assert_string_equal(rules_at(0), "night");
	assert_string_equal(rules_at(1), "night|day");
	assert_int_equal(plan.endpoints[1].scopes[0], KRL_SCOPE_ANY_IPV4);
}

/* Nothing is refused by the time of the day. */
static void the_room_of_an_endpoint_is_for_all_its_rules(void **state)
{
	char text[16384] = "";
	size_t i, n;

	for (n = 0; n < 65; n++) {
		i = strlen(text);
		snprintf(text + i, sizeof(text) - i,
			 "---\n{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, metadata: {name: r%02zu}, spec: {endpoints: "
			 "[{ip: 192.0.2.1, port: 80}], rules: [{limit: 1/day, schedule: {days: [%s]}}]}}\n",
			 n, n % 2 ? "Sun" : "Mon");
	}
	assert_true(strlen(text) < sizeof(text) - 1);
	compile(text, "2026-11-24T00:00:00Z");
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], "RateLimit default/r64: more than 64 rules on one endpoint"));
	assert_int_equal(plan.endpoints[0].rule_count, 0);
	assert_int_equal(plan.endpoints[0].outside_count, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_the_fields_say, teardown),
		cmocka_unit_test(schedules_that_are_none),
		cmocka_unit_test_teardown(limits_of_one_string_share_it, teardown),
		cmocka_unit_test_teardown(rules_come_and_go, clear_plan),
		cmocka_unit_test_teardown(the_next_change_is_that_of_any_rule, clear_plan),
		cmocka_unit_test_teardown(an_endpoint_stays_without_a_rule_in_force, clear_plan),
		cmocka_unit_test_teardown(rules_of_wildcards_too, clear_plan),
		cmocka_unit_test_teardown(the_room_of_an_endpoint_is_for_all_its_rules, clear_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
