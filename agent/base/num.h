/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and durations as people write them, read strictly. */
#ifndef KMESH_RL_NUM_H
#define KMESH_RL_NUM_H

#include <linux/types.h>
#include <stddef.h>

#define KRL_NS_PER_US 1000ULL
#define KRL_NS_PER_MS (1000 * KRL_NS_PER_US)
#define KRL_NS_PER_S (1000 * KRL_NS_PER_MS)
#define KRL_NS_PER_MIN (60 * KRL_NS_PER_S)
#define KRL_NS_PER_HOUR (60 * KRL_NS_PER_MIN)
#define KRL_NS_PER_DAY (24 * KRL_NS_PER_HOUR)

/* Decimal digits and nothing else: no sign, no blank, no leading zero. Returns 0, -EINVAL when it is no
 * such number, -ERANGE above 2^64-1. */
int krl_num_u64(const char *text, size_t len, __u64 *ret);

/* Whole numbers with a unit each, larger units first: "1s", "500ms", "1m30s"; units h, m, s, ms, us, ns.
 * Returns 0, -EINVAL or, above 2^64-1 ns, -ERANGE. */
int krl_num_duration_ns(const char *text, size_t len, __u64 *ret_ns);

#endif
