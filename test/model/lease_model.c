// SPDX-License-Identifier: Apache-2.0
/* Every run of leases, up to a number of ticks: nodes that take, exchange with Redis, die and are cut off, Redis that loses
 * its data. Searched breadth first, so that the run that is printed is a shortest one.
 *
 * The bound is that of docs/cluster.md for all windows at once: admitted from a on to b is at most max + fill for each fill
 * instant in (a, b], plus credit for each node. Both sums add up over windows that follow each other, so that the most by
 * which any window that ends now is over its fills is one number: it grows by one with each request, and falls by fill at
 * each instant, not below 0, which is the window that begins now (Lindley's recursion). That is `excess`. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES 2
#define LIVES 2			/* incarnations of each node */
#define HOLDERS (NODES * LIVES)
#define TTL 2			/* ticks */

enum mutation {
	NONE,
	REFILL_LAST,		/* the report before the refill */
	RETURN_DEAD,		/* what a record that ran out held is given back */
	REPEAT,			/* an exchange whose outcome is not known is sent again */
	NO_FLOOR,		/* nothing is made of a loss of data */
	END_LATE,		/* a lease ends TTL after the reply */
	OLD_KEPT,		/* what an incarnation before had is kept, with the new end */
	EXPIRE_FIRST,		/* records run out before the fills of the time before */
	CREDIT_AGAIN,		/* the credit is put in again where there are no tokens */
	SEQ_ONLY,		/* of a restart only the sequence tells, as it is now */
	MUTATIONS,
};

static const char *const names[MUTATIONS] = { "none", "refill-last", "return-dead", "repeat", "no-floor", "end-late",
					      "old-kept", "expire-first",
					      "credit-again", "seq-only" };

static int max_tokens = 2, fill = 1, interval = 1, credit, horizon = 6, faults = 1;
static const char *kinds;	/* of faults: c connection, a agent, d dump, f all data */
static enum mutation mutation;

struct redis {
	int8_t t, last, floor;			/* times: 0 none */
	int8_t epoch, seq, dead, run, seen_run;	/* seen_run: the one that made the epoch */
	int8_t held[HOLDERS], until[HOLDERS];	/* until 0: no record */
};

enum { IDLE, SENT, ANSWERED };

struct message {
	int8_t stage, holder, used, debt, back, epoch, seq, sent;	/* of ANSWERED: epoch and seq are those of the answer */
	int8_t granted, left;
};

struct node {
	int8_t tokens, end, used, debt, credit;
	int8_t life, epoch, seq, turn;		/* turn: it has sent in this tick */
	struct message now, ghost;	/* ghost: on its way still, though nobody waits for it */
};

struct state {
	int8_t time, excess, faults, epochs, dumped;
	struct redis redis, dump;
	struct node nodes[NODES];
};

struct entry {
	struct state state;
	uint32_t parent;
	const char *step;
	int8_t node;		/* -1: none */
};

static struct entry *entries;
static uint32_t count, room, *table, places;

static uint64_t hash(const struct state *s)
{
	const unsigned char *c = (const unsigned char *)s;
	uint64_t h = 14695981039346656037u;
	size_t i;

	for (i = 0; i < sizeof(*s); i++)
		h = (h ^ c[i]) * 1099511628211u;
	return h ^ h >> 29;
}

static void trace(uint32_t at)
{
	const struct state *s = &entries[at].state;

	if (at)
		trace(entries[at].parent);
	printf("%2d  %c %-33s excess %d  t %d  held", s->time, entries[at].node < 0 ? ' ' : 'A' + entries[at].node,
	       entries[at].step, s->excess, s->redis.t);
	for (int h = 0; h < HOLDERS; h++)
		printf(" %d", s->redis.held[h]);
	printf("  kernels %d %d\n", s->nodes[0].tokens, s->nodes[1].tokens);
}

static uint32_t parent;

static void add(const struct state *s, const char *step, int node)
{
	uint32_t at = hash(s) % places, n;

	for (; table[at]; at = (at + 1) % places)
		if (!memcmp(&entries[table[at] - 1].state, s, sizeof(*s)))
			return;
	if (count == room) {
		fprintf(stderr, "more than %u states\n", room);
		exit(2);
	}
	n = count++;
	entries[n].state = *s;
	entries[n].parent = parent;
	entries[n].step = step;
	entries[n].node = node;
	table[at] = n + 1;
	if (s->excess <= max_tokens + credit * NODES)
		return;
	trace(n);
	printf("OVER after %u states: %d admitted beyond the fills, %d may be\n", count, s->excess,
	       max_tokens + credit * NODES);
	exit(1);
}

static int min(int a, int b)
{
	return a < b ? a : b;
}

static int out_of(const struct redis *r)
{
	int out = 0;

	for (int h = 0; h < HOLDERS; h++)
		out += r->held[h];
	return out;
}

static void refill(struct redis *r, int now)
{
	int fills = now / interval - r->last / interval, free = max_tokens - r->t - out_of(r);

	if (fills > 0 && free > 0)
		r->t += min(fills * fill, free);
	if (fills > 0)
		r->last = now / interval * interval;
}

