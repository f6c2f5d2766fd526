/* SPDX-License-Identifier: Apache-2.0 */
/* When a rule exists: the time is an argument. */
#ifndef KMESH_RL_SCHEDULE_H
#define KMESH_RL_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/zone.h"

#define KRL_DAY_MINUTES (24 * 60)

/* From one time of the wall clock to another, on the days on which it begins. */
struct krl_schedule {
	unsigned int days;		/* a bit each: 1 Sunday, 2 Monday, ... */
	unsigned int from_min;		/* of the day, less than KRL_DAY_MINUTES */
	unsigned int to_min;		/* up to KRL_DAY_MINUTES; below from_min it is of the day after */
	struct krl_zone *zone;		/* owned; NULL: UTC */
};

/* Is a rule with @schedule in force at @now_s, in seconds since 1970? *@ret_until_s is when that changes next,
 * KRL_ZONE_NEVER: not any more. NULL is always. A time is the moment that krl_zone_first() has for it. */
bool krl_schedule_at(const struct krl_schedule *schedule, int64_t now_s, int64_t *ret_until_s);

/* Accepts NULL. */
void krl_schedule_free(struct krl_schedule *schedule);

#endif
