// SPDX-License-Identifier: Apache-2.0
/* The agent's part in the answers: it holds the AF_UNIX pairs open through which whole answers leave,
 * keeps the wall clock in the configuration, and does what the kernel asks for: end a connection after
 * its last answer, and try a waiting answer again until the server has been quiet.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/base/log.h"
#include "agent/loop/handle.h"
#include "carry.h"
#include "charges.h"
#include "guard.h"
#include "internal.h"
#include "pending.h"
#include "recount.h"
#include "sweep.h"
#include "takeover.h"
#include "walk.h"

struct krl_responders {
	struct krl_datapath *dp;
	struct ring_buffer *events;
	uv_poll_t *poll;
	uv_timer_t *alive;	/* every KRL_CARRY_TICK_MS, a fifth of what the kernel takes for dead */
	struct krl_carry carry;
	struct krl_pending pending;
	struct krl_sweeper *sweeper;
	struct krl_charge_sweeper *charges;
	struct krl_tidy *tidy;
	struct krl_guard *guard;
	struct krl_recounter *recounter;
	struct krl_takeover *takeover;
	__u64 events_lost;	/* of krl_load.events_lost, those that were made up for */
	int pairs[KRL_MAX_RESPONDERS][2];
	int pair_count;
	int command[2];
	int sink[2];
};

/* Tell the kernel that the agent is there, and what the wall clock says. */
static void set_clocks(struct krl_datapath *dp)
{
	struct timespec real, boot;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	__atomic_store_n(&dp->config->wall_offset_ns,
			 (real.tv_sec - boot.tv_sec) * 1000000000LL + real.tv_nsec - boot.tv_nsec,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&dp->config->alive_ns, boot.tv_sec * 1000000000ULL + boot.tv_nsec,
			 __ATOMIC_RELAXED);
}

/* Have the kernel say again what it could not. */
static void recall_events(struct krl_responders *r)
{
	__u64 lost = __atomic_load_n(&r->dp->load->events_lost, __ATOMIC_ACQUIRE);

	if (lost != r->events_lost && !krl_pending_send(&r->pending, 0, KRL_COMMAND_RECALL))
		r->events_lost = lost;
}

static void on_alive(uv_timer_t *timer)
{
	struct krl_responders *r = timer->data;

	set_clocks(r->dp);
	recall_events(r);
	krl_carry_tick(&r->carry);
}

static int on_event(void *ctx, void *data, size_t size)
{
	struct krl_responders *r = ctx;
	const struct krl_event *event = data;

	if (size < sizeof(*event))
		return 0;
	switch (event->kind) {
	case KRL_EVENT_CLOSE:
		krl_pending_add(&r->pending, event->cookie, KRL_COMMAND_CLOSE);
		break;
	case KRL_EVENT_CARRY:
		krl_carry_waiting(&r->carry);
		break;
	case KRL_EVENT_DRAIN:
		krl_pending_add(&r->pending, event->cookie, KRL_COMMAND_DRAIN);
		break;
	case KRL_EVENT_DONE:
		krl_pending_remove(&r->pending, event->cookie);
		break;
	case KRL_EVENT_LISTEN:
		krl_guard_listens(r->dp, event->cookie);
		break;
	}
	return 0;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct krl_responders *r = poll->data;

	ring_buffer__consume(r->events);
	krl_guard_listening(r->dp);
}

static int open_pair(int pair[2], struct bpf_map *in, struct bpf_map *out, __u32 key,
		     struct krl_error *ret_error)
{
	__u64 fd;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return krl_error_set(ret_error, errno, "socketpair: %s", strerror(errno));
	fd = pair[1];
	if (bpf_map_update_elem(bpf_map__fd(out), &key, &fd, BPF_ANY))
		return krl_error_set(ret_error, errno, "%s: %s", bpf_map__name(out), strerror(errno));
	fd = pair[0];
	if (in && bpf_map_update_elem(bpf_map__fd(in), &key, &fd, BPF_ANY))
		return krl_error_set(ret_error, errno, "%s: %s", bpf_map__name(in), strerror(errno));
	return 0;
}

/* Put a socket into krl_sink and have its pipe broken, by the kernel's own means. */
static int open_sink(struct krl_responders *r, struct krl_error *ret_error)
{
	int err;

	err = open_pair(r->sink, NULL, r->dp->skel->maps.krl_sink, 0, ret_error);
	if (!err)
		krl_pending_send(&r->pending, 0, KRL_COMMAND_BREAK_SINK);
	return err;
}

static void close_pair(const int pair[2])
{
	if (pair[0] >= 0)
		close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
}

