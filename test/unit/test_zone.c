// SPDX-License-Identifier: Apache-2.0
/* Time zones: what the C library says of the machine's own, and files that are made here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "agent/base/zone.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))
#define HOUR_S 3600
#define DAY_S 86400
#define Y2026 1767225600	/* 2026-01-01T00:00:00Z */

static struct krl_zone *zone;

static int teardown(void **state)
{
	krl_zone_free(zone);
	zone = NULL;
	return 0;
}

static void open_zone(const char *name)
{
	teardown(NULL);
	if (krl_zone_open(name, &zone))
		fail_msg("no zone %s", name);
}

static int64_t at(const char *utc)
{
	struct tm tm = { 0 };
	const char *end = strptime(utc, "%Y-%m-%d %H:%M:%S", &tm);

	if (!end || *end)
		fail_msg("no time: %s", utc);
	return timegm(&tm);
}

static int32_t offset_at(int64_t t)
{
	int64_t until;

	return krl_zone_offset(zone, t, &until);
}

/* What the library has for the same file. */
static int32_t library_offset(const char *name, int64_t t)
{
	char tz[80];
	time_t time = t;
	struct tm tm;

	snprintf(tz, sizeof(tz), ":%s", name);
	if (!getenv("TZ") || strcmp(getenv("TZ"), tz)) {
		setenv("TZ", tz, 1);
		tzset();
	}
	assert_non_null(localtime_r(&time, &tm));
	return tm.tm_gmtoff;
}

/* Clocks with summer time on either half of the globe, by half an hour, from midnight, below standard time, around
 * Ramadan, with offsets of quarters, and without any change. */
static const char *const names[] = {
	"UTC", "Etc/GMT+12", "Pacific/Kiritimati", "Europe/Berlin", "Europe/London", "Europe/Dublin",
	"America/New_York", "America/Havana", "America/Santiago", "America/St_Johns", "America/Sao_Paulo",
	"America/Argentina/Buenos_Aires", "America/Indiana/Knox", "Asia/Kathmandu", "Asia/Gaza", "Asia/Beirut",
	"Asia/Tehran", "Africa/Casablanca", "Africa/Cairo", "Africa/Monrovia", "Pacific/Apia", "Pacific/Chatham",
	"Australia/Lord_Howe", "Australia/Sydney", "Antarctica/Troll", "EST5EDT", "CET",
};

static void the_library_says_the_same(void **state)
{
	size_t i;
	int64_t t;

	for (i = 0; i < COUNT(names); i++) {
		open_zone(names[i]);
		for (t = -3786825600; t < 7258118400; t += 31 * HOUR_S)
			if (offset_at(t) != library_offset(names[i], t))
				fail_msg("%s at %lld: %d, not %d", names[i], (long long)t, offset_at(t),
					 library_offset(names[i], t));
	}
}

/* The offset is the same up to where it is said to be, and the wall clock leaps there, to the second. */
static void an_offset_holds_as_long_as_it_is_said_to(void **state)
{
	int64_t t, until;
	int32_t offset;
	size_t i, leaps;

	for (i = 0; i < COUNT(names); i++) {
		open_zone(names[i]);
		leaps = 0;
		for (t = at("1900-01-01 00:00:00"); t < at("2150-01-01 00:00:00"); t = until) {
			offset = krl_zone_offset(zone, t, &until);
			assert_true(until > t);
			if (until == KRL_ZONE_NEVER)
				break;
			assert_int_equal(library_offset(names[i], until - 1), offset);
			assert_int_equal(offset_at(until - 1), offset);
			leaps += offset_at(until) != offset;
		}
		assert_true(leaps || !strcmp(names[i], "UTC") || !strncmp(names[i], "Etc/", 4));
	}
}

static void a_year_in_berlin(void **state)
{
	int64_t until;

	open_zone("Europe/Berlin");
	assert_int_equal(krl_zone_offset(zone, Y2026, &until), HOUR_S);
	assert_int_equal(until, at("2026-03-29 01:00:00"));
	assert_int_equal(krl_zone_offset(zone, until, &until), 2 * HOUR_S);
	assert_int_equal(until, at("2026-10-25 01:00:00"));
	assert_int_equal(krl_zone_offset(zone, until, &until), HOUR_S);
	assert_int_equal(until, at("2027-03-28 01:00:00"));
	/* far behind the last change that the file lists */
	assert_int_equal(krl_zone_offset(zone, at("2126-07-01 00:00:00"), &until), 2 * HOUR_S);
	assert_int_equal(until, at("2126-10-27 01:00:00"));
}

