// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listen.h"
#include "server.h"

/* Connections that wait to be accepted. */
#define BACKLOG 32

struct client {
	struct krl_control *control;	/* NULL for one too many, and while it is closed */
	uv_pipe_t pipe;
	uv_timer_t idle;
	uv_write_t write;
	int open_handles;
	char *answer;			/* on its way; NULL: none */
	struct krl_control_later *later;	/* is to come; NULL: none */
	bool last_answer;		/* close after it */
	size_t length;			/* of what is in line */
	char line[KRL_CONTROL_REQUEST_BYTES];
};

struct krl_control_later {
	struct client *client;		/* NULL: it is gone */
};

struct krl_control {
	uv_pipe_t listener;
	const struct krl_control_method *methods;
	void *ctx;
	unsigned int idle_ms;
	struct client *clients[KRL_CONTROL_CLIENTS];
	char *path;
	dev_t device;			/* of the socket's name, */
	ino_t inode;			/* so that nobody else's is removed */
};

static void on_client_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;

	if (--client->open_handles)
		return;
	free(client->answer);
	free(client);
}

static void close_client(struct client *client)
{
	int i;

	for (i = 0; client->control && i < KRL_CONTROL_CLIENTS; i++)
		if (client->control->clients[i] == client)
			client->control->clients[i] = NULL;
	client->control = NULL;
	if (client->later)
		client->later->client = NULL;
	client->later = NULL;
	if (!uv_is_closing((uv_handle_t *)&client->pipe))
		uv_close((uv_handle_t *)&client->pipe, on_client_closed);
	if (!uv_is_closing((uv_handle_t *)&client->idle))
		uv_close((uv_handle_t *)&client->idle, on_client_closed);
}

static void on_idle(uv_timer_t *timer)
{
	close_client(timer->data);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct client *client = handle->data;

	*ret = uv_buf_init(client->line + client->length, sizeof(client->line) - client->length);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf);
static void answer_next(struct client *client);

static void on_written(uv_write_t *write, int status)
{
	struct client *client = write->handle->data;

	free(client->answer);
	client->answer = NULL;
	if (uv_is_closing((uv_handle_t *)&client->pipe))
		return;
	if (status || client->last_answer) {
		close_client(client);
		return;
	}
	uv_timer_again(&client->idle);
	answer_next(client);
}

static char newline[] = "\n";

/* Send {@field: @value} and take the reference. */
static void send_answer(struct client *client, const char *field, json_t *value)
{
	json_t *answer = json_pack("{s:o}", field, value);
	uv_buf_t parts[2];

	client->answer = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	if (!client->answer) {
		close_client(client);
		return;
	}
	parts[0] = uv_buf_init(client->answer, strlen(client->answer));
	parts[1] = uv_buf_init(newline, 1);
	uv_read_stop((uv_stream_t *)&client->pipe);
	if (uv_write(&client->write, (uv_stream_t *)&client->pipe, parts, 2, on_written))
		close_client(client);
}

static void send_error(struct client *client, const char *text)
{
	char ascii[KRL_CONTROL_ERROR_BYTES];
	size_t i;

	/* What a client sent may be quoted, cut in the middle of a character. */
	for (i = 0; text[i] && i < sizeof(ascii) - 1; i++)
		ascii[i] = isascii((unsigned char)text[i]) ? text[i] : '?';
	ascii[i] = '\0';
	send_answer(client, "error", json_string(ascii));
}

void krl_control_answer(struct krl_control_later *later, json_t *result, const char *error)
{
	struct client *client = later->client;

	free(later);
	if (!client) {
		json_decref(result);
		return;
	}
	client->later = NULL;
	if (result)
		send_answer(client, "result", result);
	else
		send_error(client, error);
}

/* 0, or -errno: nothing will come. */
static int begin(struct client *client, const struct krl_control_method *method, const json_t *params, char *ret_error)
{
	struct krl_control_later *later = calloc(1, sizeof(*later));
	int err;

	snprintf(ret_error, KRL_CONTROL_ERROR_BYTES, "out of memory");
	if (!later)
		return -ENOMEM;
	later->client = client;
	client->later = later;
	err = method->begin(client->control->ctx, params, later, ret_error);
	if (!err)
		return 0;
	client->later = NULL;
	free(later);
	return err;
}

