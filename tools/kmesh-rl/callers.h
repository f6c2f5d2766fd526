/* SPDX-License-Identifier: Apache-2.0 */
/* Whose buckets of a rule are the emptiest. */
#ifndef KMESH_RL_TOOL_CALLERS_H
#define KMESH_RL_TOOL_CALLERS_H

#include <jansson.h>

/* Into each of @items, rules as krl_stats_json() has them, "topCallers": [{"value", "availableTokens"}] of the emptiest of
 * its buckets that are not full, at most three, and "callersText" for tables, of the maps below @bpffs. Where those cannot
 * be read, and where no values pick buckets, the lists are empty. 0, or -ENOMEM. */
int krl_callers_add(json_t *items, const char *bpffs);

#endif
