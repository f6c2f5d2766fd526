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

enum { KEY_BYTES = 1024, NUMBER_BYTES = 24, NS_PER_US = 1000 };

/* What the answer to an exchange has, in its order. */
enum { GRANTED, TOKENS, OUT, NOW, EPOCH, SEQ, WAIT, SPENT, FIELDS };

static unsigned int shard_of(const struct krl_exchange *x)
{
	return krl_index_hash(x->bucket, strlen(x->bucket)) % KRL_REDIS_SHARDS;
}

static void finish(struct krl_redis *r)
{
	const struct krl_exchange_calls *calls = r->exchange_calls;

	r->busy = false;
	uv_timer_stop(r->patience);
	calls->done(r->exchange_arg, r->err);
}

static void answer(struct krl_redis *r, size_t index, const struct krl_granted *granted, int err)
{
	if (err && !r->err)
		r->err = err;
	if (index < r->count)
		r->exchange_calls->answer(r->exchange_arg, index, granted);
	r->answered++;
	if (r->answered >= (r->count ? r->count : 1))
		finish(r);
}

void krl_redis_exchange_lose(struct krl_redis *r, int err)
{
	size_t i;

	if (!r->busy)
		return;
	for (i = r->answered; r->busy && i < (r->count ? r->count : 1); i++)
		answer(r, i, NULL, err);
}

static void remember(struct krl_redis *r, unsigned int shard, const redisReply *reply)
{
	struct krl_redis_shard *s = &r->memory->shards[shard];

	snprintf(s->epoch, sizeof(s->epoch), "%s", reply->element[EPOCH]->str);
	s->seq = reply->element[SEQ]->integer;
}

/* Answers come in the order of the questions. */
static void on_reply(redisAsyncContext *connection, void *data, void *arg)
{
	struct krl_redis *r = krl_redis_link_owner(connection);
	const redisReply *reply = data;
	struct krl_granted granted;
	size_t index;

	if (!r || !r->busy)
		return;
	index = r->answered;
	if (!reply)
		return;
	if (reply->type == REDIS_REPLY_ERROR) {
		krl_redis_fail(r, reply->str);
		return;
	}
	if (!r->count) {
		answer(r, index, NULL, 0);
		return;
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != FIELDS || reply->element[EPOCH]->type != REDIS_REPLY_STRING) {
		krl_redis_fail(r, "the script was answered with something else than it returns");
		return;
	}
	granted = (struct krl_granted){ .granted = reply->element[GRANTED]->integer,
					.tokens = reply->element[TOKENS]->integer,
					.out = reply->element[OUT]->integer,
					.now_us = reply->element[NOW]->integer,
					.wait_us = reply->element[WAIT]->integer,
					.spent = reply->element[SPENT]->integer,
					.shard = shard_of(&r->exchanges[index]) };
	remember(r, shard_of(&r->exchanges[index]), reply);
	answer(r, index, &granted, 0);
}

/* Ask for exchange number @index. 0, or -ENOTCONN. */
static int send_one(struct krl_redis *r, size_t index)
{
	const struct krl_exchange *x = &r->exchanges[index];
	char bucket[KEY_BYTES], shard[32], spent[KEY_BYTES], numbers[8][NUMBER_BYTES];
	int rule_len = strrchr(x->bucket, '/') - x->bucket;
	unsigned int at = shard_of(x);
	const char *argv[] = { "EVALSHA", r->sha, "3", bucket, shard, spent, x->holder, numbers[0], numbers[1], numbers[2], numbers[3],
			       numbers[4], numbers[5], numbers[6], r->memory->shards[at].epoch, numbers[7], r->fresh };

	snprintf(bucket, sizeof(bucket), "krl:{krl%02x}:b:%s", at, x->bucket);
	snprintf(shard, sizeof(shard), "krl:{krl%02x}:s", at);
	snprintf(spent, sizeof(spent), "krl:{krl%02x}:u:%.*s", at, rule_len, x->bucket);
	snprintf(numbers[0], NUMBER_BYTES, "%llu", x->used);
	snprintf(numbers[1], NUMBER_BYTES, "%lld", x->debt);
	snprintf(numbers[2], NUMBER_BYTES, "%llu", x->back);
	snprintf(numbers[3], NUMBER_BYTES, "%llu", x->want);
	snprintf(numbers[4], NUMBER_BYTES, "%llu", x->settings.max_tokens);
	snprintf(numbers[5], NUMBER_BYTES, "%llu", x->settings.tokens_per_fill);
	snprintf(numbers[6], NUMBER_BYTES, "%llu", x->settings.fill_interval_ns / NS_PER_US);
	snprintf(numbers[7], NUMBER_BYTES, "%llu", r->memory->shards[at].seq);
	return redisAsyncCommandArgv(krl_redis_link_connection(r->link), on_reply, NULL, sizeof(argv) / sizeof(*argv), argv, NULL) ? -ENOTCONN : 0;
}

static void on_patience(uv_timer_t *timer)
{
	krl_redis_fail(timer->data, "no answer in 3 s");
}

int krl_redis_exchange(struct krl_redis *r, const struct krl_exchange *exchanges, size_t count,
		       const struct krl_exchange_calls *calls, void *arg)
{
	__u64 drawn;
	size_t i;
	int err = 0;

	if (r->busy)
		return -EBUSY;
	if (!r->up)
		return -ENOTCONN;
	if (getrandom(&drawn, sizeof(drawn), 0) < 0)
		return -errno;
	snprintf(r->fresh, sizeof(r->fresh), "%016llx", (unsigned long long)drawn);
	r->busy = true;
	r->exchanges = exchanges;
	r->count = count;
	r->answered = 0;
	r->err = 0;
	r->exchange_calls = calls;
	r->exchange_arg = arg;
	for (i = 0; !err && i < count; i++)
		err = send_one(r, i);
	if (!count && redisAsyncCommand(krl_redis_link_connection(r->link), on_reply, NULL, "PING"))
		err = -ENOTCONN;
	uv_timer_start(r->patience, on_patience, KRL_LEASE_TTL_MS, 0);
	if (err)
		krl_redis_fail(r, "the connection is gone");
	return 0;
}