static void utc_needs_no_file_and_never_changes(void **state)
{
	int64_t until = 0;

	zone = (void *)1;
	assert_int_equal(krl_zone_open("UTC", &zone), 0);
	assert_null(zone);
	assert_int_equal(krl_zone_offset(zone, Y2026, &until), 0);
	assert_true(until == KRL_ZONE_NEVER);
	assert_int_equal(krl_zone_first(zone, Y2026), Y2026);
}

static void what_is_no_zone(void **state)
{
	static const char *const cases[] = {
		"", "Europe/Belin", "europe/berlin", "Europe", "Europe/", "/Europe/Berlin", "Europe//Berlin",
		"../zoneinfo/Europe/Berlin", "./Europe/Berlin", "Europe/../UTC", "tzdata.zi", "zone1970.tab",
		"leapseconds", "Local", "+02:00", "CEST", "Europe/Berlin ", " UTC", "Europe\nBerlin",
		/* counts leap seconds */
		"right/Europe/Berlin",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++)
		if (krl_zone_open(cases[i], &zone) != -ENOENT)
			fail_msg("opened: \"%s\"", cases[i]);
	assert_null(zone);
}

struct first {
	const char *name, *local, *utc;
};

static void the_first_moment_at_which_the_clock_shows_a_time(void **state)
{
	static const struct first cases[] = {
		{ "Europe/Berlin", "2026-01-01 08:00:00", "2026-01-01 07:00:00" },
		{ "Europe/Berlin", "2026-07-01 08:00:00", "2026-07-01 06:00:00" },
		/* from 02:00 to 03:00 it leaps */
		{ "Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29 00:59:59" },
		{ "Europe/Berlin", "2026-03-29 02:00:00", "2026-03-29 01:00:00" },
		{ "Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29 01:00:00" },
		{ "Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29 01:00:00" },
		{ "Europe/Berlin", "2026-03-29 03:00:01", "2026-03-29 01:00:01" },
		/* from 03:00 back to 02:00 */
		{ "Europe/Berlin", "2026-10-25 01:59:59", "2026-10-24 23:59:59" },
		{ "Europe/Berlin", "2026-10-25 02:00:00", "2026-10-25 00:00:00" },
		{ "Europe/Berlin", "2026-10-25 02:59:59", "2026-10-25 00:59:59" },
		{ "Europe/Berlin", "2026-10-25 03:00:00", "2026-10-25 02:00:00" },
		/* at midnight: to 01:00, and from 01:00 back; on the day before */
		{ "America/Havana", "2026-03-08 00:00:00", "2026-03-08 05:00:00" },
		{ "America/Havana", "2026-03-08 01:00:00", "2026-03-08 05:00:00" },
		{ "America/Havana", "2026-11-01 00:30:00", "2026-11-01 04:30:00" },
		{ "America/Havana", "2026-11-01 01:00:00", "2026-11-01 06:00:00" },
		{ "America/Sao_Paulo", "2018-02-17 23:30:00", "2018-02-18 01:30:00" },
		{ "America/Sao_Paulo", "2018-02-18 00:00:00", "2018-02-18 03:00:00" },
		/* without a whole day */
		{ "Pacific/Apia", "2011-12-29 23:59:59", "2011-12-30 09:59:59" },
		{ "Pacific/Apia", "2011-12-30 00:00:00", "2011-12-30 10:00:00" },
		{ "Pacific/Apia", "2011-12-31 00:00:00", "2011-12-30 10:00:00" },
		{ "Pacific/Apia", "2011-12-31 00:00:01", "2011-12-30 10:00:01" },
		{ "Pacific/Kiritimati", "2026-01-01 00:00:00", "2025-12-31 10:00:00" },
		{ "Etc/GMT+12", "2026-01-01 00:00:00", "2026-01-01 12:00:00" },
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		open_zone(cases[i].name);
		if (krl_zone_first(zone, at(cases[i].local)) != at(cases[i].utc))
			fail_msg("%s %s: %lld, not %lld", cases[i].name, cases[i].local,
				 (long long)krl_zone_first(zone, at(cases[i].local)), (long long)at(cases[i].utc));
	}
}

