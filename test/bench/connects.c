// SPDX-License-Identifier: Apache-2.0
/* Connections as fast as they go, one after another: connects PORT SECONDS. A thread accepts and closes; the main one
 * connects, and resets what it was given. Prints "let_in refused seconds cpu_seconds", the latter of both threads, with
 * what the kernel does for them on loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void *accept_all(void *arg)
{
	int listener = *(int *)arg, fd;

	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

static double seconds_of(struct timeval t)
{
	return t.tv_sec + t.tv_usec / 1e6;
}

static double cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* 1: let in; 0: refused. */
static int dial(const struct sockaddr_in *to)
{
	const struct linger reset = { 1, 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0), in;

	if (fd < 0) {
		perror("socket");
		exit(1);
	}
	in = !connect(fd, (const struct sockaddr *)to, sizeof(*to));
	if (!in && errno != ECONNREFUSED) {
		perror("connect");
		exit(1);
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	return in;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	double begun, cpu, lasts;
	long counts[2] = { 0 };
	pthread_t thread;

	if (argc != 3) {
		fprintf(stderr, "usage: connects PORT SECONDS\n");
		return 2;
	}
	to.sin_port = htons(atoi(argv[1]));
	lasts = atof(argv[2]);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&to, sizeof(to)) || listen(listener, 4096) ||
	    pthread_create(&thread, NULL, accept_all, &listener)) {
		perror("listening");
		return 1;
	}
	/* Until the agent is there. */
	puts("ready");
	fflush(stdout);
	getchar();
	begun = now_s();
	cpu = cpu_s();
	while (now_s() - begun < lasts)
		counts[dial(&to)]++;
	printf("%ld %ld %f %f\n", counts[1], counts[0], now_s() - begun, cpu_s() - cpu);
	return 0;
}
