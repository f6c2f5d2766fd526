/* SPDX-License-Identifier: Apache-2.0 */
/* Showing buckets. */
#ifndef KMESH_RL_TOOL_BUCKETS_VIEW_H
#define KMESH_RL_TOOL_BUCKETS_VIEW_H

#include <jansson.h>

#include "agent/datapath/buckets.h"

/* {"items": [{"namespace", "name", "service", "rule", "value", "availableTokens", "limit", "endpoint",
 * "networkNamespace"}], and of a rule that counts LLMTokens, where values pick the bucket, "tokens": krl_tokens_json,
 * "total": how many there are}. Returns a value that the caller releases, or NULL without
 * memory. */
json_t *krl_buckets_json(const struct krl_buckets *buckets);

/* Print what krl_buckets_json made as a table. Returns 0 or -ENOMEM. */
int krl_buckets_print(const json_t *buckets, bool wide, FILE *out);

#endif
