// SPDX-License-Identifier: Apache-2.0
/* Where Redis is, as --redis tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/redis/url.h"

static struct krl_redis_url url;
static char error[KRL_REDIS_ERROR_BYTES];

static void check_parses(const char *text)
{
	strcpy(error, "(nothing was said)");
	if (krl_redis_url_parse(text, &url, error))
		fail_msg("%s: %s", text, error);
}

/* Refused, with @says at the end of one line, in which "hidden" is not. */
static void check_refused(const char *text, const char *says)
{
	size_t len;

	if (!krl_redis_url_parse(text, &url, error))
		fail_msg("%s was accepted", text);
	len = strlen(error);
	assert_true(len >= strlen(says));
	assert_string_equal(error + len - strlen(says), says);
	assert_null(strchr(error, '\n'));
	assert_null(strstr(error, "hidden"));
	assert_true(len + 1 < sizeof(error));
}

static void check_seed(size_t i, const char *host, unsigned int port)
{
	assert_true(i < url.count);
	assert_string_equal(url.seeds[i].host, host);
	assert_int_equal(url.seeds[i].port, port);
}

static void a_host_is_enough(void **state)
{
	check_parses("redis://redis.shop");
	assert_int_equal(url.count, 1);
	check_seed(0, "redis.shop", 6379);
	assert_string_equal(url.user, "");
	assert_string_equal(url.password, "");
	assert_string_equal(url.master, "");
	assert_int_equal(url.db, 0);
	check_parses("REDIS://redis.shop/");
	check_seed(0, "redis.shop", 6379);
}

static void all_parts_are_read(void **state)
{
	check_parses("redis://agent:hidden@10.0.0.7:7000/15");
	check_seed(0, "10.0.0.7", 7000);
	assert_string_equal(url.user, "agent");
	assert_string_equal(url.password, "hidden");
	assert_int_equal(url.db, 15);
}

static void ipv6_is_in_brackets(void **state)
{
	check_parses("redis://[::1]:7000");
	check_seed(0, "::1", 7000);
	check_parses("redis://:hidden@[2001:db8::7]/3");
	check_seed(0, "2001:db8::7", 6379);
	assert_string_equal(url.password, "hidden");
	check_parses("redis://[fe80::1%25eth0]:7000");
	check_seed(0, "fe80::1%eth0", 7000);
	check_refused("redis://::1", "a host or a port is none");
	check_refused("redis://[::1", "a host or a port is none");
	check_refused("redis://[no]:1", "a host or a port is none");
}

static void user_and_password_are_decoded(void **state)
{
	check_parses("redis://a%40b:p%3Aq%2Fr%40s%25%2C%20t@host");
	assert_string_equal(url.user, "a@b");
	assert_string_equal(url.password, "p:q/r@s%, t");
	check_seed(0, "host", 6379);
	check_parses("redis://:a,b@host");
	assert_string_equal(url.user, "");
	assert_string_equal(url.password, "a,b");
	check_parses("redis://agent@host");
	assert_string_equal(url.user, "agent");
	assert_string_equal(url.password, "");
	check_refused("redis://:hidden%00x@host", "the user or the password is too long, or has control characters");
	check_refused("redis://:hidden%0ax@host", "the user or the password is too long, or has control characters");
}

