// SPDX-License-Identifier: Apache-2.0
#include "recount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/vec.h"
#include "agent/loop/handle.h"
#include "diag.h"
#include "guard.h"
#include "late.h"
#include "netns.h"

/* What is younger may be on its way. */
#define OLD_NS 1000000000ULL

#define LOOK_EVERY_MS 1000
#define LOOK_AT_ALL_EVERY 10
/* What nobody told of, since another program on the cgroup made the kernel forget to. */
#define WALK_EVERY 60

#define BATCH 512

/* A row of one of the two maps that is old enough. */
struct row {
	__u64 cookie;		/* of krl_held */
	struct krl_flow flow;	/* of krl_reserved; its namespace, of both */
};

struct recount {
	struct krl_datapath *dp;
	bool edited;
	bool dials;		/* connections that go out count */
	__u64 now_ns;
	struct row *rows;
	size_t row_count;
	size_t loose;		/* those whose end sockops is not told */
	struct row *seen;
	size_t seen_count;
	__u64 *visited;		/* cookies of the namespaces that were walked through */
	size_t visited_count;
	size_t taken_in, given_back;
};

static int compare_rows(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct row));
}

static int run(struct krl_datapath *dp, const struct krl_counted *counted)
{
	return krl_late_run(dp, KRL_LATE_RECOUNT, counted, sizeof(*counted));
}

/* A row of a map, whose key has @key_bytes. 0, or -ENOMEM. */
static int add_row(struct recount *r, const void *key, size_t key_bytes, const struct krl_held *held)
{
	struct row *row;

	r->loose += key_bytes == sizeof(row->cookie) && !held->followed;
	if (held->since_ns + OLD_NS > r->now_ns)
		return 0;
	row = krl_vec_add(&r->rows, &r->row_count);
	if (!row)
		return -ENOMEM;
	memset(row, 0, sizeof(*row));
	if (key_bytes == sizeof(row->cookie)) {
		memcpy(&row->cookie, key, sizeof(row->cookie));
		row->flow.netns_cookie = held->keys[0].netns_cookie;
	} else {
		memcpy(&row->flow, key, sizeof(row->flow));
	}
	return 0;
}

/* Add the rows of @map. 0, or -errno. */
static int add_rows(struct recount *r, const struct bpf_map *map)
{
	size_t key_bytes = bpf_map__key_size(map);
	struct krl_held *values = malloc(BATCH * sizeof(*values));
	char *keys = malloc(BATCH * key_bytes);
	__u32 place = 0, count, i;
	bool first = true;
	int err = values && keys ? 0 : -ENOMEM;

	while (!err) {
		count = BATCH;
		err = bpf_map_lookup_batch(bpf_map__fd(map), first ? NULL : &place, &place, keys, values, &count, NULL);
		/* ENOENT comes with the last rows. */
		for (i = 0; (!err || err == -ENOENT) && i < count; i++)
			if (add_row(r, keys + i * key_bytes, key_bytes, &values[i]))
				err = -ENOMEM;
		first = false;
	}
	free(values);
	free(keys);
	return err == -ENOENT ? 0 : err;
}

static int give_back_one(struct recount *r, struct krl_counted counted)
{
	int err;

	counted.kind = counted.cookie ? KRL_COUNTED_GONE : KRL_COUNTED_HALF_OPEN;
	err = run(r->dp, &counted);
	r->given_back += !err;
	return err;
}

/* May @socket hold something, or should it? */
static bool may_count(const struct recount *r, const struct krl_diag_socket *socket)
{
	struct krl_held held;

	return r->dials || krl_port_is_in(r->dp->ports, socket->flow.local_port) ||
	       !bpf_map_lookup_elem(bpf_map__fd(r->dp->skel->maps.krl_held), &socket->cookie, &held);
}

/* See what @socket holds, and make that right. 0, or -errno. */
static int look(struct recount *r, const struct krl_diag_socket *socket)
{
	struct krl_counted counted = { .cookie = socket->cookie, .flow = socket->flow };
	struct row *seen;
	int holds;

	holds = krl_diag_run(r->dp->skel->progs.krl_counted, socket, &counted, sizeof(counted), &counted.kind);
	if (holds || counted.kind == KRL_COUNTED_NOT)
		return holds;
	seen = krl_vec_add(&r->seen, &r->seen_count);
	if (!seen)
		return -ENOMEM;
	seen->cookie = socket->cookie;
	if (counted.kind == KRL_COUNTED_NOWHERE)
		return give_back_one(r, counted);
	if (counted.kind != KRL_COUNTED_MISSING && !(counted.kind == KRL_COUNTED_HERE && r->edited))
		return 0;
	holds = run(r->dp, &counted);
	if (holds < 0)
		return holds;
	r->taken_in += holds;
	return 0;
}

static bool is_reserved(const struct recount *r, const struct krl_flow *flow)
{
	struct krl_held held;

	return !bpf_map_lookup_elem(bpf_map__fd(r->dp->skel->maps.krl_reserved), flow, &held);
}

