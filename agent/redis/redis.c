// SPDX-License-Identifier: Apache-2.0
/* All servers together: there, away, tried again. */
#include "redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/loop/handle.h"
#include "internal.h"

#define WAIT_LEAST_MS 100
#define WAIT_MOST_MS 5000

static void on_retry(uv_timer_t *timer)
{
	struct krl_redis *r = timer->data;

	krl_redis_progress(r);
	krl_redis_discover(r);
}

/* Let go of all connections; what they were asked for is not known. */
static void drop(struct krl_redis *r)
{
	struct krl_redis_link *sentinel = r->sentinel;

	r->up = false;
	r->where[0] = '\0';
	r->first = NULL;
	memset(r->places, 0, sizeof(r->places));
	r->sentinel = NULL;
	krl_redis_link_close(sentinel);
	while (r->nodes)
		krl_redis_node_close(r->nodes);
}

static size_t seeds_of(const struct krl_redis *r)
{
	return r->url.count + r->learnt_count;
}

void krl_redis_fail(struct krl_redis *r, const char *why)
{
	char text[sizeof(r->why)];
	unsigned int wait_ms = 0;
	bool was_up = r->up, another;

	if (r->closing)
		return;
	snprintf(text, sizeof(text), "%s", why);
	drop(r);
	uv_timer_stop(r->patience);
	uv_timer_stop(r->again);
	if (!was_up) {
		r->seed = (r->seed + 1) % seeds_of(r);
		r->tried++;
	}
	/* Redis may be back at once for all agents: they come one after the other. */
	if (was_up || r->tried >= seeds_of(r)) {
		r->tried = 0;
		wait_ms = r->wait_ms / 2 + uv_hrtime() % (r->wait_ms / 2 + 1);
		r->wait_ms = 2 * r->wait_ms < WAIT_MOST_MS ? 2 * r->wait_ms : WAIT_MOST_MS;
	}
	uv_timer_start(r->retry, on_retry, wait_ms, 0);
	another = strcmp(r->why, text) != 0;
	if (was_up || (another && !r->tried)) {
		memcpy(r->why, text, sizeof(r->why));
		r->calls.down(r->arg, r->why);
	}
	krl_redis_exchange_lose(r, -EIO);
}

void krl_redis_fail_at(struct krl_redis *r, const struct krl_redis_seed *at, const char *why)
{
	char text[sizeof(r->why)];

	snprintf(text, sizeof(text), strchr(at->host, ':') ? "[%.120s]:%u: %.120s" : "%.120s:%u: %.120s", at->host, at->port, why);
	krl_redis_fail(r, text);
}

void krl_redis_refused(struct krl_redis *r, const struct krl_redis_seed *at, const char *error)
{
	const char *arguments = strstr(error, ", with args beginning");
	char text[sizeof(r->why)];

	snprintf(text, sizeof(text), "%.*s", arguments ? (int)(arguments - error) : (int)strcspn(error, "\r\n"), error);
	krl_redis_fail_at(r, at, text);
}

static void on_no_progress(uv_timer_t *timer)
{
	struct krl_redis *r = timer->data;
	const struct krl_redis_node *node;

	for (node = r->nodes; node && node->ready; node = node->next)
		;
	if (node)
		krl_redis_fail_at(r, &node->at, "no answer in 3 s");
	else
		krl_redis_fail(r, "no answer in 3 s");
}

void krl_redis_progress(struct krl_redis *r)
{
	uv_timer_start(r->patience, on_no_progress, KRL_LEASE_TTL_MS, 0);
}

/* For a time when those of the URL are away. */
static void learn(struct krl_redis *r)
{
	const struct krl_redis_node *node;
	size_t i;

	if (r->seed >= r->url.count)
		r->seed = 0;
	r->learnt_count = 0;
	for (node = r->nodes; node && !r->url.master[0] && r->learnt_count < KRL_REDIS_LEARNT; node = node->next) {
		for (i = 0; i < r->url.count; i++)
			if (!strcmp(node->at.host, r->url.seeds[i].host) && node->at.port == r->url.seeds[i].port)
				break;
		if (i == r->url.count)
			r->learnt[r->learnt_count++] = node->at;
	}
}

static void tell_where(struct krl_redis *r)
{
	const struct krl_redis_node *node;
	size_t len = 0;

	for (node = r->nodes; node; node = node->next) {
		len += snprintf(r->where + len, sizeof(r->where) - len, "%s%s", len ? "," : "", krl_redis_link_where(node->link));
		if (len >= sizeof(r->where))
			break;
	}
}

