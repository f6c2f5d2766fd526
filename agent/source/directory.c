// SPDX-License-Identifier: Apache-2.0
#include "directory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/loop/handle.h"

/* Changes that come together are one: an editor writes, renames and removes within this time. */
#define SETTLE_MS 10

/* How often the path is looked at: inotify sees what happens in a directory, and to it, but not that
 * one above it, a link on the way or a mount makes the path lead elsewhere. */
#define CHECK_MS 50

#define INSIDE (IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | \
		IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct krl_directory {
	char *path;
	int fd;
	int inside;		/* watch descriptor of the directory, -1 while it is missing */
	dev_t device;		/* of what was at the path when it was last watched */
	ino_t inode;
	uv_poll_t *poll;
	uv_timer_t *settle;
	uv_timer_t *check;
	krl_directory_fn changed;
	void *arg;
};

/* What is at the path, all zero when nothing is. */
static struct stat look(const struct krl_directory *d)
{
	struct stat st = { 0 };

	stat(d->path, &st);
	return st;
}

/* Watch what is at the path now: another directory may have taken the name. 0, or -errno. */
static int watch(struct krl_directory *d)
{
	/* First, so that what takes the name in between differs from this at the next check. */
	struct stat st = look(d);
	int inside, err;

	inside = inotify_add_watch(d->fd, d->path, INSIDE);
	err = inside < 0 ? -errno : 0;
	if (d->inside >= 0 && d->inside != inside)
		inotify_rm_watch(d->fd, d->inside);
	d->inside = inside;
	d->device = st.st_dev;
	d->inode = st.st_ino;
	return err;
}

static void on_settled(uv_timer_t *timer)
{
	struct krl_directory *d = timer->data;

	watch(d);
	d->changed(d->arg);
}

static void settle(struct krl_directory *d)
{
	/* Not started again while it runs: a file that changes all the time is read all the same. */
	if (!uv_is_active((uv_handle_t *)d->settle))
		uv_timer_start(d->settle, on_settled, SETTLE_MS, 0);
}

static void on_check(uv_timer_t *timer)
{
	struct krl_directory *d = timer->data;
	struct stat st = look(d);
	bool was_there = d->inside >= 0;

	if (was_there && st.st_dev == d->device && st.st_ino == d->inode)
		return;
	watch(d);
	if (was_there || d->inside >= 0)
		settle(d);
}

/* A file that was just made is open still: it is read when it is closed. A link is there at once. */
static bool being_written(const struct krl_directory *d, const struct inotify_event *event)
{
	char file[PATH_MAX];
	struct stat st;

	if (!(event->mask & IN_CREATE) || !event->len)
		return false;
	snprintf(file, sizeof(file), "%s/%s", d->path, event->name);
	return !lstat(file, &st) && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

static void on_events(uv_poll_t *poll, int status, int events)
{
	struct krl_directory *d = poll->data;
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *event;
	bool ours = false;
	ssize_t n;
	char *at;

	while ((n = read(d->fd, buf, sizeof(buf))) > 0)
		for (at = buf; at < buf + n; at += sizeof(*event) + event->len) {
			event = (const struct inotify_event *)at;
			/* Of a directory that is no longer the one; an overflow is of none. */
			if (event->wd != d->inside && !(event->mask & IN_Q_OVERFLOW))
				continue;
			if (event->mask & IN_IGNORED)
				d->inside = -1;
			ours |= !being_written(d, event);
		}
	if (ours)
		settle(d);
}

static int start(struct krl_directory *d, uv_loop_t *loop)
{
	int err;

	d->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (d->fd < 0)
		return -errno;
	d->poll = krl_handle_new(sizeof(*d->poll), d);
	d->settle = krl_handle_new(sizeof(*d->settle), d);
	d->check = krl_handle_new(sizeof(*d->check), d);
	err = d->poll && d->settle && d->check ? uv_poll_init(loop, d->poll, d->fd) : -ENOMEM;
	if (err) {
		/* Not known to the loop yet. */
		free(d->poll);
		free(d->settle);
		free(d->check);
		d->poll = NULL;
		d->settle = d->check = NULL;
		return err;
	}
	uv_timer_init(loop, d->settle);
	uv_timer_init(loop, d->check);
	err = watch(d);
	if (err && err != -ENOENT && err != -ENOTDIR)
		return err;
	uv_timer_start(d->check, on_check, CHECK_MS, CHECK_MS);
	return uv_poll_start(d->poll, UV_READABLE, on_events);
}

int krl_directory_open(uv_loop_t *loop, const char *path, krl_directory_fn changed, void *arg,
		       struct krl_directory **ret)
{
	struct krl_directory *d;
	struct stat st;
	int err;

	if (!stat(path, &st) && !S_ISDIR(st.st_mode))
		return -ENOTDIR;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->fd = d->inside = -1;
	d->changed = changed;
	d->arg = arg;
	d->path = strdup(path);
	err = d->path ? start(d, loop) : -ENOMEM;
	if (err) {
		krl_directory_close(d);
		return err;
	}
	*ret = d;
	return 0;
}

void krl_directory_close(struct krl_directory *d)
{
	if (!d)
		return;
	krl_handle_close(d->poll);
	krl_handle_close(d->settle);
	krl_handle_close(d->check);
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	free(d);
}
