/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as the API server writes it. */
#ifndef KMESH_RL_K8S_JSON_H
#define KMESH_RL_K8S_JSON_H

#include <stddef.h>

#include <jansson.h>

/* So deep are containers in each other; what is deeper is 0 in their place. */
#define KRL_K8S_JSON_DEPTH 512

/* The document in the @len bytes at @bytes, to be let go of; NULL: there is none. An object may have in it what Go takes
 * for JSON and jansson does not, and is not to make a list of thousands unreadable: integers beyond 64 bits are then real
 * numbers, of about the same value, U+0000 is U+FFFD, and what is nested too deeply is cut off. */
json_t *krl_k8s_json(const char *bytes, size_t len);

#endif
