// SPDX-License-Identifier: Apache-2.0
#include "drop.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <kmesh_rl/pins.h>

#define KEY_BYTES 64

static bool begins_with(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

bool krl_drop_is_ours(const char *name)
{
	return begins_with(name, KRL_PIN_PREFIX) || begins_with(name, KRL_PIN_LINK_PREFIX);
}

/* Call @fn with the path of each pin below @pins that begins with @prefix. */
static void each_pin(const char *pins, const char *prefix, void (*fn)(const char *path))
{
	DIR *dir = opendir(pins);
	struct dirent *entry;
	char path[PATH_MAX];

	while (dir && (entry = readdir(dir)))
		if (begins_with(entry->d_name, prefix) &&
		    snprintf(path, sizeof(path), "%s/%s", pins, entry->d_name) < (int)sizeof(path))
			fn(path);
	if (dir)
		closedir(dir);
}

/* The last reference to a link is let go of in a later turn of a worker (kernel/bpf/syscall.c, bpf_link_put). */
static void drop_link(const char *path)
{
	int fd = bpf_obj_get(path);

	if (fd >= 0) {
		bpf_link_detach(fd);
		close(fd);
	}
	unlink(path);
}

void krl_drop_links(const char *pins)
{
	each_pin(pins, KRL_PIN_LINK_PREFIX, drop_link);
}

/* Take every socket out of it, if it is a map of sockets: an enrolled socket holds the program, which holds the map, which
 * would keep all of it alive until the last connection closes. */
static void empty(const char *path)
{
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info);
	char key[KEY_BYTES];
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return;
	/* Of a program that would be another number, and no key can be had of it. */
	if (!bpf_obj_get_info_by_fd(fd, &info, &bytes) && info.type == BPF_MAP_TYPE_SOCKHASH && info.key_size <= sizeof(key))
		while (!bpf_map_get_next_key(fd, NULL, key))
			if (bpf_map_delete_elem(fd, key))
				break;
	close(fd);
}

int krl_drop_pins(const char *pins)
{
	struct dirent *entry;
	char path[PATH_MAX];
	int err = 0;
	DIR *dir;

	/* No new sockets first, then the enrolled ones, then the names. */
	krl_drop_links(pins);
	each_pin(pins, KRL_PIN_PREFIX, empty);
	dir = opendir(pins);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (!krl_drop_is_ours(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", pins, entry->d_name);
		if (unlink(path))
			err = -errno;
	}
	closedir(dir);
	return err;
}
