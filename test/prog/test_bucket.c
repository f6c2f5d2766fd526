// SPDX-License-Identifier: Apache-2.0
/* The token bucket inside the kernel: two threads on two CPUs run the same program on one bucket at
 * once, and what it admitted is counted. argv[1] is the directory of bucket.bpf.o. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "bpf/lib/bucket.h"
#include "test/prog/object.h"
#include "test/prog/test_bucket.h"

#define US 1000ULL
#define TAKES 20000
#define REPEAT 10

static struct bpf_object *object;
static struct test_bucket_run *run; /* the map's row itself */
static int seen_fd;
static const char *directory;

static int prog_fd(const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(object, name));
}

static int load(void **state)
{
	if (object_load(directory, "bucket.bpf.o", &object) || object_print_verified(object))
		return -1;
	seen_fd = bpf_object__find_map_fd_by_name(object, "seen");
	run = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
		   bpf_object__find_map_fd_by_name(object, "run"), 0);
	return run == MAP_FAILED ? -1 : 0;
}

static int unload(void **state)
{
	munmap(run, sysconf(_SC_PAGESIZE));
	bpf_object__close(object);
	return 0;
}

static void set(enum test_bucket_clock clock, __u64 clock_ns, struct krl_settings s)
{
	struct test_bucket_seen *rows;
	__u32 zero = 0;
	int i, cpus = libbpf_num_possible_cpus();

	*run = (struct test_bucket_run){ .bucket = krl_bucket_full(&s, clock_ns),
					 .settings = { s, s },
					 .clock_ns = clock_ns,
					 .clock = clock,
					 .takes = TAKES,
					 .n = 1 };
	rows = calloc(cpus, sizeof(*rows));
	assert_non_null(rows);
	for (i = 0; i < cpus; i++) {
		rows[i].least = INT64_MAX;
		rows[i].most = INT64_MIN;
	}
	assert_int_equal(bpf_map_update_elem(seen_fd, &zero, rows, BPF_ANY), 0);
	free(rows);
}

/* What all CPUs saw. */
static struct test_bucket_seen seen(void)
{
	struct test_bucket_seen *rows, all = { .least = INT64_MAX, .most = INT64_MIN };
	int i, cpus = libbpf_num_possible_cpus();
	__u32 zero = 0;

	rows = calloc(cpus, sizeof(*rows));
	assert_non_null(rows);
	assert_int_equal(bpf_map_lookup_elem(seen_fd, &zero, rows), 0);
	for (i = 0; i < cpus; i++) {
		if (!rows[i].admitted && !rows[i].refused)
			continue;
		all.admitted += rows[i].admitted;
		all.refused += rows[i].refused;
		if (!all.first_ns || rows[i].first_ns < all.first_ns)
			all.first_ns = rows[i].first_ns;
		if (rows[i].last_ns > all.last_ns)
			all.last_ns = rows[i].last_ns;
		if (rows[i].least < all.least)
			all.least = rows[i].least;
		if (rows[i].most > all.most)
			all.most = rows[i].most;
	}
	free(rows);
	return all;
}

static int test_run(const char *name, int repeat)
{
	char packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = repeat);
	int err = bpf_prog_test_run_opts(prog_fd(name), &opts);

	return err ? err : (int)opts.retval;
}

struct hammer {
	int cpu, err;
	pthread_t thread;
};

static _Atomic int running, started;

static void *hammer_cpu(void *arg)
{
	struct hammer *h = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(h->cpu, &set);
	h->err = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	started++;
	while (started < 2)
		sched_yield();
	if (!h->err)
		h->err = test_run("take_many", REPEAT);
	running--;
	return NULL;
}

/* take_many from two CPUs at once, or twice from the only one; @meanwhile, if any, is called over
 * and over until they are done. */
static struct test_bucket_seen hammer(void (*meanwhile)(void))
{
	struct hammer h[2] = { { .cpu = -1 }, { .cpu = -1 } };
	struct test_bucket_seen all;
	cpu_set_t allowed;
	int i;

	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &allowed))
			continue;
		if (h[0].cpu >= 0) {
			h[1].cpu = i;
			break;
		}
		h[0].cpu = h[1].cpu = i;
	}
	running = 2;
	started = 0;
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&h[i].thread, NULL, hammer_cpu, &h[i]), 0);
	while (meanwhile && running)
		meanwhile();
	for (i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(h[i].thread, NULL), 0);
		assert_int_equal(h[i].err, 0);
	}
	all = seen();
	assert_int_equal(all.admitted + all.refused, 2 * TAKES * REPEAT);
	assert_int_equal(run->bucket.last_topup_ns & KRL_BUCKET_FLAGS, 0);
	return all;
}

/* The bound over the time that the programs themselves read. */
static __u64 bound(const struct test_bucket_seen *all, const struct krl_settings *s)
{
	return s->max_tokens +
	       s->tokens_per_fill * ((all->last_ns - all->first_ns) / s->fill_interval_ns + 1);
}

static void one_take_takes_one(void **state)
{
	set(TEST_CLOCK_FROZEN, 5, (struct krl_settings){ 2, 1, 10 });
	assert_int_equal(test_run("take_one", 3), 0);
	assert_int_equal(seen().admitted, 2);
	assert_int_equal(seen().refused, 1);
	run->clock_ns = 15;
	assert_int_equal(test_run("take_one", 3), 0);
	assert_int_equal(seen().admitted, 3);
	assert_int_equal(run->bucket.last_topup_ns, 15);
}

