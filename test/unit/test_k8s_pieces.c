// SPDX-License-Identifier: Apache-2.0
/* What a watch is made of: how long it waits, lines out of pieces, what the API server says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/k8s/answer.h"
#include "agent/k8s/backoff.h"
#include "agent/k8s/files.h"
#include "agent/k8s/json.h"
#include "agent/k8s/lines.h"

static void waits_double_up_to_a_bound(void **state)
{
	unsigned int failures, longest = KRL_BACKOFF_FIRST_MS;

	for (failures = 1; failures < 100; failures++) {
		assert_int_equal(krl_backoff_ms(failures, 0, UINT32_MAX), longest);
		assert_int_equal(krl_backoff_ms(failures, 0, 0), longest / 2);
		assert_in_range(krl_backoff_ms(failures, 0, UINT32_MAX / 3), longest / 2, longest);
		longest = longest * 2 < KRL_BACKOFF_MAX_MS ? longest * 2 : KRL_BACKOFF_MAX_MS;
	}
}

static void the_server_says_how_long_at_least(void **state)
{
	assert_int_equal(krl_backoff_ms(1, 7, 0), 7000);
	assert_int_equal(krl_backoff_ms(1, 7, UINT32_MAX), 7000 + KRL_BACKOFF_FIRST_MS);
	assert_int_equal(krl_backoff_ms(50, 7, UINT32_MAX), KRL_BACKOFF_MAX_MS);
	assert_int_equal(krl_backoff_ms(1, UINT32_MAX, 0), KRL_RETRY_AFTER_MAX_S * 1000);
}

/* Lines, each with a '|' behind it. */
struct heard {
	char text[256];
	size_t left;	/* after so many, no more */
};

static bool hear(void *arg, const char *line, size_t len)
{
	struct heard *heard = arg;
	size_t at = strlen(heard->text);

	assert_true(at + len + 2 < sizeof(heard->text));
	memcpy(heard->text + at, line, len);
	strcpy(heard->text + at + len, "|");
	return --heard->left;
}

static void lines_are_whole_whatever_the_pieces(void **state)
{
	static const char text[] = "one\n\ntwo and more\nthree\nfour";
	size_t piece, at, len = strlen(text);

	for (piece = 1; piece <= len; piece++) {
		struct krl_lines lines = { 0 };
		struct heard heard = { .left = SIZE_MAX };

		for (at = 0; at < len; at += piece)
			assert_int_equal(krl_lines_split(&lines, text + at, at + piece < len ? piece : len - at, 20,
							 hear, &heard), 0);
		assert_string_equal(heard.text, "one||two and more|three|");
		assert_int_equal(lines.len, 4);
		assert_memory_equal(lines.bytes, "four", 4);
		krl_lines_clear(&lines);
	}
}

static void a_line_beyond_the_bound_is_refused(void **state)
{
	struct krl_lines lines = { 0 };
	struct heard heard = { .left = SIZE_MAX };

	assert_int_equal(krl_lines_split(&lines, "12345\n12345\n", 12, 5, hear, &heard), 0);
	assert_int_equal(krl_lines_split(&lines, "123456\n", 7, 5, hear, &heard), -EFBIG);
	assert_int_equal(krl_lines_split(&lines, "1234", 4, 5, hear, &heard), 0);
	assert_int_equal(krl_lines_split(&lines, "56\n", 3, 5, hear, &heard), -EFBIG);
	krl_lines_clear(&lines);
	assert_int_equal(krl_lines_split(&lines, "123", 3, 5, hear, &heard), 0);
	assert_int_equal(krl_lines_split(&lines, "456", 3, 5, hear, &heard), -EFBIG);
	assert_string_equal(heard.text, "12345|12345|");
	krl_lines_clear(&lines);
}

static void who_listens_may_stop(void **state)
{
	struct krl_lines lines = { 0 };
	struct heard heard = { .left = 2 };

	assert_int_equal(krl_lines_split(&lines, "a\nb\nc\n", 6, 5, hear, &heard), -ECANCELED);
	assert_string_equal(heard.text, "a|b|");
	krl_lines_clear(&lines);
}

