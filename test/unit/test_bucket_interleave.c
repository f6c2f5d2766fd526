// SPDX-License-Identifier: Apache-2.0
/* The token bucket under every order of steps: each access to the bucket is a point where another
 * CPU may go on. CPUs are coroutines on one thread; a schedule says at which step which CPU goes
 * on. Schedules with one and two such switches are run throughout, and many random ones with more,
 * so that a CPU stalls between any two steps while the others work. After each run, every stretch
 * of it is held against the theorem of docs/bucket.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include "bpf/lib/compiler.h"

static void step(void);
static int loses(const void *word);

#undef KRL_READ_ONCE
#define KRL_READ_ONCE(x) (step(), *(const volatile __typeof__(x) *)&(x))
#define __sync_val_compare_and_swap(p, old, new)                                                   \
	(step(), loses(p) ? ~(old) : __sync_val_compare_and_swap(p, old, new))
#define __sync_fetch_and_add(p, n) (step(), __sync_fetch_and_add(p, n))
#define __sync_fetch_and_and(p, n) (step(), __sync_fetch_and_and(p, n))

#include "bpf/lib/bucket.h"

#define CPUS 3
#define OPS 6
#define SWITCHES 6
#define NEAR 64
#define RANDOM_RUNS 10000

struct op {
	uint64_t now_ns, n;
	int give_back; /* put the tokens back at once */
	int new; /* by the second of the two settings */
};

struct scenario {
	struct krl_settings s[2]; /* max_tokens of the second 0: they never change */
	struct krl_bucket start;
	int losers; /* so many of the first CPUs lose every exchange of tokens */
	struct op ops[CPUS][OPS]; /* up to the first with n 0 */
};

struct done {
	const struct op *op;
	int begin, end, taken;
};

struct change {
	int at, cpu;
};

static struct run {
	const struct scenario *sc;
	struct krl_bucket b;
	struct change plan[SWITCHES];
	int planned, reached, last_switched, steps, cpu, out_of_range;
	int finished[CPUS];
	struct done done[CPUS * OPS];
	int done_count;
} run;

static ucontext_t scheduler, cpus[CPUS];
static char stacks[CPUS][256 * 1024];
static const struct scenario *failed;

static int64_t most_tokens(const struct scenario *sc)
{
	return sc->s[sc->s[1].max_tokens > sc->s[0].max_tokens].max_tokens;
}

/* What takes that do not compare may borrow, on top of the debt that was there. */
static int64_t least_tokens(const struct scenario *sc)
{
	return (sc->start.tokens < 0 ? sc->start.tokens : 0) -
	       (int64_t)(CPUS * KRL_BUCKET_BLIND_MAX);
}

static void step(void)
{
	int from = run.cpu;

	run.steps++;
	if (run.b.tokens > most_tokens(run.sc) || run.b.tokens < least_tokens(run.sc))
		run.out_of_range = 1;
	if (run.reached < run.planned && run.plan[run.reached].at == run.steps) {
		run.cpu = run.plan[run.reached++].cpu;
		if (run.finished[run.cpu])
			run.cpu = from;
		run.last_switched = run.cpu != from;
		if (run.last_switched)
			swapcontext(&cpus[from], &cpus[run.cpu]);
	}
}

static int loses(const void *word)
{
	return word == &run.b.tokens && run.cpu < run.sc->losers;
}

static void work(int cpu)
{
	const struct op *op = run.sc->ops[cpu];
	const struct krl_settings *s;
	struct done *d;

	for (; op < run.sc->ops[cpu] + OPS && op->n; op++) {
		s = &run.sc->s[op->new];
		d = &run.done[run.done_count++];
		*d = (struct done){ .op = op, .begin = run.steps };
		d->taken = !krl_bucket_take(&run.b, s, op->now_ns, op->n);
		if (d->taken && op->give_back) {
			krl_bucket_give_back(&run.b, s, op->n);
			d->taken = 0;
		}
		d->end = run.steps;
	}
	run.finished[cpu] = 1;
}

