/* SPDX-License-Identifier: Apache-2.0 */
/* Showing text and values that may hold anything, as JSON. Each returns a value that the caller releases, or NULL
 * without memory. */
#ifndef KMESH_RL_TOOL_VALUES_VIEW_H
#define KMESH_RL_TOOL_VALUES_VIEW_H

#include <jansson.h>

#include <kmesh_rl/abi.h>

json_t *krl_view_text(const char *text);

/* The values that pick a bucket, "x-user=alice"; where @kept is NULL a part of their hash, and "" without any. */
json_t *krl_view_values(const struct krl_kept *kept, const __u64 descriptor[2]);

#endif