static void a_large_line_leaves_no_memory_behind(void **state)
{
	size_t len = 1 << 20;
	char *text = calloc(1, len + 1);
	struct krl_lines lines = { 0 };
	struct krl_watch_event event;

	memset(text, 'x', len);
	assert_int_equal(krl_lines_add(&lines, text, len, len), 0);
	assert_int_equal(krl_lines_add(&lines, "x", 1, len), -EFBIG);
	assert_false(krl_answer_event(text, len, &event));
	krl_lines_clear(&lines);
	assert_int_equal(lines.size, 0);
	free(text);
}

static bool is_page(const char *text)
{
	json_t *page = krl_answer_page(text, strlen(text));

	json_decref(page);
	return page;
}

static bool is_event(const char *text)
{
	struct krl_watch_event event;
	bool is = krl_answer_event(text, strlen(text), &event);

	if (is)
		json_decref(event.root);
	return is;
}

/* @is of each of the texts up to NULL. */
static void check_all(bool (*is)(const char *text), bool expected, const char *const *texts)
{
	for (; *texts; texts++)
		if (is(*texts) != expected)
			fail_msg("%s is%s one", *texts, expected ? " not" : "");
}

static void a_page_is_a_list_with_a_version(void **state)
{
	static const char *const pages[] = { "{\"items\":[],\"metadata\":{\"resourceVersion\":\"7\"}}",
					     "{\"items\":null,\"metadata\":{\"resourceVersion\":\"7\"}}", NULL };
	static const char *const others[] = {
		"{\"items\":[],\"metadata\":{\"resourceVersion\":\"\"}}",
		"{\"items\":[],\"metadata\":{\"resourceVersion\":7}}",
		"{\"items\":[],\"metadata\":7}",
		"{\"items\":[]}",
		"{\"items\":{},\"metadata\":{\"resourceVersion\":\"7\"}}",
		"{\"metadata\":{\"resourceVersion\":\"7\"}}",
		"[]", "5", "{", "", NULL,
	};

	check_all(is_page, true, pages);
	check_all(is_page, false, others);
}

static void an_event_has_a_type_and_an_object(void **state)
{
	static const char *const events[] = { "{\"type\":\"ADDED\",\"object\":{}}", NULL };
	static const char *const others[] = {
		"{\"type\":\"ADDED\",\"object\":[]}", "{\"type\":5,\"object\":{}}", "{\"object\":{}}", "[]", "ADDED", NULL,
	};

	check_all(is_event, true, events);
	check_all(is_event, false, others);
}

/* What krl_k8s_json() makes of @text, as compact text; "" for nothing. */
static void reads_as(const char *text, const char *wanted)
{
	json_t *root = krl_k8s_json(text, strlen(text));
	char *written = root ? json_dumps(root, JSON_COMPACT) : strdup("");

	assert_string_equal(written, wanted);
	free(written);
	json_decref(root);
}

static void one_object_does_not_hide_the_others(void **state)
{
	reads_as("{\"a\":9223372036854775807,\"b\":-9223372036854775808}", "{\"a\":9223372036854775807,\"b\":-9223372036854775808}");
	reads_as("[9223372036854775808]", "[9.2233720368547758e18]");
	reads_as("[-100000000000000000000,7]", "[-1e20,7]");
	reads_as("{\"a\\u0000\":\"\\u0000\\\\u0000\\\"\\u0000\",\"b\":1}", "{\"a�\":\"�\\\\u0000\\\"�\",\"b\":1}");
	reads_as("[\"\\u0000 123456789012345678901 [[[ \",2]", "[\"� 123456789012345678901 [[[ \",2]");
	reads_as("[12345678901234567890123.5,1e30,12345678901234567890e1]", "[1.2345678901234568e22,1e30,1.2345678901234568e20]");
	reads_as("", "");
	reads_as("\"", "");
	reads_as("{\"a\":\"\\u000", "");
	reads_as("[100000000000000000000", "");
	reads_as("]]]{", "");
}

