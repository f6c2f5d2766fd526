/* SPDX-License-Identifier: Apache-2.0 */
/* The time zones of this machine: TZif files (RFC 9636) of the tz database below /usr/share/zoneinfo. Times are in
 * seconds since 1970 without leap seconds, what a wall clock shows as well, as if it were UTC. */
#ifndef KMESH_RL_ZONE_H
#define KMESH_RL_ZONE_H

#include <stddef.h>
#include <stdint.h>

#define KRL_ZONE_NEVER INT64_MAX

/* NULL is UTC in what follows. */
struct krl_zone;

/* The zone @name, as "Europe/Berlin"; the caller frees *@ret. 0; -ENOENT: there is none called so; -ENODATA: there
 * is no database; or -ENOMEM. "UTC" needs none. */
int krl_zone_open(const char *name, struct krl_zone **ret);
void krl_zone_free(struct krl_zone *zone);

/* The zone in the @len bytes of a file. 0, -EINVAL or -ENOMEM. */
int krl_zone_parse(const void *bytes, size_t len, struct krl_zone **ret);

/* What the wall clock is ahead of UTC at @t, and in *@ret_until when that may change next; KRL_ZONE_NEVER: not any
 * more. */
int32_t krl_zone_offset(const struct krl_zone *zone, int64_t t, int64_t *ret_until);

/* The first moment at which the wall clock shows @local or something later. One that it shows twice is the first
 * of them, one that it leaps over the moment of the leap. */
int64_t krl_zone_first(const struct krl_zone *zone, int64_t local);

#endif
