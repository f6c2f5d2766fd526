// SPDX-License-Identifier: Apache-2.0
/* Which bytes of a stream of server-sent events are data, and where its events end, however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sse_walk.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

struct sse_case {
	const char *name;
	const char *stream;
	const char *data;	/* lines with \n behind them, and | behind each event */
};

static struct sse_walk walk;

static void check_case(const struct sse_case *c)
{
	static const size_t windows[] = { 1, 2, 5, 8, 9, 64, 512 };
	size_t len = strlen(c->stream), cut, i;

	for (i = 0; i < COUNT(windows); i++) {
		for (cut = 0; cut <= len; cut++) {
			sse_walk_begin(&walk);
			body_walk_cut(sse_walk_step, &walk, c->stream, len, cut, windows[i]);
			if (strcmp(walk.data, c->data))
				fail_msg("%s: cut at %zu, window %zu: %s, not %s", c->name, cut, windows[i], walk.data,
					 c->data);
		}
	}
}

static void data_and_events_are_told(void **state)
{
	static const struct sse_case cases[] = {
		{ "nothing", "", "" },
		{ "one", "data: a\n\n", "a\n|" },
		{ "without a blank", "data:a\n\n", "a\n|" },
		{ "two blanks", "data:  a\n\n", " a\n|" },
		{ "a tab", "data:\ta\n\n", "\ta\n|" },
		{ "lines that end in CR", "data: a\r\rdata: b\r\r", "a\n|b\n|" },
		{ "lines that end in CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", "a\n|b\n|" },
		{ "lines that end in any way", "data: a\r\ndata: b\rdata: c\n\r\ndata: d\n\r", "a\nb\nc\n|d\n|" },
		{ "two lines", "data: a\ndata: b\n\n", "a\nb\n|" },
		{ "no data", "event: ping\n\n: comment\n\nid: 1\n\n\n\n", "" },
		{ "data of nothing", "data\n\ndata:\n\ndata: \n\n", "|\n|\n|" },
		{ "other fields", "event: message_start\nid: 7\nretry: 10\ndata: a\nx\n\n", "a\n|" },
		{ "comments", ": data: x\ndata: a\n:data: y\n:\n\n", "a\n|" },
		{ "names alike", "datas: x\ndat: x\nDATA: x\n data: x\ndata : x\nd\nxdata: x\ndata: a\n\n", "a\n|" },
		{ "colons in data", "data: data: a\n\n", "data: a\n|" },
		{ "the last of OpenAI's", "data: {\"a\":1}\n\ndata: [DONE]\n\n", "{\"a\":1}\n|[DONE]\n|" },
		{ "an end without an empty line", "data: a\n", "a\n" },
		{ "an end within a line", "data: a", "a" },
		{ "a long line", "data: 0123456789012345678901234567890123456789012345678901234567890123456789\n\n",
		  "0123456789012345678901234567890123456789012345678901234567890123456789\n|" },
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++)
		check_case(&cases[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_and_events_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
