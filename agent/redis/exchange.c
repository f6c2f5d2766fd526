// SPDX-License-Identifier: Apache-2.0
/* Exchanges: one EVALSHA each. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agent/base/index.h"
#include "agent/loop/handle.h"
#include "internal.h"

enum { KEY_BYTES = 1024, NUMBER_BYTES = 24, NS_PER_US = 1000, AGAIN_MS = 50, MOST_REDIRECTS = 5 };

/* What the answer to an exchange has, in its order. */
enum { GRANTED, TOKENS, OUT, NOW, EPOCH, SEQ, WAIT, SPENT, OTHERS, FIELDS };

static unsigned int shard_of(const struct krl_exchange *x)
{
	return krl_index_hash(x->bucket, strlen(x->bucket)) % KRL_REDIS_SHARDS;
}

static void finish(struct krl_redis *r)
{
	const struct krl_exchange_calls *calls = r->exchange_calls;

	r->busy = false;
	uv_timer_stop(r->patience);
	uv_timer_stop(r->again);
	calls->done(r->exchange_arg, r->err);
}

static void answer(struct krl_redis *r, size_t index, const struct krl_granted *granted, int err)
{
	if (err && !r->err)
		r->err = err;
	if (index < r->count) {
		r->sent[index].state = KRL_ANSWERED;
		r->exchange_calls->answer(r->exchange_arg, index, granted);
	}
	r->answered++;
	if (r->answered >= r->expected)
		finish(r);
}

void krl_redis_exchange_lose(struct krl_redis *r, int err)
{
	size_t i;

	if (!r->busy)
		return;
	/* Those of a question that was not sent to all nodes yet have nobody who waits. */
	r->expected = r->count ? r->count : 1;
	if (!r->count) {
		r->answered = 0;
		answer(r, 0, NULL, err);
	}
	for (i = 0; r->busy && i < r->count; i++)
		if (r->sent[i].state != KRL_ANSWERED)
			answer(r, i, NULL, err);
}

static void remember(struct krl_redis *r, unsigned int shard, const redisReply *reply)
{
	struct krl_redis_shard *s = &r->memory->shards[shard];
	__u64 seq = reply->element[SEQ]->integer;

	/* Where slots move, an answer may come before one that is older. */
	if (!strcmp(s->epoch, reply->element[EPOCH]->str) && seq < s->seq)
		return;
	snprintf(s->epoch, sizeof(s->epoch), "%s", reply->element[EPOCH]->str);
	s->seq = seq;
}

static void on_reply(redisAsyncContext *connection, void *data, void *arg);

static void on_ignored(redisAsyncContext *connection, void *data, void *arg)
{
}

/* Ask for exchange number @index where it is to be. */
static void send_one(struct krl_redis *r, size_t index)
{
	const struct krl_exchange *x = &r->exchanges[index];
	struct krl_redis_sent *sent = &r->sent[index];
	redisAsyncContext *c = krl_redis_link_connection(sent->node->link);
	char bucket[KEY_BYTES], shard[32], spent[KEY_BYTES], numbers[9][NUMBER_BYTES];
	int rule_len = strrchr(x->bucket, '/') - x->bucket;
	unsigned int at = shard_of(x);
	const char *argv[] = { "EVALSHA", r->sha, "3", bucket, shard, spent, x->holder, numbers[0], numbers[1], numbers[2], numbers[3],
			       numbers[4], numbers[5], numbers[6], numbers[7], r->memory->shards[at].epoch, numbers[8], r->fresh };

	sent->state = sent->node->ready ? KRL_SENT : KRL_WAITS_FOR_NODE;
	if (!sent->node->ready)
		return;
	snprintf(bucket, sizeof(bucket), "krl:{krl%02x}:b:%s", at, x->bucket);
	snprintf(shard, sizeof(shard), "krl:{krl%02x}:s", at);
	snprintf(spent, sizeof(spent), "krl:{krl%02x}:u:%.*s", at, rule_len, x->bucket);
	snprintf(numbers[0], NUMBER_BYTES, "%llu", x->used);
	snprintf(numbers[1], NUMBER_BYTES, "%lld", x->debt);
	snprintf(numbers[2], NUMBER_BYTES, "%llu", x->back);
	snprintf(numbers[3], NUMBER_BYTES, "%llu", x->want);
	snprintf(numbers[4], NUMBER_BYTES, "%llu", x->least);
	snprintf(numbers[5], NUMBER_BYTES, "%llu", x->settings.max_tokens);
	snprintf(numbers[6], NUMBER_BYTES, "%llu", x->settings.tokens_per_fill);
	snprintf(numbers[7], NUMBER_BYTES, "%llu", x->settings.fill_interval_ns / NS_PER_US);
	snprintf(numbers[8], NUMBER_BYTES, "%llu", r->memory->shards[at].seq);
	if (sent->asking)
		redisAsyncCommand(c, on_ignored, NULL, "ASKING");
	redisAsyncCommandArgv(c, on_reply, (void *)index, sizeof(argv) / sizeof(*argv), argv, NULL);
}

