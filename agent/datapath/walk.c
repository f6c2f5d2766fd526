// SPDX-License-Identifier: Apache-2.0
/* Walks over the enrolled sockets, by the programs of bpf/walk.bpf.c, and the rows that they leave behind. */
#include "walk.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/loop/handle.h"
#include "sockmap.h"

/* How often what could not be let go is tried again, and how often rows are looked for that nothing is behind. */
#define LOOK_EVERY_MS 1000
#define TIDY_EVERY 10

static void nothing(void *ctx, __u32 said)
{
}

int krl_walk_enlist(struct krl_datapath *dp)
{
	return krl_sockmap_each(dp->skel->progs.krl_enlist, dp->skel->maps.krl_sockets, nothing, NULL);
}

static void count_later(void *ctx, __u32 said)
{
	*(size_t *)ctx += said == KRL_RELEASED_LATER;
}

/* Let go those of @map. Is there nothing that waits, or could not be looked at? */
static bool release(struct krl_datapath *dp, const struct bpf_map *map)
{
	size_t waiting = 0;

	return !krl_sockmap_each(dp->skel->progs.krl_release, map, count_later, &waiting) && !waiting;
}

void krl_walk_release(struct krl_datapath *dp)
{
	bool sockets = release(dp, dp->skel->maps.krl_sockets), senders = release(dp, dp->skel->maps.krl_senders);

	dp->releasing = !sockets || !senders;
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
		bpf_map_delete_elem(bpf_map__fd(dp->skel->maps.krl_llms), &key);
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
		tidy->timer = krl_timer_new(loop, tidy, on_timer, LOOK_EVERY_MS);
	if (!tidy || !tidy->timer) {
		free(tidy);
		return -ENOMEM;
	}
	tidy->dp = dp;
	/* The agent before may have left some. */
	dp->releasing = true;
	*ret = tidy;
	return 0;
}

void krl_tidy_close(struct krl_tidy *tidy)
{
	if (!tidy)
		return;
	krl_handle_close(tidy->timer);
	free(tidy);
}
