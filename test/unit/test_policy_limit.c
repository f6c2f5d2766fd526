// SPDX-License-Identifier: Apache-2.0
/* Durations, units and limits as people write them, and the text that a 429 shows. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/policy/limit.h"

#define S 1000000000ULL
#define MAX "9223372036854775807"
#define COUNT(list) (sizeof(list) / sizeof(*(list)))

static void reads_durations(void **state)
{
	static const struct {
		const char *text;
		__u64 ns;
	} cases[] = {
		{ "1ns", 1 },
		{ "7us", 7000 },
		{ "500ms", 500000000 },
		{ "1s", S },
		{ "2m", 120 * S },
		{ "1h", 3600 * S },
		{ "1h30m", 5400 * S },
		{ "1m1s1ms1us1ns", 61001001001ULL },
		{ MAX "ns", KRL_NUMBER_MAX },
		{ "9223372036s854775807ns", KRL_NUMBER_MAX },
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		__u64 ns = 0;

		if (krl_duration_parse(cases[i].text, &ns) != 0)
			fail_msg("refused: \"%s\"", cases[i].text);
		assert_int_equal(ns, cases[i].ns);
	}
}

static void refuses_what_is_no_duration_and_leaves_the_result_alone(void **state)
{
	static const char *const cases[] = {
		"", " ", "1", "s", "0s", "-1s", "+1s", " 1s", "1s ", "1 s", "1.5s", "1S", "1d", "1sec", "1mss",
		"1ss", "ms1", "1s,1ms", "1e3s", "0x1s", "1h0m",
		/* past 2^63-1: the number, the product, the sum */
		"9223372036854775808ns", "18446744073709551616ns", "99999999999999999999999ns",
		"9223372037s", "18446744074s", "2562048h", "9223372036s854775808ns", MAX "ns1ns",
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		__u64 ns = 42;

		if (krl_duration_parse(cases[i], &ns) != -EINVAL)
			fail_msg("accepted: \"%s\"", cases[i]);
		assert_int_equal(ns, 42);
	}
}

static void reads_units_in_any_case_singular_or_plural(void **state)
{
	static const struct {
		const char *text;
		__u64 ns;
	} cases[] = {
		{ "second", S },
		{ "Seconds", S },
		{ "MINUTE", 60 * S },
		{ "minuteS", 60 * S },
		{ "hour", 3600 * S },
		{ "Days", 86400 * S },
		{ "week", 7 * 86400 * S },
		{ "Month", 30 * 86400 * S },
		{ "years", 365 * 86400 * S },
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		__u64 ns = 0;

		if (krl_unit_parse(cases[i].text, &ns) != 0)
			fail_msg("refused: \"%s\"", cases[i].text);
		assert_int_equal(ns, cases[i].ns);
	}
}

static void refuses_other_units(void **state)
{
	static const char *const cases[] = { "",      "s",	 "sec",	   "minutess", "minute ", " minute",
					     "hourly", "millisecond", "nanosecond", "decade",   "1minute" };
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		__u64 ns = 42;

		if (krl_unit_parse(cases[i], &ns) != -EINVAL)
			fail_msg("accepted: \"%s\"", cases[i]);
		assert_int_equal(ns, 42);
	}
}

static void reads_limits(void **state)
{
	static const struct {
		const char *text;
		__u64 tokens, ns;
	} cases[] = {
		{ "10/minute", 10, 60 * S },
		{ "1/second", 1, S },
		{ "5/Hours", 5, 3600 * S },
		{ "10 per minute", 10, 60 * S },
		{ "10 per minutes", 10, 60 * S },
		{ "10 per 1 minute", 10, 60 * S },
		{ "10 PER 5 Minutes", 10, 300 * S },
		{ "1000 per 2 years", 1000, 2 * 365 * 86400 * S },
		{ MAX "/second", KRL_NUMBER_MAX, S },
		{ "1 per 9223372036 seconds", 1, 9223372036 * S },
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		struct krl_settings s = { 0 };

		if (krl_limit_parse(cases[i].text, &s) != 0)
			fail_msg("refused: \"%s\"", cases[i].text);
		assert_int_equal(s.max_tokens, cases[i].tokens);
		assert_int_equal(s.tokens_per_fill, cases[i].tokens);
		assert_int_equal(s.fill_interval_ns, cases[i].ns);
	}
}

static void refuses_what_is_no_limit_and_leaves_the_result_alone(void **state)
{
	static const char *const cases[] = {
		"", "10", "/minute", "10/", "10/5", "ten/minute", "0/minute", "-1/minute", "+1/minute",
		"10 /minute", "10/ minute", "10/5 minutes", "10/minute ", " 10/minute", "10/millisecond",
		"10 per", "10 per ", "10 per 0 minutes", "10 per 5minutes", "10  per minute", "10perminute",
		"10/second;1000/hour", "1.5/second", "1e3/second",
		"9223372036854775808/second", "99999999999999999999/second",
		"1 per 9223372037 seconds", "1 per 293 years", "1 per 99999999999999999999 seconds",
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		struct krl_settings s = { 1, 2, 3 };

		if (krl_limit_parse(cases[i], &s) != -EINVAL)
			fail_msg("accepted: \"%s\"", cases[i]);
		assert_int_equal(s.max_tokens, 1);
		assert_int_equal(s.tokens_per_fill, 2);
		assert_int_equal(s.fill_interval_ns, 3);
	}
}

