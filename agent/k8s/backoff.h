/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait before something that failed is tried again. */
#ifndef KMESH_RL_K8S_BACKOFF_H
#define KMESH_RL_K8S_BACKOFF_H

#include <stdint.h>

#define KRL_BACKOFF_FIRST_MS 500
#define KRL_BACKOFF_MAX_MS 30000
#define KRL_RETRY_AFTER_MAX_S 300

/* Milliseconds after the @failures-th failure in a row, from 1 on: somewhere in the upper half of what doubles each
 * time from KRL_BACKOFF_FIRST_MS to KRL_BACKOFF_MAX_MS, @random saying where, so that agents do not come back together.
 * Where the server asks for @retry_after_s seconds, not before those, up to KRL_RETRY_AFTER_MAX_S. */
unsigned int krl_backoff_ms(unsigned int failures, unsigned int retry_after_s, uint32_t random);

#endif
