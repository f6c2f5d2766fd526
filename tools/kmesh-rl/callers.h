/* SPDX-License-Identifier: Apache-2.0 */
/* Whom rules refused most. */
#ifndef KMESH_RL_TOOL_CALLERS_H
#define KMESH_RL_TOOL_CALLERS_H

#include <jansson.h>

/* Into each of @items, rules as krl_stats_json() has them, "topCallers": [{"value", "limitedRequests"}] of those whom it
 * refused most, at most three, and "callersText" for tables, of the maps below @bpffs. Where those cannot be read, and where
 * no values pick buckets, there is nobody. 0, or -ENOMEM. */
int krl_callers_add(json_t *items, const char *bpffs);

#endif
