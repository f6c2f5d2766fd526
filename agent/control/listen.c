// SPDX-License-Identifier: Apache-2.0
/* The name of the control socket in the file system. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listen.h"

int krl_control_address(const char *path, struct sockaddr_un *ret_address)
{
	if (strlen(path) >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->sun_family = AF_UNIX;
	memcpy(ret_address->sun_path, path, strlen(path) + 1);
	return 0;
}

static int make_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[sizeof(((struct sockaddr_un *)0)->sun_path)];

	if (!slash || slash == path)
		return 0;
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	return mkdir(parent, 0755) && errno != EEXIST ? -errno : 0;
}

/* Remove a socket that is left from a process that was killed. */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, err;

	if (lstat(address->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;
	close(fd);
	if (err == -ENOENT)
		return 0;
	/* EAGAIN: somebody listens, with a full backlog. */
	if (!err || err == -EAGAIN)
		return -EADDRINUSE;
	if (err != -ECONNREFUSED)
		return err;
	return unlink(address->sun_path) && errno != ENOENT ? -errno : 0;
}

int krl_control_bind(const char *path, int *ret_fd)
{
	struct sockaddr_un address;
	int fd, err;

	err = krl_control_address(path, &address);
	if (!err)
		err = make_parent(path);
	if (!err)
		err = remove_stale(&address);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* bind() gives the name the mode of the socket (net/unix/af_unix.c, unix_bind_bsd), so that it is
	 * at no moment open to others; a umask would be of the whole process. */
	if (fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)&address, sizeof(address))) {
		err = -errno;
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}
