/* SPDX-License-Identifier: Apache-2.0 */
/* Showing what the answers of model servers used. */
#ifndef KMESH_RL_TOOL_TOKENS_VIEW_H
#define KMESH_RL_TOOL_TOKENS_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "agent/datapath/used.h"

/* {"items": [{"namespace", "name", "service", "rule", "by", "value", and what krl_tokens_json has}], "total": how many
 * there are}. Returns a value that the caller releases, or NULL without memory. */
json_t *krl_used_json(const struct krl_used *used);

/* Print what krl_used_json made as a table; @namespaces: with the namespace, as in the wide one. Returns 0 or -ENOMEM. */
int krl_used_print(const json_t *used, bool namespaces, bool wide, FILE *out);

#endif