static void expire(struct redis *r, int now)
{
	int latest = 0;

	for (int h = 0; h < HOLDERS; h++)
		if (r->until[h] && r->until[h] <= now && r->until[h] > latest)
			latest = r->until[h];
	/* The fills of the time before had no room where those tokens were. */
	if (latest && mutation != EXPIRE_FIRST)
		refill(r, latest);
	for (int h = 0; h < HOLDERS; h++) {
		if (!r->until[h] || r->until[h] > now)
			continue;
		if (mutation == RETURN_DEAD)
			r->t += r->held[h];
		r->held[h] = r->until[h] = 0;
	}
}

static void lose(struct redis *r, int now, int dead)
{
	r->dead = dead;
	if (mutation == NO_FLOOR)
		return;
	r->floor = now + TTL;
	r->t = min(r->t, 0);
	r->last = r->floor;
	memset(r->held, 0, sizeof(r->held));
	memset(r->until, 0, sizeof(r->until));
}

static void look_for_loss(struct state *s, const struct message *m)
{
	struct redis *r = &s->redis;

	if (!r->epoch) {
		r->epoch = ++s->epochs;
		r->seen_run = r->run;
		if (m->epoch)
			lose(r, s->time, m->epoch);
		return;
	}
	if (mutation == SEQ_ONLY) {
		if (m->epoch == r->epoch && r->seq < m->seq) {
			r->epoch = ++s->epochs;
			lose(r, s->time, m->epoch);
		}
		return;
	}
	if (r->seen_run != r->run) {
		lose(r, s->time, r->epoch);
		r->epoch = ++s->epochs;
		r->seen_run = r->run;
		return;
	}
	if (!m->epoch || m->epoch == r->epoch || m->epoch == r->dead)
		return;
	lose(r, s->time, m->epoch);
}

/* What the script does. */
static void exchange(struct state *s, struct message *m)
{
	struct redis *r = &s->redis;
	int h = m->holder, b;

	look_for_loss(s, m);
	if (s->time >= r->floor) {
		expire(r, s->time);
		if (mutation != REFILL_LAST)
			refill(r, s->time);
		r->held[h] -= min(m->used, r->held[h]);
		r->t -= m->debt;
		b = min(m->back, r->held[h]);
		r->held[h] -= b;
		r->t += b;
		if (mutation == REFILL_LAST)
			refill(r, s->time);
		m->granted = r->t < 0 ? 0 : r->t;
		r->t -= m->granted;
		r->held[h] += m->granted;
	} else {
		r->t -= m->debt;
		m->granted = 0;
	}
	r->until[h] = r->held[h] ? s->time + TTL : 0;
	m->epoch = r->epoch;
	/* Told apart is only what the dump does not know. */
	if (s->dumped == 1 || (s->dumped && mutation == SEQ_ONLY))
		r->seq++;
	m->seq = r->seq;
	m->left = r->t;
	m->stage = ANSWERED;
}

/* What was on its way is over; nobody knows whether it arrived. What is in the kernel is of the record before, and goes;
 * what was spent without a lease is told again, which can only take too much. */
static void renew(struct node *n)
{
	n->life++;
	n->debt += n->now.stage ? n->now.debt : 0;
	n->used = n->turn = 0;
	if (mutation != OLD_KEPT)
		n->tokens = n->end = 0;
	memset(&n->now, 0, sizeof(n->now));
}

static void requests(const struct state *from, int i)
{
	struct state s = *from;
	struct node *n = &s.nodes[i];

	if (n->tokens && s.time < n->end) {
		n->tokens--;
		n->used++;
	} else if (n->credit) {
		n->credit--;
		n->debt++;
	} else {
		return;
	}
	s.excess++;
	add(&s, "admits a request", i);
}

static void sends(const struct state *from, int i, bool back)
{
	struct state s = *from;
	struct node *n = &s.nodes[i];

	if (n->now.stage || n->turn || (back && (!n->tokens || s.time >= n->end)))
		return;
	n->now = (struct message){ .stage = SENT, .holder = i * LIVES + n->life, .used = n->used, .debt = n->debt,
				   .back = back ? n->tokens : 0, .epoch = n->epoch, .seq = n->seq, .sent = s.time };
	n->used = n->debt = 0;
	n->turn = 1;
	/* Behind the end they are nobody's. */
	if (back || s.time >= n->end)
		n->tokens = n->end = 0;
	add(&s, back ? "sends, gives all back" : "sends", i);
}

static void answers(const struct state *from, int i)
{
	struct state s = *from;
	struct node *n = &s.nodes[i];
	int end = (mutation == END_LATE ? s.time : n->now.sent) + TTL;

	n->epoch = n->now.epoch;
	n->seq = n->now.seq;
	if (end > s.time) {
		if (s.time >= n->end)
			n->tokens = 0;
		n->tokens += n->now.granted;
		n->end = end;
		/* With what Redis has not heard of, never more than that. */
		if (n->now.granted || n->now.left > 0 || mutation == CREDIT_AGAIN)
			n->credit = credit > n->debt ? credit - n->debt : 0;
	}
	memset(&n->now, 0, sizeof(n->now));
	add(&s, end > s.time ? "is answered" : "is answered too late", i);
}

