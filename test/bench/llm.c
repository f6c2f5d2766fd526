// SPDX-License-Identifier: Apache-2.0
/* A model server that has its answers ready, and a client that asks it, or model_app.py.
 *
 *     llm serve PORT...
 *     llm ask PORT stream|json|app SECONDS CONNECTIONS
 *
 * A stream is written event by event, one write each, in turn with the others that are under way, as a server does that
 * makes the next tokens of all at once; another answer is one write. The client asks again when an answer is there, and prints
 * "answers seconds median-us" of them; it ends where one is not the answer that the server has. The other server makes its
 * own. */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "test/bench/answers.h"

#define MAX_FDS 4096
#define MAX_ANSWERS (1 << 22)
#define PIECES (BENCH_EVENTS + 3)	/* of a stream: its head, the usage and the last event are some as well */

/* Each in one write. */
struct answer {
	struct bench_text text;
	size_t ends[PIECES];
	unsigned int pieces;
};

static struct answer streamed, whole;

static void piece_ends(struct answer *a)
{
	a->ends[a->pieces++] = a->text.len;
}

static void make_answers(void)
{
	struct bench_text event = { 0 };
	unsigned int i;

	bench_put(&streamed.text, "HTTP/1.1 200 OK\r\ndate: Thu, 26 Nov 2026 12:00:00 GMT\r\nserver: uvicorn\r\n"
				  "content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n");
	piece_ends(&streamed);
	for (i = 0; i < BENCH_EVENTS + 2; i++) {
		event.len = 0;
		bench_event(&event, i);
		bench_put(&streamed.text, "%zx\r\n%s\r\n%s", event.len, event.bytes,
			  i > BENCH_EVENTS ? "0\r\n\r\n" : "");
		piece_ends(&streamed);
	}
	free(event.bytes);
	bench_put(&whole.text, "HTTP/1.1 200 OK\r\ndate: Thu, 26 Nov 2026 12:00:00 GMT\r\nserver: uvicorn\r\n"
			       "content-length: %d\r\ncontent-type: application/json\r\n\r\n", BENCH_ANSWER_BYTES);
	bench_json(&whole.text, BENCH_ANSWER_BYTES, 0);
	piece_ends(&whole);
}

