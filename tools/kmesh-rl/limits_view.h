/* SPDX-License-Identifier: Apache-2.0 */
/* RateLimits: what the agent has read, and what the kernel counts of it. */
#ifndef KMESH_RL_TOOL_LIMITS_VIEW_H
#define KMESH_RL_TOOL_LIMITS_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

/* {"items": [...]} of the RateLimits in namespace @ns (NULL: any) that are called @name (NULL: any), sorted: those of
 * @known, as krl_limits_json() has them (NULL: nobody says), and those that only @stats, as krl_stats_json() has them, know
 * of, whose "service" and "limit" are what their rules have. Each gets "rules", "totalRequests" and "limitedRequests" of
 * @stats, and of its conditions "accepted", "programmed", "reason" and "message": that of the first that does not hold. Returns a value that the caller releases, or
 * NULL without memory, or for what is not understood. */
json_t *krl_limits_join(const json_t *known, const json_t *stats, const char *ns, const char *name);

/* Print what krl_limits_join made as a table; @namespaces: with the namespace, as in the wide one. 0, or -ENOMEM. */
int krl_limits_print(const json_t *limits, bool namespaces, bool wide, FILE *out);

#endif