static void answer_line(struct client *client, const char *line, size_t length)
{
	const struct krl_control_method *method;
	char error[KRL_CONTROL_ERROR_BYTES] = "";
	const char *name;
	json_error_t why;
	json_t *request, *params, *result;

	request = json_loadb(line, length, JSON_REJECT_DUPLICATES, &why);
	name = json_string_value(json_object_get(request, "method"));
	params = json_object_get(request, "params");
	if (!request)
		snprintf(error, sizeof(error), "malformed request: %s", why.text);
	else if (!name)
		snprintf(error, sizeof(error), "malformed request: expected {\"method\": NAME}");
	else if (params && !json_is_object(params))
		snprintf(error, sizeof(error), "malformed request: expected an object as \"params\"");
	for (method = client->control->methods; name && method->name; method++)
		if (!strcmp(method->name, name))
			break;
	if (!*error && !method->name)
		snprintf(error, sizeof(error), "unknown method \"%.64s\"", name);
	if (!*error && method->begin) {
		if (begin(client, method, params, error))
			send_error(client, error);
	} else if (!*error && !method->answer(client->control->ctx, params, &result, error))
		send_answer(client, "result", result);
	else
		send_error(client, error);
	json_decref(request);
}

/* Answer the first whole line that has arrived, or go on reading. */
static void answer_next(struct client *client)
{
	char *end = memchr(client->line, '\n', client->length);
	size_t used;

	if (end) {
		used = (size_t)(end - client->line);
		answer_line(client, client->line, used);
		client->length -= used + 1;
		memmove(client->line, end + 1, client->length);
		return;
	}
	if (client->length == sizeof(client->line)) {
		client->last_answer = true;
		send_error(client, "request too long");
		return;
	}
	if (uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read))
		close_client(client);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
	struct client *client = stream->data;

	if (count < 0) {
		close_client(client);
		return;
	}
	client->length += (size_t)count;
	uv_read_stop(stream);
	answer_next(client);
}

static struct client *new_client(struct krl_control *control)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->control = control;
	uv_pipe_init(control->listener.loop, &client->pipe, 0);
	uv_timer_init(control->listener.loop, &client->idle);
	client->pipe.data = client->idle.data = client;
	client->open_handles = 2;
	return client;
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct krl_control *control = listener->data;
	struct client *client;
	int i = 0;

	if (status)
		return;
	client = new_client(control);
	if (!client)
		return;
	if (uv_accept(listener, (uv_stream_t *)&client->pipe)) {
		close_client(client);
		return;
	}
	while (i < KRL_CONTROL_CLIENTS && control->clients[i])
		i++;
	uv_timer_start(&client->idle, on_idle, control->idle_ms, control->idle_ms);
	if (i == KRL_CONTROL_CLIENTS) {
		client->control = NULL;
		client->last_answer = true;
		send_error(client, "too many clients");
		return;
	}
	control->clients[i] = client;
	answer_next(client);
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct krl_control *control = handle->data;

	free(control->path);
	free(control);
}

int krl_control_start(uv_loop_t *loop, const struct krl_control_options *options,
		      struct krl_control **ret)
{
	struct krl_control *control;
	struct stat st;
	int fd, err;

	control = calloc(1, sizeof(*control));
	if (!control)
		return -ENOMEM;
	control->path = strdup(options->path);
	err = control->path ? krl_control_bind(options->path, &fd) : -ENOMEM;
	if (err) {
		free(control->path);
		free(control);
		return err;
	}
	control->methods = options->methods;
	control->ctx = options->ctx;
	control->idle_ms = options->idle_ms ? options->idle_ms : KRL_CONTROL_IDLE_MS;
	if (!lstat(control->path, &st)) {
		control->device = st.st_dev;
		control->inode = st.st_ino;
	}
	/* libuv writes without MSG_NOSIGNAL; a client that goes away must not end the agent. */
	signal(SIGPIPE, SIG_IGN);
	uv_pipe_init(loop, &control->listener, 0);
	control->listener.data = control;
	err = uv_pipe_open(&control->listener, fd);
	if (err)
		close(fd);
	else
		err = uv_listen((uv_stream_t *)&control->listener, BACKLOG, on_connection);
	if (err) {
		krl_control_stop(control);
		return err;
	}
	*ret = control;
	return 0;
}

void krl_control_stop(struct krl_control *control)
{
	struct stat st;
	int i;

	if (!control)
		return;
	for (i = 0; i < KRL_CONTROL_CLIENTS; i++)
		if (control->clients[i])
			close_client(control->clients[i]);
	if (!lstat(control->path, &st) && st.st_dev == control->device && st.st_ino == control->inode)
		unlink(control->path);
	uv_close((uv_handle_t *)&control->listener, on_listener_closed);
}
