// SPDX-License-Identifier: Apache-2.0
/* The text of the answers that the kernel writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/lib/answer.h"

static const struct krl_answer ten_a_minute = {
	.status = KRL_ANSWER_429,
	.limit = 10,
	.retry_after_s = 60,
	.reset_s = 1795244201,
};

/* The whole answer @a under the limit @text, as a string. */
static const char *whole(const struct krl_answer *a, const char *text)
{
	static struct krl_text t;
	char limit[KRL_LIMIT_TEXT_BYTES] = "";

	memcpy(limit, text, strlen(text));
	memset(&t, '#', sizeof(t));
	krl_answer_write(&t, a, limit, strlen(text));
	assert_in_range(t.len, 1, KRL_TEXT_BYTES);
	t.bytes[t.len] = '\0';
	return t.bytes;
}

/* The compact answer in @room bytes, up to where padding goes; NULL when it does not fit. */
static const char *compact(const struct krl_answer *a, uint32_t room)
{
	static struct krl_text t;

	if (krl_answer_write_compact(&t, a, room) < 0)
		return NULL;
	assert_in_range(t.len + 4, 1, room);
	t.bytes[t.len] = '\0';
	return t.bytes;
}

static void says_the_bucket_s_numbers(void **state)
{
	assert_string_equal(whole(&ten_a_minute, "10 per 1 minute"),
			    "HTTP/1.1 429 Too Many Requests\r\n"
			    "Content-Type: application/json\r\n"
			    "Content-Length: 48\r\n"
			    "Retry-After: 60\r\n"
			    "X-RateLimit-Limit: 10\r\n"
			    "X-RateLimit-Remaining: 0\r\n"
			    "X-RateLimit-Reset: 1795244201\r\n"
			    "\r\n"
			    "{\"error\":\"Rate limit exceeded: 10 per 1 minute\"}");
}

static void content_length_is_the_body_s(void **state)
{
	char text[KRL_LIMIT_TEXT_BYTES + 1] = "";
	unsigned int length;
	const char *answer;
	size_t i;

	for (i = 0; i < KRL_LIMIT_TEXT_BYTES; i++) {
		answer = whole(&ten_a_minute, text);
		assert_int_equal(sscanf(strstr(answer, "Content-Length: "), "Content-Length: %u", &length), 1);
		assert_int_equal(strlen(strstr(answer, "\r\n\r\n") + 4), length);
		text[i] = 'x';
	}
}

static void the_largest_numbers_fit(void **state)
{
	struct krl_answer a = ten_a_minute;
	char text[KRL_LIMIT_TEXT_BYTES];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	a.limit = a.remaining = a.retry_after_s = a.reset_s = UINT64_MAX;
	a.close = 1;
	assert_non_null(strstr(whole(&a, text), "\r\nX-RateLimit-Reset: 18446744073709551615\r\n"));
	assert_non_null(strstr(whole(&a, text), "\r\nRetry-After: 18446744073709551615\r\n"));
	assert_non_null(strstr(whole(&a, text), "xx\"}"));
}

static void closes_and_answers_head_without_a_body(void **state)
{
	struct krl_answer a = ten_a_minute;
	const char *answer;

	a.close = 1;
	a.no_body = 1;
	answer = whole(&a, "10 per 1 minute");
	assert_non_null(strstr(answer, "\r\nContent-Length: 48\r\n"));
	assert_non_null(strstr(answer, "\r\nConnection: close\r\n\r\n"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void a_bad_request_always_closes(void **state)
{
	const struct krl_answer a = { .status = KRL_ANSWER_400 };

	assert_string_equal(whole(&a, ""), "HTTP/1.1 400 Bad Request\r\n"
					   "Content-Type: application/json\r\n"
					   "Content-Length: 23\r\n"
					   "Connection: close\r\n"
					   "\r\n"
					   "{\"error\":\"Bad request\"}");
}

static void the_compact_answer_says_what_the_room_allows(void **state)
{
	struct krl_answer a = ten_a_minute;

	assert_string_equal(compact(&a, 200), "HTTP/1.1 429 \r\nRetry-After:60\r\nContent-Length:0");
	assert_string_equal(compact(&a, 51), "HTTP/1.1 429 \r\nRetry-After:60\r\nContent-Length:0");
	assert_string_equal(compact(&a, 50), "HTTP/1.1 429 \r\nContent-Length:0");
	assert_string_equal(compact(&a, 35), "HTTP/1.1 429 \r\nContent-Length:0");
	assert_null(compact(&a, 16));
	assert_null(compact(&a, 1));
	a.close = 1;
	assert_string_equal(compact(&a, 200),
			    "HTTP/1.1 429 \r\nRetry-After:60\r\nConnection:close\r\nContent-Length:0");
	a.status = KRL_ANSWER_400;
	assert_string_equal(compact(&a, 200), "HTTP/1.1 400 \r\nConnection:close\r\nContent-Length:0");
}

/* The shortest requests have no room for a length. */
static void the_shortest_compact_answer_ends_with_the_connection(void **state)
{
	static struct krl_text t;
	__u32 room;

	for (room = 17; room < 35; room++) {
		assert_int_equal(krl_answer_write_compact(&t, &ten_a_minute, room), 1);
		t.bytes[t.len] = '\0';
		assert_string_equal(t.bytes, "HTTP/1.1 429 ");
	}
	assert_int_equal(krl_answer_write_compact(&t, &ten_a_minute, 35), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_the_bucket_s_numbers),
		cmocka_unit_test(content_length_is_the_body_s),
		cmocka_unit_test(the_largest_numbers_fit),
		cmocka_unit_test(closes_and_answers_head_without_a_body),
		cmocka_unit_test(a_bad_request_always_closes),
		cmocka_unit_test(the_compact_answer_says_what_the_room_allows),
		cmocka_unit_test(the_shortest_compact_answer_ends_with_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