static void start_cpu(int cpu)
{
	getcontext(&cpus[cpu]);
	cpus[cpu].uc_stack.ss_sp = stacks[cpu];
	cpus[cpu].uc_stack.ss_size = sizeof(stacks[cpu]);
	cpus[cpu].uc_link = &scheduler;
	makecontext(&cpus[cpu], (void (*)(void))work, 1, cpu);
}

/* A CPU that was stopped goes on when those after it are done. */
static int next_unfinished(int cpu)
{
	int i;

	for (i = 1; i < CPUS; i++)
		if (!run.finished[(cpu + i) % CPUS])
			return (cpu + i) % CPUS;
	return -1;
}

static void run_plan(const struct scenario *sc, const struct change *plan, int planned, int first)
{
	int i;

	memset(&run, 0, sizeof(run));
	run.sc = sc;
	run.b = sc->start;
	run.planned = planned;
	memcpy(run.plan, plan, planned * sizeof(*plan));
	for (i = 0; i < CPUS; i++)
		start_cpu(i);
	for (run.cpu = first; run.cpu >= 0; run.cpu = next_unfinished(run.cpu))
		swapcontext(&scheduler, &cpus[run.cpu]);
}

/* What may have been added between the readings @lo and @hi; see docs/bucket.md. */
static __int128 credit_bound(const struct scenario *sc, uint64_t lo, uint64_t hi)
{
	__int128 passed = hi > lo ? hi - lo : 0, bound = 0, most = 0, longest;
	int i;

	if (!sc->s[1].max_tokens)
		return sc->s[0].tokens_per_fill * (passed / sc->s[0].fill_interval_ns + 1);
	longest = sc->s[sc->s[1].fill_interval_ns > sc->s[0].fill_interval_ns].fill_interval_ns;
	for (i = 0; i < 2; i++) {
		most = sc->s[i].tokens_per_fill * (passed + longest) / sc->s[i].fill_interval_ns;
		bound = most > bound ? most : bound;
	}
	return bound;
}

/* Requests wholly inside the steps from @begin to @end, against everything that ran in them. What a
 * request from before puts back is its own. */
static int stretch_holds(int begin, int end)
{
	__int128 admitted = 0, bound = most_tokens(run.sc);
	uint64_t lo = UINT64_MAX, hi = 0;
	const struct done *d;

	for (d = run.done; d < run.done + run.done_count; d++) {
		if (d->end < begin || d->begin > end)
			continue;
		if (d->op->now_ns > hi)
			hi = d->op->now_ns;
		if (d->begin < begin || d->end > end) {
			bound += d->op->give_back ? d->op->n : 0;
			continue;
		}
		if (d->op->now_ns < lo)
			lo = d->op->now_ns;
		admitted += d->taken ? d->op->n : 0;
	}
	return admitted <= bound + credit_bound(run.sc, lo, hi);
}

static int run_holds(void)
{
	int i, j;

	if (run.out_of_range || run.b.last_topup_ns & KRL_BUCKET_FLAGS)
		return 0;
	for (i = 0; i < run.done_count; i++)
		for (j = 0; j < run.done_count; j++)
			if (run.done[j].end >= run.done[i].begin &&
			    !stretch_holds(run.done[i].begin, run.done[j].end))
				return 0;
	return 1;
}

static int check_plan(const struct scenario *sc, const struct change *plan, int planned, int first)
{
	int i;

	run_plan(sc, plan, planned, first);
	if (run_holds() || failed)
		return run.steps;
	failed = sc;
	printf("first CPU %d", first);
	for (i = 0; i < planned; i++)
		printf(", at step %d CPU %d", plan[i].at, plan[i].cpu);
	printf(": last_topup %#llx tokens %lld\n", (unsigned long long)run.b.last_topup_ns,
	       (long long)run.b.tokens);
	for (i = 0; i < run.done_count; i++)
		printf("  steps %d..%d clock %llu n %llu: %s\n", run.done[i].begin, run.done[i].end,
		       (unsigned long long)run.done[i].op->now_ns,
		       (unsigned long long)run.done[i].op->n,
		       run.done[i].taken ? "admitted" : "not admitted");
	return run.steps;
}