static void on_key(redisAsyncContext *connection, void *data, void *arg)
{
	struct krl_redis_node *node = krl_redis_link_owner(connection);
	const redisReply *reply = data;
	__u8 key[KRL_REDIS_KEY_BYTES];
	struct krl_redis *r;
	size_t i;

	if (!node || !reply)
		return;
	r = node->redis;
	if (reply->type == REDIS_REPLY_ERROR) {
		krl_redis_refused(r, &node->at, reply->str);
		return;
	}
	for (i = 0; i < sizeof(key) && reply->type == REDIS_REPLY_STRING && reply->len == 2 * sizeof(key); i++)
		if (sscanf(reply->str + 2 * i, "%2hhx", &key[i]) != 1)
			break;
	if (i < sizeof(key)) {
		krl_redis_fail_at(r, &node->at, "krl:hash is not what an agent writes");
		return;
	}
	memcpy(r->key, reply->str, sizeof(r->key));
	r->up = true;
	r->why[0] = '\0';
	r->wait_ms = WAIT_LEAST_MS;
	r->tried = 0;
	uv_timer_stop(r->patience);
	learn(r);
	tell_where(r);
	r->calls.up(r->arg, key);
}

static void on_key_written(redisAsyncContext *connection, void *data, void *arg)
{
	struct krl_redis_node *node = krl_redis_link_owner(connection);
	const redisReply *reply = data;

	if (node && reply && reply->type == REDIS_REPLY_ERROR)
		krl_redis_refused(node->redis, &node->at, reply->str);
}

void krl_redis_node_ready(struct krl_redis_node *ready)
{
	struct krl_redis *r = ready->redis;
	const struct krl_redis_node *node;
	redisAsyncContext *c;

	if (r->up) {
		krl_redis_exchange_resume(ready);
		return;
	}
	for (node = r->nodes; node; node = node->next)
		if (!node->ready)
			return;
	if (r->first)
		return;
	krl_redis_progress(r);
	c = krl_redis_link_connection(r->places[KRL_REDIS_HASH_PLACE]->link);
	redisAsyncCommand(c, on_key_written, NULL, "SET krl:hash %s NX", r->key);
	redisAsyncCommand(c, on_key, NULL, "GET krl:hash");
}

static int read_urls(const struct krl_redis_options *options, struct krl_redis_url *ret, char ret_error[KRL_REDIS_ERROR_BYTES])
{
	int err = krl_redis_url_parse(options->url, ret, ret_error);
	size_t i;

	for (i = 0; !err && i < options->further_count; i++)
		err = krl_redis_url_add(options->further[i], ret, ret_error);
	return err;
}

int krl_redis_open(uv_loop_t *loop, const struct krl_redis_options *options, struct krl_redis_memory *memory,
		   const __u8 key[KRL_REDIS_KEY_BYTES], const struct krl_redis_calls *calls, void *arg,
		   struct krl_redis **ret, char ret_error[KRL_REDIS_ERROR_BYTES])
{
	struct krl_redis *r = calloc(1, sizeof(*r));
	size_t i;
	int err;

	snprintf(ret_error, KRL_REDIS_ERROR_BYTES, "out of memory");
	if (!r)
		return -ENOMEM;
	*r = (struct krl_redis){ .loop = loop, .password_file = options->password_file, .memory = memory, .calls = *calls,
				 .arg = arg, .wait_ms = WAIT_LEAST_MS };
	err = read_urls(options, &r->url, ret_error);
	for (i = 0; i < KRL_REDIS_KEY_BYTES; i++)
		snprintf(r->key + 2 * i, 3, "%02x", key[i]);
	if (!err) {
		r->retry = krl_timer_new(loop, r, on_retry, 0);
		r->patience = krl_timer_new(loop, r, on_no_progress, KRL_LEASE_TTL_MS);
		r->again = krl_timer_new(loop, r, on_no_progress, KRL_LEASE_TTL_MS);
		err = r->retry && r->patience && r->again ? 0 : -ENOMEM;
	}
	if (err) {
		krl_redis_close(r);
		return err;
	}
	uv_timer_stop(r->patience);
	uv_timer_stop(r->again);
	*ret = r;
	return 0;
}

void krl_redis_close(struct krl_redis *r)
{
	if (!r)
		return;
	r->closing = true;
	r->busy = false;
	drop(r);
	krl_handle_close(r->retry);
	krl_handle_close(r->patience);
	krl_handle_close(r->again);
	explicit_bzero(&r->url, sizeof(r->url));
	free(r->sent);
	free(r);
}

bool krl_redis_is_up(const struct krl_redis *r)
{
	return r->up;
}

const char *krl_redis_where(const struct krl_redis *r)
{
	return r->where;
}

redisAsyncContext *krl_redis_shard_connection(const struct krl_redis *r, unsigned int shard)
{
	return r->up ? krl_redis_link_connection(r->places[shard]->link) : NULL;
}
