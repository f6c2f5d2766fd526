/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KMESH_RL_REDIS_URL_H
#define KMESH_RL_REDIS_URL_H

#include "redis.h"

struct krl_redis_url {
	char host[256];
	unsigned int port;	/* 6379 */
	char user[128];		/* "": none */
	char password[512];	/* "": none */
	unsigned int db;
};

/* redis://[user:password@]host[:port][/db]. 0; or -EINVAL with one line in @ret_error, without the password. */
int krl_redis_url_parse(const char *text, struct krl_redis_url *ret, char ret_error[KRL_REDIS_ERROR_BYTES]);

#endif
