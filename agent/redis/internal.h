/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of agent/redis alone. */
#ifndef KMESH_RL_REDIS_INTERNAL_H
#define KMESH_RL_REDIS_INTERNAL_H

#include <hiredis/async.h>

#include "link.h"
#include "redis.h"
#include "url.h"

struct krl_redis {
	uv_loop_t *loop;
	uv_timer_t *retry, *patience;
	struct krl_redis_url url;
	const char *password_file;
	struct krl_redis_memory *memory;
	char key[2 * KRL_REDIS_KEY_BYTES + 1];	/* as text */
	struct krl_redis_calls calls;
	void *arg;
	struct krl_redis_link *link;	/* NULL: none */
	bool up, closing;
	unsigned int wait_ms;		/* before the next attempt */
	char sha[41], why[KRL_REDIS_ERROR_BYTES];

	/* The pipeline that is under way. */
	bool busy;
	const struct krl_exchange_calls *exchange_calls;
	void *exchange_arg;
	const struct krl_exchange *exchanges;
	size_t count, answered;
	char fresh[17];			/* an epoch, for a shard that has none */
	int err;
};

/* The text of agent/redis/lease.lua. */
extern const char krl_lease_lua[];

/* Those that were not answered never will be. */
void krl_redis_exchange_lose(struct krl_redis *redis, int err);

/* It is away because of @why, and is tried again. */
void krl_redis_fail(struct krl_redis *redis, const char *why);

#endif
