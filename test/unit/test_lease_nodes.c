// SPDX-License-Identifier: Apache-2.0
/* Leases of several nodes of one bucket, tick by tick: the kernel's buckets, the agents' accounts, and what lease.lua does
 * where nothing is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cluster/lease.h"
#include "bpf/lib/lease.h"

#define MS 1000000ULL
#define S (1000 * MS)
#define TICK (100 * MS)
#define TTL (3 * S)
#define NODES 3

struct redis {
	__s64 t, out, max, fill;
	__u64 interval, last, wants, exchanges;
	struct { __u64 held, wanted, until; } holders[NODES];
};

struct node {
	struct krl_bucket kernel;
	struct krl_lease lease;
	bool is_told;
	__u64 need;		/* of what it was told */
	__u64 tick, every, next, admitted;
	unsigned int size;	/* tokens of a request */
};

struct net {
	struct redis redis;
	struct node nodes[NODES];
	__u64 now;
	unsigned int drawn;
};

static unsigned int draw(struct net *net)
{
	net->drawn = net->drawn * 1103515245 + 12345;
	return net->drawn >> 16;
}

static void fill(struct redis *r, __u64 now)
{
	__s64 fills = now / r->interval - r->last / r->interval;

	if (fills <= 0)
		return;
	if (r->t < r->max - r->out)
		r->t = r->t + fills * r->fill < r->max - r->out ? r->t + fills * r->fill : r->max - r->out;
	r->last = now;
}

static __u64 exchange(struct redis *r, int who, __u64 now, const struct krl_lease_report *report)
{
	__u64 held = r->holders[who].held - report->used - report->back, others, granted;
	double share;

	fill(r, now);
	r->exchanges++;
	r->out -= report->used + report->back;
	r->t += report->back;
	for (int i = 0; i < NODES; i++)
		if (r->holders[i].until <= now && !r->holders[i].held)
			r->holders[i].wanted = 0;
	others = 0;
	for (int i = 0; i < NODES; i++)
		others += i == who ? 0 : r->holders[i].wanted;
	granted = report->want < (__u64)r->t ? report->want : (__u64)r->t;
	share = r->t * ((double)report->want / (report->want + others));
	share = share < report->least ? report->least : share;
	if (others && granted > (__u64)share)
		granted = (__u64)share;
	r->t -= granted;
	r->out += granted;
	r->holders[who].held = held + granted;
	r->holders[who].wanted = report->want - granted;
	r->holders[who].until = now + TTL;
	r->wants = others;
	assert_true(r->t >= 0 && r->t + r->out <= r->max);
	return granted;
}

/* As agent/cluster/cluster.c does. */
static void tick(struct net *net, int who)
{
	struct node *n = &net->nodes[who];
	struct krl_lease *l = &n->lease;
	struct krl_lease_seen seen = { .drawn = draw(net) };
	struct krl_lease_report report;
	struct redis *r = &net->redis;
	__u64 out, granted, now = net->now;

	if (n->is_told)
		krl_lease_asked(l, n->need);
	n->is_told = false;
	n->need = 0;
	if (!krl_lease_is_due(l, now)) {
		if (krl_lease_rests(l))
			*l = (struct krl_lease){ .known = true };
		return;
	}
	seen.tokens = n->kernel.tokens;
	seen.over = now >= krl_lease_end(krl_lease_untell(&n->kernel));
	seen.fills = now + 3 * TICK >= l->fill_ns;
	seen.filled = now >= l->fill_ns;
	out = krl_lease_look(l, &seen, &report);
	krl_lease_taken_out(l, out, krl_lease_take_out(&n->kernel, out), seen.over, &report);
	krl_lease_want(l, r->max, 0, &report);
	if (!report.used && !report.back && !report.want && !l->leased)
		return;
	granted = exchange(r, who, now, &report);
	krl_lease_answered(l, &(struct krl_lease_answer){
		.wanted = report.want, .granted = granted, .out = r->out, .others = r->wants, .left = r->t,
		.full = r->interval >= 10 * TICK && r->t + r->out + r->fill > r->max, .now_ns = now,
		.fill_ns = (now / r->interval + 1) * r->interval });
	if (granted || l->leased) {
		krl_lease_grant(&n->kernel, granted, now + TTL);
		krl_lease_granted(l, granted, 0);
	}
}

static void ask(struct net *net, struct node *n)
{
	int refused = krl_lease_take(&n->kernel, net->now, n->size);

	n->admitted += refused ? 0 : n->size;
	n->is_told = true;
	if (refused && n->need < n->size)
		n->need = n->size;
}

static struct net net_of(__s64 max, __s64 fill_, __u64 interval)
{
	struct net net = { .redis = { .t = max, .max = max, .fill = fill_, .interval = interval, .last = 10 * S }, .now = 10 * S };

