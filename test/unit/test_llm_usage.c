// SPDX-License-Identifier: Apache-2.0
/* What answers of model servers say that they used, however they are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "usage_walk.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

/* A number that was not there. */
#define NONE -1

struct usage_case {
	const char *name;
	const char *body;
	int64_t input;
	int64_t output;
	int64_t total;
	int64_t cached;
	int64_t reasoning;
	uint32_t content_events;
};

static int64_t number(const struct krl_llm_tokens *t, uint32_t has, uint64_t value)
{
	return t->has & has ? (int64_t)value : NONE;
}

static void check_usage(const struct krl_llm_usage *u, const struct usage_case *c, size_t cut)
{
	struct krl_llm_tokens t;

	krl_llm_tokens_of(&u->counts, &t);
	if (number(&t, KRL_LLM_HAS_INPUT, t.input) != c->input || number(&t, KRL_LLM_HAS_OUTPUT, t.output) != c->output ||
	    number(&t, KRL_LLM_HAS_TOTAL, t.total) != c->total ||
	    number(&t, KRL_LLM_HAS_CACHED_INPUT, t.cached_input) != c->cached ||
	    number(&t, KRL_LLM_HAS_REASONING, t.reasoning) != c->reasoning || u->content_events != c->content_events)
		fail_msg("%s, cut at %zu: %llu %llu %llu %llu %llu of %#x, %u events", c->name, cut, t.input, t.output,
			 t.total, t.cached_input, t.reasoning, t.has, u->content_events);
}

static void check_cases(const struct usage_case *cases, size_t count)
{
	static const size_t windows[] = { 1, 8, 13, 512 };
	struct krl_llm_usage u;
	size_t i, k, cut, len;

	for (i = 0; i < count; i++) {
		len = strlen(cases[i].body);
		for (k = 0; k < COUNT(windows); k++) {
			for (cut = 0; cut <= len; cut++) {
				memset(&u, 0, sizeof(u));
				body_walk_cut(usage_step, &u, cases[i].body, len, cut, windows[k]);
				check_usage(&u, &cases[i], cut);
			}
		}
	}
}

#define DETAILS(cached, reasoning)                                                                                   \
	"\"prompt_tokens_details\":{\"audio_tokens\":0,\"cached_tokens\":" cached "},\"completion_tokens_details\":" \
	"{\"reasoning_tokens\":" reasoning ",\"audio_tokens\":9}"

