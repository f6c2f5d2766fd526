/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to one server: its name is looked up, its addresses are tried one after the other. */
#ifndef KMESH_RL_REDIS_LINK_H
#define KMESH_RL_REDIS_LINK_H

#include <hiredis/async.h>
#include <uv.h>

#define KRL_REDIS_HOST_BYTES 256
#define KRL_REDIS_WHERE_BYTES 80

struct krl_redis_link;

/* Each is called from the loop, down at most once and as the last. The link may be closed within. */
struct krl_redis_link_calls {
	void (*up)(void *arg);
	void (*down)(void *arg, const char *why);
};

/* Connect to @host, a name or an address without brackets, on @loop. NULL without memory. */
struct krl_redis_link *krl_redis_link_open(uv_loop_t *loop, const char *host, unsigned int port,
					   const struct krl_redis_link_calls *calls, void *arg);

/* Accepts NULL. Commands that were not answered are answered with NULL, and krl_redis_link_owner() is NULL then. */
void krl_redis_link_close(struct krl_redis_link *link);

/* For commands, since up was called and until down is; NULL before and after. */
redisAsyncContext *krl_redis_link_connection(const struct krl_redis_link *link);

/* The arg of the link that has @connection; NULL: it is closed. */
void *krl_redis_link_owner(const redisAsyncContext *connection);

/* The address, "10.0.0.7:6379", "[::1]:6379"; "" while it is not connected. */
const char *krl_redis_link_where(const struct krl_redis_link *link);

#endif