/* Every step after the last switch is tried for the next one; far from it, where a CPU only goes
 * round in circles until it gives up, every seventh. */
static void check_all_plans(const struct scenario *sc, struct change *plan, int planned, int max,
			    int first, int from)
{
	int steps = check_plan(sc, plan, planned, first), at, cpu;

	if (planned == max || (planned && !run.last_switched))
		return;
	for (at = from + 1; at <= steps && !failed; at += at - from < NEAR ? 1 : 7) {
		for (cpu = 0; cpu < CPUS; cpu++) {
			plan[planned] = (struct change){ .at = at, .cpu = cpu };
			check_all_plans(sc, plan, planned + 1, max, first, at);
		}
	}
}

static uint64_t next_random(uint64_t *rng)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return *rng * 0x2545f4914f6cdd1dULL >> 11;
}

static void check_random_plans(const struct scenario *sc)
{
	struct change plan[SWITCHES];
	uint64_t rng = 0x9e3779b97f4a7c15ULL;
	int runs, i, at;

	for (runs = 0; runs < RANDOM_RUNS && !failed; runs++) {
		for (i = 0, at = 0; i < SWITCHES; i++) {
			at += 1 + next_random(&rng) % (next_random(&rng) % 8 ? 8 : 200);
			plan[i] = (struct change){ .at = at, .cpu = next_random(&rng) % CPUS };
		}
		check_plan(sc, plan, SWITCHES, next_random(&rng) % CPUS);
	}
}

static void check(const struct scenario *sc)
{
	struct change plan[SWITCHES];
	int first;

	failed = NULL;
	for (first = 0; first < CPUS; first++)
		check_all_plans(sc, plan, 0, 2, first, 0);
	check_random_plans(sc);
	assert_null(failed);
}

/* All schedules of up to @switches switches after step @from, CPU 0 first. */
static void check_deep(const struct scenario *sc, int from, int switches)
{
	struct change plan[SWITCHES];

	failed = NULL;
	check_all_plans(sc, plan, 0, switches, 0, from);
	assert_null(failed);
}

#define TAKE(now) { .now_ns = (now), .n = 1 }
#define TAKES(now) TAKE(now), TAKE(now), TAKE(now)
#define TAKE_N(now, tokens) { .now_ns = (now), .n = (tokens) }
#define TAKE_BACK(now, tokens) { .now_ns = (now), .n = (tokens), .give_back = 1 }
#define TAKE_NEW(now) { .now_ns = (now), .n = 1, .new = 1 }

static void a_refill_that_stalls_credits_nothing_late(void **state)
{
	check(&(struct scenario){ .s = { { 2, 1, 10 } },
				  .start = { 0, 0 },
				  .ops = { { TAKE(20) }, { TAKES(40) }, { TAKES(40) } } });
	check(&(struct scenario){
		.s = { { 4, 1, 10 } },
		.start = { 0, 1 },
		.ops = { { TAKE(30) }, { TAKE(60), TAKES(61) }, { TAKES(65) } } });
}

static void a_clock_that_moves_between_takers_keeps_the_bound(void **state)
{
	check(&(struct scenario){
		.s = { { 3, 2, 1 } },
		.start = { 0, 3 },
		.ops = { { TAKES(1) }, { TAKE(1), TAKE(2), TAKE(3) }, { TAKES(2) } } });
}

static void a_clock_that_steps_back_keeps_the_bound(void **state)
{
	check(&(struct scenario){ .s = { { 2, 2, 10 } },
				  .start = { 30, 2 },
				  .ops = { { TAKE(50), TAKE(20) }, { TAKES(35) }, { TAKES(5) } } });
}

static void tokens_given_back_are_not_given_twice(void **state)
{
	check(&(struct scenario){
		.s = { { 3, 1, 10 } },
		.start = { 0, 3 },
		.ops = { { TAKE_BACK(40, 3) }, { TAKE(40), TAKES(40) }, { TAKE(40) } } });
	check(&(struct scenario){
		.s = { { 3, 1, 10 } },
		.start = { 0, 2 },
		.ops = { { TAKE_BACK(9, 2), TAKE_BACK(9, 1) }, { TAKE(35) }, { TAKES(40) } } });
}

