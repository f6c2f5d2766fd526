// SPDX-License-Identifier: Apache-2.0
/* A server that reads and writes with blocking calls, a thread for each connection, and clients that drive it: how
 * often does recv() say EAGAIN, where nobody asked it not to wait? Prints JSON.
 *
 *     blocking [FLAG N]...
 *
 * A client waits for each answer; one that is refused goes on, one whose connection ends takes another. */
#include <errno.h>
#include <error.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAD_BYTES 4096
#define MOST_BYTES (16 << 20)
#define STACK_BYTES (256 << 10)

static struct {
	long port, connections, requests, body, answer, each, slow, receive_buffer;
} options = { .connections = 16, .requests = 100000, .answer = 64 };

static const struct {
	char letter;
	const char *help;
	long *value, most;
} flags[] = {
	{ 'p', "port", &options.port, 65535 },
	{ 'c', "connections", &options.connections, 1024 },
	{ 'n', "requests, on all of them", &options.requests, 1L << 40 },
	{ 'b', "bytes of the body of a request", &options.body, MOST_BYTES },
	{ 'a', "bytes of the body of an answer", &options.answer, MOST_BYTES },
	{ 'k', "requests on a connection before the client takes another (0: all)", &options.each, 1L << 40 },
	{ 's', "microseconds that the server rests behind each recv()", &options.slow, 1000000 },
	{ 'r', "SO_RCVBUF of the server's sockets (0: as the kernel has it)", &options.receive_buffer, MOST_BYTES },
};

/* Shared by the server's process and that of the clients. */
static struct {
	unsigned long accepted, served;
	unsigned long between;		/* EAGAIN while a request is waited for */
	unsigned long inside;		/* ... or the rest of one */
	unsigned long failed;		/* other errors of recv() and send() */
	unsigned long admitted, refused, other;
	unsigned long ended;		/* connections that ended without an answer to the request on them */
} *counts;

static char *filler;

static void count(unsigned long *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

static int send_all(int fd, const char *bytes, size_t len)
{
	ssize_t n;

	for (; len; bytes += n, len -= n) {
		n = send(fd, bytes, len, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
	}
	return 0;
}

static int send_message(int fd, const char *head, long body)
{
	char text[HEAD_BYTES];
	int len = snprintf(text, sizeof(text), "%sContent-Length: %ld\r\n\r\n", head, body);
	int err;

	/* As servers write it: in one piece when it is small. */
	if (len + body <= (long)sizeof(text)) {
		memcpy(text + len, filler, body);
		return send_all(fd, text, len + body);
	}
	err = send_all(fd, text, len);
	return err ? err : send_all(fd, filler, body);
}

/* A message that is being read. */
struct reader {
	int fd;
	bool server;
	char head[HEAD_BYTES + 1];
	size_t len;		/* bytes in head */
	long body;		/* bytes of it that are still to come; -1: not known yet */
};

static long body_of(const char *head)
{
	const char *field = strcasestr(head, "\r\nContent-Length:");

	return field ? atol(field + strlen("\r\nContent-Length:")) : 0;
}

/* recv(), which a server's is asked again when it says EAGAIN. */
static ssize_t receive(struct reader *r, char *bytes, size_t len)
{
	ssize_t n;

	while ((n = recv(r->fd, bytes, len, 0)) < 0 && errno == EAGAIN && r->server)
		count(r->len ? &counts->inside : &counts->between);
	if (r->server && options.slow)
		usleep(options.slow);
	return n < 0 ? -errno : n;
}

/* Read a message to its end; pipelining is not expected. 0, -EPIPE at the end of the stream, or an error. */
static int read_message(struct reader *r)
{
	char bytes[65536], *end;
	ssize_t n;

	r->len = 0;
	do {
		n = receive(r, r->head + r->len, HEAD_BYTES - r->len);
		if (n <= 0)
			return n ? n : -EPIPE;
		r->len += n;
		r->head[r->len] = 0;
		end = strstr(r->head, "\r\n\r\n");
	} while (!end && r->len < HEAD_BYTES);
	if (!end)
		return -EPROTO;
	r->body = body_of(r->head) - (long)(r->head + r->len - end - 4);
	for (; r->body > 0; r->body -= n) {
		n = receive(r, bytes, sizeof(bytes));
		if (n <= 0)
			return n ? n : -EPIPE;
	}
	return 0;
}

static void *serve(void *arg)
{
	struct reader *r = arg;
	int err;

	while (!(err = read_message(r))) {
		count(&counts->served);
		err = send_message(r->fd, "HTTP/1.1 200 OK\r\n", options.answer);
		if (err)
			break;
	}
	/* EPIPE: the client left, or the kernel ended the connection after its answer. */
	if (err != -EPIPE && err != -ECONNRESET)
		count(&counts->failed);
	close(r->fd);
	free(r);
	return NULL;
}

static void start(void *(*run)(void *), void *arg, pthread_t *ret)
{
	pthread_attr_t small;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK_BYTES);
	errno = pthread_create(ret, &small, run, arg);
	if (errno)
		error(1, errno, "thread");
	pthread_attr_destroy(&small);
}

static struct reader *new_reader(int fd, bool server)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		error(1, ENOMEM, "connection");
	r->fd = fd;
	r->server = server;
	return r;
}