static struct sockaddr_in address(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int new_socket(int port, bool listens)
{
	static const int yes = 1;
	struct sockaddr_in at = address(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		error(1, errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (listens ? bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1024)
		    : connect(fd, (struct sockaddr *)&at, sizeof(at)))
		error(1, errno, "port %d", port);
	return fd;
}

static void watch(int epoll, int fd, unsigned int events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	if (fd >= MAX_FDS || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		error(1, errno, "epoll");
}

/* --- the server ------------------------------------------------------------------------------------------------ */

static struct served {
	const struct answer *answer;	/* under way, or NULL */
	size_t off;
	unsigned int piece;
	bool blocked;			/* until the socket takes more */
	bool listens;
} served[MAX_FDS];

static int writing[MAX_FDS], writing_count;

static void leave(int fd)
{
	int i;

	for (i = 0; i < writing_count; i++)
		if (writing[i] == fd)
			writing[i--] = writing[--writing_count];
	memset(&served[fd], 0, sizeof(served[fd]));
	close(fd);
}

/* A request comes in one segment, and the next not before its answer is there. */
static void read_request(int fd)
{
	char bytes[8192];
	ssize_t n = recv(fd, bytes, sizeof(bytes) - 1, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		leave(fd);
		return;
	}
	bytes[n] = 0;
	if (served[fd].answer)
		error(1, 0, "a request came before the answer to the one ahead of it");
	served[fd].answer = strstr(bytes, "\"stream\":true") ? &streamed : &whole;
	served[fd].off = served[fd].piece = 0;
	writing[writing_count++] = fd;
}

/* The next piece of what is under way. Returns whether that was the last. */
static bool write_piece(int fd)
{
	struct served *s = &served[fd];
	ssize_t n;

	n = send(fd, s->answer->text.bytes + s->off, s->answer->ends[s->piece] - s->off, MSG_NOSIGNAL);
	s->blocked = n < 0 && errno == EAGAIN;
	if (s->blocked)
		return false;
	s->off += n > 0 ? n : 0;
	if (s->off == s->answer->ends[s->piece])
		s->piece++;
	/* A client that left is told of by epoll as well. */
	if (n >= 0 && s->piece < s->answer->pieces)
		return false;
	s->answer = NULL;
	return true;
}

/* A round over all answers under way. Returns whether some can go on at once. */
static bool write_pieces(void)
{
	bool more = false;
	int i, fd;

	for (i = 0; i < writing_count; i++) {
		fd = writing[i];
		if (served[fd].blocked)
			continue;
		if (write_piece(fd))
			writing[i--] = writing[--writing_count];
		else
			more |= served[fd].answer && !served[fd].blocked;
	}
	return more;
}

static void serve(int epoll, const struct epoll_event *event)
{
	int fd = event->data.fd, in;

	if (!served[fd].listens) {
		served[fd].blocked = false;
		if (event->events & ~EPOLLOUT)
			read_request(fd);
		return;
	}
	in = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
	if (in < 0)
		return;
	setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	watch(epoll, in, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void run_server(char **ports)
{
	struct epoll_event events[64];
	int epoll = epoll_create1(0), count, fd, i;
	bool more = false;

	for (; *ports; ports++) {
		fd = new_socket(atoi(*ports), true);
		fcntl(fd, F_SETFL, O_NONBLOCK);
		watch(epoll, fd, EPOLLIN);
		served[fd].listens = true;
	}
	for (;;) {
		count = epoll_wait(epoll, events, 64, more ? 0 : -1);
		for (i = 0; i < count; i++)
			serve(epoll, &events[i]);
		more = write_pieces();
	}
}

/* --- the client ------------------------------------------------------------------------------------------------ */

static struct asking {
	double begun_us;
	size_t off;		/* in the answer */
} asking[MAX_FDS];

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static void ask(int fd, const char *kind)
{
	bool stream = strcmp(kind, "json");
	struct bench_text body = { 0 }, request = { 0 };

	bench_put(&body, "{\"model\":\"Qwen/Qwen3-32B\",\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful "
			 "assistant.\"},{\"role\":\"user\",\"content\":\"How does a rate limiter with a token bucket work? "
			 "Explain it with an example.\"}],\"temperature\":0.7,\"max_tokens\":32768,\"stream\":%s}",
		  stream ? "true,\"stream_options\":{\"include_usage\":true}" : "false");
	bench_put(&request, "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nx-user-id: "
			    "user-%d\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", fd, body.len,
		  body.bytes);
	asking[fd].off = 0;
	asking[fd].begun_us = now_us();
	if (send(fd, request.bytes, request.len, MSG_NOSIGNAL) != (ssize_t)request.len)
		error(1, errno, "asking");
	free(body.bytes);
	free(request.bytes);
}

/* What is there of @answer, or if that is NULL of any in chunks, on @fd. Returns whether that is its end. */
static bool read_answer(int fd, const struct bench_text *answer)
{
	static const char end[] = "0\r\n\r\n";
	static char bytes[1 << 18];
	struct asking *a = &asking[fd];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0)
		error(1, n ? errno : 0, "the connection ended");
	if (!answer)
		return (size_t)n >= sizeof(end) - 1 && !memcmp(bytes + n - (sizeof(end) - 1), end, sizeof(end) - 1);
	if (a->off + n > answer->len || memcmp(bytes, answer->bytes + a->off, n))
		error(1, 0, "not the answer that the server has, from byte %zu on: %.200s", a->off, bytes);
	a->off += n;
	return a->off == answer->len;
}

static int by_value(const void *a, const void *b)
{
	double one = *(const double *)a, two = *(const double *)b;

	return one < two ? -1 : one > two;
}

static void run_client(int port, const char *kind, double seconds, int connections)
{
	const struct bench_text *answer = !strcmp(kind, "app") ? NULL : strcmp(kind, "json") ? &streamed.text : &whole.text;
	double *took_us = calloc(MAX_ANSWERS, sizeof(*took_us)), begun = now_us(), now = begun;
	int epoll = epoll_create1(0), count = 0, events_count, i, fd;
	struct epoll_event events[64];

	for (i = 0; i < connections; i++) {
		fd = new_socket(port, false);
		watch(epoll, fd, EPOLLIN);
		ask(fd, kind);
	}
	while (now - begun < seconds * 1e6 && count < MAX_ANSWERS - 64) {
		events_count = epoll_wait(epoll, events, 64, 10000);
		if (!events_count)
			error(1, 0, "no answer came");
		for (i = 0; i < events_count; i++) {
			fd = events[i].data.fd;
			if (!read_answer(fd, answer))
				continue;
			now = now_us();
			took_us[count++] = now - asking[fd].begun_us;
			ask(fd, kind);
		}
	}
	qsort(took_us, count, sizeof(*took_us), by_value);
	printf("%d %f %f\n", count, (now - begun) / 1e6, took_us[count / 2]);
}

int main(int argc, char **argv)
{
	make_answers();
	if (argc >= 3 && !strcmp(argv[1], "serve"))
		run_server(argv + 2);
	if (argc != 6 || strcmp(argv[1], "ask") || atoi(argv[5]) < 1)
		error(2, 0, "usage: llm serve PORT... | llm ask PORT stream|json|app SECONDS CONNECTIONS");
	run_client(atoi(argv[2]), argv[3], atof(argv[4]), atoi(argv[5]));
	return 0;
}
