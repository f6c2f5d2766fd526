/* SPDX-License-Identifier: Apache-2.0 */
/* All that is known of a RateLimit, as kubectl describe lays it out. */
#ifndef KMESH_RL_TOOL_DESCRIBE_VIEW_H
#define KMESH_RL_TOOL_DESCRIBE_VIEW_H

#include <stdio.h>

#include <jansson.h>

/* Print @limit: an item of krl_limits_join() with "statistics", items as krl_stats_json() has them, and "buckets" as
 * krl_buckets_json() does. 0, or -ENOMEM. */
int krl_describe_print(const json_t *limit, FILE *out);

#endif
