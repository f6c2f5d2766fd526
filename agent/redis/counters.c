// SPDX-License-Identifier: Apache-2.0
/* What nodes tell each other: a key of each, which expires, and a set of those that may be there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* All in one slot, so that one command reads them. */
#define SHARD 0
#define NODES "krl:{krl00}:c"

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

static const char tell_lua[] =
	"redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) "
	"redis.call('SADD', KEYS[1], ARGV[1]) "
	"redis.call('PEXPIRE', KEYS[1], ARGV[3])";

static const char read_lua[] =
	"local found = {} "
	"for _, node in ipairs(redis.call('SMEMBERS', KEYS[1])) do "
	"local key = KEYS[1] .. ':' .. node "
	"local text = redis.call('GET', key) "
	"if text then found[#found + 1] = { node, text, redis.call('PTTL', key) } "
	"else redis.call('SREM', KEYS[1], node) end "
	"end "
	"return found";

/* How often it is asked elsewhere. */
#define MOST_MOVES 5

struct reading {
	struct krl_counters_calls calls;
	void *arg;
	struct krl_redis *redis;
	unsigned int moves;
};

/* The next command goes where the slot is now. Returns whether @reply said so. */
static bool learn(redisAsyncContext *connection, const redisReply *reply)
{
	struct krl_redis_node *node, *next;

	if (!reply || reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "MOVED ", 6))
		return false;
	node = krl_redis_link_owner(connection);
	next = node ? krl_redis_named(node, reply->str) : NULL;
	if (next)
		next->redis->places[SHARD] = next;
	return next;
}

static void on_told(redisAsyncContext *connection, void *data, void *arg)
{
	learn(connection, data);
}

int krl_redis_tell_counters(struct krl_redis *r, const char *node, const char *text)
{
	redisAsyncContext *c = krl_redis_shard_connection(r, SHARD);

	if (!c)
		return -ENOTCONN;
	return redisAsyncCommand(c, on_told, NULL, "EVAL %s 2 " NODES " " NODES ":%s %s %s " TEXT(KRL_COUNTERS_TTL_MS), tell_lua,
				 node, node, text) ? -ENOTCONN : 0;
}

static bool is_told(const redisReply *one)
{
	return one->type == REDIS_REPLY_ARRAY && one->elements == 3 && one->element[0]->type == REDIS_REPLY_STRING &&
	       one->element[1]->type == REDIS_REPLY_STRING && one->element[2]->type == REDIS_REPLY_INTEGER &&
	       one->element[2]->integer >= 0 && one->element[2]->integer <= KRL_COUNTERS_TTL_MS;
}

static int ask(struct reading *reading);

static void on_read(redisAsyncContext *connection, void *data, void *arg)
{
	const redisReply *reply = data;
	struct reading *reading = arg;
	const char *error = NULL;
	size_t i;

	if (learn(connection, reply) && reading->moves++ < MOST_MOVES && !ask(reading))
		return;
	if (!reply)
		error = "the connection to Redis is gone";
	else if (reply->type == REDIS_REPLY_ERROR)
		error = strncmp(reply->str, "MOVED ", 6) ? reply->str : "a slot of Redis has moved: ask again";
	for (i = 0; !error && i < reply->elements; i++)
		if (is_told(reply->element[i]))
			reading->calls.node(reading->arg, reply->element[i]->element[0]->str, reply->element[i]->element[1]->str,
					    KRL_COUNTERS_TTL_MS - reply->element[i]->element[2]->integer);
	reading->calls.done(reading->arg, error);
	free(reading);
}

static int ask(struct reading *reading)
{
	redisAsyncContext *c = krl_redis_shard_connection(reading->redis, SHARD);

	return c && !redisAsyncCommand(c, on_read, reading, "EVAL %s 1 " NODES, read_lua) ? 0 : -ENOTCONN;
}

int krl_redis_read_counters(struct krl_redis *r, const struct krl_counters_calls *calls, void *arg)
{
	struct reading *reading = malloc(sizeof(*reading));

	if (!reading)
		return -ENOTCONN;
	*reading = (struct reading){ *calls, arg, r, 0 };
	if (!ask(reading))
		return 0;
	free(reading);
	return -ENOTCONN;
}
