// SPDX-License-Identifier: Apache-2.0
/* Sources of clients that a header names, in what an endpoint's rules are made into. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/policy/policy.h"
#include "match_walk.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

static const struct krl_selector is_a = { { { .kind = KRL_PREDICATE_EXACT, .name = "x", .value = "a" } }, 1 };
static const struct krl_selector each_source = {
	{ { .field = KRL_FIELD_SOURCE, .distinct = true, .prefix_len = { 64, 128 } } }, 1
};
static const struct krl_selector from_ten = {
	{ { .field = KRL_FIELD_SOURCE,
	    .kind = KRL_PREDICATE_CIDR,
	    .addr = { [10] = 255, 255, 10 },
	    .mask = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 } } },
	1
};

static struct krl_policy policy;
static struct krl_policy_builder *builder;
static const char *what;

static int setup(void **state)
{
	builder = krl_policy_builder_new();
	what = "nothing";
	return builder ? 0 : -ENOMEM;
}

static int teardown(void **state)
{
	krl_policy_builder_free(builder);
	return 0;
}

static void add(unsigned int rule, unsigned int group, const struct krl_selector *selector)
{
	assert_int_equal(krl_policy_add(builder, rule, group, true, selector, !!selector, &what), 0);
}

/* The client of what is added from now on is the address number @hops of @header. */
static void client(const char *header, unsigned int hops)
{
	struct krl_client_ip client_ip = { .hops = hops };

	strcpy(client_ip.header, header);
	krl_policy_client(builder, &client_ip);
}

/* What @found finds for a request from 10.0.0.1, with the addresses 10.0.0.2 and 192.0.2.1 in x-a, and
 * 10.0.0.3 in x-b. */
static const struct krl_match *match_sources(const struct krl_policy *found)
{
	static const char request[] = "GET / HTTP/1.1\r\nx-a: 10.0.0.2, 192.0.2.1\r\nx-b: 10.0.0.3\r\n\r\n";
	static const __u8 peer[16] = { [10] = 255, 255, 10, 0, 0, 1 };
	static const __u64 key[2] = { 1, 2 };
	static struct match_walk walk;

	match_walk_begin(&walk, found, key, peer);
	match_walk_on(&walk, request, sizeof(request) - 1, KRL_HTTP_WINDOW_BYTES);
	return &walk.match;
}

/* Rules 0 to 3, whose clients are 10.0.0.1, 192.0.2.1, 10.0.0.2 and 10.0.0.3. */
static void add_clients(const struct krl_selector *selector)
{
	static const struct {
		const char *header;
		unsigned int hops;
	} clients[] = { { "", 0 }, { "x-a", 1 }, { "x-a", 2 }, { "x-b", 1 } };
	size_t i;

	for (i = 0; i < COUNT(clients); i++) {
		client(clients[i].header, clients[i].hops);
		add(i, i, selector);
	}
}

static void sources_of_other_clients_are_other_fields(void **state)
{
	const struct krl_match *match;
	size_t i, k;

	add_clients(&from_ten);
	krl_policy_finish(builder, &policy);
	assert_int_equal(policy.field_count, 4);
	assert_int_equal(policy.client_header_count, 2);
	assert_int_equal(match_sources(&policy)->rules, 1 << 0 | 1 << 2 | 1 << 3);

	teardown(state);
	assert_int_equal(setup(state), 0);
	add_clients(&each_source);
	krl_policy_finish(builder, &policy);
	match = match_sources(&policy);
	for (i = 0; i < 4; i++)
		for (k = 0; k < i; k++)
			assert_memory_not_equal(match->descriptors[policy.tier_of[i]],
						match->descriptors[policy.tier_of[k]], 16);
}

static void headers_of_clients_count_where_a_source_is_selected(void **state)
{
	client("x-a", 1);
	add(0, 0, &each_source);
	client("x-b", 8);
	add(1, 1, &from_ten);
	client("x-c", 1);
	add(2, 2, &is_a);
	add(3, 2, NULL);
	assert_int_equal(krl_policy_add(builder, 4, 2, true, &each_source, 1, &what), -ENOSPC);
	assert_string_equal(what, "different headers in clientIP");
	client("x-c", 0);
	add(4, 3, &each_source);
	client("x-b", 1);
	add(5, 4, &each_source);
	krl_policy_finish(builder, &policy);
	assert_int_equal(policy.client_header_count, 2);
	assert_int_equal(policy.tier_count, 6);
}

/* Rules whose clients come under other numbers than they had. */
static void adopted_rules_keep_their_client(void **state)
{
	static struct krl_policy adopted;
	__u64 wanted[4][2];
	size_t i;

	add_clients(&each_source);
	krl_policy_finish(builder, &policy);
	for (i = 0; i < 4; i++)
		memcpy(wanted[i], match_sources(&policy)->descriptors[policy.tier_of[i]], sizeof(wanted[i]));
	teardown(state);
	assert_int_equal(setup(state), 0);
	for (i = 4; i--;)
		assert_int_equal(krl_policy_adopt(builder, i, 0, &policy, i, &what), 0);
	krl_policy_finish(builder, &adopted);
	assert_int_equal(adopted.client_header_count, 2);
	assert_string_equal(adopted.client_headers[0].name, "x-b");
	for (i = 0; i < 4; i++)
		assert_memory_equal(match_sources(&adopted)->descriptors[adopted.tier_of[i]], wanted[i],
				    sizeof(wanted[i]));

	teardown(state);
	assert_int_equal(setup(state), 0);
	client("x-c", 1);
	add(0, 0, &from_ten);
	assert_int_equal(krl_policy_adopt(builder, 1, 1, &policy, 0, &what), 0);
	assert_int_equal(krl_policy_adopt(builder, 2, 1, &policy, 3, &what), 0);
	assert_int_equal(krl_policy_adopt(builder, 3, 1, &policy, 1, &what), -ENOSPC);
	assert_string_equal(what, "different headers in clientIP");
	krl_policy_finish(builder, &adopted);
	assert_string_equal(adopted.client_headers[1].name, "x-b");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sources_of_other_clients_are_other_fields),
		TEST(headers_of_clients_count_where_a_source_is_selected),
		TEST(adopted_rules_keep_their_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
