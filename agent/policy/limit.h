/* SPDX-License-Identifier: Apache-2.0 */
/* Durations and limits as people write them. */
#ifndef KMESH_RL_LIMIT_H
#define KMESH_RL_LIMIT_H

#include <stddef.h>

#include <kmesh_rl/abi.h>

#define KRL_NUMBER_MAX 9223372036854775807ULL

/* "1s", "500ms", "1h30m": units ns, us, ms, s, m, h. 0 with *ret_ns set (1 .. 2^63-1), or -EINVAL. */
int krl_duration_parse(const char *text, __u64 *ret_ns);

/* "Minute", "minutes", ...: Second, Minute, Hour, Day, Week, Month (30 days), Year (365 days), any
 * case, singular or plural. 0 with *ret_ns set, or -EINVAL. */
int krl_unit_parse(const char *text, __u64 *ret_ns);

/* "10/minute", "10 per minute", "10 per 5 minutes". 0 with *ret set, or -EINVAL. */
int krl_limit_parse(const char *text, struct krl_settings *ret);

#define KRL_LIMIT_JOINTS ";,|"

/* The first of such limits that are joined, with spaces around the joints or none: as above. @ret_rest is where the
 * next begins, NULL when there is none. */
int krl_limit_parse_first(const char *text, struct krl_settings *ret, const char **ret_rest);

/* "10 per 1 minute", in the largest unit that is whole, and ", burst 20" when the bucket holds another
 * number than one fill. */
void krl_limit_text(const struct krl_settings *settings, char *ret, size_t size);

#endif
