// SPDX-License-Identifier: Apache-2.0
/* Text that is no YAML, or YAML made to hurt: refused with a place, in bounded time, and the documents
 * before the fault still read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "agent/policy/decode.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))
#define HEAD "apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nmetadata: {name: web}\n"
#define GOOD HEAD "spec: {service: a, rules: [{limit: 1/day}]}\n"
/* CPU time of one hostile file, sanitizers included; it takes a tenth. */
#define HOSTILE_LIMIT_S 10

static struct krl_decoded_file file;
static struct krl_diags diags;

static void decode(const char *text, size_t len)
{
	krl_decoded_file_clear(&file);
	krl_diags_clear(&diags);
	assert_int_equal(krl_decode("f.yaml", text, len, &file, &diags), 0);
}

static int teardown(void **state)
{
	krl_decoded_file_clear(&file);
	krl_diags_clear(&diags);
	return 0;
}

static size_t good_documents(void)
{
	size_t i, good = 0;

	for (i = 0; i < file.count; i++)
		good += !!file.documents[i].document;
	return good;
}

static void syntax_errors_have_a_place_and_cut_the_file(void **state)
{
	static const struct {
		const char *text, *says;
		size_t good;
	} cases[] = {
		{ "]\n", "1:1: YAML: did not find expected node content", 0 },
		{ GOOD "---\na: [1\n", "7:1: YAML: did not find expected ',' or ']'", 1 },
		{ GOOD "---\na: 'x\n", "7:1: YAML: found unexpected end of stream", 1 },
		{ GOOD "---\na: b: c\n", "6:5: YAML: mapping values are not allowed in this context", 1 },
		{ GOOD "---\n\ta: b\n", "6:1: YAML: found character that cannot start any token", 1 },
		{ GOOD "---\n" GOOD "---\na: \"\\q\"\n", "11:5: YAML: found unknown escape character", 2 },
		{ HEAD "spec:\n  service: a\n rules: []\n", "6:2: YAML: did not find expected key", 0 },
		{ "a: b\n\xc3\xa4\x01\n", "2:2: YAML: control characters are not allowed", 0 },
		{ "# ok\nx: \xff\xff\n", "2:4: YAML: invalid leading UTF-8 octet", 0 },
		{ "# \xc3", "1:3: YAML: incomplete UTF-8 octet sequence", 0 },
	};
	char expected[256];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		decode(cases[i].text, strlen(cases[i].text));
		snprintf(expected, sizeof(expected), "f.yaml:%s", cases[i].says);
		assert_int_equal(diags.count, 1);
		assert_string_equal(diags.lines[0], expected);
		assert_true(file.cut);
		assert_int_equal(good_documents(), cases[i].good);
	}
}

static void anchors_and_aliases_are_refused(void **state)
{
#define SAYS "YAML: anchors and aliases are not supported, found "
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ GOOD "---\na: &x 1\nb: *x\n", "6:4: " SAYS "\"x\"" },
		{ "a: *x\n", "1:4: " SAYS "\"x\"" },
		{ "&me [*me]\n", "1:1: " SAYS "\"me\"" },
		{ "a: &me {b: *me}\n", "1:4: " SAYS "\"me\"" },
		{ HEAD "spec: &s\n  service: a\n  rules: [*s]\n", "4:7: " SAYS "\"s\"" },
		{ "? *k\n: 1\n", "1:3: " SAYS "\"k\"" },
	};
	char expected[256];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		decode(cases[i].text, strlen(cases[i].text));
		snprintf(expected, sizeof(expected), "f.yaml:%s", cases[i].says);
		assert_int_equal(diags.count, 1);
		assert_string_equal(diags.lines[0], expected);
		assert_true(file.cut);
	}
}

/* @count times @unit, which the caller frees. */
static char *repeat(const char *unit, size_t count, size_t *ret_len)
{
	size_t unit_len = strlen(unit), i;
	char *text = malloc(unit_len * count + 1);

	assert_non_null(text);
	for (i = 0; i < count; i++)
		memcpy(text + i * unit_len, unit, unit_len);
	*ret_len = unit_len * count;
	text[*ret_len] = '\0';
	return text;
}

static void hostile_text_ends_in_bounded_time(void **state)
{
	static const struct {
		const char *unit;
		size_t times;
	} cases[] = {
		{ "[", KRL_MAX_FILE_BYTES },	  { "{", KRL_MAX_FILE_BYTES },
		{ "[{", 20000 },		  { "{a: ", 20000 },
		{ "- ", 20000 },		  { "? ", 20000 },
		{ "---\n", KRL_MAX_FILE_BYTES / 4 }, { "a: b\n", KRL_MAX_FILE_BYTES / 5 },
		{ "\"", KRL_MAX_FILE_BYTES },	  { "#", KRL_MAX_FILE_BYTES },
		{ "!", 20000 },			  { "%A\n", 20000 },
		{ "a", KRL_MAX_FILE_BYTES },	  { "\n", KRL_MAX_FILE_BYTES },
		{ "&a ", 20000 },		  { "*a ", 20000 },
		{ "|\n ", 20000 },		  { "a\n", KRL_MAX_FILE_BYTES / 2 },
	};
	clock_t start;
	size_t i, len;
	char *text;

	for (i = 0; i < COUNT(cases); i++) {
		text = repeat(cases[i].unit, cases[i].times, &len);
		start = clock();
		decode(text, len);
		free(text);
		if (clock() - start > HOSTILE_LIMIT_S * CLOCKS_PER_SEC)
			fail_msg("%zu times \"%s\": %ld s", cases[i].times, cases[i].unit,
				 (long)((clock() - start) / CLOCKS_PER_SEC));
		assert_int_equal(good_documents(), 0);
	}
}