static int open_pairs(struct krl_responders *r, struct krl_error *ret_error)
{
	struct kmesh_rl *skel = r->dp->skel;
	int cpus = libbpf_num_possible_cpus(), err = 0;

	if (cpus > KRL_MAX_RESPONDERS)
		cpus = KRL_MAX_RESPONDERS;
	err = open_pair(r->command, NULL, skel->maps.krl_commands, 0, ret_error);
	r->pending.fd = r->command[0];
	for (; !err && r->pair_count < cpus; r->pair_count++)
		err = open_pair(r->pairs[r->pair_count], skel->maps.krl_bounce, skel->maps.krl_responders,
				r->pair_count, ret_error);
	return err ? err : open_sink(r, ret_error);
}

static int start_loop(struct krl_responders *r, uv_loop_t *loop, struct krl_error *ret_error)
{
	uv_poll_t *poll = krl_handle_new(sizeof(*poll), r);
	uv_timer_t *alive = krl_handle_new(sizeof(*alive), r), *timer = krl_handle_new(sizeof(*timer), &r->pending);
	uv_timer_t *batch = krl_handle_new(sizeof(*batch), &r->carry);
	int err = -ENOMEM;

	r->events = ring_buffer__new(bpf_map__fd(r->dp->skel->maps.krl_events), on_event, r, NULL);
	if (poll && alive && timer && batch && r->events)
		err = uv_poll_init(loop, poll, ring_buffer__epoll_fd(r->events));
	if (err) {
		free(poll);
		free(alive);
		free(timer);
		free(batch);
		return krl_error_set(ret_error, -err, "watching krl_events: %s", uv_strerror(err));
	}
	uv_timer_init(loop, alive);
	uv_timer_init(loop, timer);
	uv_timer_init(loop, batch);
	r->poll = poll;
	r->alive = alive;
	r->pending.timer = timer;
	r->carry.timer = batch;
	uv_timer_start(alive, on_alive, KRL_CARRY_TICK_MS, KRL_CARRY_TICK_MS);
	return uv_poll_start(poll, UV_READABLE, on_readable);
}

int krl_responders_open(struct krl_datapath *dp, uv_loop_t *loop, struct krl_responders **ret,
			struct krl_error *ret_error)
{
	struct krl_responders *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return krl_error_set(ret_error, ENOMEM, "out of memory");
	r->dp = dp;
	r->command[0] = r->command[1] = r->sink[0] = r->sink[1] = -1;
	memset(r->pairs, -1, sizeof(r->pairs));
	set_clocks(dp);
	err = start_loop(r, loop, ret_error);
	if (!err)
		err = open_pairs(r, ret_error);
	if (!err && krl_sweeper_open(loop, bpf_map__fd(dp->skel->maps.krl_buckets), r->command[0], dp->rules,
				     dp->load, &r->sweeper))
		err = krl_error_set(ret_error, ENOMEM, "out of memory");
	if (!err && (krl_charge_sweeper_open(dp, loop, r->command[0], &r->charges) ||
		     krl_tidy_open(dp, loop, &r->tidy) || krl_guard_open(dp, loop, &r->guard) ||
		     krl_recounter_open(dp, loop, &r->recounter) || krl_takeover_open(dp, loop, &r->takeover)))
		err = krl_error_set(ret_error, ENOMEM, "out of memory");
	if (err) {
		krl_responders_close(r);
		return err;
	}
	/* What the agent before had pending. */
	krl_pending_send(&r->pending, 0, KRL_COMMAND_RECALL);
	__atomic_store_n(&dp->config->responders, r->pair_count, __ATOMIC_RELEASE);
	r->carry.fd = r->pairs[0][0];
	r->carry.queue_fd = bpf_map__fd(dp->skel->maps.krl_answers);
	r->carry.config = dp->config;
	r->carry.load = dp->load;
	krl_carry_start(&r->carry);
	*ret = r;
	return 0;
}

void krl_responders_close(struct krl_responders *r)
{
	int i;

	if (!r)
		return;
	__atomic_store_n(&r->dp->config->responders, 0, __ATOMIC_RELEASE);
	krl_carry_stop(&r->carry);
	krl_handle_close(r->poll);
	krl_handle_close(r->alive);
	krl_handle_close(r->carry.timer);
	krl_sweeper_close(r->sweeper);
	krl_charge_sweeper_close(r->charges);
	krl_tidy_close(r->tidy);
	krl_guard_close(r->guard);
	krl_recounter_close(r->recounter);
	krl_takeover_close(r->takeover);
	krl_pending_clear(&r->pending);
	krl_handle_close(r->pending.timer);
	for (i = 0; i < KRL_MAX_RESPONDERS; i++)
		close_pair(r->pairs[i]);
	close_pair(r->command);
	close_pair(r->sink);
	ring_buffer__free(r->events);
	free(r);
}
