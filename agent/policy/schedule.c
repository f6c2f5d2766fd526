// SPDX-License-Identifier: Apache-2.0
#include "schedule.h"

#include <stdlib.h>

#define DAY_S 86400
#define THURSDAY 4	/* the first day of 1970 */

/* Days to look ahead: a week has a day of every schedule, and when the clock leaps over all of what it has on that
 * day, the week after has one. */
#define AHEAD 16

static int64_t day_of(int64_t local)
{
	return local / DAY_S - (local % DAY_S < 0);
}

static bool has_day(const struct krl_schedule *s, int64_t day)
{
	return s->days >> ((day + THURSDAY) % 7 + 7) % 7 & 1;
}

static int64_t moment(const struct krl_schedule *s, int64_t day, unsigned int minute)
{
	return krl_zone_first(s->zone, day * DAY_S + minute * 60);
}

bool krl_schedule_at(const struct krl_schedule *s, int64_t now_s, int64_t *ret_until_s)
{
	int64_t unused, today, day, begin, end;
	bool in_force = false;

	*ret_until_s = KRL_ZONE_NEVER;
	if (!s)
		return true;
	today = day_of(now_s + krl_zone_offset(s->zone, now_s, &unused));
	/* What begins on one day has ended when that of the next begins, so they come in order; yesterday's may have
	 * gone over midnight. */
	for (day = today - 1; day <= today + AHEAD; day++) {
		if (!has_day(s, day))
			continue;
		begin = moment(s, day, s->from_min);
		end = moment(s, day + (s->to_min < s->from_min), s->to_min);
		if (end <= now_s || begin == end)
			continue;
		/* It holds now, or goes on from what does. */
		if (begin <= now_s || (in_force && begin == *ret_until_s)) {
			in_force = true;
			*ret_until_s = end;
			continue;
		}
		if (!in_force)
			*ret_until_s = begin;
		return in_force;
	}
	/* One that never ends, each day beginning where the last one did. */
	*ret_until_s = KRL_ZONE_NEVER;
	return in_force;
}

void krl_schedule_free(struct krl_schedule *schedule)
{
	if (!schedule)
		return;
	krl_zone_free(schedule->zone);
	free(schedule);
}