void krl_redis_exchange_resume(struct krl_redis_node *node)
{
	struct krl_redis *r = node->redis;
	size_t i;

	for (i = 0; r->busy && i < r->count; i++)
		if (r->sent[i].state == KRL_WAITS_FOR_NODE && r->sent[i].node == node)
			send_one(r, i);
}

bool krl_redis_exchange_needs(const struct krl_redis_node *node)
{
	const struct krl_redis *r = node->redis;
	size_t i;

	for (i = 0; r->busy && i < r->count; i++)
		if (r->sent[i].state != KRL_ANSWERED && r->sent[i].node == node)
			return true;
	return false;
}

static void on_again(uv_timer_t *timer)
{
	struct krl_redis *r = timer->data;
	size_t i;

	for (i = 0; r->busy && i < r->count; i++)
		if (r->sent[i].state == KRL_WAITS_FOR_SLOT)
			send_one(r, i);
}

/* Without a host it is that of @node. */
struct krl_redis_node *krl_redis_named(struct krl_redis_node *node, const char *error)
{
	const char *host = strchr(error, ' '), *colon = strrchr(error, ':');
	struct krl_redis_node *found;
	unsigned int port;
	size_t len;

	host = host ? strchr(host + 1, ' ') : NULL;
	if (!host || !colon || sscanf(colon + 1, "%u", &port) != 1) {
		krl_redis_refused(node->redis, &node->at, error);
		return NULL;
	}
	host++;
	len = colon - host;
	if (!len) {
		host = node->at.host;
		len = strlen(host);
	}
	found = krl_redis_node_find(node->redis, host, len, port);
	return found ? found : krl_redis_node_add(node->redis, host, len, port);
}

static void on_script(redisAsyncContext *connection, void *data, void *arg)
{
	struct krl_redis_node *node = krl_redis_link_owner(connection);
	const redisReply *reply = data;

	if (!node || !reply)
		return;
	node->loading = false;
	if (reply->type == REDIS_REPLY_ERROR)
		krl_redis_refused(node->redis, &node->at, reply->str);
}

static bool begins(const char *error, const char *word)
{
	size_t len = strlen(word);

	return !strncmp(error, word, len) && (!error[len] || error[len] == ' ');
}

/* What was asked was not done, and is asked again: elsewhere, with the script, or later. */
static void on_error(struct krl_redis_node *node, redisAsyncContext *connection, size_t index, const char *error)
{
	struct krl_redis *r = node->redis;
	struct krl_redis_sent *sent = &r->sent[index];
	bool moved = begins(error, "MOVED"), asked = begins(error, "ASK");
	struct krl_redis_node *next;

	if (begins(error, "TRYAGAIN")) {
		/* While a slot moves, one of its keys may be here, and the other there. */
		sent->state = KRL_WAITS_FOR_SLOT;
		sent->asking = false;
		sent->node = r->places[shard_of(&r->exchanges[index])];
		if (!uv_is_active((uv_handle_t *)r->again))
			uv_timer_start(r->again, on_again, AGAIN_MS, 0);
		return;
	}
	if (++sent->redirects > MOST_REDIRECTS || (!moved && !asked && !begins(error, "NOSCRIPT"))) {
		krl_redis_refused(r, &node->at, error);
		return;
	}
	if (moved || asked) {
		next = krl_redis_named(node, error);
		if (!next)
			return;
		sent->node = next;
		sent->asking = asked;
		if (moved)
			r->places[shard_of(&r->exchanges[index])] = next;
	} else if (!node->loading) {
		node->loading = true;
		redisAsyncCommand(connection, on_script, NULL, "SCRIPT LOAD %s", krl_lease_lua);
	}
	send_one(r, index);
}