static void run_server(int listener)
{
	static const int yes = 1;
	pthread_t thread;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			error(1, errno, "accept");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		count(&counts->accepted);
		start(serve, new_reader(fd, true), &thread);
		pthread_detach(thread);
	}
}

static struct sockaddr_in address(void)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(options.port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int dial(void)
{
	struct sockaddr_in to = address();
	static const int yes = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		error(1, errno, "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	return fd;
}

static void redial(struct reader *r)
{
	close(r->fd);
	r->fd = dial();
}

static void *ask(void *arg)
{
	struct reader *r = new_reader(dial(), false);
	long n, left = options.each;
	int status;

	for (n = (long)arg; n > 0; n--) {
		if (options.each && !left--) {
			redial(r);
			left = options.each - 1;
		}
		if (send_message(r->fd, "POST /resource HTTP/1.1\r\nHost: localhost\r\n", options.body) ||
		    read_message(r)) {
			count(&counts->ended);
			redial(r);
			continue;
		}
		status = atoi(r->head + strlen("HTTP/1.1 "));
		count(status == 200 ? &counts->admitted : status == 429 ? &counts->refused : &counts->other);
		if (strcasestr(r->head, "\r\nConnection: close"))
			redial(r);
	}
	close(r->fd);
	free(r);
	return NULL;
}

static void run_clients(void)
{
	pthread_t threads[options.connections];
	long i;

	for (i = 0; i < options.connections; i++)
		start(ask, (void *)(options.requests / options.connections), &threads[i]);
	for (i = 0; i < options.connections; i++)
		pthread_join(threads[i], NULL);
}

static void usage(void)
{
	size_t i;

	fprintf(stderr, "usage: blocking [FLAG N]...\n");
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		fprintf(stderr, "  -%c  %s (%ld)\n", flags[i].letter, flags[i].help, *flags[i].value);
	exit(2);
}

static void parse(int argc, char **argv)
{
	size_t i;
	int at;

	for (at = 1; at + 1 < argc && argv[at][0] == '-'; at += 2) {
		for (i = 0; i < sizeof(flags) / sizeof(flags[0]) && flags[i].letter != argv[at][1]; i++)
			;
		if (i == sizeof(flags) / sizeof(flags[0]))
			usage();
		*flags[i].value = atol(argv[at + 1]);
		if (*flags[i].value < 0 || *flags[i].value > flags[i].most)
			usage();
	}
	if (at != argc || !options.port || !options.connections)
		usage();
}

int main(int argc, char **argv)
{
	static const int yes = 1;
	struct sockaddr_in at;
	int listener, size;
	pid_t server;

	parse(argc, argv);
	size = options.receive_buffer;
	filler = calloc(1, MOST_BYTES);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (!filler || counts == MAP_FAILED || listener < 0)
		error(1, errno, "start");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (options.receive_buffer)
		setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	at = address();
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 1024))
		error(1, errno, "listen");
	server = fork();
	if (server < 0)
		error(1, errno, "fork");
	if (!server)
		run_server(listener);
	run_clients();
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	printf("{\"connections\": %ld, \"admitted\": %lu, \"refused\": %lu, \"other\": %lu, \"ended\": %lu, "
	       "\"accepted\": %lu, \"served\": %lu, \"eagain_between\": %lu, \"eagain_inside\": %lu, "
	       "\"failed\": %lu}\n", options.connections, counts->admitted, counts->refused, counts->other,
	       counts->ended, counts->accepted, counts->served, counts->between, counts->inside, counts->failed);
	return 0;
}
