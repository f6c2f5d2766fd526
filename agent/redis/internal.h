/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of agent/redis alone. */
#ifndef KMESH_RL_REDIS_INTERNAL_H
#define KMESH_RL_REDIS_INTERNAL_H

#include <hiredis/async.h>

#include "link.h"
#include "redis.h"
#include "url.h"

/* Where each shard's keys are, and the one that is not of a shard. */
enum { KRL_REDIS_HASH_PLACE = KRL_REDIS_SHARDS, KRL_REDIS_PLACES };

#define KRL_REDIS_LEARNT 16

/* A server that commands go to. It is the owner of its link. */
struct krl_redis_node {
	struct krl_redis *redis;
	struct krl_redis_node *next;
	struct krl_redis_seed at;
	struct krl_redis_link *link;
	bool ready;		/* it has the script */
	bool loading;		/* it is sent the script once more */
};

/* What became of one exchange of the pipeline. */
struct krl_redis_sent {
	struct krl_redis_node *node;
	enum { KRL_SENT, KRL_WAITS_FOR_NODE, KRL_WAITS_FOR_SLOT, KRL_ANSWERED } state;
	bool asking;		/* the node imports the slot, and has to be told that this is known */
	unsigned char redirects;
};

struct krl_redis {
	uv_loop_t *loop;
	uv_timer_t *retry, *patience, *again;
	struct krl_redis_url url;
	const char *password_file;
	struct krl_redis_memory *memory;
	char key[2 * KRL_REDIS_KEY_BYTES + 1];	/* as text */
	struct krl_redis_calls calls;
	void *arg;
	bool up, closing;
	unsigned int wait_ms;		/* before the next attempt */
	char sha[41], why[KRL_REDIS_ERROR_BYTES], where[300];

	/* Who is asked: those of the URL, then nodes that were learnt. One round tries all. */
	struct krl_redis_seed learnt[KRL_REDIS_LEARNT];
	size_t learnt_count, seed, tried;
	struct krl_redis_link *sentinel;	/* that is asked; NULL: none */
	bool authenticated;			/* to it */

	struct krl_redis_node *nodes, *first;	/* first: by which the others are found; NULL: they are */
	struct krl_redis_node *places[KRL_REDIS_PLACES];

	/* The pipeline that is under way. */
	bool busy;
	const struct krl_exchange_calls *exchange_calls;
	void *exchange_arg;
	const struct krl_exchange *exchanges;
	struct krl_redis_sent *sent;
	size_t count, answered, expected;
	char fresh[17];			/* an epoch, for a shard that has none */
	int err;
};

/* The text of agent/redis/lease.lua. */
extern const char krl_lease_lua[];

/* All is away because of @why, and is tried again. Nodes and links are gone after it. */
void krl_redis_fail(struct krl_redis *redis, const char *why);

/* ... with the name of who is the cause. */
void krl_redis_fail_at(struct krl_redis *redis, const struct krl_redis_seed *at, const char *why);

/* ... by an error that @redis answered with: without the arguments of the command, which may be secrets. */
void krl_redis_refused(struct krl_redis *redis, const struct krl_redis_seed *at, const char *error);

/* What is awaited next has its whole time. */
void krl_redis_progress(struct krl_redis *redis);

/* Commands can be sent to all nodes: the key of all is asked for, and then it is up. */
void krl_redis_node_ready(struct krl_redis_node *node);

/* Authenticate, if there is a password. 0, or -errno: it failed. */
int krl_redis_authenticate(struct krl_redis *redis, const struct krl_redis_seed *at, redisAsyncContext *connection);

/* A server to connect to. NULL: krl_redis_fail() was called. */
struct krl_redis_node *krl_redis_node_add(struct krl_redis *redis, const char *host, size_t host_len, unsigned int port);
struct krl_redis_node *krl_redis_node_find(const struct krl_redis *redis, const char *host, size_t host_len, unsigned int port);
void krl_redis_node_close(struct krl_redis_node *node);
bool krl_redis_node_needed(const struct krl_redis_node *node);

/* Ask the next seed, from which nodes and places follow. */
void krl_redis_discover(struct krl_redis *redis);

/* What is asked of the first node beside the rest: is it a master, or who are the others? */
void krl_redis_ask_first(struct krl_redis_node *node);

/* Where keys with the hash tag {krlNN} of @shard are; NULL: it is not up. */
redisAsyncContext *krl_redis_shard_connection(const struct krl_redis *redis, unsigned int shard);

/* Whom "MOVED 3999 10.0.0.7:6379", or ASK, of @node names. NULL: all failed. */
struct krl_redis_node *krl_redis_named(struct krl_redis_node *node, const char *error);

/* Those that were not answered never will be. */
void krl_redis_exchange_lose(struct krl_redis *redis, int err);

/* Send what waited for @node. */
void krl_redis_exchange_resume(struct krl_redis_node *node);

/* Does @node owe answers? */
bool krl_redis_exchange_needs(const struct krl_redis_node *node);

#endif
