// SPDX-License-Identifier: Apache-2.0
#include "clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define TIME_BYTES 64

/* Does @text begin as @form does, with a digit for each 0? Letters may be of either case. */
static bool has_form(const char *text, const char *form)
{
	for (; *form; form++, text++)
		if (*form == '0' ? !isdigit((unsigned char)*text) : toupper((unsigned char)*text) != *form)
			return false;
	return true;
}

/* "Z" or "+01:00": what the clock is ahead of UTC. */
static int parse_offset(const char *text, int64_t *ret_s)
{
	int hours, minutes;

	*ret_s = 0;
	if (!strcasecmp(text, "Z"))
		return 0;
	if ((*text != '+' && *text != '-') || !has_form(text + 1, "00:00") || text[6])
		return -EINVAL;
	hours = atoi(text + 1);
	minutes = atoi(text + 4);
	*ret_s = (hours * 60 + minutes) * (*text == '-' ? -60 : 60);
	return hours > 23 || minutes > 59 ? -EINVAL : 0;
}

int krl_time_parse(const char *text, int64_t *ret_s)
{
	int64_t offset_s, midnight_s;
	int month, hour, minute, second;
	struct tm tm = { 0 };
	const char *rest;

	if (!has_form(text, "0000-00-00T00:00:00"))
		return -EINVAL;
	tm.tm_year = atoi(text) - 1900;
	month = atoi(text + 5);
	tm.tm_mon = month - 1;
	tm.tm_mday = atoi(text + 8);
	hour = atoi(text + 11);
	minute = atoi(text + 14);
	second = atoi(text + 17);
	rest = text + strlen("0000-00-00T00:00:00");
	if (*rest == '.') {
		if (!isdigit((unsigned char)rest[1]))
			return -EINVAL;
		rest += 1 + strspn(rest + 1, "0123456789");
	}
	midnight_s = timegm(&tm);
	/* A day that the month does not have has become one of another; a minute may have a leap second. */
	if (tm.tm_mon != month - 1 || hour > 23 || minute > 59 || second > 60 || parse_offset(rest, &offset_s))
		return -EINVAL;
	*ret_s = midnight_s + hour * 3600 + minute * 60 + second - offset_s;
	return 0;
}

int krl_clock_read(const char *path, int64_t *ret_s)
{
	char text[TIME_BYTES] = "";
	FILE *file;
	int err;

	if (!path) {
		*ret_s = time(NULL);
		return 0;
	}
	file = fopen(path, "re");
	if (!file)
		return -errno;
	if (fgets(text, sizeof(text), file))
		text[strcspn(text, "\n")] = '\0';
	err = ferror(file) ? -EIO : krl_time_parse(text, ret_s);
	fclose(file);
	return err;
}

uint64_t krl_boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}
