// SPDX-License-Identifier: Apache-2.0
/* Times as RFC 3339 writes them, and the clock that tests can turn. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/clock.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

static void reads_times(void **state)
{
	static const struct {
		const char *text;
		int64_t t;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1969-12-31T23:59:59Z", -1 },
		{ "2026-03-29T01:00:00Z", 1774746000 },
		{ "2026-03-29t01:00:00z", 1774746000 },
		{ "2026-03-29T03:00:00+02:00", 1774746000 },
		{ "2026-03-28T13:00:00-12:00", 1774746000 },
		{ "2026-03-29T06:45:00.999999999+05:45", 1774746000 },
		{ "2026-03-29T01:00:00.0Z", 1774746000 },
		{ "2026-03-29T01:00:00-00:00", 1774746000 },
		{ "2024-02-29T00:00:00Z", 1709164800 },
		{ "2000-02-29T00:00:00Z", 951782400 },
		{ "0000-01-01T00:00:00Z", -62167219200 },
		{ "9999-12-31T23:59:59-23:59", 253402387139 },
		/* a leap second is the one behind it */
		{ "2016-12-31T23:59:60Z", 1483228800 },
	};
	int64_t t;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		if (krl_time_parse(cases[i].text, &t))
			fail_msg("refused: %s", cases[i].text);
		assert_int_equal(t, cases[i].t);
	}
}

static void refuses_what_is_no_time_and_leaves_the_result_alone(void **state)
{
	static const char *const cases[] = {
		"", "now", "2026", "2026-03-29", "2026-03-29T01:00Z", "2026-03-29T01:00:00", "2026-03-29 01:00:00Z",
		"2026-3-29T01:00:00Z", "26-03-29T01:00:00Z", "2026-03-29T1:00:00Z", "2026-03-29T01:00:00.Z",
		"2026-03-29T01:00:00,5Z", "2026-03-29T01:00:00+1:00", "2026-03-29T01:00:00+0100",
		"2026-03-29T01:00:00+01", "2026-03-29T01:00:00+01:00Z", "2026-03-29T01:00:00Z ", " 2026-03-29T01:00:00Z",
		"2026-03-29T01:00:00 Z", "2026-03-29T01:00:00UTC", "2026-03-29T01:00:00CET", "+2026-03-29T01:00:00Z",
		"2026-00-29T01:00:00Z", "2026-13-29T01:00:00Z", "2026-03-00T01:00:00Z", "2026-03-32T01:00:00Z",
		"2026-02-29T01:00:00Z", "2100-02-29T01:00:00Z", "2026-04-31T01:00:00Z", "2026-03-29T24:00:00Z",
		"2026-03-29T01:60:00Z", "2026-03-29T01:00:61Z", "2026-03-29T01:00:00+24:00", "2026-03-29T01:00:00+01:60",
		"1774746000",
	};
	int64_t t;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		t = 42;
		if (krl_time_parse(cases[i], &t) != -EINVAL)
			fail_msg("read: %s", cases[i]);
		assert_int_equal(t, 42);
	}
}

static char path[64];

static int setup(void **state)
{
	int fd;

	strcpy(path, "/tmp/krl-clock-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? fd : close(fd);
}

static int teardown(void **state)
{
	return unlink(path);
}

static void write_clock(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void the_clock_is_the_machines_or_a_file(void **state)
{
	int64_t before = time(NULL), now;

	assert_int_equal(krl_clock_read(NULL, &now), 0);
	assert_in_range(now, before, time(NULL));
	write_clock("2026-03-29T01:00:00Z\n");
	assert_int_equal(krl_clock_read(path, &now), 0);
	assert_int_equal(now, 1774746000);
	write_clock("2026-03-29T02:00:00+02:00");
	assert_int_equal(krl_clock_read(path, &now), 0);
	assert_int_equal(now, 1774742400);
}

static void a_file_without_a_time_leaves_the_result_alone(void **state)
{
	int64_t now = 42;

	assert_int_equal(krl_clock_read(path, &now), -EINVAL);
	write_clock("soon\n");
	assert_int_equal(krl_clock_read(path, &now), -EINVAL);
	assert_int_equal(krl_clock_read("/proc/self/nothing", &now), -ENOENT);
	assert_int_equal(krl_clock_read("/tmp", &now), -EIO);
	assert_int_equal(now, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_times),
		cmocka_unit_test(refuses_what_is_no_time_and_leaves_the_result_alone),
		cmocka_unit_test_setup_teardown(the_clock_is_the_machines_or_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_without_a_time_leaves_the_result_alone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
