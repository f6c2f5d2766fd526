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

/* A UUID; of a pod that the node itself has from a file, the hash of that. */
#define UID_MIN_BYTES 32
#define UID_BYTES 64

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

/* Walk over the processes, with a way back into the namespace of now. 0, or -errno. */
static int enter_proc(int *ret_own, DIR **ret_proc)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), err;
	DIR *proc = own < 0 ? NULL : opendir("/proc");

	if (!proc) {
		err = -errno;
		if (own >= 0)
			close(own);
		return err;
	}
	*ret_own = own;
	*ret_proc = proc;
	return 0;
}

static void leave_proc(int own, DIR *proc)
{
	closedir(proc);
	if (setns(own, CLONE_NEWNET) && errno != EPERM) {
		krl_log_error("no way back into the agent's network namespace", "error", "%s", strerror(errno));
		abort();
	}
	close(own);
}

int krl_netns_each(int (*fn)(void *ctx), void *ctx)
{
	struct seen seen = { 0 };
	struct dirent *entry;
	int own, err;
	DIR *proc;

	err = enter_proc(&own, &proc);
	if (err)
		return err;
	err = visit("self", &seen, fn, ctx);
	while (!err && (entry = readdir(proc)))
		if (isdigit((unsigned char)*entry->d_name))
			err = visit(entry->d_name, &seen, fn, ctx);
	free(seen.inodes);
	leave_proc(own, proc);
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

/* What kubelet calls the cgroup of a pod (pkg/kubelet/cm/pod_container_manager_linux.go): its uid behind this, with '_' for
 * '-' where systemd makes them (cgroup_manager_linux.go, escapeSystemdCgroupName). */
#define POD_MARK "pod"

/* Find the uid in @path, the outermost one, as text. */
static bool find_uid(const char *path, char ret[UID_BYTES])
{
	const char *at = path;
	size_t len, i;

	for (; (at = strstr(at, POD_MARK)); at++) {
		len = strspn(at + strlen(POD_MARK), "0123456789abcdef-_");
		if (at == path || (at[-1] != '/' && at[-1] != '-') || len < UID_MIN_BYTES || len >= UID_BYTES)
			continue;
		memcpy(ret, at + strlen(POD_MARK), len);
		ret[len] = '\0';
		for (i = 0; i < len; i++)
			if (ret[i] == '_')
				ret[i] = '-';
		return true;
	}
	return false;
}

static bool read_uid(const char *pid, char ret[UID_BYTES])
{
	char path[64], text[4096];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/cgroup", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len < 0)
		return false;
	text[len] = '\0';
	return find_uid(text, ret);
}

/* A process of a pod may be in a namespace that others are in too, such as those that set it up: those tell nothing. */
static int visit_pod(const char *pid, struct seen *seen, void (*fn)(void *ctx, const char *uid, __u64 cookie), void *ctx)
{
	char path[64], uid[UID_BYTES];
	struct stat st;
	size_t i;
	int fd, err = 0;

	snprintf(path, sizeof(path), "/proc/%.20s/ns/net", pid);
	if (stat(path, &st))
		return 0;
	for (i = 0; i < seen->count; i++)
		if (seen->inodes[i] == st.st_ino)
			return 0;
	if (!read_uid(pid, uid))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (!fstat(fd, &st) && !setns(fd, CLONE_NEWNET)) {
		fn(ctx, uid, krl_netns_cookie());
		err = remember(seen, st.st_ino);
	}
	close(fd);
	return err < 0 ? err : 0;
}

int krl_netns_each_pod(void (*fn)(void *ctx, const char *uid, __u64 cookie), void *ctx)
{
	struct seen seen = { 0 };
	struct dirent *entry;
	struct stat st;
	int own, err;
	DIR *proc;

	err = enter_proc(&own, &proc);
	if (err)
		return err;
	if (!fstat(own, &st))
		err = remember(&seen, st.st_ino) < 0 ? -ENOMEM : 0;
	while (!err && (entry = readdir(proc)))
		if (isdigit((unsigned char)*entry->d_name))
			err = visit_pod(entry->d_name, &seen, fn, ctx);
	free(seen.inodes);
	leave_proc(own, proc);
	return err;
}
