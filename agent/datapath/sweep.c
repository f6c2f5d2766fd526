// SPDX-License-Identifier: Apache-2.0
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "agent/base/clock.h"
#include "agent/loop/handle.h"
#include "bpf/lib/rule_bucket.h"

/* A walk over the map begins so often; with the map half full, ten times as often. */
#define WALK_EVERY_MS 10000
#define LOOK_EVERY_MS 1000
#define CROWDED (KRL_MAX_BUCKETS / 2)

/* Buckets that are looked at in one turn of the loop, and from turn to turn. */
#define BATCH 4096
#define TURN_MS 2

struct krl_sweeper {
	int buckets_fd, command_fd;
	const struct krl_rule *rules;
	const struct krl_load *load;
	uv_timer_t *timer;
	bool walking;
	__u32 place;		/* of the walk, as bpf_map_lookup_batch has it */
	__u64 made;		/* of the load, when the last walk began */
	__u64 left;		/* buckets of values that it met */
	unsigned int waited_ms;	/* since it ended */
	struct krl_sweep message;
	struct krl_bucket_key keys[BATCH];
	struct krl_bucket buckets[BATCH];
};

static __u64 made(const struct krl_sweeper *s)
{
	return __atomic_load_n(&s->load->buckets_made, __ATOMIC_RELAXED);
}

static void send_message(struct krl_sweeper *s)
{
	size_t len = sizeof(s->message.command) + s->message.command.count * sizeof(s->message.keys[0]);

	/* What is not sent now is met again by the next walk. */
	if (s->message.command.count)
		send(s->command_fd, &s->message, len, MSG_DONTWAIT);
	s->message.command.count = 0;
}

/* Would @bucket be full, had it been filled up to now, or is nothing open? Its rule may be changing: the kernel looks again. */
static bool is_full(const struct krl_sweeper *s, const struct krl_bucket_key *key, struct krl_bucket bucket,
		    __u64 now_ns)
{
	const struct krl_rule *rule = &s->rules[key->slot % KRL_MAX_RULES];
	struct krl_settings settings = rule->settings;

	if (rule->id != key->rule_id || !settings.tokens_per_fill || !settings.fill_interval_ns)
		return false;
	return krl_rule_bucket_is_new(&bucket, &settings, rule->flags, rule->credit, now_ns);
}

static void look_at(struct krl_sweeper *s, __u32 count)
{
	__u64 now_ns = krl_boot_ns();
	__u32 i;

	for (i = 0; i < count; i++) {
		/* There are few without a value, and they go with their rule. */
		if (!s->keys[i].descriptor[0] && !s->keys[i].descriptor[1])
			continue;
		s->left++;
		if (!is_full(s, &s->keys[i], s->buckets[i], now_ns))
			continue;
		s->message.keys[s->message.command.count++] = s->keys[i];
		s->left--;
		if (s->message.command.count == KRL_SWEEP_KEYS)
			send_message(s);
	}
	send_message(s);
}

/* One batch of the walk. Returns whether there is more. */
static bool walk(struct krl_sweeper *s)
{
	__u32 count = BATCH, next = 0;
	int err;

	err = bpf_map_lookup_batch(s->buckets_fd, s->place ? &s->place : NULL, &next, s->keys, s->buckets,
				   &count, NULL);
	if (!err || err == -ENOENT)
		look_at(s, count);
	s->place = next;
	return !err;
}

static void on_timer(uv_timer_t *timer)
{
	struct krl_sweeper *s = timer->data;
	__u64 fresh = made(s) - s->made;

	if (!s->walking) {
		s->waited_ms += LOOK_EVERY_MS;
		if (!(s->left + fresh) || (s->waited_ms < WALK_EVERY_MS && s->left + fresh < CROWDED))
			return;
		s->walking = true;
		s->place = 0;
		s->left = 0;
		s->made += fresh;
		uv_timer_start(timer, on_timer, 0, TURN_MS);
		return;
	}
	if (walk(s))
		return;
	s->walking = false;
	s->waited_ms = 0;
	uv_timer_start(timer, on_timer, LOOK_EVERY_MS, LOOK_EVERY_MS);
}

int krl_sweeper_open(uv_loop_t *loop, int buckets_fd, int command_fd, const struct krl_rule *rules,
		     const struct krl_load *load, struct krl_sweeper **ret)
{
	struct krl_sweeper *s = calloc(1, sizeof(*s));

	if (s)
		s->timer = krl_timer_new(loop, s, on_timer, LOOK_EVERY_MS);
	if (!s || !s->timer) {
		free(s);
		return -ENOMEM;
	}
	s->buckets_fd = buckets_fd;
	s->command_fd = command_fd;
	s->rules = rules;
	s->load = load;
	s->message.command.kind = KRL_COMMAND_SWEEP;
	*ret = s;
	return 0;
}

void krl_sweeper_close(struct krl_sweeper *s)
{
	if (!s)
		return;
	krl_handle_close(s->timer);
	free(s);
}
