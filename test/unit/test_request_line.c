// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/control/request_line.h"

static void reads(const char *text, const char *method, const char *path)
{
	struct krl_request_line line;

	assert_true(krl_request_line_read(text, strlen(text), &line));
	assert_string_equal(line.method, method);
	assert_string_equal(line.path, path);
}

static void the_path_alone_is_taken(void **state)
{
	reads("GET / HTTP/1.1\r\n", "GET", "/");
	reads("GET /a/b?key=secret HTTP/1.1\r\n", "GET", "/a/b");
	reads("GET /a#secret HTTP/1.1\r\n", "GET", "/a");
	reads("GET ?key=secret HTTP/1.1\r\n", "GET", "/");
	reads("OPTIONS * HTTP/1.1\r\n", "OPTIONS", "*");
	reads("GET /a\r\nAuthorization: secret\r\n", "GET", "/a");
	reads("GET /a://b HTTP/1.1\r\n", "GET", "/a://b");
}

static void authorities_are_not(void **state)
{
	reads("GET http://user:secret@host/a?b HTTP/1.1\r\n", "GET", "/a");
	reads("GET http://user:secret@host HTTP/1.1\r\n", "GET", "/");
	reads("GET http://user:secret@host?b HTTP/1.1\r\n", "GET", "/");
	reads("CONNECT user:secret@host:80 HTTP/1.1\r\n", "CONNECT", "/");
}

static void what_is_cut_says_so(void **state)
{
	char text[200] = "GET /", path[200];
	struct krl_request_line line;

	memset(text + 5, 'a', sizeof(text) - 5);
	assert_true(krl_request_line_read(text, sizeof(text), &line));
	snprintf(path, sizeof(path), "%.124s...", text + 4);
	assert_string_equal(line.path, path);
	reads("GET /a", "GET", "/a...");
	reads("GET http://user:sec", "GET", "...");
}

static void bytes_that_do_not_print(void **state)
{
	struct krl_request_line line;

	reads("GET /\x1b[31m\xff HTTP/1.1", "GET", "/?[31m?");
	assert_true(krl_request_line_read("GET /a\0b HTTP/1.1", 17, &line));
	assert_string_equal(line.path, "/a");
}

static void what_is_no_request_line(void **state)
{
	static const char *const texts[] = { "", "GET", " /", "GET\r\n", "Authorization: secret", "\r\n", "a:b c" };
	struct krl_request_line line;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_false(krl_request_line_read(texts[i], strlen(texts[i]), &line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_path_alone_is_taken), cmocka_unit_test(authorities_are_not),
		cmocka_unit_test(what_is_cut_says_so),	   cmocka_unit_test(bytes_that_do_not_print),
		cmocka_unit_test(what_is_no_request_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
