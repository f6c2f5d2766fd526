// SPDX-License-Identifier: Apache-2.0
#include "link.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/loop/handle.h"
#include "loop.h"

#define LOOKUP_MS 3000

/* For each address, and the last: a SYN that is lost is sent again after 1 s. */
#define CONNECT_MS 1500
#define CONNECT_LAST_MS 3000

struct krl_redis_link {
	uv_loop_t *loop;
	struct krl_redis_link_calls calls;
	void *arg;
	char host[KRL_REDIS_HOST_BYTES], port[8];
	uv_getaddrinfo_t *lookup;	/* under way; its data is NULL when nobody waits for it any more */
	struct addrinfo *addresses, *next;
	uv_timer_t *timer;
	redisAsyncContext *connection;
	bool up;
	char why[256], where[KRL_REDIS_WHERE_BYTES];
};

static void connect_next(struct krl_redis_link *l);

static void drop(struct krl_redis_link *l)
{
	redisAsyncContext *connection = l->connection;

	l->connection = NULL;
	l->up = false;
	l->where[0] = '\0';
	if (!connection)
		return;
	connection->data = NULL;
	redisAsyncFree(connection);
}

/* hiredis frees a connection that failed after it told. */
static void let_go(struct krl_redis_link *l, const redisAsyncContext *connection)
{
	((redisAsyncContext *)connection)->data = NULL;
	l->connection = NULL;
	l->up = false;
	l->where[0] = '\0';
}

static void down(struct krl_redis_link *l, const char *why)
{
	char text[sizeof(l->host) + sizeof(l->why) + 16];

	uv_timer_stop(l->timer);
	snprintf(text, sizeof(text), strchr(l->host, ':') ? "[%s]:%s: %s" : "%s:%s: %s", l->host, l->port, why);
	l->calls.down(l->arg, text);
}

static void on_connected(const redisAsyncContext *connection, int status)
{
	struct krl_redis_link *l = connection->data;

	if (!l)
		return;
	if (status != REDIS_OK) {
		snprintf(l->why, sizeof(l->why), "%s", connection->c.errstr);
		let_go(l, connection);
		connect_next(l);
		return;
	}
	uv_timer_stop(l->timer);
	l->up = true;
	l->calls.up(l->arg);
}

static void on_disconnected(const redisAsyncContext *connection, int status)
{
	struct krl_redis_link *l = connection->data;

	if (!l)
		return;
	let_go(l, connection);
	down(l, connection->err ? connection->c.errstr : "the connection was closed");
}

static void on_no_connection(uv_timer_t *timer)
{
	struct krl_redis_link *l = timer->data;

	drop(l);
	snprintf(l->why, sizeof(l->why), "no connection in time");
	connect_next(l);
}

/* Returns whether an attempt is under way. */
static bool connect_to(struct krl_redis_link *l, const struct addrinfo *address)
{
	char host[NI_MAXHOST];

	if (getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST))
		return false;
	l->connection = redisAsyncConnect(host, atoi(l->port));
	if (!l->connection || l->connection->err || krl_redis_attach(l->loop, l->connection)) {
		snprintf(l->why, sizeof(l->why), "%s",
			 l->connection && l->connection->err ? l->connection->c.errstr : "out of memory");
		drop(l);
		return false;
	}
	l->connection->data = l;
	redisAsyncSetConnectCallback(l->connection, on_connected);
	redisAsyncSetDisconnectCallback(l->connection, on_disconnected);
	snprintf(l->where, sizeof(l->where), strchr(host, ':') ? "[%.60s]:%s" : "%.60s:%s", host, l->port);
	uv_timer_start(l->timer, on_no_connection, l->next ? CONNECT_MS : CONNECT_LAST_MS, 0);
	return true;
}

static void connect_next(struct krl_redis_link *l)
{
	const struct addrinfo *address;

	while ((address = l->next)) {
		l->next = address->ai_next;
		if (connect_to(l, address))
			return;
	}
	down(l, l->why);
}

static void on_looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *addresses)
{
	struct krl_redis_link *l = lookup->data;

	free(lookup);
	if (!l) {
		uv_freeaddrinfo(addresses);
		return;
	}
	l->lookup = NULL;
	if (status) {
		down(l, uv_strerror(status));
		return;
	}
	l->addresses = l->next = addresses;
	connect_next(l);
}

static void forget_lookup(struct krl_redis_link *l)
{
	if (!l->lookup)
		return;
	/* One that a thread has begun with ends by itself, and its loop does not before it. */
	l->lookup->data = NULL;
	uv_cancel((uv_req_t *)l->lookup);
	l->lookup = NULL;
}

static void on_no_lookup(uv_timer_t *timer)
{
	struct krl_redis_link *l = timer->data;

	forget_lookup(l);
	down(l, "the name was not found in 3 s");
}

static void on_start(uv_timer_t *timer)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
	struct krl_redis_link *l = timer->data;

	if (!getaddrinfo(l->host, NULL, &hints, &l->addresses)) {
		l->next = l->addresses;
		connect_next(l);
		return;
	}
	l->addresses = NULL;
	hints.ai_flags = 0;
	l->lookup = calloc(1, sizeof(*l->lookup));
	if (!l->lookup) {
		down(l, "out of memory");
		return;
	}
	l->lookup->data = l;
	if (uv_getaddrinfo(l->loop, l->lookup, on_looked_up, l->host, NULL, &hints)) {
		free(l->lookup);
		l->lookup = NULL;
		down(l, "the host is no name");
		return;
	}
	uv_timer_start(l->timer, on_no_lookup, LOOKUP_MS, 0);
}

struct krl_redis_link *krl_redis_link_open(uv_loop_t *loop, const char *host, unsigned int port,
					   const struct krl_redis_link_calls *calls, void *arg)
{
	struct krl_redis_link *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->timer = krl_timer_new(loop, l, on_start, 0);
	if (!l->timer) {
		free(l);
		return NULL;
	}
	l->loop = loop;
	l->calls = *calls;
	l->arg = arg;
	snprintf(l->host, sizeof(l->host), "%s", host);
	snprintf(l->port, sizeof(l->port), "%u", port);
	return l;
}

void krl_redis_link_close(struct krl_redis_link *l)
{
	if (!l)
		return;
	forget_lookup(l);
	drop(l);
	krl_handle_close(l->timer);
	if (l->addresses)
		freeaddrinfo(l->addresses);
	free(l);
}

redisAsyncContext *krl_redis_link_connection(const struct krl_redis_link *l)
{
	return l && l->up ? l->connection : NULL;
}

void *krl_redis_link_owner(const redisAsyncContext *connection)
{
	const struct krl_redis_link *l = connection->data;

	return l ? l->arg : NULL;
}

const char *krl_redis_link_where(const struct krl_redis_link *l)
{
	return l ? l->where : "";
}
