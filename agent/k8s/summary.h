/* SPDX-License-Identifier: Apache-2.0 */
/* A RateLimit in a few words, for lists: from the object as it is, so that one that is refused has them too. */
#ifndef KMESH_RL_K8S_SUMMARY_H
#define KMESH_RL_K8S_SUMMARY_H

#include <jansson.h>

#define KRL_SUMMARY_BYTES 256

/* What @spec protects: "web", "web:80", "10.0.0.1:8080, 10.0.0.2:8080". "" where it does not say. What does not fit ends
 * with "...". */
void krl_summary_service(const json_t *spec, char ret[KRL_SUMMARY_BYTES]);

/* The limits of its rules, each once: "10/minute, 100 per 1h (burst 200)". As above. */
void krl_summary_limit(const json_t *spec, char ret[KRL_SUMMARY_BYTES]);

#endif
