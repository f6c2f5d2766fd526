// SPDX-License-Identifier: Apache-2.0
/* What an event has alike with the one before is not read again, and what is read of a stream is the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "usage_walk.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

enum { EVENT_BYTES = 1024, EVENTS = 7 };

static const char *const events[] = {
	"data: {\"id\":\"c-0\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":"
	"{\"content\":\" word\"},\"finish_reason\":null}],\"usage\":null}\n\n",
	"data: {\"id\":\"c-0\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":7,\"total_tokens\":16,"
	"\"prompt_tokens_details\":{\"cached_tokens\":4}},\"x\":[{\"y\":\"\\u0022\"}]}\n\n",
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
	"\"text\":\"word\"}}\n\n",
	"data: {\"usage\":{\"total_tokens\":\ndata: 12}}\n\n",
};

static void read_event(struct krl_llm_usage *u, const char *event, size_t window)
{
	body_walk(usage_step, u, event, strlen(event), window);
}

/* The events one by one, and byte by byte, where none can be found alike. */
static void check_same(const char *const (*stream)[EVENTS], const char *what, size_t at)
{
	struct krl_llm_usage whole = {}, bytes = {};
	unsigned int i;

	for (i = 0; i < EVENTS; i++) {
		read_event(&whole, (*stream)[i], KRL_HTTP_WINDOW_BYTES);
		read_event(&bytes, (*stream)[i], 1);
	}
	assert_int_equal(bytes.alike.len, 0);
	if (memcmp(&whole.counts, &bytes.counts, sizeof(whole.counts)) || whole.content_events != bytes.content_events ||
	    whole.has_bad != bytes.has_bad || memcmp(&whole.sse, &bytes.sse, sizeof(whole.sse)))
		fail_msg("%s, changed at %zu", what, at);
}

static void an_event_like_the_one_before_is_not_read_again(void **state)
{
	struct krl_llm_usage u = {};
	uint32_t len, n;

	read_event(&u, events[0], KRL_HTTP_WINDOW_BYTES);
	assert_int_equal(u.alike.len, 0);
	read_event(&u, events[0], KRL_HTTP_WINDOW_BYTES);
	len = u.alike.len;
	assert_in_range(len, strstr(events[0], "\"content\"") - events[0] - 6, strlen(events[0]) - 8);
	n = u.content_events;
	read_event(&u, events[0], KRL_HTTP_WINDOW_BYTES);
	assert_int_equal(u.alike.len, len);
	assert_int_equal(u.content_events, n + 1);
	assert_int_equal(u.alike.end_len, strlen(strstr(events[0], "\"},")) - 1);
	read_event(&u, events[0], KRL_HTTP_WINDOW_BYTES);
	assert_int_equal(u.content_events, n + 2);
	assert_int_equal(u.sse.state, KRL_SSE_LINE);
}

/* The event @changed comes where @event does. */
static void check_change(const char *event, const char *changed, const char *other, size_t at)
{
	const char *const streams[][EVENTS] = {
		{ event, event, event, event, changed, other, event },
		{ changed, changed, changed, event, changed, other, event },
		{ changed, event, changed, other, event, changed, event },
	};
	size_t i;

	for (i = 0; i < COUNT(streams); i++)
		check_same(&streams[i], event, at);
}

/* Some events have a byte that is another, or one more, or end there: where they are alike ends anywhere. */
static void change_each_byte(const char *event, const char *other)
{
	static const char changes[] = "\"\\{}[]:,\n\r u0x";
	char changed[EVENT_BYTES];
	size_t i, k;

	for (i = 0; event[i]; i++) {
		for (k = 0; k < sizeof(changes); k++) {
			strcpy(changed, event);
			changed[i] = changes[k];
			check_change(event, changed, other, i);
			strcpy(changed + i + 1, event + i);
			check_change(event, changed, other, i);
		}
	}
}

static void what_differs_is_read(void **state)
{
	size_t i;

	for (i = 0; i < COUNT(events); i++)
		change_each_byte(events[i], events[(i + 1) % COUNT(events)]);
}

static void texts_of_any_form(void **state)
{
	static const char *const texts[] = {
		"word", "", "\\\"", "\\\\", "\\\\\\\"},\\\"logprobs\\\":null", "\\u0022", "\\ud83d", "\\ud83d\\ude00", "\xc3\xa9", "{[", "\\n", "\t",
		"a text that is longer than a word, and than two, by far", "\",\"tool_calls\":[{}],\"x\":\"", "\\",
	};
	static const char *const ends[] = { "", ",\"usage\":{\"total_tokens\":%zu}", ",\n\"x\":1", ",\ndata: \"x\":[]" };
	char made[EVENTS][EVENT_BYTES], end[64];
	const char *stream[EVENTS];
	size_t i, k, at;

	for (i = 0; i < COUNT(texts) * COUNT(texts) * COUNT(ends); i++) {
		for (k = 0; k < EVENTS; k++) {
			at = k < 4 ? i : i / COUNT(texts);
			snprintf(end, sizeof(end), ends[k < 3 ? 0 : i % COUNT(ends)], k);
			snprintf(made[k], sizeof(made[k]), "data:%s{\"id\":1,\"choices\":[{\"delta\":{\"content\":\"%s\"}}]%s}\n\n",
				 i & 1 ? " " : "", texts[at % COUNT(texts)], end);
			stream[k] = made[k];
		}
		check_same((const char *const (*)[EVENTS])&stream, texts[i % COUNT(texts)], i);
	}
}

/* Words are compared, and the end of a number is anywhere in one. */
static void numbers_are_read_to_their_end(void **state)
{
	char shifted[EVENT_BYTES];
	int blanks;

	for (blanks = 0; blanks < 8; blanks++) {
		snprintf(shifted, sizeof(shifted), "data: {%*s\"usage\":{\"total_tokens\":16,\"x\":2}}\n\n", blanks, "");
		change_each_byte(shifted, events[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_like_the_one_before_is_not_read_again),
		cmocka_unit_test(what_differs_is_read),
		cmocka_unit_test(texts_of_any_form),
		cmocka_unit_test(numbers_are_read_to_their_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
