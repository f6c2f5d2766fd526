/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KMESH_RL_REDIS_URL_H
#define KMESH_RL_REDIS_URL_H

#include "link.h"
#include "redis.h"

/* Whom to ask: a server, a node of a Redis Cluster, a Sentinel. */
struct krl_redis_seed {
	char host[KRL_REDIS_HOST_BYTES];	/* IPv6 without brackets */
	unsigned int port;			/* 6379, of Sentinel 26379 */
};

struct krl_redis_url {
	struct krl_redis_seed seeds[KRL_REDIS_SEEDS];
	size_t count;
	char user[128];		/* "": none */
	char password[512];	/* "": none */
	char master[128];	/* that Sentinels are asked for; "": seeds are servers */
	unsigned int db;
};

/* redis://[user:password@]host[:port][,...][/db] or redis+sentinel://.../MASTER[/db]. 0; or -EINVAL with one line in
 * @ret_error, without the password. */
int krl_redis_url_parse(const char *text, struct krl_redis_url *ret, char ret_error[KRL_REDIS_ERROR_BYTES]);

/* Add the seeds of one more. User and password are those of one, or the same in all; the rest is the same. As
 * krl_redis_url_parse(). */
int krl_redis_url_add(const char *text, struct krl_redis_url *url, char ret_error[KRL_REDIS_ERROR_BYTES]);

#endif
