// SPDX-License-Identifier: Apache-2.0
/* What the kernel spends on the steps of one request, by test-run, as JSON: walking over and matching a head, by
 * the number of rules; taking from a bucket, by the number of buckets. argv[1] is the directory of the test
 * objects. */
#include <errno.h>
#include <error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <jansson.h>

#include "agent/policy/policy.h"
#include "bpf/lib/conn.h"
#include "bpf/lib/request.h"
#include "test/prog/admit.h"

/* As test/bench/run.py has it for whole requests: what browsers and API clients send. */
#define HEAD_BYTES 600
#define HEAD "GET /file HTTP/1.1\r\nHost: 127.0.0.1:18485\r\n"                                        \
	     "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" \
	     "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n" \
	     "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"              \
	     "X-User-Type: tier-%02d\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n"           \
	     "X-Request-Id: 7b0a3c1e-52d4-4c0b-9a55-0e9d9f7c5a11\r\nX-Trace: %0*d\r\n\r\n"

enum {
	WALKS = 50000,		/* of one measurement */
	TAKES = 1000,		/* in one run of the program */
	RUNS = 300,		/* ... of one measurement */
};

static struct bpf_object *open_object(const char *directory, const char *name)
{
	struct bpf_object *object;
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s.bpf.o", directory, name);
	object = bpf_object__open(path);
	if (!object || bpf_object__load(object))
		error(1, errno, "loading %s", path);
	return object;
}

static void set(const struct bpf_object *object, const char *map, const void *value)
{
	__u32 zero = 0;

	if (bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, map), &zero, value, BPF_ANY))
		error(1, errno, "writing %s", map);
}

/* The average time in ns of @repeat runs over @packet. */
static double run(const struct bpf_object *object, const char *program, const void *packet, size_t len, int repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = len, .repeat = repeat);
	struct bpf_program *prog = bpf_object__find_program_by_name(object, program);

	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts) || opts.retval)
		error(1, errno, "running %s", program);
	return opts.duration;
}

/* @count rules, each for one value of a header. */
static void tiers(int count, struct krl_policy *ret)
{
	struct krl_policy_builder *builder = krl_policy_builder_new();
	const char *what;
	int i;

	for (i = 0; i < count; i++) {
		struct krl_selector selector = { { { .kind = KRL_PREDICATE_EXACT, .name = "x-user-type" } }, 1 };

		snprintf(selector.terms[0].value, sizeof(selector.terms[0].value), "tier-%02d", i);
		if (krl_policy_add(builder, i, 0, true, &selector, 1, &what))
			error(1, 0, "too many %s", what);
	}
	krl_policy_finish(builder, ret);
	krl_policy_builder_free(builder);
}

/* A head for which the last of @rules rules counts; without any rule, it is only framed. */
static double head_ns(const char *directory, int rules)
{
	struct bpf_object *object = open_object(directory, rules ? "match" : "scan");
	static const struct krl_conn fresh;
	static const struct krl_match nothing;
	static struct krl_policy policy;
	struct krl_conn conn;
	char head[HEAD_BYTES + 1];
	__u32 zero = 0;
	double ns;
	int last = rules ? rules - 1 : 0, pad = HEAD_BYTES - snprintf(NULL, 0, HEAD, last, 1, 0) + 1;

	snprintf(head, sizeof(head), HEAD, last, pad, 0);
	set(object, "test_conn", &fresh);
	if (rules) {
		tiers(rules, &policy);
		set(object, "test_policy", &policy);
		set(object, "test_match", &nothing);
	}
	ns = run(object, rules ? "match_packet" : "scan_packet", head, HEAD_BYTES, WALKS);
	if (bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(object, "test_conn"), &zero, &conn) ||
	    conn.scan.heads != 1)
		error(1, 0, "the head was not walked over");
	bpf_object__close(object);
	return ns;
}

/* One take of @whose bucket, with what is in krl_buckets of @object. */
static double take_ns(const struct bpf_object *object, __u64 live, enum test_admit_whose whose)
{
	struct test_admit_run row = { .next = live, .random = 1, .whose = whose, .takes = TAKES };
	char packet[64] = { 0 };
	__u32 zero = 0;
	double ns;

	set(object, "run", &row);
	ns = run(object, "admit_many", packet, sizeof(packet), RUNS) / TAKES;
	if (bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(object, "run"), &zero, &row) || row.refused)
		error(1, 0, "%llu takes were refused", row.refused);
	return ns;
}

/* Make the buckets number @from to @to, as requests do. Returns the time of one in ns. */
static double fill(const struct bpf_object *object, __u64 from, __u64 to)
{
	struct test_admit_run row = { .next = from, .whose = TEST_ADMIT_NEXT };
	__u64 left = to - from, runs = (left + TAKES - 1) / TAKES;
	char packet[64] = { 0 };

	row.takes = left / runs;
	set(object, "run", &row);
	return run(object, "admit_many", packet, sizeof(packet), runs) / row.takes;
}

static void prepare_takes(const struct bpf_object *object)
{
	static const struct krl_policy policy;
	const struct krl_endpoint endpoint = { .rule_count = 1, .rules = { { .slot = 0, .id = 1 } } };
	const struct krl_rule rule = { .id = 1, .settings = { 1ULL << 62, 1ULL << 62, 1000000000 } };

	set(object, "test_policy", &policy);
	set(object, "test_endpoint", &endpoint);
	set(object, "krl_rules", &rule);
}

static json_t *heads(const char *directory)
{
	static const int counts[] = { 0, 1, 8, 32, 64 };
	json_t *result = json_object();
	char name[16];
	size_t i;

	for (i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		snprintf(name, sizeof(name), "%d", counts[i]);
		json_object_set_new(result, name, json_real(head_ns(directory, counts[i])));
	}
	return result;
}

static json_t *takes(const char *directory)
{
	static const __u64 counts[] = { 1, 1000, 1000000 };
	json_t *one = json_object(), *any = json_object();
	struct bpf_object *object = open_object(directory, "admit");
	double made_ns = 0;
	__u64 live = 0;
	char name[32];
	size_t i;

	prepare_takes(object);
	for (i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		made_ns = fill(object, live, counts[i]);
		live = counts[i];
		snprintf(name, sizeof(name), "%llu", live);
		json_object_set_new(one, name, json_real(take_ns(object, live, TEST_ADMIT_ONE)));
		json_object_set_new(any, name, json_real(take_ns(object, live, TEST_ADMIT_ANY)));
	}
	bpf_object__close(object);
	return json_pack("{s:o, s:o, s:f}", "one", one, "any", any, "new", made_ns);
}

int main(int argc, char **argv)
{
	json_t *result;

	if (argc != 2)
		error(2, 0, "usage: %s DIRECTORY-OF-TEST-OBJECTS", argv[0]);
	result = json_pack("{s:o, s:o}", "head_ns", heads(argv[1]), "take_ns", takes(argv[1]));
	if (!result || json_dumpf(result, stdout, JSON_COMPACT) || putchar('\n') == EOF)
		error(1, errno, "writing the result");
	json_decref(result);
	return 0;
}