static void a_taker_that_always_loses_keeps_the_bound(void **state)
{
	check(&(struct scenario){ .s = { { 2, 1, 10 } },
				  .start = { 0, 2 },
				  .losers = 1,
				  .ops = { { TAKE(9) }, { TAKES(30) }, { TAKES(30) } } });
	check(&(struct scenario){
		.s = { { 3, 1, 10 } },
		.start = { 0, 3 },
		.losers = 2,
		.ops = { { TAKE(9) }, { TAKE_N(60, 2) }, { TAKE(60), TAKES(60) } } });
}

/* Blind, it takes what another has just taken; a refill sees the hole; it must not be put back
 * then. */
static void a_blind_take_is_not_put_back_beside_a_refill(void **state)
{
	check_deep(&(struct scenario){ .s = { { 3, 1, 10 } },
				       .start = { 0, 3 },
				       .losers = 1,
				       .ops = { { TAKE_N(9, 2) },
						{ TAKE_N(9, 3), TAKES(60), TAKE(60), TAKE(60) } } },
		   3 * KRL_BUCKET_TRIES, 4);
}

static void the_largest_takes_are_never_blind(void **state)
{
	check(&(struct scenario){ .s = { { INT64_MAX, 1, 1000 } },
				  .start = { 0, INT64_MAX },
				  .losers = CPUS,
				  .ops = { { TAKE_N(1, INT64_MAX) },
					   { TAKE_N(1, INT64_MAX) },
					   { TAKE_N(1, INT64_MAX) } } });
}

static void debt_is_not_lost_to_a_race(void **state)
{
	check(&(struct scenario){ .s = { { 3, 1, 10 } },
				  .start = { 0, -2 },
				  .ops = { { TAKE(30) }, { TAKES(40) }, { TAKES(55) } } });
}

static void the_largest_numbers_do_not_wrap(void **state)
{
	check(&(struct scenario){ .s = { { INT64_MAX, INT64_MAX, 1 } },
				  .start = { 0, 5 },
				  .ops = { { TAKE_N(1, INT64_MAX) },
					   { TAKE_BACK(1, INT64_MAX - 4) },
					   { TAKE_N(2, 6), TAKE_N(1, INT64_MAX) } } });
}

static void settings_that_change_under_load_keep_the_bound_of_the_larger(void **state)
{
	check(&(struct scenario){ .s = { { 4, 2, 10 }, { 2, 1, 7 } },
				  .start = { 0, 0 },
				  .ops = { { TAKE(30), TAKE_NEW(40) },
					   { TAKE_NEW(40), TAKES(40) },
					   { TAKES(44) } } });
	check(&(struct scenario){
		.s = { { 4, 1, 10 }, { 2, 2, 10 } },
		.start = { 0, 4 },
		.losers = 1,
		.ops = { { TAKE_NEW(9) }, { TAKES(12) }, { TAKE_NEW(5), TAKE(5), TAKE_NEW(5) } } });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refill_that_stalls_credits_nothing_late),
		cmocka_unit_test(a_clock_that_moves_between_takers_keeps_the_bound),
		cmocka_unit_test(a_clock_that_steps_back_keeps_the_bound),
		cmocka_unit_test(tokens_given_back_are_not_given_twice),
		cmocka_unit_test(a_taker_that_always_loses_keeps_the_bound),
		cmocka_unit_test(a_blind_take_is_not_put_back_beside_a_refill),
		cmocka_unit_test(the_largest_takes_are_never_blind),
		cmocka_unit_test(debt_is_not_lost_to_a_race),
		cmocka_unit_test(the_largest_numbers_do_not_wrap),
		cmocka_unit_test(settings_that_change_under_load_keep_the_bound_of_the_larger),
	};

	return cmocka_run_group_tests_name("bucket interleavings", tests, NULL, NULL);
}
