// SPDX-License-Identifier: Apache-2.0
/* Walks over the enrolled sockets, by the programs of bpf/walk.bpf.c, and the rows that they leave behind. */
#include "walk.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* How often what could not be let go is tried again, and how often rows are looked for that nothing is behind. */
#define LOOK_EVERY_MS 1000
#define TIDY_EVERY 10

/* Run @program over the sockets of @map. Returns how many bytes it wrote, or -errno. */
static ssize_t walk(struct bpf_program *program, const struct bpf_map *map)
{
	union bpf_iter_link_info info = { .map.map_fd = bpf_map__fd(map) };
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_link *link = bpf_program__attach_iter(program, &opts);
	ssize_t n, written = 0;
	char bytes[256];
	int fd;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0) {
		bpf_link__destroy(link);
		return fd;
	}
	do {
		n = read(fd, bytes, sizeof(bytes));
		written += n > 0 ? n : 0;
	} while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	if (n < 0)
		written = -errno;
	close(fd);
	bpf_link__destroy(link);
	return written;
}

int krl_walk_enlist(struct krl_datapath *dp)
{
	ssize_t n = walk(dp->skel->progs.krl_enlist, dp->skel->maps.krl_sockets);

	return n < 0 ? n : 0;
}

void krl_walk_release(struct krl_datapath *dp)
{
	ssize_t sockets = walk(dp->skel->progs.krl_release, dp->skel->maps.krl_sockets);
	ssize_t senders = walk(dp->skel->progs.krl_release, dp->skel->maps.krl_senders);

	/* What waits, or could not be looked at, is tried again. */
	dp->releasing = sockets || senders;
}

struct krl_tidy {
	struct krl_datapath *dp;
	uv_timer_t *timer;
	unsigned int looks;
};

static bool is_enrolled(const struct bpf_map *map, __u64 cookie)
{
	__u64 value;

	return !bpf_map_lookup_elem(bpf_map__fd(map), &cookie, &value) || errno != ENOENT;
}

/* Remove the rows of connections that are not enrolled any more, and whose end sockops is not told. */
static void drop_loose(struct krl_datapath *dp)
{
	int loose = bpf_map__fd(dp->skel->maps.krl_loose);
	__u64 next, key;
	bool more = !bpf_map_get_next_key(loose, NULL, &next);

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(loose, &key, &next);
		if (is_enrolled(dp->skel->maps.krl_sockets, key) || is_enrolled(dp->skel->maps.krl_senders, key))
			continue;
		bpf_map_delete_elem(bpf_map__fd(dp->skel->maps.krl_conns), &key);
		bpf_map_delete_elem(bpf_map__fd(dp->skel->maps.krl_matches), &key);
		bpf_map_delete_elem(loose, &key);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct krl_tidy *tidy = timer->data;

	if (tidy->dp->releasing)
		krl_walk_release(tidy->dp);
	if (++tidy->looks % TIDY_EVERY == 0)
		drop_loose(tidy->dp);
}

int krl_tidy_open(struct krl_datapath *dp, uv_loop_t *loop, struct krl_tidy **ret)
{
	struct krl_tidy *tidy = calloc(1, sizeof(*tidy));

	if (tidy)
		tidy->timer = malloc(sizeof(*tidy->timer));
	if (!tidy || !tidy->timer) {
		free(tidy);
		return -ENOMEM;
	}
	tidy->dp = dp;
	/* The agent before may have left some. */
	dp->releasing = true;
	uv_timer_init(loop, tidy->timer);
	tidy->timer->data = tidy;
	uv_timer_start(tidy->timer, on_timer, LOOK_EVERY_MS, LOOK_EVERY_MS);
	*ret = tidy;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void krl_tidy_close(struct krl_tidy *tidy)
{
	if (!tidy)
		return;
	uv_close((uv_handle_t *)tidy->timer, on_closed);
	free(tidy);
}
