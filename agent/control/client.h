/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the agent, from a process without a loop. */
#ifndef KMESH_RL_CONTROL_CLIENT_H
#define KMESH_RL_CONTROL_CLIENT_H

#include <jansson.h>

#include "server.h"

/* Ask the agent behind the socket @path for @method with the object @params (NULL: none) and wait for the
 * answer, at most @timeout_ms in all. Returns 0 and the result, which the caller releases; or -ENOENT or -ECONNREFUSED (no agent
 * runs), -EACCES, -ENAMETOOLONG, -ETIMEDOUT, -EPROTO (not an answer), -ECONNRESET, or -EREMOTEIO with
 * the agent's own words in @ret_error. */
int krl_control_call(const char *path, const char *method, const json_t *params, int timeout_ms,
		     json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES]);

#endif
