// SPDX-License-Identifier: Apache-2.0
#include <kmesh_rl/usage.h>

#include "charges.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/loop/handle.h"

/* So often some rows are looked at: all of them within a second, unless there are very many. */
#define LOOK_EVERY_MS 500
#define ROWS 4096

/* A walk over a map by its keys. */
struct place {
	struct krl_charge_key key;	/* or a cookie, in its first word */
	bool begun;
};

struct krl_charge_sweeper {
	struct krl_datapath *dp;
	uv_timer_t *timer;
	int command_fd;
	struct place charges, llms;
	char value[];		/* of krl_conns: room to look one up, or what is smaller */
};

static bool has(struct krl_charge_sweeper *s, const struct bpf_map *map, __u64 cookie)
{
	return !bpf_map_lookup_elem(bpf_map__fd(map), &cookie, s->value) || errno != ENOENT;
}

/* Is no program told any more of what happens on the connection? */
static bool is_lost(struct krl_charge_sweeper *s, __u64 cookie)
{
	if (!has(s, s->dp->skel->maps.krl_conns, cookie))
		return true;
	return has(s, s->dp->skel->maps.krl_loose, cookie) && !has(s, s->dp->skel->maps.krl_sockets, cookie);
}

/* Call @each for up to ROWS rows of @map from @place on. */
static void walk(struct krl_charge_sweeper *s, const struct bpf_map *map, struct place *place,
		 void (*each)(struct krl_charge_sweeper *s, const struct krl_charge_key *key))
{
	int fd = bpf_map__fd(map), i;
	struct krl_charge_key key;
	bool more;

	more = !bpf_map_get_next_key(fd, place->begun ? &place->key : NULL, &key);
	for (i = 0; i < ROWS && more; i++) {
		place->key = key;
		more = !bpf_map_get_next_key(fd, &place->key, &key);
		each(s, &place->key);
	}
	place->begun = more;
}

static void settle(struct krl_charge_sweeper *s, const struct krl_charge_key *key)
{
	struct krl_command command = { .cookie = key->cookie, .kind = KRL_COMMAND_SETTLE, .count = key->request };

	/* What is not sent now is met again by the next walk. */
	if (is_lost(s, key->cookie))
		send(s->command_fd, &command, sizeof(command), MSG_DONTWAIT);
}

static void forget(struct krl_charge_sweeper *s, const struct krl_charge_key *key)
{
	if (!has(s, s->dp->skel->maps.krl_conns, key->cookie))
		bpf_map_delete_elem(bpf_map__fd(s->dp->skel->maps.krl_llms), &key->cookie);
}

static void on_timer(uv_timer_t *timer)
{
	struct krl_charge_sweeper *s = timer->data;

	walk(s, s->dp->skel->maps.krl_charges, &s->charges, settle);
	walk(s, s->dp->skel->maps.krl_llms, &s->llms, forget);
}

int krl_charge_sweeper_open(struct krl_datapath *dp, uv_loop_t *loop, int command_fd,
			    struct krl_charge_sweeper **ret)
{
	struct krl_charge_sweeper *s = calloc(1, sizeof(*s) + bpf_map__value_size(dp->skel->maps.krl_conns));

	if (s)
		s->timer = krl_timer_new(loop, s, on_timer, LOOK_EVERY_MS);
	if (!s || !s->timer) {
		free(s);
		return -ENOMEM;
	}
	s->dp = dp;
	s->command_fd = command_fd;
	*ret = s;
	return 0;
}

void krl_charge_sweeper_close(struct krl_charge_sweeper *s)
{
	if (!s)
		return;
	krl_handle_close(s->timer);
	free(s);
}