static void what_is_given_back_is_there_again(void **state)
{
	set(TEST_CLOCK_FROZEN, 5, (struct krl_settings){ 2, 1, 10 });
	assert_int_equal(test_run("take_one", 3), 0);
	assert_int_equal(test_run("give_back_one", 5), 0);
	assert_int_equal(run->bucket.tokens, 2);
	assert_int_equal(run->bucket.last_topup_ns, 5);
}

static void a_hot_bucket_gives(void **state)
{
	assert_int_equal(test_run("take_hot", 1000), 0);
}

static void a_frozen_clock_admits_exactly_max_on_two_cpus(void **state)
{
	static const __u64 max[] = { 1, 100, TAKES * REPEAT };
	struct test_bucket_seen all;
	size_t i;

	for (i = 0; i < sizeof(max) / sizeof(*max); i++) {
		set(TEST_CLOCK_FROZEN, 1000, (struct krl_settings){ max[i], max[i], 1 });
		all = hammer(NULL);
		assert_int_equal(all.admitted, max[i]);
		assert_true(all.most <= (__s64)max[i]);
		assert_true(run->bucket.tokens <= 0 && run->bucket.tokens >= -2);
	}
}

static void a_frozen_clock_gives_the_largest_bucket_once(void **state)
{
	set(TEST_CLOCK_FROZEN, 1000, (struct krl_settings){ INT64_MAX, INT64_MAX, 1 });
	run->n = 1U << 31;
	run->bucket.tokens = 3LL << 31;
	assert_int_equal(hammer(NULL).admitted, 3);
}

static void the_real_clock_keeps_the_bound_on_two_cpus(void **state)
{
	static const struct krl_settings settings[] = {
		{ 10, 1, 1 }, { 10, 1, US },	       { 1000, 7, 100 * US },
		{ 1, 1, US }, { 500, 500, INT64_MAX }, { 100, INT64_MAX, 50 * US },
	};
	struct test_bucket_seen all;
	size_t i;

	for (i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		set(TEST_CLOCK_REAL, krl_boot_ns(), settings[i]);
		all = hammer(NULL);
		if (settings[i].tokens_per_fill < INT64_MAX)
			assert_true(all.admitted <= bound(&all, &settings[i]));
		assert_true(all.admitted >= settings[i].max_tokens);
		assert_true(all.most <= (__s64)settings[i].max_tokens);
		if (settings[i].fill_interval_ns == INT64_MAX)
			assert_int_equal(all.admitted, settings[i].max_tokens);
	}
}

static void nobody_is_refused_while_tokens_are_there(void **state)
{
	set(TEST_CLOCK_REAL, krl_boot_ns(), (struct krl_settings){ 1ULL << 40, 1, US });
	assert_int_equal(hammer(NULL).refused, 0);
}

/* With room for every fill, what was admitted and what is left are the fills of that time; less
 * only those that lapsed while a CPU stalled in the middle of adding. */
static void fills_are_not_lost_on_two_cpus(void **state)
{
	const struct krl_settings s = { 1ULL << 40, 1, US };
	struct test_bucket_seen all;
	__u64 fills, got;

	set(TEST_CLOCK_REAL, krl_boot_ns(), s);
	run->bucket.tokens = 0;
	all = hammer(NULL);
	fills = (krl_bucket_last_topup(&run->bucket) - run->clock_ns) / US;
	got = all.admitted + run->bucket.tokens;
	printf("fills at 1 us: %llu of %llu credited\n", (unsigned long long)got,
	       (unsigned long long)fills);
	assert_true(got <= fills);
	assert_true(got >= fills / 2);
}

static void a_clock_that_steps_back_keeps_the_bound_on_two_cpus(void **state)
{
	const struct krl_settings s = { 10, 2, 7 };
	struct test_bucket_seen all;

	set(TEST_CLOCK_BACK, 1000000, s);
	all = hammer(NULL);
	assert_true(all.admitted <= bound(&all, &s));
	assert_true(all.admitted >= 10);
	assert_true(run->bucket.last_topup_ns <= all.last_ns);
}

static void swap_settings(void)
{
	KRL_FORGET();
	run->which = !run->which;
}

static void settings_that_change_under_load_keep_the_bound_of_the_larger(void **state)
{
	const struct krl_settings small = { 40, 8, 10 * US }, large = { 500, 1, 2 * US };
	struct test_bucket_seen all;
	__u64 fills;

	set(TEST_CLOCK_FROZEN, 1000, large);
	run->settings[1] = small;
	assert_true(hammer(swap_settings).admitted <= 500);

	set(TEST_CLOCK_REAL, krl_boot_ns(), large);
	run->settings[1] = small;
	all = hammer(swap_settings);
	fills = 8 * (all.last_ns - all.first_ns + 10 * US) / (10 * US);
	assert_true(all.admitted <= 500 + fills);
	assert_true(all.most <= 500);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_take_takes_one),
		cmocka_unit_test(what_is_given_back_is_there_again),
		cmocka_unit_test(a_hot_bucket_gives),
		cmocka_unit_test(a_frozen_clock_admits_exactly_max_on_two_cpus),
		cmocka_unit_test(a_frozen_clock_gives_the_largest_bucket_once),
		cmocka_unit_test(the_real_clock_keeps_the_bound_on_two_cpus),
		cmocka_unit_test(nobody_is_refused_while_tokens_are_there),
		cmocka_unit_test(fills_are_not_lost_on_two_cpus),
		cmocka_unit_test(a_clock_that_steps_back_keeps_the_bound_on_two_cpus),
		cmocka_unit_test(settings_that_change_under_load_keep_the_bound_of_the_larger),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: %s DIRECTORY-OF-bucket.bpf.o\n", argv[0]);
		return 2;
	}
	directory = argv[1];
	return cmocka_run_group_tests_name("bucket in the kernel", tests, load, unload);
}