static void what_is_too_long_is_refused(void **state)
{
	char text[5000], host[300];

	memset(host, 'h', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	snprintf(text, sizeof(text), "redis://%s", host);
	check_refused(text, "no host was found");
	snprintf(text, sizeof(text), "redis://%s:hidden@host", host);
	check_refused(text, "the user or the password is too long, or has control characters");
	snprintf(text, sizeof(text), "redis://:hidden%4500d@host", 1);
	check_refused(text, "something longer was found");
	snprintf(text, sizeof(text), "redis+sentinel://host/%s", host);
	check_refused(text, "no MASTER was found");
}

static void others_are_refused_without_the_password(void **state)
{
	check_refused("", "another scheme was found");
	check_refused("redis", "another scheme was found");
	check_refused("redis:/host", "another scheme was found");
	check_refused("http://:hidden@host", "another scheme was found");
	check_refused("rediss://:hidden@host", "TLS (rediss://) is not supported");
	check_refused("redis://", "a host or a port is none");
	check_refused("redis://:hidden@", "a host or a port is none");
	check_refused("redis://:hidden@:6379", "a host or a port is none");
	check_refused("redis://:hidden@host:x", "a host or a port is none");
	check_refused("redis://:hidden@host:65536", "a host or a port is none");
	check_refused("redis://:hidden@host:0", "the port is none");
	check_refused("redis://:hidden@host/x", "the database is no number");
	check_refused("redis://:hidden@host/-1", "the database is no number");
	check_refused("redis://:hidden@host/16385", "the database is no number");
	check_refused("redis://:hidden@host/1/2", "the database is no number");
	check_refused("redis://:hidden@host/1?db=2",
		      "something behind it was found ('?', '#' and '/' of a password are written %3F, %23 and %2F)");
	check_refused("redis://:hid#den@host",
		      "something behind it was found ('?', '#' and '/' of a password are written %3F, %23 and %2F)");
	check_refused("redis://:hidden/x@host", "the database is no number");
	check_refused("redis://ho st", "a host or a port is none");
}

static void several_hosts_are_several_seeds(void **state)
{
	check_parses("redis://:hidden@a:7000,[::1],c:7002/2");
	assert_int_equal(url.count, 3);
	check_seed(0, "a", 7000);
	check_seed(1, "::1", 6379);
	check_seed(2, "c", 7002);
	assert_string_equal(url.password, "hidden");
	assert_int_equal(url.db, 2);
	check_refused("redis://a,,b", "a host or a port is none");
	check_refused("redis://a,b,", "a host or a port is none");
	check_refused("redis://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "more than 16 hosts were found");
}

static void sentinels_are_asked_for_a_master(void **state)
{
	check_parses("redis+sentinel://agent:hidden@s1,s2:5000/my%20master/4");
	assert_int_equal(url.count, 2);
	check_seed(0, "s1", 26379);
	check_seed(1, "s2", 5000);
	assert_string_equal(url.master, "my master");
	assert_int_equal(url.db, 4);
	check_parses("redis+sentinel://s1/m");
	assert_string_equal(url.master, "m");
	assert_int_equal(url.db, 0);
	check_parses("redis+sentinel://s1/m/");
	check_refused("redis+sentinel://s1", "no MASTER was found");
	check_refused("redis+sentinel://s1/", "no MASTER was found");
	check_refused("redis+sentinel://s1/%00", "no MASTER was found");
	check_refused("redis+sentinel://s1//4", "no MASTER was found");
	check_refused("redis+sentinel://:hidden@s1/m/x", "the database is no number");
}

static int add(const char *first, const char *second)
{
	check_parses(first);
	return krl_redis_url_add(second, &url, error);
}

static void check_differ(const char *first, const char *second, const char *says)
{
	assert_true(add(first, second) < 0);
	assert_non_null(strstr(error, says));
	assert_null(strstr(error, "hidden"));
	assert_int_equal(url.count, 1);
}

static void more_than_one_url_is_one_list(void **state)
{
	assert_int_equal(add("redis+sentinel://s1/m/2", "redis+sentinel://:hidden@s2:5000,s3/m/2"), 0);
	assert_int_equal(url.count, 3);
	check_seed(1, "s2", 5000);
	check_seed(2, "s3", 26379);
	assert_string_equal(url.password, "hidden");
	assert_int_equal(add("redis://:hidden@a", "redis://b"), 0);
	assert_string_equal(url.password, "hidden");
	assert_int_equal(add("redis://:hidden@a", "redis://:hidden@b"), 0);
	check_differ("redis://:hidden@a", "redis://:hidden2@b", "different users or passwords");
	check_differ("redis://u:hidden@a", "redis://v:hidden@b", "different users or passwords");
	check_differ("redis://a/1", "redis://b/2", "differ in more than hosts");
	check_differ("redis+sentinel://a/m", "redis+sentinel://b/n", "differ in more than hosts");
	check_differ("redis+sentinel://a/m", "redis://b", "differ in more than hosts");
	check_differ("redis://a", "redis://:hidden@b:x", "a host or a port is none");
	check_differ("redis://a", "redis://b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "more than 16 hosts");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_is_enough),
		cmocka_unit_test(all_parts_are_read),
		cmocka_unit_test(ipv6_is_in_brackets),
		cmocka_unit_test(user_and_password_are_decoded),
		cmocka_unit_test(what_is_too_long_is_refused),
		cmocka_unit_test(others_are_refused_without_the_password),
		cmocka_unit_test(several_hosts_are_several_seeds),
		cmocka_unit_test(sentinels_are_asked_for_a_master),
		cmocka_unit_test(more_than_one_url_is_one_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
