// SPDX-License-Identifier: Apache-2.0
/* The kernel reads of the bodies of model servers what the same code reads in userspace; what that takes is printed.
 * argv[1] is the directory of the test objects. */
#include <stdio.h>
#include <string.h>

#include "test/prog/llm.h"
#include "test/prog/object.h"
#include "test/unit/usage_walk.h"

/* test-run takes no packet that is longer than a page without some room. */
enum { MAX_PACKET = 3000, REPEAT = 20000 };

/* About 40 tokens. */
#define LONG_TEXT                                                                                          \
	" A token bucket holds at most a given number of tokens, and each request takes some of them. When it " \
	"is empty, requests wait or are refused, until an interval passes and the bucket is filled again.\\n\\n"

static const char *directory;
static struct bpf_object *object;

static void set_row(bool again)
{
	struct test_llm row = { .again = again };

	object_set(object, "test_llm", &row);
}

static struct test_llm get_row(void)
{
	struct test_llm row;

	object_get(object, "test_llm", &row);
	return row;
}

/* Let @program read @body in packets of @piece bytes. */
static struct test_llm read_in_packets(const char *program, const char *body, size_t len, size_t piece)
{
	size_t off, n;

	set_row(false);
	for (off = 0; off < len; off += n) {
		n = len - off < piece ? len - off : piece;
		/* The last piece may not be too short for a packet. */
		if (len - off - n && len - off - n < MIN_PACKET)
			n = len - off;
		object_run(object, program, body + off, n);
		assert_int_equal(get_row().off, n);
	}
	return get_row();
}

static void a_request_is_read_in_any_cut(void **state)
{
	static const char body[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"\\\"model\\\":\\\"b\\\" \\\\\"}],"
				   "\"mod\\u0065l\" : \"Qwen\\/Qwen3-0.6B\", \"max_tokens\":1e2,\"stream\":true,"
				   "\"stream_options\":{\"include_usage\":true},\"x\":{\"model\":\"c\"}}";
	struct test_llm row;
	size_t piece;

	for (piece = MIN_PACKET; piece <= sizeof(body); piece++) {
		row = read_in_packets("read_request", body, sizeof(body) - 1, piece);
		assert_true(krl_llm_request_is_read(&row.request));
		assert_string_equal(row.request.model, "Qwen/Qwen3-0.6B");
		assert_int_equal(row.request.max_tokens[0], 100);
		assert_int_equal(row.request.has, KRL_LLM_HAS(KRL_LLM_MODEL) | KRL_LLM_HAS(KRL_LLM_MAX_TOKENS) |
						  KRL_LLM_HAS(KRL_LLM_STREAM) | KRL_LLM_HAS(KRL_LLM_INCLUDE_USAGE));
	}
}

/* @events events of a chat that bring @text. Returns their length. */
static size_t chat_events(char *to, size_t size, unsigned int events, const char *text)
{
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < events; i++)
		len += snprintf(to + len, size - len,
				"data: {\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":"
				"1700000000,\"model\":\"qwen3\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s%u\"},"
				"\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n", text, i);
	assert_true(len < size);
	return len;
}

/* A stream of @events events of a chat, and the usage. Returns its length. */
static size_t chat_stream(char *to, size_t size, unsigned int events)
{
	size_t len = chat_events(to, size, events, " word");

	len += snprintf(to + len, size - len,
			"data: {\"id\":\"chatcmpl-0123456789abcdef\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,"
			"\"completion_tokens\":%u,\"total_tokens\":%u,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n"
			"data: [DONE]\n\n", events, events + 9);
	assert_true(len < size);
	return len;
}

/* A JSON answer with @len bytes of text that has some escapes. Returns its length. */
static size_t chat_answer(char *to, size_t size, size_t len)
{
	static const char words[] = "Words of an answer,\\nof which some are \\\"quoted\\\" and most are not. ";
	size_t at = snprintf(to, size, "{\"id\":\"chatcmpl-0\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
				       "\"content\":\"");

	for (len += at; at < len; at += sizeof(words) - 1)
		memcpy(to + at, words, sizeof(words));
	return at + snprintf(to + at, size - at, "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,"
						 "\"completion_tokens\":12,\"total_tokens\":21}}");
}

static void check_same(const char *body, size_t len, size_t piece)
{
	struct krl_llm_usage usage = {};
	struct test_llm row = read_in_packets("read_usage", body, len, piece);

	body_walk(usage_step, &usage, body, len, KRL_HTTP_WINDOW_BYTES);
	assert_memory_equal(&row.usage.counts, &usage.counts, sizeof(usage.counts));
	assert_int_equal(row.usage.content_events, usage.content_events);
	assert_int_equal(row.usage.has_bad, 0);
	assert_int_equal(usage.counts.seen >> KRL_LLM_TOTAL & 1, 1);
}

static void usage_is_read_as_in_userspace(void **state)
{
	static char body[65536];
	size_t len, piece;

	len = chat_stream(body, sizeof(body), 20);
	for (piece = MIN_PACKET; piece <= MAX_PACKET; piece += 37)
		check_same(body, len, piece);
	len = chat_answer(body, sizeof(body), 20000);
	for (piece = MIN_PACKET; piece <= MAX_PACKET; piece += 137)
		check_same(body, len, piece);
}

/* @again: each time from the start of an answer, else as one stream. */
static void print_time(const char *what, const char *program, const char *body, size_t len, bool again)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = body, .data_size_in = len, .repeat = REPEAT);

	set_row(again);
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(bpf_object__find_program_by_name(object, program)), &opts),
			 0);
	assert_int_equal(get_row().off, len);
	printf("reading: %s, %zu bytes, %s: %.2f ns a byte\n", what, len, program, (double)opts.duration / len);
}

static void what_it_takes_is_printed(void **state)
{
	static char body[65536];
	size_t len;

	assert_int_equal(object_print_verified(object), 0);
	len = chat_answer(body, sizeof(body), 2500);
	print_time("a JSON answer", "copy_alone", body, len, true);
	print_time("a JSON answer", "read_usage", body, len, true);
	print_time("a JSON answer", "read_request", body, len, true);
	memset(body + 100, 'x', 2500);
	print_time("the same without escapes", "read_usage", body, len, true);
	len = chat_stream(body, sizeof(body), 11);
	print_time("events", "copy_alone", body, len, true);
	print_time("events", "read_usage", body, len, true);
	print_time("events without an end", "read_usage", body, len, false);
	len = chat_events(body, sizeof(body), 6, LONG_TEXT);
	print_time("events of 40 tokens", "read_usage", body, len, false);
}

static int load(void **state)
{
	return object_load(directory, "llm.bpf.o", &object);
}

static int unload(void **state)
{
	bpf_object__close(object);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_read_in_any_cut),
		cmocka_unit_test(usage_is_read_as_in_userspace),
		cmocka_unit_test(what_it_takes_is_printed),
	};

	directory = argc > 1 ? argv[1] : ".";
	return cmocka_run_group_tests(tests, load, unload);
}
