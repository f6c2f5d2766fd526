// SPDX-License-Identifier: Apache-2.0
#include "netns.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/vec.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Namespaces that were met, by the inode of what /proc shows of them. */
struct seen {
	ino_t *inodes;
	size_t count;
};

/* 1: @inode is new, and remembered; 0: it is not; or -ENOMEM. */
static int remember(struct seen *seen, ino_t inode)
{
	ino_t *added;
	size_t i;

	for (i = 0; i < seen->count; i++)
		if (seen->inodes[i] == inode)
			return 0;
	added = krl_vec_add(&seen->inodes, &seen->count);
	if (!added)
		return -ENOMEM;
	*added = inode;
	return 1;
}

/* Call @fn in the namespace of process @pid, if that is a new one. */
static int visit(const char *pid, struct seen *seen, int (*fn)(void *ctx), void *ctx)
{
	char path[64];
	struct stat st;
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%.20s/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* It ended meanwhile, or is none of ours. */
	if (fd < 0)
		return 0;
	err = fstat(fd, &st) ? 0 : remember(seen, st.st_ino);
	if (err > 0)
		err = setns(fd, CLONE_NEWNET) ? 0 : fn(ctx);
	close(fd);
	return err;
}

int krl_netns_each(int (*fn)(void *ctx), void *ctx)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), err = 0;
	struct seen seen = { 0 };
	struct dirent *entry;
	DIR *proc;

	proc = own < 0 ? NULL : opendir("/proc");
	if (!proc) {
		err = -errno;
		if (own >= 0)
			close(own);
		return err;
	}
	err = visit("self", &seen, fn, ctx);
	while (!err && (entry = readdir(proc)))
		if (isdigit((unsigned char)*entry->d_name))
			err = visit(entry->d_name, &seen, fn, ctx);
	closedir(proc);
	free(seen.inodes);
	if (setns(own, CLONE_NEWNET) && errno != EPERM) {
		krl_log_error("no way back into the agent's network namespace", "error", "%s", strerror(errno));
		abort();
	}
	close(own);
	return err;
}

__u64 krl_netns_cookie(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(__u64);
	__u64 cookie = 0;

	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		cookie = 0;
	close(fd);
	return cookie;
}