static void answers_in_json(void **state)
{
	static const struct usage_case cases[] = {
		{ "chat completions",
		  "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"gpt-4\","
		  "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello\"},"
		  "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":12,"
		  "\"total_tokens\":21," DETAILS("4", "3") "}}", 9, 12, 21, 4, 3, 0 },
		{ "as OpenAI indents it",
		  "{\n  \"usage\": {\n    \"prompt_tokens\": 9,\n    \"completion_tokens\": 12,\n    \"total_tokens\": 21,\n"
		  "    \"prompt_tokens_details\": {\n      \"cached_tokens\": 0\n    }\n  },\n  \"choices\": []\n}\n",
		  9, 12, 21, 0, NONE, 0 },
		{ "usage first", "{\"usage\":{\"total_tokens\":7,\"completion_tokens\":3,\"prompt_tokens\":4},\"id\":1}", 4, 3,
		  7, NONE, NONE, 0 },
		{ "completions", "{\"choices\":[{\"text\":\"a\",\"index\":0}],\"usage\":{\"prompt_tokens\":5,"
		  "\"completion_tokens\":7,\"total_tokens\":12}}", 5, 7, 12, NONE, NONE, 1 },
		{ "embeddings", "{\"object\":\"list\",\"data\":[{\"embedding\":[-0.1,1e-5,0.25]}],\"usage\":{"
		  "\"prompt_tokens\":8,\"total_tokens\":8}}", 8, NONE, 8, NONE, NONE, 0 },
		{ "responses", "{\"id\":\"resp_1\",\"output\":[{\"type\":\"message\",\"content\":[{\"text\":\"x\"}]}],"
		  "\"usage\":{\"input_tokens\":36,\"input_tokens_details\":{\"cached_tokens\":30},\"output_tokens\":87,"
		  "\"output_tokens_details\":{\"reasoning_tokens\":40},\"total_tokens\":123}}", 36, 87, 123, 30, 40, 0 },
		{ "messages", "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}],"
		  "\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":100,\"cache_read_input_tokens\":1000,"
		  "\"cache_creation\":{\"ephemeral_5m_input_tokens\":100},\"output_tokens\":25}}", 1110, 25, 1135, 1000,
		  NONE, 0 },
		{ "messages without a cache", "{\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":null,"
		  "\"output_tokens\":25.0}}", 10, 25, 35, NONE, NONE, 0 },
		{ "details of null", "{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":null,\"total_tokens\":1,"
		  "\"prompt_tokens_details\":null,\"completion_tokens_details\":null}}", 1, NONE, 1, NONE, NONE, 0 },
		{ "details in details of null", "{\"usage\":{\"prompt_tokens\":1," DETAILS("null", "null") "}}", 1, NONE, 1,
		  NONE, NONE, 0 },
		{ "floats", "{\"usage\":{\"input_tokens\":12.0,\"output_tokens\":1.5e1}}", 12, 15, 27, NONE, NONE, 0 },
		{ "both names, one with 0", "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6,\"total_tokens\":11,"
		  "\"input_tokens\":0,\"output_tokens\":0," DETAILS("2", "1") ",\"input_tokens_details\":null}}", 5, 6, 11, 2,
		  1, 0 },
		{ "too large", "{\"usage\":{\"prompt_tokens\":99999999999,\"completion_tokens\":1e300}}", 4294967295,
		  4294967295, 8589934590, NONE, NONE, 0 },
		{ "below zero", "{\"usage\":{\"prompt_tokens\":-5,\"completion_tokens\":6}}", NONE, 6, 6, NONE, NONE, 0 },
		{ "none", "{\"error\":{\"message\":\"no\",\"usage\":{\"total_tokens\":5}}}", NONE, NONE, NONE, NONE, NONE, 0 },
		{ "white space and a byte order mark before it", "\xef\xbb\xbf\r\n \t{\"usage\":{\"total_tokens\":5}}", NONE,
		  NONE, 5, NONE, NONE, 0 },
	};

	check_cases(cases, COUNT(cases));
}

static void of_a_key_that_comes_twice_the_last_counts(void **state)
{
	static const struct usage_case cases[] = {
		{ "a count", "{\"usage\":{\"total_tokens\":5,\"total_tokens\":7}}", NONE, NONE, 7, NONE, NONE, 0 },
		{ "a count of null", "{\"usage\":{\"total_tokens\":5,\"total_tokens\":null}}", NONE, NONE, NONE, NONE, NONE, 0 },
		{ "usage", "{\"usage\":{\"prompt_tokens\":5},\"usage\":{\"completion_tokens\":7}}", NONE, 7, 7, NONE, NONE, 0 },
		{ "usage of null", "{\"usage\":{\"prompt_tokens\":5},\"usage\":null}", NONE, NONE, NONE, NONE, NONE, 0 },
		{ "details", "{\"usage\":{\"prompt_tokens\":9," DETAILS("4", "3") ",\"prompt_tokens_details\":{}}}", 9, NONE, 9,
		  NONE, 3, 0 },
		{ "what usage is in", "{\"response\":{\"usage\":{\"total_tokens\":5}},\"response\":{}}", NONE, NONE, NONE, NONE,
		  NONE, 0 },
	};

	check_cases(cases, COUNT(cases));
}

