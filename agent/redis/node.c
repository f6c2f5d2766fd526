// SPDX-License-Identifier: Apache-2.0
/* Servers: connected, authenticated, given the script. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* An answer to what a connection begins with: NULL for one that is an error, which ends it. */
static const redisReply *answer_of(redisAsyncContext *connection, const void *data, struct krl_redis_node **ret)
{
	const redisReply *reply = data;

	*ret = krl_redis_link_owner(connection);
	if (!*ret || !reply)
		return NULL;
	if (reply->type != REDIS_REPLY_ERROR)
		return reply;
	krl_redis_refused((*ret)->redis, &(*ret)->at, reply->str);
	return NULL;
}

static void on_selected(redisAsyncContext *connection, void *data, void *arg)
{
	struct krl_redis_node *node;

	answer_of(connection, data, &node);
}

static void on_script(redisAsyncContext *connection, void *data, void *arg)
{
	struct krl_redis_node *node;
	const redisReply *reply = answer_of(connection, data, &node);
	struct krl_redis *r;

	if (!reply)
		return;
	r = node->redis;
	if (reply->type != REDIS_REPLY_STRING || reply->len != sizeof(r->sha) - 1) {
		krl_redis_fail_at(r, &node->at, "SCRIPT LOAD was answered with something else than a digest");
		return;
	}
	memcpy(r->sha, reply->str, sizeof(r->sha));
	node->ready = true;
	krl_redis_node_ready(node);
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

/* Some servers answer with the command that they refuse. Its owner is a node, or the client, where the link is one to a
 * Sentinel: which of them says @arg. */
static void on_authenticated(redisAsyncContext *connection, void *data, void *arg)
{
	const struct krl_redis_seed *at = arg;
	const redisReply *reply = data;
	void *owner = krl_redis_link_owner(connection);
	struct krl_redis *r;
	char why[64];
	int code;

	if (!owner || !reply || reply->type != REDIS_REPLY_ERROR)
		return;
	r = at ? ((struct krl_redis_node *)owner)->redis : owner;
	code = strcspn(reply->str, " ");
	if (!strncmp(reply->str, "WRONGPASS", code))
		snprintf(why, sizeof(why), "the user or the password is wrong");
	else
		snprintf(why, sizeof(why), "AUTH is refused: %.*s", code < 24 ? code : 24, reply->str);
	krl_redis_fail_at(r, at ? at : &r->url.seeds[r->seed], why);
}

int krl_redis_authenticate(struct krl_redis *r, const struct krl_redis_seed *at, redisAsyncContext *c)
{
	char password[sizeof(r->url.password)], why[KRL_REDIS_ERROR_BYTES];
	int err = read_password(r, password, sizeof(password));

	if (err) {
		snprintf(why, sizeof(why), "%s: %s", r->password_file, strerror(-err));
		krl_redis_fail(r, why);
		return err;
	}
	if (password[0] && r->url.user[0])
		redisAsyncCommand(c, on_authenticated, (void *)at, "AUTH %s %s", r->url.user, password);
	else if (password[0])
		redisAsyncCommand(c, on_authenticated, (void *)at, "AUTH %s", password);
	explicit_bzero(password, sizeof(password));
	return 0;
}

/* All at once: the answers come in this order. */
static void on_node_up(void *arg)
{
	struct krl_redis_node *node = arg;
	struct krl_redis *r = node->redis;
	redisAsyncContext *c = krl_redis_link_connection(node->link);

	if (!r->up)
		krl_redis_progress(r);
	if (krl_redis_authenticate(r, &node->at, c))
		return;
	if (node == r->first)
		krl_redis_ask_first(node);
	if (r->url.db)
		redisAsyncCommand(c, on_selected, NULL, "SELECT %u", r->url.db);
	redisAsyncCommand(c, on_script, NULL, "SCRIPT LOAD %s", krl_lease_lua);
}

static void on_node_down(void *arg, const char *why)
{
	struct krl_redis_node *node = arg;

	if (node->redis->up && !krl_redis_node_needed(node) && !krl_redis_exchange_needs(node))
		krl_redis_node_close(node);
	else
		krl_redis_fail(node->redis, why);
}

static const struct krl_redis_link_calls node_calls = { .up = on_node_up, .down = on_node_down };

struct krl_redis_node *krl_redis_node_add(struct krl_redis *r, const char *host, size_t host_len, unsigned int port)
{
	struct krl_redis_node *node = calloc(1, sizeof(*node));

	if (node) {
		node->redis = r;
		snprintf(node->at.host, sizeof(node->at.host), "%.*s", (int)host_len, host);
		node->at.port = port;
		node->link = krl_redis_link_open(r->loop, node->at.host, port, &node_calls, node);
	}
	if (!node || !node->link) {
		free(node);
		krl_redis_fail(r, "out of memory");
		return NULL;
	}
	node->next = r->nodes;
	r->nodes = node;
	return node;
}

struct krl_redis_node *krl_redis_node_find(const struct krl_redis *r, const char *host, size_t host_len, unsigned int port)
{
	char where[KRL_REDIS_WHERE_BYTES];
	struct krl_redis_node *node;

	snprintf(where, sizeof(where), memchr(host, ':', host_len) ? "[%.*s]:%u" : "%.*s:%u", (int)host_len, host, port);
	for (node = r->nodes; node; node = node->next)
		if (!strcmp(krl_redis_link_where(node->link), where) ||
		    (node->at.port == port && strlen(node->at.host) == host_len && !memcmp(node->at.host, host, host_len)))
			break;
	return node;
}

void krl_redis_node_close(struct krl_redis_node *node)
{
	struct krl_redis_node **at = &node->redis->nodes;

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	krl_redis_link_close(node->link);
	free(node);
}

bool krl_redis_node_needed(const struct krl_redis_node *node)
{
	size_t i;

	for (i = 0; i < KRL_REDIS_PLACES; i++)
		if (node->redis->places[i] == node)
			return true;
	return false;
}