/* Levels of lists, in a member beside another one. */
static void what_is_too_deep_is_cut_off(void **state)
{
	static const unsigned int levels[] = { KRL_K8S_JSON_DEPTH, 2100, 9000 };
	char text[20100];
	json_t *root, *at;
	unsigned int i, depth;

	for (i = 0; i < 3; i++) {
		strcpy(text, "{\"a\":");
		memset(text + 5, '[', levels[i]);
		strcpy(text + 5 + levels[i], "\"]\"");
		memset(text + 8 + levels[i], ']', levels[i]);
		strcpy(text + 8 + 2 * levels[i], ",\"b\":\"c\"}");
		root = krl_k8s_json(text, strlen(text));
		assert_non_null(root);
		assert_string_equal(json_string_value(json_object_get(root, "b")), "c");
		at = json_object_get(root, "a");
		for (depth = 1; json_is_array(at); depth++)
			at = json_array_get(at, 0);
		assert_int_equal(depth, levels[i] == KRL_K8S_JSON_DEPTH ? levels[i] + 1 : KRL_K8S_JSON_DEPTH);
		json_decref(root);
	}
}

static void a_status_says_why(void **state)
{
	static const char text[] = "{\"kind\":\"Status\",\"code\":429,\"message\":\"too much\","
				   "\"details\":{\"retryAfterSeconds\":3}}";
	json_t *object = json_loads(text, 0, NULL);
	struct krl_status status;

	krl_answer_status(object, &status);
	assert_int_equal(status.code, 429);
	assert_int_equal(status.retry_after_s, 3);
	assert_string_equal(status.text, "too much");
	json_decref(object);
	krl_answer_status(NULL, &status);
	assert_int_equal(status.code, 0);
	assert_string_equal(status.text, "");
	object = json_loads("{\"code\":\"x\",\"message\":[],\"details\":{\"retryAfterSeconds\":-3}}", 0, NULL);
	krl_answer_status(object, &status);
	assert_int_equal(status.code, 0);
	assert_int_equal(status.retry_after_s, 0);
	json_decref(object);
}

/* What @text says in base64, which must be @expected; NULL: nothing. */
static void check_base64(const char *text, const char *expected)
{
	char *bytes = NULL;
	size_t len = 0;
	int err = krl_base64_decode(text, &bytes, &len);

	assert_int_equal(err, expected ? 0 : -EINVAL);
	if (expected) {
		assert_int_equal(len, strlen(expected));
		assert_string_equal(bytes, expected);
	}
	free(bytes);
}

static void base64_is_read_strictly(void **state)
{
	check_base64("Zg==", "f");
	check_base64("Zm8=", "fo");
	check_base64("Zm9v", "foo");
	check_base64("Zm9vYmFy", "foobar");
	check_base64("Zm9v\nYmFy\r\n", "foobar");
	check_base64("Zm9vYmF", NULL);
	check_base64("Zm9v*mFy", NULL);
	check_base64("Zg=a", NULL);
	check_base64("Z===", NULL);
	check_base64("", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_double_up_to_a_bound),
		cmocka_unit_test(the_server_says_how_long_at_least),
		cmocka_unit_test(lines_are_whole_whatever_the_pieces),
		cmocka_unit_test(a_line_beyond_the_bound_is_refused),
		cmocka_unit_test(who_listens_may_stop),
		cmocka_unit_test(a_large_line_leaves_no_memory_behind),
		cmocka_unit_test(a_page_is_a_list_with_a_version),
		cmocka_unit_test(an_event_has_a_type_and_an_object),
		cmocka_unit_test(one_object_does_not_hide_the_others),
		cmocka_unit_test(what_is_too_deep_is_cut_off),
		cmocka_unit_test(a_status_says_why),
		cmocka_unit_test(base64_is_read_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
