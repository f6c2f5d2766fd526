// SPDX-License-Identifier: Apache-2.0
#include "pinned.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define BATCH_ROWS 1024

static const struct krl_pinned config_map = { "krl_config", BPF_MAP_TYPE_ARRAY, 4,
					      sizeof(struct krl_config), 1 };
const struct krl_pinned krl_pinned_buckets = { "krl_buckets", BPF_MAP_TYPE_HASH,
					       sizeof(struct krl_bucket_key),
					       sizeof(struct krl_bucket), KRL_MAX_BUCKETS };
const struct krl_pinned krl_pinned_overflow = { "krl_overflow", BPF_MAP_TYPE_ARRAY, 4,
						sizeof(struct krl_bucket), KRL_MAX_RULES };

int krl_pinned_open(const char *bpffs, const struct krl_pinned *map, __u32 file_flags)
{
	LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = file_flags);
	struct bpf_map_info info = {};
	__u32 info_bytes = sizeof(info);
	char path[PATH_MAX];
	struct stat st;
	int fd, err;

	if (snprintf(path, sizeof(path), "%s/%s", bpffs, map->name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	/* Without rights bpf() says EPERM also of what is not there. */
	if (stat(path, &st))
		return errno == ENOENT || errno == ENOTDIR ? -ENOENT :
		       errno == EACCES			   ? -EPERM : -errno;
	fd = bpf_obj_get_opts(path, &options);
	if (fd < 0)
		return fd == -EACCES ? -EPERM : fd;
	err = bpf_obj_get_info_by_fd(fd, &info, &info_bytes);
	if (!err && (info.type != map->type || info.key_size != map->key_bytes ||
		     info.value_size != map->value_bytes || info.max_entries != map->rows))
		err = -EPROTO;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* Of @map, in one row. -errno: the CPUs cannot be counted. */
static ssize_t value_bytes_of(const struct krl_pinned *map)
{
	int cpus = map->type == BPF_MAP_TYPE_PERCPU_ARRAY ? libbpf_num_possible_cpus() : 1;

	return cpus < 0 ? cpus : (ssize_t)map->value_bytes * cpus;
}

int krl_pinned_each(const char *bpffs, const struct krl_pinned *map, __u32 rows, krl_pinned_fn each,
		    void *arg)
{
	ssize_t value_bytes = value_bytes_of(map);
	__u32 position = 0, done = 0, count, i;
	char *keys, *values;
	int fd, err = 0;

	if (value_bytes < 0)
		return value_bytes;
	fd = krl_pinned_open(bpffs, map, BPF_F_RDONLY);
	if (fd < 0)
		return fd;
	keys = malloc((size_t)BATCH_ROWS * map->key_bytes);
	values = malloc(BATCH_ROWS * (size_t)value_bytes);
	if (!keys || !values)
		err = -ENOMEM;
	while (!err && done < rows) {
		count = rows - done < BATCH_ROWS ? rows - done : BATCH_ROWS;
		/* A hash gives whole chains: a batch that is cut short might not hold one. */
		if (map->type == BPF_MAP_TYPE_HASH || map->type == BPF_MAP_TYPE_LRU_HASH)
			count = BATCH_ROWS;
		err = bpf_map_lookup_batch(fd, done ? &position : NULL, &position, keys, values,
					   &count, NULL);
		/* ENOENT comes with the last rows. */
		if (err && err != -ENOENT)
			break;
		for (i = 0; i < count; i++)
			each(arg, keys + i * map->key_bytes, values + i * value_bytes);
		done += count;
	}
	free(keys);
	free(values);
	close(fd);
	return err == -ENOENT ? 0 : err;
}

int krl_pinned_config(const char *bpffs, struct krl_config *ret)
{
	struct krl_config config = {};
	__u32 key = 0;
	int fd, err;

	fd = krl_pinned_open(bpffs, &config_map, BPF_F_RDONLY);
	if (fd < 0)
		return fd;
	err = bpf_map_lookup_elem(fd, &key, &config);
	close(fd);
	if (err)
		return err;
	/* 0: pinned a moment ago, and not yet written by its agent. */
	if (!config.abi_version)
		return -ENOENT;
	if (config.abi_version != KRL_ABI_VERSION)
		return -EPROTO;
	*ret = config;
	return 0;
}
