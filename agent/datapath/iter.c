// SPDX-License-Identifier: Apache-2.0
#include "iter.h"

#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define READ_BYTES 4096

/* Reads of @bytes each, whole records of @size. */
static int read_records(int fd, size_t bytes, size_t size, int (*fn)(void *ctx, const void *record), void *ctx)
{
	char records[READ_BYTES] __attribute__((aligned(8)));
	ssize_t n, at;
	int err = 0;

	while (!err) {
		n = read(fd, records, bytes);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		for (at = 0; !err && at + (ssize_t)size <= n; at += size)
			err = fn(ctx, records + at);
	}
	return err;
}

static int run(struct bpf_program *program, const struct bpf_map *map, size_t bytes, size_t size,
	       int (*fn)(void *ctx, const void *record), void *ctx)
{
	union bpf_iter_link_info info = { .map.map_fd = map ? bpf_map__fd(map) : 0 };
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_link *link = bpf_program__attach_iter(program, map ? &opts : NULL);
	int fd, err;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	err = fd < 0 ? fd : read_records(fd, bytes, size, fn, ctx);
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
	return err;
}

int krl_iter_each(struct bpf_program *program, const struct bpf_map *map, size_t size,
		  int (*fn)(void *ctx, const void *record), void *ctx)
{
	return run(program, map, READ_BYTES / size * size, size, fn, ctx);
}

static int stop(void *ctx, const void *record)
{
	return 1;
}

bool krl_iter_any(struct bpf_program *program)
{
	return run(program, NULL, 1, 1, stop, NULL) == 1;
}