static int on_socket(void *ctx, const struct krl_diag_socket *socket)
{
	struct recount *r = ctx;
	struct row *seen;

	if (socket->state != TCP_SYN_RECV || !is_reserved(r, &socket->flow))
		return may_count(r, socket) ? look(r, socket) : 0;
	seen = krl_vec_add(&r->seen, &r->seen_count);
	if (!seen)
		return -ENOMEM;
	seen->flow = socket->flow;
	return 0;
}

/* In the network namespace that the agent is in now. */
static int walk_here(void *ctx)
{
	struct recount *r = ctx;
	__u64 *visited = krl_vec_add(&r->visited, &r->visited_count);

	if (!visited)
		return -ENOMEM;
	*visited = krl_netns_cookie();
	return krl_diag_each(~(KRL_DIAG_STATE(TCP_TIME_WAIT) | KRL_DIAG_STATE(TCP_CLOSE) | KRL_DIAG_STATE(TCP_LISTEN)), on_socket,
			     r);
}

/* Is the namespace gone, or was it walked through? In others, what was not seen may be there. */
static bool is_known(const struct recount *r, __u64 netns_cookie)
{
	size_t i;

	for (i = 0; i < r->visited_count; i++)
		if (r->visited[i] == netns_cookie)
			return true;
	return !krl_guard_is_alive(r->dp, netns_cookie);
}

/* Give back what the rows hold whose connection was not seen. */
static void give_back(struct recount *r)
{
	struct krl_counted counted = { 0 };
	struct row wanted;
	size_t i;

	if (r->seen_count)
		qsort(r->seen, r->seen_count, sizeof(*r->seen), compare_rows);
	for (i = 0; i < r->row_count; i++) {
		wanted = r->rows[i];
		if (wanted.cookie)
			memset(&wanted.flow, 0, sizeof(wanted.flow));
		if ((r->seen_count && bsearch(&wanted, r->seen, r->seen_count, sizeof(wanted), compare_rows)) ||
		    !is_known(r, r->rows[i].flow.netns_cookie))
			continue;
		counted.cookie = wanted.cookie;
		counted.flow = wanted.flow;
		give_back_one(r, counted);
	}
}

static bool dials(const struct krl_datapath *dp)
{
	__u32 i;

	for (i = 0; i < KRL_PORT_WORDS; i++)
		if (dp->dialled_ports[i])
			return true;
	return false;
}

int krl_recount(struct krl_datapath *dp, bool edited)
{
	struct recount r = { .dp = dp, .edited = edited || dp->edited, .dials = dials(dp), .now_ns = krl_boot_ns() };
	int err;

	err = add_rows(&r, dp->skel->maps.krl_held);
	if (!err)
		err = add_rows(&r, dp->skel->maps.krl_reserved);
	if (!err)
		err = krl_netns_each(walk_here, &r);
	if (!err)
		give_back(&r);
	/* Who was taken in, or could not be followed, is looked at again; so is all after a failure, and after an edit, in
	 * the middle of which somebody may have been connecting. */
	dp->recounts = err || edited || r.taken_in || r.given_back || r.loose;
	dp->edited = edited || (err && r.edited);
	if (r.taken_in || r.given_back)
		krl_log_debug("connections counted anew", "changes", "+%zu -%zu", r.taken_in, r.given_back);
	free(r.rows);
	free(r.seen);
	free(r.visited);
	return err;
}

struct krl_recounter {
	struct krl_datapath *dp;
	uv_timer_t *timer;
	unsigned int looks;
};

/* Is there a row in @map that waits for a walk? */
static bool is_waiting(struct krl_datapath *dp, const struct bpf_map *map, bool loose_alone)
{
	struct recount r = { .dp = dp, .now_ns = krl_boot_ns() };
	bool waiting;

	add_rows(&r, map);
	waiting = loose_alone ? r.loose : r.row_count;
	free(r.rows);
	return waiting;
}

static void on_timer(uv_timer_t *timer)
{
	struct krl_recounter *recounter = timer->data;
	struct krl_datapath *dp = recounter->dp;
	unsigned int looks = ++recounter->looks;

	if (dp->recounts || is_waiting(dp, dp->skel->maps.krl_reserved, false) ||
	    (looks % LOOK_AT_ALL_EVERY == 0 && is_waiting(dp, dp->skel->maps.krl_held, looks % WALK_EVERY != 0)))
		krl_recount(dp, false);
}

int krl_recounter_open(struct krl_datapath *dp, uv_loop_t *loop, struct krl_recounter **ret)
{
	struct krl_recounter *recounter = calloc(1, sizeof(*recounter));

	if (recounter)
		recounter->timer = krl_timer_new(loop, recounter, on_timer, LOOK_EVERY_MS);
	if (!recounter || !recounter->timer) {
		free(recounter);
		return -ENOMEM;
	}
	recounter->dp = dp;
	/* What happened without an agent. */
	dp->recounts = true;
	*ret = recounter;
	return 0;
}

void krl_recounter_close(struct krl_recounter *recounter)
{
	if (!recounter)
		return;
	krl_handle_close(recounter->timer);
	free(recounter);
}
