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
	.kind = KRL_ANSWER_LIMITED,
	.status = 429,
	.retry_after_s = 60,
	.reset_s = 1795244201,
};

static struct krl_form form;

/* Begin a form; then a piece of it: text, and the gap behind it. */
static void begin(void)
{
	memset(&form, 0, sizeof(form));
}

static void piece(const char *text, enum krl_gap gap)
{
	size_t i, at = 0;

	for (i = 0; i < form.piece_count; i++)
		at += form.pieces[i].len;
	assert_true(form.piece_count < KRL_FORM_PIECES && at + strlen(text) <= KRL_FORM_TEXT_BYTES);
	memcpy(form.text + at, text, strlen(text));
	form.pieces[form.piece_count++] = (struct krl_piece){ .len = strlen(text), .gap = gap };
}

static const char *written(struct krl_answer_text *t)
{
	assert_in_range(t->len, 1, KRL_ANSWER_BYTES);
	t->bytes[t->len] = '\0';
	return t->bytes;
}

/* The answer @a by the form, as a string. */
static const char *whole(const struct krl_answer *a)
{
	static struct krl_answer_text t;
	__u32 i;

	memset(&t, '#', sizeof(t));
	t.len = t.at = 0;
	for (i = 0; i < form.piece_count && !krl_answer_piece(&t, &form, a, i); i++)
		;
	return written(&t);
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

static void gaps_are_filled(void **state)
{
	struct krl_answer a = ten_a_minute;

	begin();
	piece("A: ", KRL_GAP_RETRY_AFTER);
	piece("\r\nB: ", KRL_GAP_REMAINING);
	piece("", KRL_GAP_RESET);
	piece("\r\n", KRL_GAP_CONNECTION);
	piece("\r\n", KRL_GAP_BODY);
	piece("come back in ", KRL_GAP_RETRY_AFTER);
	piece(" s", KRL_GAP_NONE);
	a.remaining = 7;
	assert_string_equal(whole(&a), "A: 60\r\nB: 71795244201\r\n\r\ncome back in 60 s");
	a.close = 1;
	assert_string_equal(whole(&a),
			    "A: 60\r\nB: 71795244201\r\nConnection: close\r\n\r\ncome back in 60 s");
}

static void what_remains_has_no_more_digits_than_a_structured_field(void **state)
{
	struct krl_answer a = ten_a_minute;

	begin();
	piece("r=", KRL_GAP_REMAINING);
	a.remaining = 999999999999999;
	assert_string_equal(whole(&a), "r=999999999999999");
	a.remaining = INT64_MAX;
	assert_string_equal(whole(&a), "r=999999999999999");
}

static void the_length_is_that_of_the_body_with_its_gaps(void **state)
{
	struct krl_answer a = ten_a_minute;

	begin();
	piece("", KRL_GAP_LENGTH);
	piece(" ", KRL_GAP_BODY);
	piece("in ", KRL_GAP_RETRY_AFTER);
	piece(", yes, ", KRL_GAP_RETRY_AFTER);
	form.body_text = strlen("in , yes, ");
	form.body_gaps = 2;
	assert_string_equal(whole(&a), "14 in 60, yes, 60");
	a.retry_after_s = 5;
	assert_string_equal(whole(&a), "12 in 5, yes, 5");
	a.no_body = 1;
	assert_string_equal(whole(&a), "12 ");
}

static void the_longest_form_fits(void **state)
{
	struct krl_answer a = { .retry_after_s = UINT64_MAX };
	char text[KRL_FORM_TEXT_BYTES / KRL_FORM_PIECES + 1] = "";
	size_t i;

	memset(text, 'x', sizeof(text) - 1);
	begin();
	for (i = 0; i < KRL_FORM_PIECES; i++)
		piece(text, KRL_GAP_RETRY_AFTER);
	assert_int_equal(strlen(whole(&a)), KRL_FORM_TEXT_BYTES + 20 * KRL_FORM_PIECES);
}

static void a_bad_request_always_closes(void **state)
{
	static struct krl_answer_text t;
	const struct krl_answer a = { .kind = KRL_ANSWER_BAD_REQUEST };

	krl_answer_bad_request(&t, &a);
	assert_string_equal(written(&t), "HTTP/1.1 400 Bad Request\r\n"
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
	a.status = 503;
	assert_string_equal(compact(&a, 35), "HTTP/1.1 503 \r\nContent-Length:0");
	a.kind = KRL_ANSWER_BAD_REQUEST;
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
		cmocka_unit_test(gaps_are_filled),
		cmocka_unit_test(what_remains_has_no_more_digits_than_a_structured_field),
		cmocka_unit_test(the_length_is_that_of_the_body_with_its_gaps),
		cmocka_unit_test(the_longest_form_fits),
		cmocka_unit_test(a_bad_request_always_closes),
		cmocka_unit_test(the_compact_answer_says_what_the_room_allows),
		cmocka_unit_test(the_shortest_compact_answer_ends_with_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
