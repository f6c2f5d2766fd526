// SPDX-License-Identifier: Apache-2.0
/* What the JSON scanner tells of a text, however that is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json_trace.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))
#define TEN "[[[[[[[[[["
#define UNTEN "]]]]]]]]]]"

struct json_case {
	const char *name;
	const char *text;
	const char *told;
};

static struct json_trace trace;

static void check_case(const struct json_case *c)
{
	static const size_t windows[] = { 1, 2, 7, 8, 9, 25, 512 };
	size_t len = strlen(c->text), cut, i;

	for (i = 0; i < COUNT(windows); i++) {
		for (cut = 0; cut <= len; cut++) {
			trace_begin(&trace);
			body_walk_cut(trace_step, &trace, c->text, len, cut, windows[i]);
			if (strcmp(trace.text, c->told))
				fail_msg("%s: cut at %zu, window %zu: %s, not %s", c->name, cut, windows[i],
					 trace.text, c->told);
		}
	}
}

static void check_cases(const struct json_case *cases, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		check_case(&cases[i]);
}

static void objects_keys_and_values_are_told(void **state)
{
	static const struct json_case cases[] = {
		{ "nothing", "", "" },
		{ "white space", " \t\r\n", "" },
		{ "an empty object", "{}", "{ end " },
		{ "an empty array", "[ ]", "[ end " },
		{ "a string", "{\"a\":\"b\"}", "{ a: 'b' end " },
		{ "an empty string and key", "{\"\":\"\"}", "{ : '' end " },
		{ "names", "{\"a\":true,\"b\":false,\"c\":null}", "{ a: true b: false c: null end " },
		{ "Python's names", "{\"a\":NaN,\"b\":Infinity,\"c\":1}", "{ a: other b: other c: 1 end " },
		{ "numbers", "[0,-1,12,18446744073709551615]", "[ 0 -1 12 18446744073709551615 end " },
		{ "a number that is too large", "[28446744073709551616,99999999999999999999999]",
		  "[ 18446744073709551615 18446744073709551615 end " },
		{ "an array in an object", "{\"a\":[1,\"x\",{\"b\":null},[]],\"c\":2}",
		  "{ a: [ 1 'x' { b: null } [ } } c: 2 end " },
		{ "white space all over", " { \"a\" : [ 1 , 2 ] ,\n\t\"b\"\r\n:\r\n{ } } ", "{ a: [ 1 2 } b: { } end " },
		{ "much white space", "{                                        \"a\":\n\n\n\n\n\n\n\n\n\n\n\n1}",
		  "{ a: 1 end " },
		{ "a byte order mark", "\xef\xbb\xbf{\"a\":1}", "{ a: 1 end " },
		{ "a long string", "{\"a\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"}",
		  "{ a: '0123456789012345678901234567890123456789012345678901234567890123456789' end " },
		{ "the longest key", "{\"01234567890123456789012345678901\":1}", "{ 01234567890123456789012345678901: 1 end " },
		{ "a longer key", "{\"012345678901234567890123456789012\":1}", "{ long: 1 end " },
		{ "the same key twice", "{\"a\":1,\"a\":2}", "{ a: 1 a: 2 end " },
		{ "what follows", "{\"a\":1} {\"a\":2} garbage \"", "{ a: 1 end " },
		{ "text that is none of ASCII", "{\"\xc3\xa4\":\"\xf0\x9f\x98\x80\xff\"}", "{ \xc3\xa4: '\xf0\x9f\x98\x80\xff' end " },
	};

	check_cases(cases, COUNT(cases));
}

static void what_is_not_wanted_is_passed_over(void **state)
{
	static const struct json_case cases[] = {
		{ "a string", "{\"-\":\"b\\\"c\\\\\",\"d\":1}", "{ -: d: 1 end " },
		{ "a string that ends in backslashes", "{\"-\":\"\\\\\\\\\",\"-a\":\"\\\\\\\"\",\"d\":1}", "{ -: -a: d: 1 end " },
		{ "a number", "{\"-\":-1.5e+10,\"d\":1}", "{ -: d: 1 end " },
		{ "names", "{\"-\":true,\"-a\": null ,\"-b\":false}", "{ -: -a: -b: end " },
		{ "an object", "{\"-\":{\"a\":{\"b\":[1,2,{}]}},\"d\":1}", "{ -: d: 1 end " },
		{ "an array", "{\"-\":[[],[\"]\",\"}\\\"]\"]],\"d\":1}", "{ -: d: 1 end " },
		{ "an object that is left", "{\"+\":{\"a\":{\"b\":1}},\"d\":1}", "{ +: { d: 1 end " },
		{ "an array that is left", "{\"+\":[[1],{\"d\":2}],\"d\":1}", "{ +: [ d: 1 end " },
		{ "one that is left empty", "{\"+\":[],\"d\":1}", "{ +: [ d: 1 end " },
		{ "letters that are told by brackets' bits", "{\"-\":[Infinity,_Y\x7f],\"d\":1}", "{ -: d: 1 end " },
		{ "keys inside of strings", "{\"-\":\"\\\"},\\\"d\\\":7,{\",\"d\":1}", "{ -: d: 1 end " },
		{ "keys as values", "[\"d\",\"d\"]", "[ 'd' 'd' end " },
		{ "what is deeper than what is taken", TEN "[[[[[[1,[\"]\"]],2],3]]]]" UNTEN,
		  "[ [ [ [ [ [ [ [ [ [ [ [ [ [ [ 2 } 3 } } } } } } } } } } } } } end " },
	};

	check_cases(cases, COUNT(cases));
}

static void escapes_are_what_they_stand_for(void **state)
{
	static const struct json_case cases[] = {
		{ "of one letter", "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "{ a: '\"\\/\b\f\n\r\t' end " },
		{ "of a key", "{\"mod\\u0065l\":1,\"\\u006d\\u006F\\u0064el\":2}", "{ model: 1 model: 2 end " },
		{ "of two and three bytes", "{\"a\":\"\\u00e4\\u20AC\"}", "{ a: '\xc3\xa4\xe2\x82\xac' end " },
		{ "a pair", "{\"a\":\"\\ud83d\\ude00\"}", "{ a: '\xf0\x9f\x98\x80' end " },
		{ "halves alone", "{\"a\":\"x\\ud83dy\\ude00\\ud83d\"}", "{ a: 'x\xef\xbf\xbdy\xef\xbf\xbd\xef\xbf\xbd' end " },
		{ "first halves", "{\"a\":\"\\ud83d\\ud83d\\ude00\\ud83d\\n\"}",
		  "{ a: '\xef\xbf\xbd\xf0\x9f\x98\x80\xef\xbf\xbd\n' end " },
		{ "a first half before an escape of another", "{\"a\":\"\\ud83d\\u0041\"}", "{ a: '\xef\xbf\xbd""A' end " },
		{ "a key with an escaped quote", "{\"a\\\":1\":2}", "{ a\":1: 2 end " },
	};

	check_cases(cases, COUNT(cases));
}

static void a_nul_is_a_byte_of_a_key(void **state)
{
	static const char text[] = "{\"model\\u0000\":1}";

	trace_begin(&trace);
	body_walk(trace_step, &trace, text, sizeof(text) - 1, 512);
	assert_int_equal(trace.len, sizeof("{ model\0: 1 end ") - 1);
	assert_memory_equal(trace.text, "{ model\0: 1 end ", trace.len);
}

static void what_servers_read_otherwise_is_bad(void **state)
{
	static const struct json_case cases[] = {
		{ "single quotes", "{'a':1}", "{ bad " },
		{ "a key without quotes", "{a:1}", "{ bad " },
		{ "comments", "{/*\"*/\"a\":1}", "{ bad " },
		{ "another escape", "{\"\\a\":1}", "{ bad " },
		{ "an escape that is no number", "{\"\\u00g0\":1}", "{ bad " },
		{ "no colon", "{\"a\" 1}", "{ a: bad " },
		{ "no comma", "{\"a\":1 \"b\":2}", "{ a: 1 bad " },
		{ "the wrong bracket", "{\"a\":1]", "{ a: 1 bad " },
		{ "the wrong bracket of an array", "[1}", "[ 1 bad " },
		{ "a comma before the end", "{\"a\":1,}", "{ a: 1 bad " },
		{ "another value", "{\"a\":x}", "{ a: bad " },
		{ "half a byte order mark", "\xef\xbb{}", "bad " },
		{ "a form", "a=1&b=2", "bad " },
	};

	check_cases(cases, COUNT(cases));
}