/* --- files made here ---------------------------------------------------------------------------------- */

static unsigned char bytes[1024];
static size_t len;

static void put(int64_t value, size_t count)
{
	while (count--)
		bytes[len++] = (uint64_t)value >> 8 * count;
}

static void put_header(unsigned int leaps, unsigned int times, unsigned int types, unsigned int letters)
{
	memcpy(bytes + len, "TZif2", 5);
	memset(bytes + len + 5, 0, 15);
	len += 20;
	put(0, 8);
	put(leaps, 4);
	put(times, 4);
	put(types, 4);
	put(letters, 4);
}

/* A file with a change at @first and one at @second, to the second and back to the first of the offsets 1 h and
 * @offset_s, and with @rule. */
static void make(int64_t first, int64_t second, int32_t offset_s, const char *rule)
{
	len = 0;
	put_header(0, 0, 1, 1);
	put(0, 6 + 1);
	put_header(0, 2, 2, 4);
	put(first, 8);
	put(second, 8);
	put(0x0100, 2);
	put(HOUR_S, 4);
	put(0, 2);
	put(offset_s, 4);
	put(0, 2);
	put(0, 4);
	len += sprintf((char *)bytes + len, "\n%s\n", rule);
}

static int parse(void)
{
	teardown(NULL);
	return krl_zone_parse(bytes, len, &zone);
}

static void changes_and_the_rule_behind_them(void **state)
{
	int64_t until;

	make(-5, 100, -7200, "");
	assert_int_equal(parse(), 0);
	assert_int_equal(krl_zone_offset(zone, INT64_MIN, &until), HOUR_S);
	assert_int_equal(until, -5);
	assert_int_equal(krl_zone_offset(zone, -5, &until), -7200);
	assert_int_equal(until, 100);
	assert_int_equal(krl_zone_offset(zone, 100, &until), HOUR_S);
	assert_true(until == KRL_ZONE_NEVER);
	make(-5, 100, -7200, "<-03>3");
	assert_int_equal(parse(), 0);
	assert_int_equal(krl_zone_offset(zone, 99, &until), -7200);
	assert_int_equal(krl_zone_offset(zone, 100, &until), -10800);
	assert_true(until == KRL_ZONE_NEVER);
}

static void a_file_that_is_cut_is_refused(void **state)
{
	size_t whole, cut;
	unsigned char *copy;

	make(-5, 100, -7200, "CET-1CEST,M3.5.0,M10.5.0/3");
	for (whole = len, cut = 0; cut < whole; cut++) {
		/* so that the sanitizer sees what is read behind the end */
		copy = malloc(cut + !cut);
		memcpy(copy, bytes, cut);
		if (krl_zone_parse(copy, cut, &zone) != -EINVAL)
			fail_msg("read up to byte %zu of %zu", cut, whole);
		free(copy);
	}
	assert_int_equal(parse(), 0);
}

static void broken_files_are_refused(void **state)
{
	static const struct {
		size_t at;
		unsigned char byte;
	} cases[] = {
		{ 0, 't' },		/* magic */
		{ 4, 0 },		/* a version without 64 bits */
		{ 51, 'F' },		/* magic of the second block */
		{ 51 + 28, 1 },		/* more leap seconds than the file has bytes, and any at all */
		{ 51 + 31, 1 },
		{ 51 + 32, 0xff },	/* more changes, ... */
		{ 51 + 36, 0xff },	/* ... types, ... */
		{ 51 + 43, 0xff },	/* ... letters */
		{ 51 + 43, 3 },		/* then no footer follows */
		{ 95, 0x7f },		/* changes in no order */
		{ 111, 2 },		/* of no type */
		{ 113, 0x7f },		/* an offset of centuries */
		{ 119, 0x80 },
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		make(-5, 100, -7200, "");
		bytes[cases[i].at] = cases[i].byte;
		if (parse() != -EINVAL)
			fail_msg("read with byte %zu broken", cases[i].at);
	}
}