static void text_of_the_model_forges_nothing(void **state)
{
	static const struct usage_case cases[] = {
		{ "in a string", "{\"choices\":[{\"message\":{\"content\":\"\\\"usage\\\":{\\\"total_tokens\\\":0},\\\"}\"}}],"
		  "\"usage\":{\"total_tokens\":21}}", NONE, NONE, 21, NONE, NONE, 0 },
		{ "in a string behind it", "{\"usage\":{\"total_tokens\":21},\"choices\":[{\"message\":{\"content\":"
		  "\"\\\"}}],\\\"usage\\\":{\\\"total_tokens\\\":0}}\\\\\\\"\"}}]}", NONE, NONE, 21, NONE, NONE, 0 },
		{ "with backslashes at its end", "{\"a\":\"\\\\\\\\\\\\\",\"usage\":{\"total_tokens\":21},\"b\":\"\\\\\\\"\"}", NONE,
		  NONE, 21, NONE, NONE, 0 },
		{ "surrogates and other escapes", "{\"choices\":[{\"message\":{\"content\":\"\\ud83d\\ude00\\u0022usage\\u0022:"
		  "{\\u0022total_tokens\\u0022:0}\"}}],\"usage\":{\"total_tokens\":21}}", NONE, NONE, 21, NONE, NONE, 0 },
		{ "arguments of a tool", "{\"choices\":[{\"message\":{\"tool_calls\":[{\"function\":{\"arguments\":"
		  "\"{\\\"usage\\\":{\\\"total_tokens\\\":0}}\"}}]}}],\"usage\":{\"total_tokens\":21}}", NONE, NONE, 21, NONE,
		  NONE, 0 },
		{ "JSON that the model wrote as JSON", "{\"content\":[{\"type\":\"tool_use\",\"input\":{\"usage\":{"
		  "\"total_tokens\":0,\"output_tokens\":0},\"response\":{\"usage\":{\"output_tokens\":0}}}}],\"usage\":{"
		  "\"input_tokens\":3,\"output_tokens\":4}}", 3, 4, 7, NONE, NONE, 0 },
		{ "deeper than where it belongs", "{\"usage\":{\"total_tokens\":21,\"usage\":{\"total_tokens\":0},"
		  "\"prompt_tokens_details\":{\"total_tokens\":0,\"x\":{\"cached_tokens\":1}},\"x\":{\"total_tokens\":0}},"
		  "\"response\":{\"x\":{\"usage\":{\"total_tokens\":0}},\"response\":{\"usage\":{\"total_tokens\":0}}}}",
		  NONE, NONE, 21, NONE, NONE, 0 },
		{ "a string for an object", "{\"usage\":\"{\\\"total_tokens\\\":0}\",\"x\":{\"usage\":{\"total_tokens\":1}}}", NONE,
		  NONE, NONE, NONE, NONE, 0 },
		{ "values that are like keys", "{\"a\":\"usage\",\"b\":{\"total_tokens\":0},\"c\":[\"usage\",{\"total_tokens\":1}]}",
		  NONE, NONE, NONE, NONE, NONE, 0 },
		{ "data lines in a string of JSON", "{\"a\":\"\\n\\ndata: {\\\"usage\\\":{\\\"total_tokens\\\":0}}\\n\\n\","
		  "\"usage\":{\"total_tokens\":21}}", NONE, NONE, 21, NONE, NONE, 0 },
		{ "data lines in a string of an event", "data: {\"choices\":[{\"delta\":{\"content\":\"\\n\\ndata: "
		  "{\\\"usage\\\":{\\\"total_tokens\\\":0}}\\n\\n\"}}]}\n\ndata: {\"usage\":{\"total_tokens\":21}}\n\n", NONE,
		  NONE, 21, NONE, NONE, 1 },
	};

	check_cases(cases, COUNT(cases));
}

#define CHUNK(delta, finish, rest)                                                                         \
	"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{" delta \
	"},\"logprobs\":null,\"finish_reason\":" finish "}]" rest "}\n\n"
#define TOTALS(prompt, completion, total) \
	"\"usage\":{\"prompt_tokens\":" prompt ",\"completion_tokens\":" completion ",\"total_tokens\":" total "}"