/* Python's json finds out by itself that it is UTF-16 or UTF-32. */
static void utf_16_is_bad(void **state)
{
	static const char big[] = "\0{\0\"\0a\0\"\0:\0001\0}", little[] = "{\0\"\0a\0\"\0:\0001\0}", mark[] = "\xff\xfe{\0}";

	trace_begin(&trace);
	body_walk(trace_step, &trace, big, sizeof(big) - 1, 512);
	assert_string_equal(trace.text, "bad ");
	trace_begin(&trace);
	body_walk(trace_step, &trace, little, sizeof(little), 512);
	assert_string_equal(trace.text, "{ bad ");
	trace_begin(&trace);
	body_walk(trace_step, &trace, mark, sizeof(mark), 512);
	assert_string_equal(trace.text, "bad ");
}

struct number_case {
	const char *text;
	uint64_t value;
};

static void numbers_are_taken_as_whole_ones(void **state)
{
	static const struct number_case cases[] = {
		{ "0", 0 }, { "12.0", 12 }, { "12.9", 12 }, { "1.2e1", 12 }, { "1.2E+1", 12 }, { "120e-1", 12 },
		{ "0.00012e5", 12 }, { "1234567890123456789", 1234567890123456789 }, { "0.1", 0 }, { "1e-5", 0 },
		{ "1e19", 10000000000000000000ULL }, { "1e20", UINT64_MAX }, { "1e99999999999", UINT64_MAX },
		{ "0e99999999999", 0 }, { "1e-99999999999", 0 }, { "123456789012345678901", UINT64_MAX },
		{ "0.000000000000000000000000000000000001e38", 100 },
		{ "10000000000000000000000000000000000000e-36", 10 },
	};
	struct krl_json j;
	const char *c;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		krl_json_number_begin(&j);
		for (c = cases[i].text; *c; c++)
			assert_true(krl_json_number_byte(&j.number, *c));
		if (krl_json_number_value(&j.number) != cases[i].value)
			fail_msg("%s: %llu", cases[i].text, krl_json_number_value(&j.number));
	}
}

/* A mebibyte of brackets needs no more room than one. */
static void depth_has_no_limit_in_what_is_passed_over(void **state)
{
	enum { DEEP = 500000 };
	char *text = malloc(2 * DEEP + 32), *to = text;
	size_t i;

	assert_non_null(text);
	to += sprintf(to, "{\"-\":");
	for (i = 0; i < DEEP; i++)
		*to++ = i & 1 ? '[' : '{';
	for (i = DEEP; i > 0; i--)
		*to++ = (i - 1) & 1 ? ']' : '}';
	to += sprintf(to, ",\"b\":1}");
	trace_begin(&trace);
	body_walk(trace_step, &trace, text, to - text, 512);
	assert_string_equal(trace.text, "{ -: b: 1 end ");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_keys_and_values_are_told),
		cmocka_unit_test(what_is_not_wanted_is_passed_over),
		cmocka_unit_test(escapes_are_what_they_stand_for),
		cmocka_unit_test(a_nul_is_a_byte_of_a_key),
		cmocka_unit_test(what_servers_read_otherwise_is_bad),
		cmocka_unit_test(utf_16_is_bad),
		cmocka_unit_test(numbers_are_taken_as_whole_ones),
		cmocka_unit_test(depth_has_no_limit_in_what_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
