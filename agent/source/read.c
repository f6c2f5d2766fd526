// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/policy/decode.h"
#include "directory.h"

/* At most KRL_MAX_FILE_BYTES + 1 bytes, so that the decoder sees when there are more. */
static int read_all(int fd, char **ret_text, size_t *ret_len)
{
	size_t len = 0, size = 4096;
	char *text = malloc(size), *grown;
	ssize_t n;

	while (text) {
		n = read(fd, text + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			n = -errno;
			free(text);
			return n;
		}
		len += n;
		if (n == 0 || len > KRL_MAX_FILE_BYTES) {
			*ret_text = text;
			*ret_len = len;
			return 0;
		}
		if (len < size)
			continue;
		size *= 2;
		grown = realloc(text, size);
		if (!grown)
			free(text);
		text = grown;
	}
	return -ENOMEM;
}

static int read_fd(int fd, const char *label, struct krl_store *store, struct krl_diags *errors)
{
	char *text = NULL;
	size_t len = 0;
	int err;

	err = read_all(fd, &text, &len);
	if (!err)
		err = krl_store_file(store, label, text, len, errors);
	free(text);
	return err;
}

/* Keep writers out while @fd is read, for which they wait: a read lease is given when nobody has the file
 * open for writing (fcntl(2)). False: somebody has, and what is in it may be half of it. Where a file system
 * knows no leases, or they are not for us, the file is read as it is. */
static bool keep_writers_out(int fd)
{
	/* Who wants to write is told of to us by a signal: one that is ignored unless asked for. */
	fcntl(fd, F_SETSIG, SIGURG);
	return !fcntl(fd, F_SETLEASE, F_RDLCK) || errno != EAGAIN;
}

/* -EBUSY: somebody writes the file. */
static int read_settled(const char *path, struct krl_store *store, struct krl_diags *errors)
{
	int fd, err = -EBUSY;

	/* Not to wait for a writer, should a FIFO be there by now. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (keep_writers_out(fd))
		err = read_fd(fd, path, store, errors);
	close(fd);
	return err;
}

static int read_file(const char *path, struct krl_store *store, struct krl_diags *errors)
{
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = read_fd(fd, path, store, errors);
	close(fd);
	return err;
}

static int is_document(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot &&
	       (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml") || !strcmp(dot, ".json"));
}

static int offer_directory(const char *path, struct krl_store *store, struct krl_diags *errors)
{
	struct dirent **entries;
	char file[PATH_MAX];
	struct stat st;
	int count, i, err;

	count = scandir(path, &entries, is_document, alphasort);
	if (count < 0)
		return -errno;
	for (i = 0; i < count; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		free(entries[i]);
		if (!stat(file, &st) && !S_ISREG(st.st_mode))
			continue;
		err = read_settled(file, store, errors);
		/* Removed since the directory was read. */
		if (!err || err == -ENOENT)
			continue;
		krl_diags_add(errors, file, 0, 0, "%s",
			      err == -EBUSY ? "open for writing: read when it is closed" : strerror(-err));
		krl_store_unreadable(store, file);
	}
	free(entries);
	return 0;
}

int krl_source_offer(const char *path, struct krl_store *store, struct krl_diags *errors)
{
	struct stat st;

	if (!strcmp(path, "-"))
		return read_fd(STDIN_FILENO, "stdin", store, errors);
	if (stat(path, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return offer_directory(path, store, errors);
	return read_file(path, store, errors);
}

int krl_source_read(const char *path, struct krl_store *store, struct krl_diags *errors)
{
	int err;

	krl_store_begin(store);
	err = offer_directory(path, store, errors);
	if (!err)
		krl_store_commit(store);
	return err;
}
