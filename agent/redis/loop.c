// SPDX-License-Identifier: Apache-2.0
#include "loop.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/loop/handle.h"

struct watch {
	uv_poll_t poll;		/* first: its data is the connection */
	int events;
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
	redisAsyncContext *connection = poll->data;

	/* Reading may free the connection, and with it this: then nothing is left to write. */
	if (events & UV_WRITABLE || status < 0)
		redisAsyncHandleWrite(connection);
	else if (events & UV_READABLE)
		redisAsyncHandleRead(connection);
}

static void want(void *data, int events)
{
	struct watch *w = data;

	w->events = events;
	if (events)
		uv_poll_start(&w->poll, events, on_poll);
	else
		uv_poll_stop(&w->poll);
}

static void add_read(void *data)
{
	want(data, ((struct watch *)data)->events | UV_READABLE);
}

static void del_read(void *data)
{
	want(data, ((struct watch *)data)->events & ~UV_READABLE);
}

static void add_write(void *data)
{
	want(data, ((struct watch *)data)->events | UV_WRITABLE);
}

static void del_write(void *data)
{
	want(data, ((struct watch *)data)->events & ~UV_WRITABLE);
}

static void cleanup(void *data)
{
	krl_handle_close(data);
}

int krl_redis_attach(uv_loop_t *loop, redisAsyncContext *connection)
{
	struct watch *w = krl_handle_new(sizeof(*w), connection);
	int err;

	if (!w)
		return -ENOMEM;
	err = uv_poll_init(loop, &w->poll, connection->c.fd);
	if (err) {
		free(w);
		return err;
	}
	connection->ev.data = w;
	connection->ev.addRead = add_read;
	connection->ev.delRead = del_read;
	connection->ev.addWrite = add_write;
	connection->ev.delWrite = del_write;
	connection->ev.cleanup = cleanup;
	return 0;
}
