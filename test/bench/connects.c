// SPDX-License-Identifier: Apache-2.0
/* Connections as fast as they go, one after another: connects PORT SECONDS CGROUP. A process in CGROUP accepts and closes;
 * this one connects, and resets what it was given, for SECONDS from each line of its input on, and prints
 * "let_in refused seconds cpu_seconds" of them, the latter of both, with what the kernel does for them on loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void join_cgroup(const char *path)
{
	char procs[4096];
	int fd;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	fd = open(procs, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1) {
		perror(procs);
		exit(1);
	}
	close(fd);
}

/* Listen, in @cgroup; tell @ready, and accept until killed. */
static void serve(const struct sockaddr_in *at, const char *cgroup, int ready)
{
	int listener, fd, one = 1;

	join_cgroup(cgroup);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (const struct sockaddr *)at, sizeof(*at)) || listen(listener, 4096) || write(ready, "", 1) != 1) {
		perror("listening");
		exit(1);
	}
	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (fd >= 0)
			close(fd);
	}
}

/* Returns the process that serves. */
static pid_t start_server(const struct sockaddr_in *at, const char *cgroup)
{
	pid_t parent = getpid(), child;
	int ready[2];
	char byte;

	if (pipe(ready)) {
		perror("pipe");
		exit(1);
	}
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			serve(at, cgroup, ready[1]);
		exit(1);
	}
	close(ready[1]);
	if (child < 0 || read(ready[0], &byte, 1) != 1)
		exit(1);
	close(ready[0]);
	return child;
}

static double clock_s(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
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

/* For @lasts seconds. @server_clock is the CPU time of the process that serves. */
static void run(const struct sockaddr_in *to, double lasts, clockid_t server_clock)
{
	double begun = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) + clock_s(server_clock);
	long counts[2] = { 0 };

	while (clock_s(CLOCK_MONOTONIC) - begun < lasts)
		counts[dial(to)]++;
	lasts = clock_s(CLOCK_MONOTONIC) - begun;
	cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) + clock_s(server_clock) - cpu;
	printf("%ld %ld %f %f\n", counts[1], counts[0], lasts, cpu);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	clockid_t server_clock;
	int c;

	if (argc != 4) {
		fprintf(stderr, "usage: connects PORT SECONDS CGROUP\n");
		return 2;
	}
	to.sin_port = htons(atoi(argv[1]));
	if (clock_getcpuclockid(start_server(&to, argv[3]), &server_clock)) {
		perror("clock_getcpuclockid");
		return 1;
	}
	while ((c = getchar()) != EOF)
		if (c == '\n')
			run(&to, atof(argv[2]), server_clock);
	return 0;
}
