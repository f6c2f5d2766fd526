/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KMESH_RL_REDIS_LOOP_H
#define KMESH_RL_REDIS_LOOP_H

#include <hiredis/async.h>
#include <uv.h>

/* Have @loop drive @connection, until hiredis frees it. 0, or -errno. */
int krl_redis_attach(uv_loop_t *loop, redisAsyncContext *connection);

#endif