static void streams_of_openai(void **state)
{
	static const struct usage_case cases[] = {
		{ "usage in the last chunk",
		  CHUNK("\"role\":\"assistant\",\"content\":\"\"", "null", ",\"usage\":null")
		  CHUNK("\"content\":\"Hello\"", "null", ",\"usage\":null") CHUNK("\"content\":\" you\"", "null", ",\"usage\":null")
		  CHUNK("", "\"stop\"", ",\"usage\":null")
		  "data: {\"choices\":[]," TOTALS("9", "2", "11") "}\n\ndata: [DONE]\n\n", 9, 2, 11, NONE, NONE, 2 },
		{ "running totals",
		  CHUNK("\"role\":\"assistant\"", "null", "," TOTALS("9", "0", "9"))
		  CHUNK("\"content\":\"a\"", "null", "," TOTALS("9", "1", "10"))
		  CHUNK("\"content\":\"b\"", "\"stop\"", "," TOTALS("9", "2", "11"))
		  "data: {\"choices\":[]," TOTALS("9", "2", "11") "}\n\ndata: [DONE]\n\n", 9, 2, 11, NONE, NONE, 2 },
		{ "running totals that end", CHUNK("\"content\":\"a\"", "null", "," TOTALS("9", "1", "10"))
		  CHUNK("\"content\":\"b\"", "null", "," TOTALS("9", "2", "11")) "data: {\"cho", 9, 2, 11, NONE, NONE, 2 },
		{ "no usage", CHUNK("\"content\":\"a\"", "null", "") CHUNK("\"reasoning_content\":\"b\"", "null", "")
		  CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}}]", "null", "")
		  CHUNK("\"tool_calls\":[],\"content\":null", "null", "") CHUNK("", "\"stop\"", "") "data: [DONE]\n\n", NONE,
		  NONE, NONE, NONE, NONE, 3 },
		{ "completions", "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"choices\":[{\"text\":\"\"}]}\n\n"
		  "data: {\"choices\":[]," TOTALS("1", "1", "2") "}\n\n", 1, 1, 2, NONE, NONE, 1 },
		{ "responses",
		  "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"usage\":null}}\n\n"
		  "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n"
		  "event: response.output_text.delta\ndata: {\"delta\":\" you\",\"type\":\"response.output_text.delta\"}\n\n"
		  "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"usage\":1}],"
		  "\"usage\":{\"input_tokens\":37,\"input_tokens_details\":{\"cached_tokens\":1},\"output_tokens\":11,"
		  "\"output_tokens_details\":{\"reasoning_tokens\":2},\"total_tokens\":48}}}\n\n", 37, 11, 48, 1, 2, 2 },
	};

	check_cases(cases, COUNT(cases));
}

#define START(usage) "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":" usage "}}\n\n"
#define PIECE                                                                                              \
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":" \
	"\"text_delta\",\"text\":\"Hello\"}}\n\n"
#define DELTA(usage)                                                                                           \
	"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":" \
	usage "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
#define PING "event: ping\ndata: {\"type\": \"ping\"}\n\n"

static void streams_of_anthropic(void **state)
{
	static const struct usage_case cases[] = {
		{ "input is omitted", START("{\"input_tokens\":25,\"output_tokens\":1}") PING PIECE PIECE
		  DELTA("{\"output_tokens\":15}"), 25, 15, 40, NONE, NONE, 2 },
		{ "input is told again",
		  START("{\"input_tokens\":25,\"cache_read_input_tokens\":7,\"cache_creation_input_tokens\":0,\"output_tokens\":1}")
		  PIECE DELTA("{\"input_tokens\":25,\"cache_read_input_tokens\":7,\"output_tokens\":15}"), 32, 15, 47, 7, NONE,
		  1 },
		{ "input is another", START("{\"input_tokens\":0,\"output_tokens\":0}") PIECE
		  DELTA("{\"input_tokens\":30,\"output_tokens\":15}"), 30, 15, 45, NONE, NONE, 1 },
		{ "floats", START("{\"input_tokens\":25.0,\"output_tokens\":1.0}") PIECE DELTA("{\"output_tokens\":15.0}"), 25, 15,
		  40, NONE, NONE, 1 },
		{ "several deltas", START("{\"input_tokens\":25,\"output_tokens\":1}") DELTA("{\"output_tokens\":5}")
		  DELTA("{\"output_tokens\":15}"), 25, 15, 40, NONE, NONE, 0 },
		{ "the start alone", START("{\"input_tokens\":25,\"output_tokens\":1}") PIECE, 25, 1, 26, NONE, NONE, 1 },
	};

	check_cases(cases, COUNT(cases));
}

