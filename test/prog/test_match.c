// SPDX-License-Identifier: Apache-2.0
/* The kernel finds the rules and the buckets that the same code finds in userspace, where a model checks it
 * (test/unit/test_match.c). argv[1] is the directory of the test objects. */
#include <stdio.h>
#include <string.h>

#include "bpf/lib/conn.h"
#include "test/prog/object.h"
#include "test/unit/match_cases.h"
#include "test/unit/match_walk.h"

/* test-run takes no packet that is longer than a page without some room. */
enum { MAX_PACKET = 3000, SETS = 300, REQUESTS = 10 };

static const __u64 key[2] = { 0x0123456789abcdefULL, 0xfedcba9876543210ULL };

static const char *directory;
static struct bpf_object *object;
static struct krl_policy policy;
static char stream[CASE_STREAM_BYTES];

/* The next @len bytes of the connection in packets; returns how many heads ended in them. */
static unsigned int run_in_packets(uint64_t *seed, size_t len)
{
	static struct krl_conn conn;
	unsigned int heads = 0;
	size_t at, n;

	for (at = 0; at < len; at += n) {
		n = MIN_PACKET + case_below(seed, case_below(seed, 2) ? 60 : MAX_PACKET - MIN_PACKET);
		if (n > len - at || (len - at - n < MIN_PACKET && len - at <= MAX_PACKET))
			n = len - at;
		else if (len - at - n < MIN_PACKET)
			n -= MIN_PACKET;
		object_run(object, "match_packet", stream + at, n);
		object_get(object, "test_conn", &conn);
		assert_int_equal(conn.scan.failed, 0);
		assert_int_equal(conn.scan.event, KRL_HTTP_NOTHING);
		assert_int_equal(conn.scan.off, n);
		heads += conn.scan.heads;
	}
	return heads;
}

static void check_same(const struct krl_match *kernel, const struct krl_match *user, size_t rules,
		       unsigned int number, size_t request)
{
	size_t i, tier;

	if (kernel->rules != user->rules || kernel->groups != user->groups || kernel->ambiguous != user->ambiguous)
		fail_msg("seed %u, request %zu: rules %llx, not %llx:\n%s", number, request, kernel->rules,
			 user->rules, stream);
	for (i = 0; i < rules; i++) {
		tier = policy.tier_of[i];
		if (kernel->rules >> i & 1 && memcmp(kernel->descriptors[tier], user->descriptors[tier], 16))
			fail_msg("seed %u, request %zu: another bucket of rule %zu:\n%s", number, request, i,
				 stream);
	}
}

static void check_set(unsigned int number)
{
	static const struct krl_conn fresh;
	static struct model_request request;
	static struct model_rules rules;
	static struct match_walk walk;
	static struct krl_match match;
	uint64_t seed = number;
	__u8 source[16];
	size_t i, len;

	case_rules(&seed, &rules);
	case_policy(&rules, &policy);
	case_source(&seed, source);
	match_walk_begin(&walk, &policy, key, source);
	object_set(object, "test_policy", &policy);
	object_set(object, "test_match", &walk.match);
	object_set(object, "test_conn", &fresh);
	for (i = 0; i < REQUESTS; i++) {
		case_request(&seed, &rules, &request);
		len = case_write(&seed, &request, stream);
		match_walk_on(&walk, stream, len, KRL_HTTP_WINDOW_BYTES);
		assert_int_equal(walk.heads, i + 1);
		assert_int_equal(run_in_packets(&seed, len), 1);
		object_get(object, "test_match", &match);
		check_same(&match, &walk.match, rules.count, number, i);
	}
}

static void it_agrees_with_userspace(void **state)
{
	unsigned int number;

	for (number = 1; number <= SETS; number++)
		check_set(number);
}

static int load(void **state)
{
	return object_load(directory, "match.bpf.o", &object);
}

static int unload(void **state)
{
	bpf_object__close(object);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_agrees_with_userspace),
	};

	directory = argc > 1 ? argv[1] : ".";
	return cmocka_run_group_tests(tests, load, unload);
}