	for (int i = 0; i < NODES; i++) {
		net.nodes[i].kernel = krl_lease_new(0);
		krl_lease_grant(&net.nodes[i].kernel, 0, 1);
		net.nodes[i].lease.known = true;
		net.nodes[i].tick = net.now + i * TICK / NODES;
	}
	return net;
}

static void go_on(struct net *net, __u64 ns)
{
	for (__u64 until = net->now + ns; net->now < until; net->now += MS)
		for (int i = 0; i < NODES; i++) {
			struct node *n = &net->nodes[i];

			for (; n->every && n->next <= net->now; n->next += n->every / 2 + n->every * draw(net) / 65536)
				ask(net, n);
			if (n->tick <= net->now) {
				tick(net, i);
				n->tick += TICK;
			}
		}
}

static void all_ask(struct net *net, unsigned int size, __u64 a, __u64 b, __u64 c)
{
	__u64 every[NODES] = { a, b, c };

	for (int i = 0; i < NODES; i++) {
		net->nodes[i].size = size;
		net->nodes[i].every = every[i];
		net->nodes[i].next = net->now + (every[i] ? every[i] / 2 : 0);
	}
}

/* What the nodes admit in @ns, and all of them. */
static __u64 used_in(struct net *net, __u64 ns, __u64 ret[NODES])
{
	__u64 sum = 0;
	int i;

	for (i = 0; i < NODES; i++)
		ret[i] = net->nodes[i].admitted;
	go_on(net, ns);
	for (i = 0; i < NODES; i++) {
		ret[i] = net->nodes[i].admitted - ret[i];
		sum += ret[i];
	}
	return sum;
}

/* Three that ask for 90, 9 and 1 of a hundred, for three times what there is. */
static void uneven_nodes_use_98_of_a_hundred(void **state)
{
	static const __s64 limits[] = { 1000, 200, 50, 20, 10 };
	__u64 used[NODES], sum;
	struct net net;
	size_t i;

	for (i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		net = net_of(limits[i], limits[i], S);
		all_ask(&net, 1, S * 100 / 90 / 3 / limits[i], S * 100 / 9 / 3 / limits[i], S * 100 / 3 / limits[i]);
		go_on(&net, 5 * S);
		sum = used_in(&net, 200 * S, used);
		assert_in_range(sum, limits[i] * 196, limits[i] * 200);
		assert_in_range(used[0], limits[i] * 130, limits[i] * 190);
		assert_in_range(used[1], limits[i] * 6, limits[i] * 54);
		assert_in_range(used[2], limits[i] / 2, limits[i] * 6);
		/* Not more often than each tick. */
		assert_in_range(net.redis.exchanges, 1, 205 * 10 * NODES);
	}
}

static void lend(struct net *net, int who, __u64 n)
{
	struct krl_lease_report report = { .want = n };
	struct node *node = &net->nodes[who];

	assert_int_equal(exchange(&net->redis, who, net->now, &report), n);
	krl_lease_grant(&node->kernel, n, net->now + TTL);
	krl_lease_granted(&node->lease, n, 0);
}

/* None has what a request needs, and all of them have it. */
static void one_has_the_whole(void **state)
{
	static const __u64 held[][NODES] = { { 50, 50, 0 }, { 34, 33, 33 }, { 79, 1, 20 }, { 60, 0, 40 } };
	static const __u64 every[] = { 20 * MS, 130 * MS, 700 * MS };
	__u64 used[NODES];
	unsigned int drawn;
	struct net net;
	size_t i, j;
	int who;

	for (i = 0; i < sizeof(held) / sizeof(*held); i++)
		for (j = 0; j < sizeof(every) / sizeof(*every); j++)
			for (drawn = 0; drawn < 20; drawn++) {
				net = net_of(100, 100, 86400 * S);
				net.drawn = drawn;
				for (who = 0; who < NODES; who++)
					lend(&net, who, held[i][who]);
				all_ask(&net, 80, every[j], every[j], every[j]);
				assert_int_equal(used_in(&net, 6 * S, used), 80);
			}
}

static void none_has_the_whole_always(void **state)
{
	struct net net = net_of(160, 160, S);
	__u64 used[NODES];
	int i;

	all_ask(&net, 80, 30 * MS, 40 * MS, 50 * MS);
	assert_in_range(used_in(&net, 60 * S, used), 160 * 59, 160 * 61);
	for (i = 0; i < NODES; i++)
		assert_in_range(used[i], 160 * 60 / 10, 160 * 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uneven_nodes_use_98_of_a_hundred),
		cmocka_unit_test(one_has_the_whole),
		cmocka_unit_test(none_has_the_whole_always),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
