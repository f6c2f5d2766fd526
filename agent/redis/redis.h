/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis that all nodes share: leases of tokens by exchanges, and a key that all have. Nothing here
 * waits: answers come as calls from the loop. No other folder knows of Redis' protocol. */
#ifndef KMESH_RL_REDIS_H
#define KMESH_RL_REDIS_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include <kmesh_rl/abi.h>
#include <kmesh_rl/cluster.h>

#define KRL_REDIS_ERROR_BYTES 256
#define KRL_REDIS_KEY_BYTES 16
#define KRL_REDIS_SEEDS 16

struct krl_redis;

struct krl_redis_options {
	const char *url;		/* see url.h; NULL: none */
	const char *further[KRL_REDIS_SEEDS];	/* of more Sentinels, or more nodes of a Redis Cluster */
	size_t further_count;
	const char *password_file;	/* NULL: that of the URL, else $REDIS_PASSWORD; read at each connect */
};

/* Each is called from the loop; down within krl_redis_exchange() too. */
struct krl_redis_calls {
	/* Redis is there, and @key is the one of the whole cluster, see krl_redis_open(). */
	void (*up)(void *arg, const __u8 key[KRL_REDIS_KEY_BYTES]);
	/* It is not, because of @why, one line: after up once, and then whenever @why changes. It is tried again. */
	void (*down)(void *arg, const char *why);
};

/* Connect to Redis on @loop, again whenever that fails or ends, after 100 ms to 5 s. What @options points to stays. @memory is
 * read and written here until krl_redis_close(). @key is what the cluster shares from now on if it has none yet. 0, or
 * -errno with one line in @ret_error, which has no password in it: -EINVAL. */
int krl_redis_open(uv_loop_t *loop, const struct krl_redis_options *options, struct krl_redis_memory *memory,
		   const __u8 key[KRL_REDIS_KEY_BYTES], const struct krl_redis_calls *calls, void *arg,
		   struct krl_redis **ret, char ret_error[KRL_REDIS_ERROR_BYTES]);

/* Accepts NULL. Nothing is called any more, not even what an exchange under way would call. Not from within a call. */
void krl_redis_close(struct krl_redis *redis);

bool krl_redis_is_up(const struct krl_redis *redis);

/* Where it is connected to, "10.0.0.7:6379", of a Redis Cluster all nodes, separated by commas; "" while it is not. */
const char *krl_redis_where(const struct krl_redis *redis);

/* What one holder tells of a bucket, and wants of it. Numbers are up to KRL_CLUSTER_MAX_TOKENS. */
struct krl_exchange {
	const char *bucket;	/* NAMESPACE/NAME/SERVICE/RULE/DESCRIPTOR; the last has no '/' */
	const char *holder;	/* who; another after an exchange whose outcome is not known */
	__u64 used;		/* leased tokens that were spent since the last exchange */
	__s64 debt;		/* tokens that were spent and were not leased; below 0: what a reservation gave back */
	__u64 back;		/* leased tokens that nobody can spend any more */
	__u64 want;
	__u64 least;		/* of that, what is of use: a smaller part is not made for others; 1 or more */
	struct krl_settings settings;	/* fill_interval_ns a multiple of 1000 */
};

struct krl_granted {
	__u64 granted;		/* leased from now on, until KRL_LEASE_TTL_MS after the exchange was asked for */
	__s64 tokens;		/* that are left to all */
	__u64 out;		/* that are leased to all */
	__u64 now_us;		/* of Redis' clock */
	__u64 wait_us;		/* nothing is granted for so long, because Redis lost data; 0: not so */
	__u64 spent;		/* by all, of the rule's buckets in this shard, since some time; less than before: it began anew */
	__u64 others;		/* tokens that other holders wanted, and did not get */
	unsigned int shard;	/* below KRL_REDIS_SHARDS */
};

struct krl_exchange_calls {
	/* @granted is NULL when the outcome is not known, or Redis refused. */
	void (*answer)(void *arg, size_t index, const struct krl_granted *granted);
	/* All were answered; the next krl_redis_exchange() may come from within. 0, or -errno of the first without. */
	void (*done)(void *arg, int err);
};

/* Have @count exchanges made, as one pipeline to each server, answered in any order. @exchanges and what it points to stay
 * until done is called, which is once, KRL_LEASE_TTL_MS from now at the latest, and within this if the connection is gone. With none it is only asked whether Redis answers. 0; -EBUSY, one is
 * under way; -ENOTCONN, it is not up; -ENOMEM. */
int krl_redis_exchange(struct krl_redis *redis, const struct krl_exchange *exchanges, size_t count,
		       const struct krl_exchange_calls *calls, void *arg);

/* How long what a node told is there. */
#define KRL_COUNTERS_TTL_MS 180000

/* Have @text be what @node told last. Nobody is told what came of it. 0, or -ENOTCONN. */
int krl_redis_tell_counters(struct krl_redis *redis, const char *node, const char *text);

struct krl_counters_calls {
	/* What @node told @age_ms ago. */
	void (*node)(void *arg, const char *node, const char *text, __u64 age_ms);
	/* Those were all; or with @error, one line, nothing is known. */
	void (*done)(void *arg, const char *error);
};

/* Ask what all nodes told. done is called once, as an exchange that is asked for now would be done, and within krl_redis_close()
 * at the latest. 0, or -ENOTCONN. */
int krl_redis_read_counters(struct krl_redis *redis, const struct krl_counters_calls *calls, void *arg);

#endif