static void messages(const struct state *from, int i)
{
	struct state s = *from;
	struct node *n = &s.nodes[i];

	if (n->now.stage == SENT) {
		exchange(&s, &n->now);
		add(&s, "Redis does what was sent", i);
	}
	if (from->nodes[i].now.stage == ANSWERED)
		answers(from, i);
	if (from->nodes[i].ghost.stage == SENT) {
		s = *from;
		exchange(&s, &n->ghost);
		memset(&n->ghost, 0, sizeof(n->ghost));
		add(&s, "Redis does what was given up", i);
	}
}

static void failures(const struct state *from, int i)
{
	struct state s = *from;
	struct node *n = &s.nodes[i];

	if (!s.faults || n->life == LIVES - 1 || !(strchr(kinds, 'c') || strchr(kinds, 'a')))
		return;
	s.faults--;
	if (n->now.stage && !n->ghost.stage && strchr(kinds, 'c')) {
		if (mutation == REPEAT) {
			n->now.stage = SENT;
			n->now.epoch = n->epoch;
			n->now.seq = n->seq;
			add(&s, "the answer is lost, sends again", i);
		} else {
			n->ghost = n->now.stage == SENT ? n->now : (struct message){ 0 };
			renew(n);
			add(&s, "the connection breaks", i);
		}
	}
	if (!strchr(kinds, 'a'))
		return;
	s = *from;
	s.faults--;
	/* What was spent without a lease, a new agent does not know: all of it, then. */
	if (n->now.stage == SENT && !n->ghost.stage)
		n->ghost = n->now;
	renew(n);
	n->debt = credit;
	n->credit = 0;
	add(&s, "the agent is another one", i);
}

static void disasters(const struct state *from)
{
	struct state s = *from;
	int8_t run;
	int i;

	if (!from->dumped && from->redis.epoch && from->faults && strchr(kinds, 'd')) {
		s.dump = s.redis;
		s.dumped = 1;
		add(&s, "Redis dumps", -1);
	}
	if (!from->faults)
		return;
	if (from->dumped == 1) {
		s = *from;
		run = s.redis.run;
		s.redis = s.dump;
		s.redis.run = run + 1;
		memset(&s.dump, 0, sizeof(s.dump));
		s.dumped = 2;
		s.faults--;
		add(&s, "Redis restarts with its dump", -1);
	}
	/* Whoever has no memory and comes first is given a full bucket: docs/cluster.md. */
	for (i = 0; i < NODES; i++)
		if (!from->nodes[i].epoch || !strchr(kinds, 'f'))
			return;
	s = *from;
	run = s.redis.run;
	memset(&s.redis, 0, sizeof(s.redis));
	s.redis.run = run;
	s.redis.t = max_tokens;
	s.redis.last = s.time / interval * interval;
	s.faults--;
	add(&s, "Redis loses everything", -1);
}

static void passes(const struct state *from)
{
	struct state s = *from;
	int i;

	if (from->time == horizon)
		return;
	s.time++;
	if (s.time % interval == 0)
		s.excess = s.excess > fill ? s.excess - fill : 0;
	for (i = 0; i < NODES; i++) {
		s.nodes[i].turn = 0;
		if (s.nodes[i].end && s.time >= s.nodes[i].end)
			s.nodes[i].tokens = s.nodes[i].end = 0;
	}
	add(&s, "time passes", -1);
}

static int usage(void)
{
	fprintf(stderr, "usage: lease_model MUTATION MAX FILL INTERVAL CREDIT TICKS FAULTS KINDS\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct state first = { .faults = 0 };
	int i;

	if (argc != 9)
		return usage();
	for (i = 0; i < MUTATIONS && strcmp(argv[1], names[i]); i++)
		;
	if (i == MUTATIONS)
		return usage();
	mutation = i;
	max_tokens = atoi(argv[2]);
	fill = atoi(argv[3]);
	interval = atoi(argv[4]);
	credit = atoi(argv[5]);
	horizon = atoi(argv[6]);
	faults = atoi(argv[7]);
	kinds = argv[8];
	room = 6u << 20;
	places = 2 * room;
	entries = calloc(room, sizeof(*entries));
	table = calloc(places, sizeof(*table));
	if (!entries || !table || interval < 1)
		return usage();
	first.time = interval;
	first.redis.t = max_tokens;
	first.redis.last = interval;
	first.faults = faults;
	for (i = 0; i < NODES; i++)
		first.nodes[i].credit = credit;
	add(&first, "begins", -1);
	for (parent = 0; parent < count; parent++) {
		struct state s = entries[parent].state;

		for (i = 0; i < NODES; i++) {
			requests(&s, i);
			sends(&s, i, false);
			sends(&s, i, true);
			messages(&s, i);
			failures(&s, i);
		}
		disasters(&s);
		passes(&s);
	}
	printf("no run of %d ticks is over, of %u states\n", horizon, count);
	return 0;
}
