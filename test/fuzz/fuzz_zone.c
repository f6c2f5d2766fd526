// SPDX-License-Identifier: Apache-2.0
/* The file of a time zone: read or refused whole, and what is read is a clock that goes from change to change and
 * comes to every time. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/policy/schedule.h"

#define DAY_S 86400
#define YEAR_S (365 * DAY_S)
#define Y2026 1767225600
#define MAX_OFFSET_S (26 * 3600)

static void check_offset(const struct krl_zone *zone, int64_t t)
{
	int64_t until, offset = krl_zone_offset(zone, t, &until), unused;

	if (until <= t || offset > MAX_OFFSET_S || offset < -MAX_OFFSET_S)
		abort();
	if (until - 1 > t && until != KRL_ZONE_NEVER && krl_zone_offset(zone, until - 1, &unused) != offset)
		abort();
}

/* Before that moment the clock shows less, then @local or more. */
static void check_first(const struct krl_zone *zone, int64_t local)
{
	int64_t t = krl_zone_first(zone, local), unused;

	if (t + krl_zone_offset(zone, t, &unused) < local || t - 1 + krl_zone_offset(zone, t - 1, &unused) >= local)
		abort();
}

static void check_schedule(struct krl_zone *zone, int64_t t)
{
	const struct krl_schedule schedule = { .days = 0x55, .from_min = 150, .to_min = 120, .zone = zone };
	int64_t until;

	krl_schedule_at(&schedule, t, &until);
	if (until <= t)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct krl_zone *zone;
	int64_t t;

	if (krl_zone_parse(data, size, &zone))
		return 0;
	for (t = Y2026 - 60LL * YEAR_S; t < Y2026 + 60LL * YEAR_S; t += 100 * DAY_S + 12345) {
		check_offset(zone, t);
		check_first(zone, t);
		check_schedule(zone, t);
	}
	krl_zone_free(zone);
	return 0;
}
