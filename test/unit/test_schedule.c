// SPDX-License-Identifier: Apache-2.0
/* When a rule with a schedule is in force, and when that changes next. */
#include <stdlib.h>
#include <time.h>

#include "agent/base/clock.h"
#include "decoded.h"

#define DAY_S 86400

/* The schedule of the rule that has @fields in it. */
static const struct krl_schedule *schedule(const char *fields)
{
	char text[512];

	snprintf(text, sizeof(text), RULE "{limit: 1/day, schedule: {%s}}\n", fields);
	decode(text);
	return only_target()->rules[0].schedule;
}

static int64_t at(const char *text)
{
	int64_t t;

	if (krl_time_parse(text, &t))
		fail_msg("no time: %s", text);
	return t;
}

static const char *text_of(int64_t t)
{
	static char text[2][32];
	static int turn;
	time_t time = t;
	struct tm tm;

	if (t == KRL_ZONE_NEVER)
		return "never";
	turn = !turn;
	gmtime_r(&time, &tm);
	strftime(text[turn], sizeof(text[turn]), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return text[turn];
}

struct walk {
	const char *fields;
	const char *begin;		/* where the rule is as @on says */
	bool on;
	const char *changes[6];		/* the times at which it comes and goes, in turn */
};

/* Go from one change to the next; it is where it is said to be, to the second. */
static void check_walks(const struct walk *cases, size_t count)
{
	int64_t t, until, unused;
	size_t i, c;

	for (i = 0; i < count; i++) {
		const struct krl_schedule *s = schedule(cases[i].fields);
		bool on = cases[i].on;

		t = at(cases[i].begin);
		for (c = 0; c < COUNT(cases[i].changes) && cases[i].changes[c]; c++, t = until, on = !on) {
			if (krl_schedule_at(s, t, &until) != on)
				fail_msg("%s: at %s", cases[i].fields, text_of(t));
			if (until != (strcmp(cases[i].changes[c], "never") ? at(cases[i].changes[c]) : KRL_ZONE_NEVER))
				fail_msg("%s: from %s to %s, not %s", cases[i].fields, text_of(t), text_of(until),
					 cases[i].changes[c]);
			if (until == KRL_ZONE_NEVER)
				break;
			assert_int_equal(krl_schedule_at(s, until - 1, &unused), on);
			assert_int_equal(unused, until);
			assert_int_equal(krl_schedule_at(s, until, &unused), !on);
		}
	}
}

static void no_schedule_is_always(void **state)
{
	int64_t until = 0;

	assert_true(krl_schedule_at(NULL, 0, &until));
	assert_true(until == KRL_ZONE_NEVER);
}

/* 2026-11-22 is a Sunday. */
static void days_and_times(void **state)
{
	static const struct walk cases[] = {
		{ "", "2026-11-22T00:00:00Z", true, { "never" } },
		{ "days: [Mon, Tue, Wed, Thu, Fri, Sat, Sun], from: 00:00, to: 24:00", "2026-11-22T00:00:00Z", true,
		  { "never" } },
		{ "from: 08:00, to: '18:00'", "2026-11-22T00:00:00Z", false,
		  { "2026-11-22T08:00:00Z", "2026-11-22T18:00:00Z", "2026-11-23T08:00:00Z" } },
		{ "from: 08:00", "2026-11-22T12:00:00Z", true,
		  { "2026-11-23T00:00:00Z", "2026-11-23T08:00:00Z", "2026-11-24T00:00:00Z" } },
		{ "to: 08:00", "2026-11-22T12:00:00Z", false, { "2026-11-23T00:00:00Z", "2026-11-23T08:00:00Z" } },
		{ "from: 23:59", "2026-11-22T12:00:00Z", false, { "2026-11-22T23:59:00Z", "2026-11-23T00:00:00Z" } },
		/* a whole day, a week's end, and what is left of the week */
		{ "days: [Mon]", "2026-11-22T00:00:00Z", false,
		  { "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z", "2026-11-30T00:00:00Z" } },
		{ "days: [Sun, Sat]", "2026-11-22T12:00:00Z", true,
		  { "2026-11-23T00:00:00Z", "2026-11-28T00:00:00Z", "2026-11-30T00:00:00Z" } },
		{ "days: [Sun, Mon]", "2026-11-22T12:00:00Z", true,
		  { "2026-11-24T00:00:00Z", "2026-11-29T00:00:00Z", "2026-12-01T00:00:00Z" } },
		{ "days: [Mon, Tue, Wed, Thu, Fri], from: 08:00, to: 18:00", "2026-11-27T17:59:59Z", true,
		  { "2026-11-27T18:00:00Z", "2026-11-30T08:00:00Z", "2026-11-30T18:00:00Z", "2026-12-01T08:00:00Z" } },
	};

	check_walks(cases, COUNT(cases));
}

static void over_midnight(void **state)
{
	static const struct walk cases[] = {
		{ "from: 22:00, to: 06:00", "2026-11-22T00:00:00Z", true,
		  { "2026-11-22T06:00:00Z", "2026-11-22T22:00:00Z", "2026-11-23T06:00:00Z" } },
		/* of Friday it goes into Saturday, and Friday's own early hours are Thursday's */
		{ "days: [Fri], from: 22:00, to: 06:00", "2026-11-26T23:00:00Z", false,
		  { "2026-11-27T22:00:00Z", "2026-11-28T06:00:00Z", "2026-12-04T22:00:00Z" } },
		{ "days: [Sun], from: 22:00, to: 06:00", "2026-11-23T05:59:59Z", true,
		  { "2026-11-23T06:00:00Z", "2026-11-29T22:00:00Z", "2026-11-30T06:00:00Z" } },
		{ "days: [Sat, Sun], from: 18:00, to: 00:00", "2026-11-22T18:00:00Z", true,
		  { "2026-11-23T00:00:00Z", "2026-11-28T18:00:00Z", "2026-11-29T00:00:00Z", "2026-11-29T18:00:00Z" } },
		{ "from: 00:01, to: 00:00", "2026-11-22T00:00:00Z", false, { "2026-11-22T00:01:00Z", "2026-11-23T00:00:00Z" } },
	};

	check_walks(cases, COUNT(cases));
}

/* In 2026 the clock of Berlin leaps on Sunday March 29th from 02:00 to 03:00, which is 01:00 UTC, and on Sunday
 * October 25th from 03:00 back to 02:00, which is 01:00 UTC as well. */
static void summer_time_begins(void **state)
{
#define BERLIN ", timeZone: Europe/Berlin"
	static const struct walk cases[] = {
		{ "from: 08:00, to: 18:00" BERLIN, "2026-03-28T12:00:00Z", true,
		  { "2026-03-28T17:00:00Z", "2026-03-29T06:00:00Z", "2026-03-29T16:00:00Z", "2026-03-30T06:00:00Z" } },
		/* the day has 23 hours */
		{ "days: [Sun]" BERLIN, "2026-03-28T12:00:00Z", false, { "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z" } },
		/* a time that is leapt over is the moment of the leap, as an end too */
		{ "from: 02:30, to: 05:00" BERLIN, "2026-03-28T12:00:00Z", false,
		  { "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z", "2026-03-30T00:30:00Z" } },
		{ "from: 01:00, to: 02:30" BERLIN, "2026-03-28T12:00:00Z", false,
		  { "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T23:00:00Z" } },
		/* of this nothing is left on that day; the next is a week away */
		{ "days: [Sun], from: 02:10, to: 02:50" BERLIN, "2026-03-28T12:00:00Z", false,
		  { "2026-04-05T00:10:00Z", "2026-04-05T00:50:00Z" } },
		{ "from: 22:00, to: 02:30" BERLIN, "2026-03-28T12:00:00Z", false,
		  { "2026-03-28T21:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T20:00:00Z", "2026-03-30T00:30:00Z" } },
	};

	check_walks(cases, COUNT(cases));
}

static void summer_time_ends(void **state)
{
	static const struct walk cases[] = {
		/* the day has 25 hours */
		{ "days: [Sun]" BERLIN, "2026-10-24T12:00:00Z", false, { "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z" } },
		/* of a time that is there twice it is the first, so that nothing comes and goes twice */
		{ "from: 02:30, to: 05:00" BERLIN, "2026-10-24T12:00:00Z", false,
		  { "2026-10-25T00:30:00Z", "2026-10-25T04:00:00Z", "2026-10-26T01:30:00Z" } },
		{ "from: 01:00, to: 02:30" BERLIN, "2026-10-24T12:00:00Z", false,
		  { "2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z", "2026-10-26T00:00:00Z" } },
		{ "from: 02:00, to: 03:00" BERLIN, "2026-10-24T12:00:00Z", false,
		  { "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z", "2026-10-26T01:00:00Z" } },
		{ "from: 22:00, to: 02:30" BERLIN, "2026-10-24T12:00:00Z", false,
		  { "2026-10-24T20:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T21:00:00Z", "2026-10-26T01:30:00Z" } },
	};

	check_walks(cases, COUNT(cases));
}

static void other_clocks(void **state)
{
	static const struct walk cases[] = {
		{ "days: [Mon], timeZone: Pacific/Kiritimati", "2026-11-22T00:00:00Z", false,
		  { "2026-11-22T10:00:00Z", "2026-11-23T10:00:00Z", "2026-11-29T10:00:00Z" } },
		{ "days: [Mon], timeZone: Etc/GMT+12", "2026-11-22T00:00:00Z", false,
		  { "2026-11-23T12:00:00Z", "2026-11-24T12:00:00Z" } },
		{ "from: 09:00, to: 17:00, timeZone: Asia/Kathmandu", "2026-11-22T00:00:00Z", false,
		  { "2026-11-22T03:15:00Z", "2026-11-22T11:15:00Z" } },
		/* leaps at midnight: Sunday begins at 01:00, without a gap behind Saturday */
		{ "days: [Sat], timeZone: America/Havana", "2026-03-07T12:00:00Z", true, { "2026-03-08T05:00:00Z" } },
		{ "timeZone: America/Havana", "2026-03-07T12:00:00Z", true, { "never" } },
		/* back from midnight to 23:00: Saturday ends when its last hour does the second time */
		{ "days: [Sat], timeZone: America/Sao_Paulo", "2018-02-18T01:30:00Z", true, { "2018-02-18T03:00:00Z" } },
		{ "from: 23:30, to: 24:00, timeZone: America/Sao_Paulo", "2018-02-18T01:00:00Z", false,
		  { "2018-02-18T01:30:00Z", "2018-02-18T03:00:00Z", "2018-02-19T02:30:00Z" } },
		/* there was no Friday, December 30th: what begins then does at the leap */
		{ "days: [Fri], from: 08:00, to: 10:00, timeZone: Pacific/Apia", "2011-12-29T00:00:00Z", false,
		  { "2012-01-05T18:00:00Z", "2012-01-05T20:00:00Z" } },
		{ "from: 22:00, to: 06:00, timeZone: Pacific/Apia", "2011-12-30T09:00:00Z", true,
		  { "2011-12-30T16:00:00Z", "2011-12-31T08:00:00Z" } },
	};

	check_walks(cases, COUNT(cases));
}

/* --- against the plainest reading, minute by minute ---------------------------------------------------- */

#define MINUTES (12 * 1440)
#define MARGIN 1		/* days at both ends that windows may reach in from */

static int64_t clock_at[MINUTES];	/* what the wall clock shows at each minute, as if it were UTC */

static void tabulate(const char *zone, int64_t begin)
{
	struct tm tm;
	time_t t;
	int i;

	setenv("TZ", zone, 1);
	tzset();
	for (i = 0; i < MINUTES; i++) {
		t = begin + 60 * i;
		localtime_r(&t, &tm);
		clock_at[i] = t + tm.tm_gmtoff;
	}
}

/* The first minute of the table at which the clock shows @local or later. */
static int first_minute(int64_t local)
{
	int i;

	for (i = 0; i < MINUTES && clock_at[i] < local; i++)
		;
	return i;
}

/* What is so at each minute of the table. */
static void tabulate_schedule(const struct krl_schedule *s, bool on[MINUTES])
{
	int64_t first = clock_at[0] / DAY_S, day, end;
	int i, last;

	memset(on, 0, MINUTES * sizeof(*on));
	for (day = first; day <= first + MINUTES / 1440 + 1; day++) {
		if (!(s->days >> (day + 4) % 7 & 1))
			continue;
		end = day * DAY_S + 60 * s->to_min + (s->to_min < s->from_min ? DAY_S : 0);
		last = first_minute(end);
		for (i = first_minute(day * DAY_S + 60 * s->from_min); i < last; i++)
			on[i] = true;
	}
}

static void check_minutes(const char *zone, int64_t begin, const struct krl_schedule *s)
{
	static bool on[MINUTES];
	int i, next = MINUTES - MARGIN * 1440;
	int64_t until;

	tabulate_schedule(s, on);
	for (i = next - 1; i >= (MARGIN + 1) * 1440; i--) {
		if (on[i] != on[i + 1])
			next = i + 1;
		if (krl_schedule_at(s, begin + 60 * i, &until) != on[i] ||
		    (next < MINUTES - MARGIN * 1440 && until != begin + 60 * next) || until <= begin + 60 * i)
			fail_msg("%s, days %x, from %u to %u: at %s until %s", zone, s->days, s->from_min, s->to_min,
				 text_of(begin + 60 * i), text_of(until));
	}
}

static void every_minute_is_as_the_clock_shows_it(void **state)
{
	static const struct {
		const char *zone, *begin;
	} cases[] = {
		{ "UTC", "2026-11-20T00:00:00Z" },	    { "Europe/Berlin", "2026-03-24T00:00:00Z" },
		{ "Europe/Berlin", "2026-10-19T00:00:00Z" }, { "America/Havana", "2026-03-02T00:00:00Z" },
		{ "America/Havana", "2026-10-26T00:00:00Z" }, { "America/Sao_Paulo", "2018-02-12T00:00:00Z" },
		{ "Australia/Lord_Howe", "2026-04-01T00:00:00Z" }, { "Pacific/Apia", "2011-12-25T00:00:00Z" },
	};
	struct krl_schedule s = { 0 };
	unsigned int seed = 1;
	size_t i;
	int n;

	for (i = 0; i < COUNT(cases); i++) {
		tabulate(cases[i].zone, at(cases[i].begin));
		assert_int_equal(krl_zone_open(cases[i].zone, &s.zone), 0);
		for (n = 0; n < 30; n++) {
			s.days = 1 + rand_r(&seed) % 0x7f;
			/* often in the hours in which clocks leap */
			s.from_min = rand_r(&seed) % (n % 2 ? 1440 : 240);
			s.to_min = rand_r(&seed) % (n % 4 > 1 ? 1441 : 240);
			if (s.from_min != s.to_min)
				check_minutes(cases[i].zone, at(cases[i].begin), &s);
		}
		krl_zone_free(s.zone);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_schedule_is_always),
		cmocka_unit_test_teardown(days_and_times, teardown),
		cmocka_unit_test_teardown(over_midnight, teardown),
		cmocka_unit_test_teardown(summer_time_begins, teardown),
		cmocka_unit_test_teardown(summer_time_ends, teardown),
		cmocka_unit_test_teardown(other_clocks, teardown),
		cmocka_unit_test(every_minute_is_as_the_clock_shows_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
