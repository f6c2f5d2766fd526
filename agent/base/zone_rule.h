/* SPDX-License-Identifier: Apache-2.0 */
/* The rule by which the clocks of a time zone go for ever: a TZ string of POSIX, with the hours and the quoted
 * names that RFC 9636, 3.3 adds. */
#ifndef KMESH_RL_ZONE_RULE_H
#define KMESH_RL_ZONE_RULE_H

#include <stdbool.h>
#include <stdint.h>

/* A day of each year and a time of it. */
struct krl_zone_date {
	enum krl_zone_day {
		KRL_ZONE_MONTH,		/* the day of the week day of month, in its week */
		KRL_ZONE_JULIAN,	/* day 1 to 365, without the 29th of February */
		KRL_ZONE_DAY,		/* day 0 to 365 */
	} kind;
	int month, week, day;
	int32_t time_s;			/* from midnight, before it or days later too */
};

/* Offsets are what the wall clock is ahead of UTC. */
struct krl_zone_rule {
	int32_t standard_s, summer_s;
	bool has_summer;
	struct krl_zone_date begin, end;	/* of summer time, by the clock that ends then */
};

/* "CET-1CEST,M3.5.0,M10.5.0/3". 0, or -EINVAL. */
int krl_zone_rule_parse(const char *text, struct krl_zone_rule *ret);

/* The offset at @t, in seconds since 1970, and in *@ret_until when that may change next; INT64_MAX: never. */
int32_t krl_zone_rule_offset(const struct krl_zone_rule *rule, int64_t t, int64_t *ret_until);

#endif
