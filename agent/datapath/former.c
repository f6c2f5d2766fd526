// SPDX-License-Identifier: Apache-2.0
#include "former.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <kmesh_rl/abi.h>

#include "drop.h"

#define PREFIX "former_"
#define CONFIG "krl_config"
#define NUMBERS 100

/* More than any version's row of krl_config has. */
#define CONFIG_BYTES 4096

__u32 krl_former_version(const char *name)
{
	__u32 version, number;
	int end = 0;

	if (sscanf(name, PREFIX "%u_%u%n", &version, &number, &end) != 2 || name[end])
		return 0;
	return version;
}

/* What is in the first word of krl_config below @pins; 0: it was not written yet. -ENOENT: there is none; or -errno. */
static int read_version(const char *pins, __u32 *ret)
{
	char path[PATH_MAX], row[CONFIG_BYTES];
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info), key = 0;
	int fd, err;

	if (snprintf(path, sizeof(path), "%s/" CONFIG, pins) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	err = bpf_obj_get_info_by_fd(fd, &info, &bytes);
	if (!err && (info.key_size != sizeof(key) || info.value_size > sizeof(row) || info.value_size < sizeof(*ret)))
		err = -EPROTO;
	if (!err)
		err = bpf_map_lookup_elem(fd, &key, row);
	close(fd);
	if (!err)
		memcpy(ret, row, sizeof(*ret));
	return err;
}

static bool has_config(const char *pins)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/" CONFIG, pins) < (int)sizeof(path) && !access(path, F_OK);
}

/* The directory to move to: a new one, or that of an agent which was killed while it moved. 0, or -errno. */
static int make_directory(const char *bpffs, __u32 version, char ret_path[PATH_MAX])
{
	unsigned int number;

	for (number = 0; number < NUMBERS; number++) {
		if (snprintf(ret_path, PATH_MAX, "%s/" PREFIX "%u_%u", bpffs, version, number) >= PATH_MAX)
			return -ENAMETOOLONG;
		if (!mkdir(ret_path, 0700))
			return 0;
		if (errno != EEXIST)
			return -errno;
		if (!has_config(ret_path))
			return 0;
	}
	return -EEXIST;
}

static int move(const char *bpffs, const char *to, const char *name)
{
	char from[PATH_MAX], path[PATH_MAX];

	if (snprintf(from, sizeof(from), "%s/%s", bpffs, name) >= (int)sizeof(from) ||
	    snprintf(path, sizeof(path), "%s/%s", to, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return rename(from, path) ? -errno : 0;
}

/* Move what is ours, krl_config last: as long as it is there, moving is not done. */
static int move_all(const char *bpffs, const char *to)
{
	struct dirent *entry;
	int err = 0, moved;
	DIR *dir;

	dir = opendir(bpffs);
	if (!dir)
		return -errno;
	/* Until nothing is found any more: names that were moved may disturb the walk. */
	do {
		moved = 0;
		rewinddir(dir);
		while (!err && (entry = readdir(dir))) {
			if (!krl_drop_is_ours(entry->d_name) || !strcmp(entry->d_name, CONFIG))
				continue;
			err = move(bpffs, to, entry->d_name);
			moved++;
		}
	} while (!err && moved);
	closedir(dir);
	return err ? err : move(bpffs, to, CONFIG);
}

int krl_former_set_aside(const char *bpffs, __u32 *ret_version)
{
	char to[PATH_MAX];
	__u32 version = 0;
	int err;

	*ret_version = 0;
	err = read_version(bpffs, &version);
	if (err && err != -ENOENT)
		return err;
	if (err || !version)
		return krl_drop_pins(bpffs);
	if (version == KRL_ABI_VERSION)
		return 0;
	err = make_directory(bpffs, version, to);
	if (!err)
		err = move_all(bpffs, to);
	if (!err)
		*ret_version = version;
	return err;
}

int krl_former_each(const char *bpffs, int (*fn)(void *ctx, const char *name, __u32 version), void *ctx)
{
	DIR *dir = opendir(bpffs);
	struct dirent *entry;
	__u32 version;
	int err = 0;

	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while (!err && (entry = readdir(dir))) {
		version = krl_former_version(entry->d_name);
		if (version)
			err = fn(ctx, entry->d_name, version);
	}
	closedir(dir);
	return err;
}
