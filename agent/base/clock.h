/* SPDX-License-Identifier: Apache-2.0 */
/* What time it is, and times as people write them; in seconds since 1970. */
#ifndef KMESH_RL_CLOCK_H
#define KMESH_RL_CLOCK_H

#include <stdint.h>

/* The time of RFC 3339 in @text, "2026-03-29T02:30:00+01:00"; a fraction of a second is cut off. 0 with *ret_s set,
 * or -EINVAL. */
int krl_time_parse(const char *text, int64_t *ret_s);

/* The machine's wall clock; with @file the time that is written in it, so that tests can turn the clock. 0, or
 * -errno, -EINVAL: what is in the file is no time. */
int krl_clock_read(const char *file, int64_t *ret_s);

/* CLOCK_BOOTTIME in nanoseconds, by which the kernel fills buckets. */
uint64_t krl_boot_ns(void);

#endif
