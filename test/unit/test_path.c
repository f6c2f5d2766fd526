// SPDX-License-Identifier: Apache-2.0
/* The normal form of a request's path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/lib/path.h"

static char kept[KRL_PATH_KEPT + 1];

static const char *normal(const char *target, int *ret_long)
{
	struct krl_path path = { 0 };
	size_t len;

	memset(kept, 'X', sizeof(kept));
	for (; *target; target++)
		krl_path_byte(&path, kept, *target);
	len = krl_path_end(&path, kept, ret_long);
	assert_true(len <= KRL_PATH_KEPT);
	kept[len] = 0;
	return kept;
}

static void all_ways_to_write_a_path_are_one(void **state)
{
	static const char *const table[][2] = {
		{ "/", "/" },
		{ "/v1", "/v1" },
		{ "/v1/", "/v1/" },
		{ "/v1?x=/v2", "/v1" },
		{ "/v1#/v2", "/v1" },
		{ "/v1%3Fx", "/v1?x" },
		{ "/v1%2fmodels", "/v1/models" },
		{ "/v1%2Fmodels", "/v1/models" },
		{ "/%76%31/models", "/v1/models" },
		{ "//v1///models", "/v1/models" },
		{ "/%2f/v1", "/v1" },
		{ "/./v1/./models/.", "/v1/models/" },
		{ "/%2e/v1", "/v1" },
		{ "/x/../v1", "/v1" },
		{ "/x/%2e%2E/v1", "/v1" },
		{ "/x%2f..%2fv1", "/v1" },
		{ "/x/y/../../v1", "/v1" },
		{ "/../../v1", "/v1" },
		{ "/v1/..", "/" },
		{ "/v1/x/..", "/v1/" },
		{ "/v1/.../x", "/v1/.../x" },
		{ "/v1/..x/.y/z.", "/v1/..x/.y/z." },
		{ "/v1/x/../../..//y", "/y" },
		{ "/a%", "/a%" },
		{ "/a%4", "/a%4" },
		{ "/a%zz", "/a%zz" },
		{ "/a%4/b", "/a%4/b" },
		{ "/a%%41", "/a%A" },
		{ "/a%252e", "/a%2e" },
		{ "/v1;x=y", "/v1;x=y" },
		{ "http://host/v1", "/v1" },
		{ "http://host:80//v1/../v2", "/v2" },
		{ "HTTP://host", "/" },
		{ "http://host?x", "/" },
		{ "*", "" },
		{ "host:443", "" },
		{ "http:/v1", "" },
		{ "v1/models", "" },
	};
	int is_long;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(normal(table[i][0], &is_long), table[i][1]))
			fail_msg("%s became %s, not %s", table[i][0], kept, table[i][1]);
		assert_false(is_long);
	}
}

/* @text, @count times, appended to @to. */
static void repeat(char *to, const char *text, size_t count)
{
	while (count--)
		strcat(to, text);
}

static void what_is_not_kept_is_gone_back_over(void **state)
{
	static char target[65536];
	int is_long;

	(void)state;
	strcpy(target, "/");
	repeat(target, "a", 2000);
	normal(target, &is_long);
	assert_true(is_long);
	strcat(target, "/../v1");
	assert_string_equal(normal(target, &is_long), "/v1");
	assert_false(is_long);

	*target = 0;
	repeat(target, "/abc", 1000);
	assert_int_equal(strncmp(normal(target, &is_long), "/abc/abc", 8), 0);
	assert_true(is_long);
	repeat(target, "/..", 999);
	strcat(target, "/x");
	assert_string_equal(normal(target, &is_long), "/abc/x");
	assert_false(is_long);

	*target = 0;
	repeat(target, "/a", 3000);
	normal(target, &is_long);
	assert_true(is_long);
	repeat(target, "/%2e%2e//.", 2999);
	assert_string_equal(normal(target, &is_long), "/a/");
	assert_false(is_long);
}

static void all_that_fits_is_kept(void **state)
{
	char target[KRL_PATH_KEPT + 8] = "/";
	int is_long;

	(void)state;
	repeat(target, "b", KRL_PATH_KEPT - 1);
	assert_string_equal(normal(target, &is_long), target);
	assert_false(is_long);
	strcat(target, "/");
	normal(target, &is_long);
	assert_true(is_long);
}

/* The same by splitting and joining, as RFC 3986, 5.2.4 has it. */
static void model(const char *target, char *ret)
{
	const char *part[512];
	char decoded[512], *at;
	size_t n = 0, len = 0, i, count = 0, lens[512];

	for (i = 0; target[i] && target[i] != '?' && target[i] != '#'; i++) {
		char hex[3] = { target[i + 1], target[i + 1] ? target[i + 2] : 0, 0 };

		if (target[i] == '%' && strspn(hex, "0123456789abcdefABCDEF") == 2) {
			decoded[len++] = strtol(hex, NULL, 16);
			i += 2;
		} else {
			decoded[len++] = target[i];
		}
	}
	decoded[len] = 0;
	for (at = decoded; *at; at += n) {
		at++;
		n = strcspn(at, "/");
		if (n == 2 && !strncmp(at, "..", 2)) {
			count -= count > 0;
		} else if (n && !(n == 1 && *at == '.')) {
			part[count] = at;
			lens[count++] = n;
			if (at[n])
				continue;
			goto join;
		}
	}
	part[count] = "";
	lens[count++] = 0;
join:
	for (*ret = 0, i = 0; i < count; i++) {
		strcat(ret, "/");
		strncat(ret, part[i], lens[i]);
	}
}

static void it_agrees_with_a_model(void **state)
{
	static const char *const pieces[] = { "/", "/", "/", ".", ".", "a", "b", "%2f", "%2e", "%", "4", "?" };
	char target[256], wanted[1024];
	unsigned int seed = 1;
	int is_long, round;
	size_t n;

	(void)state;
	for (round = 0; round < 200000; round++) {
		strcpy(target, "/");
		for (n = rand_r(&seed) % 16; n; n--)
			strcat(target, pieces[rand_r(&seed) % (sizeof(pieces) / sizeof(pieces[0]))]);
		model(target, wanted);
		if (strcmp(normal(target, &is_long), wanted))
			fail_msg("%s became %s, not %s", target, kept, wanted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_ways_to_write_a_path_are_one),
		cmocka_unit_test(what_is_not_kept_is_gone_back_over),
		cmocka_unit_test(all_that_fits_is_kept),
		cmocka_unit_test(it_agrees_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