static void on_reply(redisAsyncContext *connection, void *data, void *arg)
{
	struct krl_redis_node *node = krl_redis_link_owner(connection);
	const redisReply *reply = data;
	struct krl_granted granted;
	size_t index = (size_t)arg;
	struct krl_redis *r;

	if (!node || !reply || !node->redis->busy)
		return;
	r = node->redis;
	if (reply->type == REDIS_REPLY_ERROR) {
		on_error(node, connection, index, reply->str);
		return;
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != FIELDS || reply->element[EPOCH]->type != REDIS_REPLY_STRING) {
		krl_redis_fail_at(r, &node->at, "the script was answered with something else than it returns");
		return;
	}
	granted = (struct krl_granted){ .granted = reply->element[GRANTED]->integer,
					.tokens = reply->element[TOKENS]->integer,
					.out = reply->element[OUT]->integer,
					.now_us = reply->element[NOW]->integer,
					.wait_us = reply->element[WAIT]->integer,
					.spent = reply->element[SPENT]->integer,
					.others = reply->element[OTHERS]->integer,
					.shard = shard_of(&r->exchanges[index]) };
	remember(r, shard_of(&r->exchanges[index]), reply);
	answer(r, index, &granted, 0);
}

static void on_pong(redisAsyncContext *connection, void *data, void *arg)
{
	struct krl_redis_node *node = krl_redis_link_owner(connection);
	const redisReply *reply = data;

	if (!node || !reply || !node->redis->busy)
		return;
	if (reply->type == REDIS_REPLY_ERROR)
		krl_redis_refused(node->redis, &node->at, reply->str);
	else
		answer(node->redis, 0, NULL, 0);
}

/* Whether all that are needed are there. */
static void ping(struct krl_redis *r)
{
	struct krl_redis_node *node;

	r->expected = 0;
	for (node = r->nodes; node; node = node->next)
		if (node->ready && krl_redis_node_needed(node) &&
		    !redisAsyncCommand(krl_redis_link_connection(node->link), on_pong, NULL, "PING"))
			r->expected++;
	if (!r->expected)
		krl_redis_fail(r, "the connection is gone");
}

static void on_patience(uv_timer_t *timer)
{
	struct krl_redis *r = timer->data;
	size_t i;

	for (i = 0; i < r->count; i++)
		if (r->sent[i].state != KRL_ANSWERED) {
			krl_redis_fail_at(r, &r->sent[i].node->at, "no answer in 3 s");
			return;
		}
	krl_redis_fail(r, "no answer in 3 s");
}

int krl_redis_exchange(struct krl_redis *r, const struct krl_exchange *exchanges, size_t count,
		       const struct krl_exchange_calls *calls, void *arg)
{
	struct krl_redis_sent *sent;
	__u64 drawn;
	size_t i;

	if (r->busy)
		return -EBUSY;
	if (!r->up)
		return -ENOTCONN;
	if (getrandom(&drawn, sizeof(drawn), 0) < 0)
		return -errno;
	sent = realloc(r->sent, (count ? count : 1) * sizeof(*sent));
	if (!sent)
		return -ENOMEM;
	snprintf(r->fresh, sizeof(r->fresh), "%016llx", (unsigned long long)drawn);
	r->busy = true;
	r->exchanges = exchanges;
	r->sent = sent;
	r->count = r->expected = count;
	r->answered = 0;
	r->err = 0;
	r->exchange_calls = calls;
	r->exchange_arg = arg;
	uv_timer_start(r->patience, on_patience, KRL_LEASE_TTL_MS, 0);
	for (i = 0; i < count; i++)
		sent[i] = (struct krl_redis_sent){ .node = r->places[shard_of(&exchanges[i])] };
	for (i = 0; i < count; i++)
		send_one(r, i);
	if (!count)
		ping(r);
	return 0;
}