static void rules_that_are_none(void **state)
{
	static const char *const cases[] = {
		"CET", "CE-1", "-1", "<CET-1", "CET-", "CET-25", "CET-1:60", "CET-1:00:60", "CET-1C,J1,J2", "CET-1CEST",
		"CET-1CEST,", "CET-1CEST,J1", "CET-1CEST,J1,", "CET-1CEST,J0,J2", "CET-1CEST,J1,J366", "CET-1CEST,366,1",
		"CET-1CEST,M0.1.0,J1", "CET-1CEST,M13.1.0,J1", "CET-1CEST,M3.0.0,J1", "CET-1CEST,M3.6.0,J1",
		"CET-1CEST,M3.5.7,J1", "CET-1CEST,M3.5,J1", "CET-1CEST,J1/168,J2", "CET-1CEST,J1/,J2", "CET-1CEST,J1,J2,",
		"CET-1CEST,J1,J2x", " CET-1", "CET-1 ", "CET-0001", "CET-1CEST-25,J1,J2",
	};
	char longest[160];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		make(-5, 100, 0, cases[i]);
		if (parse() != -EINVAL)
			fail_msg("read: %s", cases[i]);
	}
	snprintf(longest, sizeof(longest), "<%0125d>0", 0);
	make(-5, 100, 0, longest);
	assert_int_equal(parse(), -EINVAL);
}

/* The library, asked with the rule itself, says the same; not at the turn of the year, where it looks for changes
 * in one year alone. */
static void rules_of_all_forms(void **state)
{
	static const char *const cases[] = {
		"<+0545>-5:45", "EST5EDT,M3.2.0,M11.1.0", "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", "IST-1GMT0,M10.5.0,M3.5.0/1",
		"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "EET-2EEST,M3.5.0/0,M10.5.0/0", "EET-2EEST,M3.4.4/50,M10.4.4/50",
		"AAA4BBB,J60/0,J300/0", "AAA4BBB,59/0,300/0", "AAA-10:00:30BBB-11,J32/0,M11.5.6/23:59:59",
		"AAA-2BBB,M11.1.0/167,M2.1.0/-167",
	};
	int64_t t;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		make(-5, 100, 0, cases[i]);
		assert_int_equal(parse(), 0);
		setenv("TZ", cases[i], 1);
		tzset();
		for (t = Y2026; t < Y2026 + 9 * 365LL * DAY_S; t += HOUR_S / 2) {
			time_t time = t;
			struct tm tm;

			localtime_r(&time, &tm);
			if (offset_at(t) != tm.tm_gmtoff)
				fail_msg("%s at %lld: %d, not %ld", cases[i], (long long)t, offset_at(t), tm.tm_gmtoff);
		}
	}
}

/* The example of RFC 9636, 3.3.1. */
static void summer_time_may_be_all_year(void **state)
{
	int64_t t;

	make(-5, 100, 0, "XXX3EDT4,0/0,J365/23");
	assert_int_equal(parse(), 0);
	for (t = Y2026; t < Y2026 + 9 * 365LL * DAY_S; t += HOUR_S / 2)
		assert_int_equal(offset_at(t), -4 * HOUR_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_library_says_the_same, teardown),
		cmocka_unit_test_teardown(an_offset_holds_as_long_as_it_is_said_to, teardown),
		cmocka_unit_test_teardown(a_year_in_berlin, teardown),
		cmocka_unit_test(utc_needs_no_file_and_never_changes),
		cmocka_unit_test(what_is_no_zone),
		cmocka_unit_test_teardown(the_first_moment_at_which_the_clock_shows_a_time, teardown),
		cmocka_unit_test_teardown(changes_and_the_rule_behind_them, teardown),
		cmocka_unit_test_teardown(a_file_that_is_cut_is_refused, teardown),
		cmocka_unit_test_teardown(broken_files_are_refused, teardown),
		cmocka_unit_test_teardown(rules_that_are_none, teardown),
		cmocka_unit_test_teardown(rules_of_all_forms, teardown),
		cmocka_unit_test_teardown(summer_time_may_be_all_year, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
