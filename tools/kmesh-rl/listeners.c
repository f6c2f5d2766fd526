// SPDX-License-Identifier: Apache-2.0
#include "listeners.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/vec.h"

#define TCP_LISTEN 0x0a
#define LINE_BYTES 512
#define WORDS 4

/* Namespaces that were met, by inode. */
struct seen {
	ino_t *inodes;
	size_t count;
};

/* "0100007F:1F90" or 32 digits of an IPv6 address: words of four bytes, each as the machine reads it. */
static bool parse_address(const char *text, struct krl_inspect_listener *ret)
{
	size_t digits = strcspn(text, ":"), words = digits / 8, i;
	char word[9] = "";
	__u32 value;

	if ((words != 1 && words != WORDS) || digits % 8 || text[digits] != ':')
		return false;
	memset(ret, 0, sizeof(*ret));
	if (words == 1)
		ret->addr[10] = ret->addr[11] = 0xff;
	for (i = 0; i < words; i++) {
		memcpy(word, text + 8 * i, 8);
		value = strtoul(word, NULL, 16);
		memcpy(ret->addr + 4 * (WORDS - words + i), &value, sizeof(value));
	}
	ret->port = strtoul(text + digits + 1, NULL, 16);
	return true;
}

/* 0, or -ENOMEM. */
static int parse_line(struct krl_listeners *listeners, const char *line)
{
	struct krl_inspect_listener listener, *added;
	char local[64], remote[64];
	unsigned int state;

	if (sscanf(line, " %*d: %63s %63s %x", local, remote, &state) != 3 || state != TCP_LISTEN ||
	    !parse_address(local, &listener))
		return 0;
	added = krl_vec_add(&listeners->list, &listeners->count);
	if (!added)
		return -ENOMEM;
	*added = listener;
	return 0;
}

int krl_listeners_parse(struct krl_listeners *listeners, const char *text)
{
	char line[LINE_BYTES];
	size_t length;
	int err = 0;

	for (; *text && !err; text += length + (text[length] == '\n')) {
		length = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)length, text);
		err = parse_line(listeners, line);
	}
	return err;
}

/* 0, also for what is gone, or -ENOMEM. */
static int read_file(struct krl_listeners *listeners, const char *pid, const char *name)
{
	char path[64], line[LINE_BYTES];
	FILE *file;
	int err = 0;

	snprintf(path, sizeof(path), "/proc/%.20s/net/%s", pid, name);
	file = fopen(path, "re");
	while (file && !err && fgets(line, sizeof(line), file))
		err = parse_line(listeners, line);
	if (file)
		fclose(file);
	return err;
}

/* 1: the namespace of process @pid is one that was not met yet; 0: it was, or is none of ours; -ENOMEM. */
static int meet(struct seen *seen, const char *pid)
{
	char path[64];
	struct stat st;
	ino_t *added;
	size_t i;

	snprintf(path, sizeof(path), "/proc/%.20s/ns/net", pid);
	if (stat(path, &st))
		return 0;
	for (i = 0; i < seen->count; i++)
		if (seen->inodes[i] == st.st_ino)
			return 0;
	added = krl_vec_add(&seen->inodes, &seen->count);
	if (!added)
		return -ENOMEM;
	*added = st.st_ino;
	return 1;
}

int krl_listeners_read(struct krl_listeners *ret)
{
	struct krl_listeners listeners = { 0 };
	struct seen seen = { 0 };
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	int err = dir ? 0 : -errno;

	while (!err && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		err = meet(&seen, entry->d_name);
		if (err <= 0)
			continue;
		err = read_file(&listeners, entry->d_name, "tcp");
		if (!err)
			err = read_file(&listeners, entry->d_name, "tcp6");
	}
	if (dir)
		closedir(dir);
	free(seen.inodes);
	if (err)
		krl_listeners_free(&listeners);
	else
		*ret = listeners;
	return err;
}

void krl_listeners_free(struct krl_listeners *listeners)
{
	free(listeners->list);
	*listeners = (struct krl_listeners){ 0 };
}

static bool is_any(const __u8 addr[16])
{
	static const __u8 any[16], any_ipv4[16] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(addr, any, 16) || !memcmp(addr, any_ipv4, 16);
}

size_t krl_listeners_at(const struct krl_listeners *listeners, const struct krl_endpoint_key *endpoint)
{
	size_t count = 0, i;

	for (i = 0; i < listeners->count; i++)
		if (listeners->list[i].port == endpoint->port &&
		    (is_any(listeners->list[i].addr) || is_any(endpoint->addr) ||
		     !memcmp(listeners->list[i].addr, endpoint->addr, 16)))
			count++;
	return count;
}
