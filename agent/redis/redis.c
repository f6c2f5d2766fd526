// SPDX-License-Identifier: Apache-2.0
/* The connection: made, prepared, made again. */
#include "redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/loop/handle.h"
#include "internal.h"

#define WAIT_LEAST_MS 100
#define WAIT_MOST_MS 5000

static void connect_now(struct krl_redis *r);

static void on_retry(uv_timer_t *timer)
{
	connect_now(timer->data);
}

/* Let go of the connection; what it was asked for is not known. */
static void drop(struct krl_redis *r)
{
	struct krl_redis_link *link = r->link;

	r->link = NULL;
	r->up = false;
	krl_redis_link_close(link);
}

void krl_redis_fail(struct krl_redis *r, const char *why)
{
	bool was_up = r->up, another = strcmp(r->why, why) != 0;

	if (r->closing)
		return;
	snprintf(r->why, sizeof(r->why), "%s", why);
	drop(r);
	uv_timer_stop(r->patience);
	/* Redis may be back at once for all agents: they come one after the other. */
	uv_timer_start(r->retry, on_retry, r->wait_ms / 2 + uv_hrtime() % (r->wait_ms / 2 + 1), 0);
	r->wait_ms = 2 * r->wait_ms < WAIT_MOST_MS ? 2 * r->wait_ms : WAIT_MOST_MS;
	if (was_up || another)
		r->calls.down(r->arg, r->why);
	krl_redis_exchange_lose(r, -EIO);
}

/* An answer to what a connection begins with: NULL for one that is an error, which ends it. */
static const redisReply *answer_of(redisAsyncContext *connection, const void *data, struct krl_redis **ret)
{
	const redisReply *reply = data;

	*ret = krl_redis_link_owner(connection);
	if (!*ret || !reply)
		return NULL;
	if (reply->type != REDIS_REPLY_ERROR)
		return reply;
	krl_redis_fail(*ret, reply->str);
	return NULL;
}

static void on_set_up(redisAsyncContext *connection, void *data, void *arg)
{
	struct krl_redis *r;

	answer_of(connection, data, &r);
}

static void on_key(redisAsyncContext *connection, void *data, void *arg)
{
	struct krl_redis *r;
	const redisReply *reply = answer_of(connection, data, &r);

	if (reply && reply->type == REDIS_REPLY_STRING && reply->len == 2 * KRL_REDIS_KEY_BYTES)
		memcpy(r->key, reply->str, sizeof(r->key));
	else if (reply)
		krl_redis_fail(r, "krl:hash is not what an agent writes");
}

static void on_script(redisAsyncContext *connection, void *data, void *arg)
{
	__u8 key[KRL_REDIS_KEY_BYTES];
	struct krl_redis *r;
	const redisReply *reply = answer_of(connection, data, &r);
	size_t i;

	if (!reply)
		return;
	if (reply->type != REDIS_REPLY_STRING || reply->len != sizeof(r->sha) - 1) {
		krl_redis_fail(r, "SCRIPT LOAD was answered with something else than a digest");
		return;
	}
	memcpy(r->sha, reply->str, sizeof(r->sha));
	for (i = 0; i < sizeof(key); i++)
		if (sscanf(r->key + 2 * i, "%2hhx", &key[i]) != 1) {
			krl_redis_fail(r, "krl:hash is not hexadecimal");
			return;
		}
	r->up = true;
	r->why[0] = '\0';
	r->wait_ms = WAIT_LEAST_MS;
	uv_timer_stop(r->patience);
	r->calls.up(r->arg, key);
}

static int read_password(const struct krl_redis *r, char *ret, size_t room)
{
	const char *text = r->url.password[0] ? r->url.password : getenv("REDIS_PASSWORD");
	FILE *file;

	snprintf(ret, room, "%s", text ? text : "");
	if (!r->password_file)
		return 0;
	file = fopen(r->password_file, "re");
	if (!file)
		return -errno;
	if (!fgets(ret, room, file))
		ret[0] = '\0';
	ret[strcspn(ret, "\r\n")] = '\0';
	fclose(file);
	return 0;
}

/* All at once: the answers come in this order. */
static void set_up(struct krl_redis *r, const char *password)
{
	redisAsyncContext *c = krl_redis_link_connection(r->link);

	if (password[0] && r->url.user[0])
		redisAsyncCommand(c, on_set_up, NULL, "AUTH %s %s", r->url.user, password);
	else if (password[0])
		redisAsyncCommand(c, on_set_up, NULL, "AUTH %s", password);
	if (r->url.db)
		redisAsyncCommand(c, on_set_up, NULL, "SELECT %u", r->url.db);
	redisAsyncCommand(c, on_set_up, NULL, "SET krl:hash %s NX", r->key);
	redisAsyncCommand(c, on_key, NULL, "GET krl:hash");
	redisAsyncCommand(c, on_script, NULL, "SCRIPT LOAD %s", krl_lease_lua);
}

static void on_no_start(uv_timer_t *timer)
{
	krl_redis_fail(timer->data, "no answer in 3 s");
}

static void on_link_up(void *arg)
{
	struct krl_redis *r = arg;
	char password[sizeof(r->url.password)], why[KRL_REDIS_ERROR_BYTES];
	int err = read_password(r, password, sizeof(password));

	if (err) {
		snprintf(why, sizeof(why), "%s: %s", r->password_file, strerror(-err));
		krl_redis_fail(r, why);
		return;
	}
	uv_timer_start(r->patience, on_no_start, KRL_LEASE_TTL_MS, 0);
	set_up(r, password);
	explicit_bzero(password, sizeof(password));
}

static void on_link_down(void *arg, const char *why)
{
	krl_redis_fail(arg, why);
}

static const struct krl_redis_link_calls link_calls = { .up = on_link_up, .down = on_link_down };

static void connect_now(struct krl_redis *r)
{
	r->link = krl_redis_link_open(r->loop, r->url.seeds[0].host, r->url.seeds[0].port, &link_calls, r);
	if (!r->link)
		krl_redis_fail(r, "out of memory");
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
	err = krl_redis_url_parse(options->url, &r->url, ret_error);
	for (i = 0; i < KRL_REDIS_KEY_BYTES; i++)
		snprintf(r->key + 2 * i, 3, "%02x", key[i]);
	if (!err) {
		r->retry = krl_timer_new(loop, r, on_retry, 1);
		r->patience = krl_timer_new(loop, r, on_no_start, KRL_LEASE_TTL_MS);
		err = r->retry && r->patience ? 0 : -ENOMEM;
	}
	if (err) {
		krl_redis_close(r);
		return err;
	}
	uv_timer_stop(r->patience);
	uv_timer_start(r->retry, on_retry, 0, 0);
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
	explicit_bzero(&r->url, sizeof(r->url));
	free(r);
}

bool krl_redis_is_up(const struct krl_redis *r)
{
	return r->up;
}

const char *krl_redis_where(const struct krl_redis *r)
{
	return r->up ? krl_redis_link_where(r->link) : "";
}
