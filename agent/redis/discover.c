// SPDX-License-Identifier: Apache-2.0
/* Which servers there are: the one of the URL, the master that a Sentinel names, the nodes of a Redis Cluster. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* --- Sentinel: https://redis.io/docs/latest/develop/reference/sentinel-clients/ ------------------------------------ */

static void on_master(redisAsyncContext *connection, void *data, void *arg);

static void ask_sentinel(struct krl_redis *r)
{
	redisAsyncCommand(krl_redis_link_connection(r->sentinel), on_master, NULL, "SENTINEL get-master-addr-by-name %s",
			  r->url.master);
}

static void on_master(redisAsyncContext *connection, void *data, void *arg)
{
	struct krl_redis *r = krl_redis_link_owner(connection);
	const redisReply *reply = data;
	const struct krl_redis_seed *at;
	char why[sizeof(r->url.master) + 32];
	unsigned int port;

	if (!r || !reply)
		return;
	at = &r->url.seeds[r->seed];
	if (reply->type == REDIS_REPLY_ERROR && !r->authenticated && !strncmp(reply->str, "NOAUTH", strlen("NOAUTH"))) {
		r->authenticated = true;
		if (!krl_redis_authenticate(r, NULL, krl_redis_link_connection(r->sentinel)))
			ask_sentinel(r);
		return;
	}
	if (reply->type == REDIS_REPLY_ERROR) {
		krl_redis_refused(r, at, reply->str);
		return;
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
	    reply->element[1]->type != REDIS_REPLY_STRING || sscanf(reply->element[1]->str, "%u", &port) != 1) {
		snprintf(why, sizeof(why), "there is no master \"%s\"", r->url.master);
		krl_redis_fail_at(r, at, why);
		return;
	}
	krl_redis_progress(r);
	r->first = krl_redis_node_add(r, reply->element[0]->str, reply->element[0]->len, port);
	if (!r->first)
		return;
	krl_redis_link_close(r->sentinel);
	r->sentinel = NULL;
}

static void on_sentinel_up(void *arg)
{
	struct krl_redis *r = arg;

	krl_redis_progress(r);
	ask_sentinel(r);
}

static void on_sentinel_down(void *arg, const char *why)
{
	krl_redis_fail(arg, why);
}

static const struct krl_redis_link_calls sentinel_calls = { .up = on_sentinel_up, .down = on_sentinel_down };

void krl_redis_discover(struct krl_redis *r)
{
	const struct krl_redis_seed *seed = r->seed < r->url.count ? &r->url.seeds[r->seed] : &r->learnt[r->seed - r->url.count];

	r->authenticated = false;
	if (!r->url.master[0]) {
		r->first = krl_redis_node_add(r, seed->host, strlen(seed->host), seed->port);
		return;
	}
	r->sentinel = krl_redis_link_open(r->loop, seed->host, seed->port, &sentinel_calls, r);
	if (!r->sentinel)
		krl_redis_fail(r, "out of memory");
}

/* --- the first node ------------------------------------------------------------------------------------------------ */

static void all_at(struct krl_redis_node *node)
{
	size_t i;

	for (i = 0; i < KRL_REDIS_PLACES; i++)
		node->redis->places[i] = node;
	node->redis->first = NULL;
}

static void on_role(redisAsyncContext *connection, void *data, void *arg)
{
	struct krl_redis_node *node = krl_redis_link_owner(connection);
	const redisReply *reply = data;

	if (!node || !reply)
		return;
	if (reply->type == REDIS_REPLY_ERROR)
		krl_redis_refused(node->redis, &node->at, reply->str);
	else if (reply->type != REDIS_REPLY_ARRAY || !reply->elements || reply->element[0]->type != REDIS_REPLY_STRING ||
		 strcmp(reply->element[0]->str, "master"))
		krl_redis_fail_at(node->redis, &node->at, "it is no master, as the Sentinel says");
	else
		all_at(node);
}

/* CRC-16/XMODEM of @tag, modulo the slots that there are. */
static unsigned int slot_of(const char *tag)
{
	unsigned int crc = 0, bit;

	for (; *tag; tag++) {
		crc ^= (unsigned int)(unsigned char)*tag << 8;
		for (bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
	}
	return crc % 16384;
}

static unsigned int slot_of_place(size_t place)
{
	char tag[16];

	if (place == KRL_REDIS_HASH_PLACE)
		return slot_of("krl:hash");
	snprintf(tag, sizeof(tag), "krl%02zx", place);
	return slot_of(tag);
}

/* Slots from one to another, and the master that has them. A host that it does not know is that of @node. */
static int read_range(struct krl_redis_node *node, const redisReply *range)
{
	struct krl_redis *r = node->redis;
	struct krl_redis_node *found = NULL;
	const redisReply *master;
	const char *host;
	long long slot;
	size_t i;

	if (range->type != REDIS_REPLY_ARRAY || range->elements < 3 || range->element[0]->type != REDIS_REPLY_INTEGER ||
	    range->element[1]->type != REDIS_REPLY_INTEGER || range->element[2]->type != REDIS_REPLY_ARRAY ||
	    range->element[2]->elements < 2 || range->element[2]->element[1]->type != REDIS_REPLY_INTEGER) {
		krl_redis_fail_at(r, &node->at, "CLUSTER SLOTS was answered with something else than slots");
		return -1;
	}
	master = range->element[2];
	host = master->element[0]->type == REDIS_REPLY_STRING && master->element[0]->len ? master->element[0]->str : node->at.host;
	for (i = 0; i < KRL_REDIS_PLACES; i++) {
		slot = slot_of_place(i);
		if (slot < range->element[0]->integer || slot > range->element[1]->integer)
			continue;
		if (!found)
			found = krl_redis_node_find(r, host, strlen(host), master->element[1]->integer);
		if (!found)
			found = krl_redis_node_add(r, host, strlen(host), master->element[1]->integer);
		if (!found)
			return -1;
		r->places[i] = found;
	}
	return 0;
}

static void on_slots(redisAsyncContext *connection, void *data, void *arg)
{
	struct krl_redis_node *node = krl_redis_link_owner(connection);
	const redisReply *reply = data;
	struct krl_redis *r;
	char why[64];
	size_t i;

	if (!node || !reply)
		return;
	r = node->redis;
	/* Not a Redis Cluster, or a user who may not ask. */
	if (reply->type != REDIS_REPLY_ARRAY) {
		all_at(node);
		return;
	}
	for (i = 0; i < reply->elements; i++)
		if (read_range(node, reply->element[i]))
			return;
	for (i = 0; i < KRL_REDIS_PLACES; i++)
		if (!r->places[i]) {
			snprintf(why, sizeof(why), "no node has slot %u", slot_of_place(i));
			krl_redis_fail_at(r, &node->at, why);
			return;
		}
	krl_redis_progress(r);
	r->first = NULL;
	if (!krl_redis_node_needed(node))
		krl_redis_node_close(node);
}

void krl_redis_ask_first(struct krl_redis_node *node)
{
	redisAsyncContext *c = krl_redis_link_connection(node->link);

	if (node->redis->url.master[0])
		redisAsyncCommand(c, on_role, NULL, "ROLE");
	else
		redisAsyncCommand(c, on_slots, NULL, "CLUSTER SLOTS");
}