#define ERROR "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"no\"}}\n\n"

static void what_a_message_begins_with_is_not_final(void **state)
{
	static const struct {
		const char *body;
		int has_final;
	} cases[] = {
		{ START("{\"input_tokens\":25,\"output_tokens\":1}") PIECE PIECE, 0 },
		{ START("{\"input_tokens\":25,\"output_tokens\":1}") PIECE ERROR, 0 },
		{ START("{\"input_tokens\":25,\"output_tokens\":1}") PIECE DELTA("null"), 0 },
		{ START("{\"input_tokens\":25,\"output_tokens\":1}") PIECE DELTA("{}"), 0 },
		{ START("{\"input_tokens\":25,\"output_tokens\":1}") PIECE DELTA("{\"output_tokens\":15}"), 1 },
		{ START("{\"input_tokens\":25,\"output_tokens\":1}") DELTA("{\"output_tokens\":5}") PIECE, 1 },
		{ START("{\"input_tokens\":25},\"x\":1},\"usage\":{\"output_tokens\":1"), 1 },
		{ CHUNK("\"content\":\"a\"", "null", "," TOTALS("9", "1", "10")), 1 },
		{ "data: {\"response\":{\"usage\":{\"output_tokens\":11}}}\n\n", 1 },
		{ "{\"usage\":{\"output_tokens\":25}}", 1 },
	};
	static const size_t windows[] = { 1, 13, 512 };
	struct krl_llm_usage u;
	size_t i, k;

	for (i = 0; i < COUNT(cases); i++) {
		for (k = 0; k < COUNT(windows); k++) {
			memset(&u, 0, sizeof(u));
			body_walk(usage_step, &u, cases[i].body, strlen(cases[i].body), windows[k]);
			assert_int_equal(u.has_bad, 0);
			assert_int_equal(u.has_final, cases[i].has_final);
		}
	}
}

static void lines_of_any_form(void **state)
{
	static const struct usage_case cases[] = {
		{ "without a blank, with CR", "data:{\"usage\":{\"total_tokens\":5}}\r\r", NONE, NONE, 5, NONE, NONE, 0 },
		{ "CRLF, a comment, a byte order mark", "\xef\xbb\xbf: hi\r\n\r\ndata: {\"usage\":{\"total_tokens\":5}}\r\n\r\n",
		  NONE, NONE, 5, NONE, NONE, 0 },
		{ "several lines", "data: {\"usage\":\ndata:{\"total_tokens\":\ndata: 5\ndata: }}\n\n", NONE, NONE, 5, NONE, NONE,
		  0 },
		{ "lines of other fields between them", "data: {\"usage\":\nid: 1\n: {\ndata:{\"total_tokens\":5}}\n\n", NONE, NONE,
		  5, NONE, NONE, 0 },
		{ "one that does not end, and another", "data: {\"usage\":{\"total_tokens\":5}\n\ndata: {\"usage\":"
		  "{\"prompt_tokens\":7}}\n\n", 7, NONE, 7, NONE, NONE, 0 },
		{ "one that is none, and another", "data: oops {\"usage\":{\"total_tokens\":5}}\n\ndata: {\"usage\":"
		  "{\"prompt_tokens\":7}}\n\n", 7, NONE, 7, NONE, NONE, 0 },
		{ "no end of the last line", "data: {\"usage\":{\"total_tokens\":5}}", NONE, NONE, 5, NONE, NONE, 0 },
	};

	check_cases(cases, COUNT(cases));
}

