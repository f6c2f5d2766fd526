// SPDX-License-Identifier: Apache-2.0
#include "zone_rule.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400
#define HOUR_S 3600
#define MINUTE_S 60
#define MAX_HOURS 167		/* of the time of a date, RFC 9636, 3.3.1 */
#define MAX_OFFSET_HOURS 24
#define DEFAULT_TIME_S (2 * HOUR_S)

static bool skip(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* At least three letters, or "<+03>". */
static bool skip_name(const char **at)
{
	const char *begin = *at;

	if (skip(at, '<')) {
		*at += strcspn(*at, ">");
		return skip(at, '>');
	}
	while (isalpha((unsigned char)**at))
		(*at)++;
	return *at - begin >= 3;
}

static bool parse_number(const char **at, int min, int max, int *ret)
{
	int value = 0, digits;

	for (digits = 0; isdigit((unsigned char)**at) && digits < 3; digits++)
		value = value * 10 + *(*at)++ - '0';
	*ret = value;
	return digits && value >= min && value <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool parse_time(const char **at, int max_hours, int32_t *ret_s)
{
	int hours, minutes = 0, seconds = 0;
	bool negative = skip(at, '-');

	if (!negative)
		skip(at, '+');
	if (!parse_number(at, 0, max_hours, &hours) || (skip(at, ':') && !parse_number(at, 0, 59, &minutes)) ||
	    (skip(at, ':') && !parse_number(at, 0, 59, &seconds)))
		return false;
	*ret_s = hours * HOUR_S + minutes * MINUTE_S + seconds;
	if (negative)
		*ret_s = -*ret_s;
	return true;
}

/* ",M3.5.0/2", ",J60" or ",59" */
static bool parse_date(const char **at, struct krl_zone_date *ret)
{
	if (!skip(at, ','))
		return false;
	if (skip(at, 'M')) {
		ret->kind = KRL_ZONE_MONTH;
		if (!parse_number(at, 1, 12, &ret->month) || !skip(at, '.') || !parse_number(at, 1, 5, &ret->week) ||
		    !skip(at, '.') || !parse_number(at, 0, 6, &ret->day))
			return false;
	} else {
		ret->kind = skip(at, 'J') ? KRL_ZONE_JULIAN : KRL_ZONE_DAY;
		if (!parse_number(at, ret->kind == KRL_ZONE_JULIAN, 365, &ret->day))
			return false;
	}
	ret->time_s = DEFAULT_TIME_S;
	return !skip(at, '/') || parse_time(at, MAX_HOURS, &ret->time_s);
}

int krl_zone_rule_parse(const char *text, struct krl_zone_rule *ret)
{
	struct krl_zone_rule rule = { 0 };

	/* POSIX counts what UTC is ahead of the wall clock. */
	if (!skip_name(&text) || !parse_time(&text, MAX_OFFSET_HOURS, &rule.standard_s))
		return -EINVAL;
	rule.standard_s = -rule.standard_s;
	if (*text) {
		rule.has_summer = true;
		if (!skip_name(&text))
			return -EINVAL;
		rule.summer_s = rule.standard_s + HOUR_S;
		if (*text != ',') {
			if (!parse_time(&text, MAX_OFFSET_HOURS, &rule.summer_s))
				return -EINVAL;
			rule.summer_s = -rule.summer_s;
		}
		if (!parse_date(&text, &rule.begin) || !parse_date(&text, &rule.end) || *text)
			return -EINVAL;
	}
	*ret = rule;
	return 0;
}

/* The day number, counted from 1970, on which @month begins; 13 is the next year's first. */
static int64_t month_begins(int year, int month)
{
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = 1 };

	return timegm(&tm) / DAY_S;
}

static int64_t day_of(const struct krl_zone_date *date, int year)
{
	int64_t first = month_begins(year, date->kind == KRL_ZONE_MONTH ? date->month : 1), day;

	switch (date->kind) {
	case KRL_ZONE_DAY:
		return first + date->day;
	case KRL_ZONE_JULIAN:
		return first + date->day - 1 + (date->day >= 60 && month_begins(year, 3) - first == 60);
	case KRL_ZONE_MONTH:
		break;
	}
	/* The first day of 1970 was a Thursday. */
	day = first + ((date->day - 4 - first) % 7 + 7) % 7 + 7 * (date->week - 1);
	return day < month_begins(year, date->month + 1) ? day : day - 7;
}

int32_t krl_zone_rule_offset(const struct krl_zone_rule *rule, int64_t t, int64_t *ret_until)
{
	int64_t last = INT64_MIN, next = INT64_MAX, changes[2];
	int32_t offset = rule->standard_s;
	time_t time = t;
	struct tm tm;
	int year, i;

	*ret_until = INT64_MAX;
	if (!rule->has_summer || !gmtime_r(&time, &tm))
		return offset;
	/* Where the offset or the time of a date is large, a change may be in the year before or after. */
	for (year = tm.tm_year + 1899; year <= tm.tm_year + 1901; year++) {
		changes[0] = day_of(&rule->begin, year) * DAY_S + rule->begin.time_s - rule->standard_s;
		changes[1] = day_of(&rule->end, year) * DAY_S + rule->end.time_s - rule->summer_s;
		for (i = 0; i < 2; i++) {
			/* Summer time of a whole year ends when that of the next begins. */
			if (changes[i] <= t && changes[i] >= last) {
				last = changes[i];
				offset = i ? rule->standard_s : rule->summer_s;
			}
			if (changes[i] > t && changes[i] < next)
				next = changes[i];
		}
	}
	*ret_until = next;
	return offset;
}
