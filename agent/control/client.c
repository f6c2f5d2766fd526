// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "listen.h"

/* Above the statistics of a full node, a few MiB; something else is not an agent. */
#define ANSWER_BYTES_MAX (64u << 20)

struct answer {
	char *bytes;
	size_t length, room;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_for(int fd, short events, int64_t deadline_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };
	int64_t left;
	int ready;

	do {
		left = deadline_ms - now_ms();
		ready = left > 0 ? poll(&poll_fd, 1, (int)left) : 0;
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return -errno;
	return ready ? 0 : -ETIMEDOUT;
}

/* Returns the socket. A full backlog answers EAGAIN, and there is nothing to poll for: SO_SNDTIMEO
 * bounds the wait. */
static int connect_to(const char *path, int timeout_ms)
{
	struct timeval timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	struct sockaddr_un address;
	int fd, err;

	err = krl_control_address(path, &address);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		err = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int send_all(int fd, const char *bytes, size_t length, int64_t deadline_ms)
{
	ssize_t sent;
	int err;

	while (length) {
		err = wait_for(fd, POLLOUT, deadline_ms);
		if (err)
			return err;
		sent = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		/* Refused before it was read: the reason waits to be received. */
		if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (sent > 0) {
			bytes += sent;
			length -= (size_t)sent;
		}
	}
	return 0;
}

/* Receive up to the end of the line. */
static int receive_line(int fd, int64_t deadline_ms, struct answer *answer)
{
	ssize_t got = 0;
	char *grown;
	int err;

	while (!got || answer->bytes[answer->length - 1] != '\n') {
		if (answer->room - answer->length < 4096) {
			answer->room = answer->room ? answer->room * 2 : 65536;
			if (answer->room > ANSWER_BYTES_MAX)
				return -EPROTO;
			grown = realloc(answer->bytes, answer->room);
			if (!grown)
				return -ENOMEM;
			answer->bytes = grown;
		}
		err = wait_for(fd, POLLIN, deadline_ms);
		if (err)
			return err;
		got = recv(fd, answer->bytes + answer->length, answer->room - answer->length,
			   MSG_DONTWAIT);
		if (!got)
			return -ECONNRESET;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (got < 0)
			got = 0;
		answer->length += (size_t)got;
	}
	return 0;
}

static int exchange(int fd, const char *method, const json_t *params, int64_t deadline_ms, struct answer *answer)
{
	json_t *request = json_pack("{s:s, s:O*}", "method", method, "params", params);
	char *text = json_dumps(request, JSON_COMPACT);
	int err = text ? 0 : -ENOMEM;

	json_decref(request);
	if (!err)
		err = send_all(fd, text, strlen(text), deadline_ms);
	if (!err)
		err = send_all(fd, "\n", 1, deadline_ms);
	if (!err)
		err = receive_line(fd, deadline_ms, answer);
	free(text);
	return err;
}

int krl_control_call(const char *path, const char *method, const json_t *params, int timeout_ms,
		     json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	int64_t deadline_ms = now_ms() + timeout_ms;
	struct answer answer = {};
	json_t *reply, *result;
	const char *error;
	int fd, err;

	fd = connect_to(path, timeout_ms);
	if (fd < 0)
		return fd;
	err = exchange(fd, method, params, deadline_ms, &answer);
	close(fd);
	reply = err ? NULL : json_loadb(answer.bytes, answer.length, JSON_REJECT_DUPLICATES, NULL);
	free(answer.bytes);
	if (err)
		return err;
	result = json_object_get(reply, "result");
	error = json_string_value(json_object_get(reply, "error"));
	if (result) {
		*ret_result = json_incref(result);
	} else if (error) {
		snprintf(ret_error, KRL_CONTROL_ERROR_BYTES, "%s", error);
		err = -EREMOTEIO;
	} else {
		err = -EPROTO;
	}
	json_decref(reply);
	return err;
}