static void json_that_is_none_is_said(void **state)
{
	static const char *const bad[] = { "{\"usage\":{'a':1}}", "data: {\"a\"\n\n", "data: {}\n\ndata: x\n\n" };
	static const char *const good[] = { "{\"usage\":{}}", "data: {}\n\ndata: [DONE]\n\n", ": x\n\nevent: y\n\n" };
	struct krl_llm_usage u;
	size_t i;

	for (i = 0; i < COUNT(bad); i++) {
		memset(&u, 0, sizeof(u));
		body_walk(usage_step, &u, bad[i], strlen(bad[i]), 512);
		assert_int_equal(u.has_bad, 1);
		memset(&u, 0, sizeof(u));
		body_walk(usage_step, &u, good[i], strlen(good[i]), 512);
		assert_int_equal(u.has_bad, 0);
	}
}

static void what_breaks_off_tells_a_usage_that_is_whole(void **state)
{
	static const char *const bodies[] = {
		"{\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":3," DETAILS("1", "2") ",\"total_tokens\":7}",
		"{\"choices\":[{\"text\":\"a\"}],\"usage\":{\"completion_tokens\":3,\"total_tokens\":7}",
		"{\"type\":\"message\",\"response\":{\"usage\":{\"input_tokens\":4,\"output_tokens\":3}",
	};
	static const char bad[] = "{\"usage\":{\"total_tokens\":7},'a";
	static const char behind[] = ",\"a\":[{\"usage\":{\"total_tokens\":0}},\"\\\"usage\\\":";
	struct krl_llm_tokens t;
	struct krl_llm_usage u;
	size_t i, len, whole;
	char body[256];

	for (i = 0; i < COUNT(bodies); i++) {
		whole = strlen(bodies[i]);
		snprintf(body, sizeof(body), "%s%s", bodies[i], behind);
		for (len = 0; len <= strlen(body); len++) {
			memset(&u, 0, sizeof(u));
			body_walk(usage_step, &u, body, len, 512);
			krl_llm_broke_off(&u);
			krl_llm_tokens_of(&u.counts, &t);
			assert_int_equal(!!u.counts.seen, len >= whole);
			assert_int_equal(t.total, len >= whole ? 7 : 0);
		}
	}
	memset(&u, 0, sizeof(u));
	body_walk(usage_step, &u, bad, strlen(bad), 512);
	krl_llm_broke_off(&u);
	assert_int_equal(u.counts.seen, 0);
}

/* A mebibyte of text that is full of keys, and of what ends strings elsewhere. */
static void a_long_answer(void **state)
{
	static const char part[] = "\\\"usage\\\":{\\\"total_tokens\\\":0},\\\\\\\"}}]\\u0022\\ud83d\\ude00\\n\\ndata: {";
	size_t len = 1 << 20, at;
	struct krl_llm_tokens t;
	struct krl_llm_usage u;
	char *body = malloc(len + 256);

	assert_non_null(body);
	at = sprintf(body, "{\"choices\":[{\"message\":{\"content\":\"");
	for (; at < len; at += sizeof(part) - 1)
		memcpy(body + at, part, sizeof(part) - 1);
	at += sprintf(body + at, "\"}}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}");
	memset(&u, 0, sizeof(u));
	body_walk(usage_step, &u, body, at, 509);
	krl_llm_tokens_of(&u.counts, &t);
	assert_int_equal(t.total, 3);
	assert_int_equal(u.has_bad, 0);
	free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_in_json),
		cmocka_unit_test(of_a_key_that_comes_twice_the_last_counts),
		cmocka_unit_test(text_of_the_model_forges_nothing),
		cmocka_unit_test(streams_of_openai),
		cmocka_unit_test(streams_of_anthropic),
		cmocka_unit_test(what_a_message_begins_with_is_not_final),
		cmocka_unit_test(lines_of_any_form),
		cmocka_unit_test(json_that_is_none_is_said),
		cmocka_unit_test(what_breaks_off_tells_a_usage_that_is_whole),
		cmocka_unit_test(a_long_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