/* The limits of @text as a 429 words them, with "; " between, and "!" with what is no limit and all behind it. */
static const char *limits_of(const char *text)
{
	static char found[256];
	struct krl_settings s;
	size_t at = 0;

	while (text) {
		if (at)
			at += sprintf(found + at, "; ");
		if (krl_limit_parse_first(text, &s, &text)) {
			snprintf(found + at, sizeof(found) - at, "!%s", text);
			return found;
		}
		krl_limit_text(&s, found + at, KRL_LIMIT_TEXT_BYTES);
		at = strlen(found);
	}
	return found;
}

static void reads_limits_that_are_joined(void **state)
{
	static const struct {
		const char *text, *limits;
	} cases[] = {
		{ "10/second", "10 per 1 second" },
		{ "10/second;1000/hour", "10 per 1 second; 1000 per 1 hour" },
		{ "1/day,2 per 2 days|3/week", "1 per 1 day; 2 per 2 days; 3 per 1 week" },
		{ "10/second  ;  1000 per hour |1/day", "10 per 1 second; 1000 per 1 hour; 1 per 1 day" },
		{ MAX " per 9223372036 seconds;1/day", MAX " per 9223372036 seconds; 1 per 1 day" },
		{ "10/second;", "10 per 1 second; !" },
		{ "10/second; ", "10 per 1 second; !" },
		{ ";10/second", "!;10/second" },
		{ "10/second;;1/day", "10 per 1 second; !;1/day" },
		{ "10/second; ten/hour ;1/day", "10 per 1 second; !ten/hour ;1/day" },
		{ " 10/second;1/day", "! 10/second;1/day" },
		{ "10/second;1/day ", "10 per 1 second; !1/day " },
		{ "10/second\t;1/day", "!10/second\t;1/day" },
		{ "10/second 1/day", "!10/second 1/day" },
		{ "10/second&1/day", "!10/second&1/day" },
		{ "", "!" },
	};
	char longest[128];
	size_t i;

	for (i = 0; i < COUNT(cases); i++)
		assert_string_equal(limits_of(cases[i].text), cases[i].limits);
	snprintf(longest, sizeof(longest), "%0100d/second", 1);
	assert_true(*limits_of(longest) == '!');
}

static void writes_a_limit_in_its_largest_whole_unit(void **state)
{
	static const struct {
		struct krl_settings settings;
		const char *text;
	} cases[] = {
		{ { 10, 10, 60 * S }, "10 per 1 minute" },
		{ { 10, 10, S }, "10 per 1 second" },
		{ { 10, 10, 300 * S }, "10 per 5 minutes" },
		{ { 10, 10, 90 * S }, "10 per 90 seconds" },
		{ { 10, 10, 7 * 86400 * S }, "10 per 1 week" },
		{ { 10, 10, 365 * 86400 * S }, "10 per 1 year" },
		{ { 10, 10, 500000000 }, "10 per 500 milliseconds" },
		{ { 10, 10, 1000 }, "10 per 1 microsecond" },
		{ { 10, 10, 1 }, "10 per 1 nanosecond" },
		{ { 100, 10, S }, "10 per 1 second, burst 100" },
		{ { 5, 10, S }, "10 per 1 second, burst 5" },
		{ { KRL_NUMBER_MAX, KRL_NUMBER_MAX, KRL_NUMBER_MAX }, MAX " per " MAX " nanoseconds" },
		/* no room for the burst: left out, not cut */
		{ { 1, KRL_NUMBER_MAX, KRL_NUMBER_MAX }, MAX " per " MAX " nanoseconds" },
	};
	char text[KRL_LIMIT_TEXT_BYTES];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		krl_limit_text(&cases[i].settings, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

static void what_is_written_reads_back(void **state)
{
	static const __u64 numbers[] = { 1, 2, 59, 60, 1000, KRL_NUMBER_MAX };
	static const __u64 intervals[] = { S, 2 * S, 60 * S, 3600 * S, 86400 * S, 7 * 86400 * S,
					   30 * 86400 * S, 365 * 86400 * S, 9223372036 * S };
	size_t i, j;

	for (i = 0; i < COUNT(numbers); i++) {
		for (j = 0; j < COUNT(intervals); j++) {
			struct krl_settings s = { numbers[i], numbers[i], intervals[j] }, back = { 0 };
			char text[KRL_LIMIT_TEXT_BYTES];

			krl_limit_text(&s, text, sizeof(text));
			assert_int_equal(krl_limit_parse(text, &back), 0);
			assert_memory_equal(&back, &s, sizeof(s));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_durations),
		cmocka_unit_test(refuses_what_is_no_duration_and_leaves_the_result_alone),
		cmocka_unit_test(reads_units_in_any_case_singular_or_plural),
		cmocka_unit_test(refuses_other_units),
		cmocka_unit_test(reads_limits),
		cmocka_unit_test(refuses_what_is_no_limit_and_leaves_the_result_alone),
		cmocka_unit_test(reads_limits_that_are_joined),
		cmocka_unit_test(writes_a_limit_in_its_largest_whole_unit),
		cmocka_unit_test(what_is_written_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