static void many_keys_take_bounded_time(void **state)
{
	size_t size = KRL_MAX_FILE_BYTES, len = 0;
	char *text = malloc(size);
	clock_t start;
	int i;

	assert_non_null(text);
	len += snprintf(text, size, GOOD "status:\n");
	for (i = 0; i < 100000; i++)
		len += snprintf(text + len, size - len, " k%d:\n", i * 7919 % 100000);
	start = clock();
	decode(text, len);
	assert_true(clock() - start <= HOSTILE_LIMIT_S * CLOCKS_PER_SEC);
	assert_int_equal(good_documents(), 1);
	len += snprintf(text + len, size - len, " k1:\n");
	decode(text, len);
	assert_int_equal(diags.count, 1);
	assert_string_equal(diags.lines[0], "f.yaml:100006:2: status.k1: given twice");
	free(text);
}

static void a_file_of_more_than_1_MiB_is_refused_whole(void **state)
{
	size_t head = strlen(GOOD), len;
	char *text = repeat("#", KRL_MAX_FILE_BYTES + 1, &len);

	memcpy(text, GOOD, head);
	text[KRL_MAX_FILE_BYTES - 1] = '\n';
	decode(text, KRL_MAX_FILE_BYTES);
	assert_int_equal(diags.count, 0);
	assert_int_equal(good_documents(), 1);
	decode(text, len);
	assert_int_equal(diags.count, 1);
	assert_string_equal(diags.lines[0], "f.yaml: larger than 1048576 bytes");
	assert_true(file.cut);
	assert_int_equal(file.count, 0);
	free(text);
}

static void documents_past_the_4096th_are_not_lost_in_silence(void **state)
{
#define SMALL "---\n{apiVersion: v1, kind: Service, metadata: {name: s}}\n"
	size_t len;
	char *text = repeat(SMALL, 4097, &len);

	decode(text, len - strlen(SMALL));
	assert_int_equal(diags.count, 0);
	assert_int_equal(good_documents(), 4096);
	decode(text, len);
	assert_int_equal(diags.count, 1);
	assert_string_equal(diags.lines[0], "f.yaml:8194:1: more than 4096 documents in a file");
	assert_true(file.cut);
	free(text);
}

static void one_document_complains_at_most_20_times(void **state)
{
	size_t len, head = strlen(HEAD "spec:\n");
	char *text = repeat("  x: 1\n", 200, &len), *whole = malloc(head + len);

	memcpy(whole, HEAD "spec:\n", head);
	memcpy(whole + head, text, len);
	decode(whole, head + len);
	assert_int_equal(diags.count, 20);
	assert_int_equal(good_documents(), 0);
	free(whole);
	free(text);
}

static void what_is_found_is_shown_as_one_printable_line(void **state)
{
#define A10 "aaaaaaaaaa"
#define A79 A10 A10 A10 A10 A10 A10 A10 "aaaaaaaaa"
#define PORT HEAD "spec:\n  port: "
#define INT_16 "5:9: spec.port: expected an integer from 1 to 65535 or the name of a port, found "
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ PORT "\"a\\nb\\e[31m\"\n", INT_16 "\"a?b?[31m\"" },
		{ PORT "\"\\x7f\\x80\\u009f\\t\"\n", INT_16 "\"?????"
						     "?\"" },
		{ PORT "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\n",
		  INT_16 "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"" },
		{ PORT A79 "b\n", INT_16 "\"" A79 "b\"" },
		{ PORT A79 "bc\n", INT_16 "\"" A79 "b\"..." },
		{ PORT A79 "\xc3\xbc\n", INT_16 "\"" A79 "?\"..." },
		{ PORT "\"a\\0b\"\n", INT_16 "text with a zero byte" },
	};
	char expected[512];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		decode(cases[i].text, strlen(cases[i].text));
		snprintf(expected, sizeof(expected), "f.yaml:%s", cases[i].says);
		assert_int_equal(diags.count, 1);
		assert_string_equal(diags.lines[0], expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(syntax_errors_have_a_place_and_cut_the_file, teardown),
		cmocka_unit_test_teardown(anchors_and_aliases_are_refused, teardown),
		cmocka_unit_test_teardown(hostile_text_ends_in_bounded_time, teardown),
		cmocka_unit_test_teardown(many_keys_take_bounded_time, teardown),
		cmocka_unit_test_teardown(a_file_of_more_than_1_MiB_is_refused_whole, teardown),
		cmocka_unit_test_teardown(documents_past_the_4096th_are_not_lost_in_silence, teardown),
		cmocka_unit_test_teardown(one_document_complains_at_most_20_times, teardown),
		cmocka_unit_test_teardown(what_is_found_is_shown_as_one_printable_line, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
