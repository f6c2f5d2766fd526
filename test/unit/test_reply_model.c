// SPDX-License-Identifier: Apache-2.0
/* Random streams of answers, mostly well-formed, written in random messages of which the kernel takes random parts,
 * against a reader of the whole stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "reply_model.h"
#include "reply_walk.h"

#define RUNS 20000
#define COUNT(list) (sizeof(list) / sizeof(*(list)))

enum { STREAM_BYTES = 65536, REQUESTS = 12 };

struct stream {
	char bytes[STREAM_BYTES];
	size_t len;
	unsigned int asked;
	uint64_t heads;
};

static uint64_t rng;

static uint64_t draw(uint64_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng * 0x2545f4914f6cdd1dULL >> 11) % below;
}

static void put(struct stream *s, const char *text)
{
	size_t len = strlen(text);

	assert_true(s->len + len < sizeof(s->bytes));
	memcpy(s->bytes + s->len, text, len);
	s->len += len;
}

static void put_body(struct stream *s, size_t len)
{
	static const char *const like[] = { "HTTP/1.1 200 OK\r\n", "\r\n", "Content-Length: 1\r\n\r\n", "0\r\n\r\n", "xyz" };
	size_t end = s->len + len;

	while (s->len < end)
		put(s, like[draw(COUNT(like))]);
	s->len = end;
}

static void put_number(struct stream *s, const char *format, size_t n)
{
	char text[32];

	snprintf(text, sizeof(text), format, n);
	put(s, text);
}

static void put_chunks(struct stream *s)
{
	size_t n, size;

	for (n = draw(5); n; n--) {
		size = 1 + draw(draw(4) ? 40 : 3000);
		put_number(s, draw(2) ? "%zx" : "%05zX", size);
		put(s, draw(4) ? "\r\n" : ";ext=\"a b\"\r\n");
		put_body(s, size);
		put(s, "\r\n");
	}
	put(s, draw(2) ? "0\r\n\r\n" : "0\r\nX-Sum: 1\r\nContent-Length: 7\r\n\r\n");
}

static void put_fields(struct stream *s)
{
	static const char *const fields[] = {
		"Server: test\r\n", "Content-Type: text/html; charset=utf-8\r\n", "Connection: keep-alive\r\n",
		"transfer: 1\r\n", "content-x:\r\n", "Upgrade: h2c\r\n", "Expect: nothing\r\n", "X: \t \x80\r\n",
		"Content-Security-Policy: default-src 'self'; img-src *; media-src a.example b.example\r\n",
		"a\r\n", "Connection: a, b ,c\r\n", "Content-Length : 3\r\n", "Set-Cookie: a=b; HttpOnly\r\n",
	};
	size_t n;

	for (n = draw(6); n; n--)
		put(s, fields[draw(COUNT(fields))]);
}

static void put_answer(struct stream *s, bool head)
{
	static const char *const lines[] = {
		"HTTP/1.1 200 OK\r\n", "HTTP/1.1 404\r\n", "HTTP/1.0 200 OK\r\n", "HTTP/1.1 500 \r\n",
		"HTTP/1.1 204 No Content\r\n", "HTTP/1.1 304 Not Modified\r\n",
	};
	size_t line = draw(COUNT(lines)), body = draw(draw(3) ? 50 : 4000), n;
	bool empty = head || line > 3;

	for (n = draw(3); n; n--) {
		put(s, "HTTP/1.1 103 Early Hints\r\n");
		put_fields(s);
		put(s, "\r\n");
	}
	put(s, lines[line]);
	put_fields(s);
	if (line != 2 && draw(3) == 0) {
		put(s, "Transfer-Encoding: chunked\r\n\r\n");
		if (!empty)
			put_chunks(s);
		return;
	}
	if (draw(60)) {
		put_number(s, draw(2) ? "Content-Length: %zu\r\n" : "content-length:%06zu\r\n", body);
		put_fields(s);
	}
	put(s, "\r\n");
	if (!empty)
		put_body(s, body);
}

static void make_stream(struct stream *s)
{
	static const char odd[] = "\r\n :;,\t\x7f\x80\0";
	unsigned int i;
	size_t n;

	s->len = 0;
	s->asked = draw(REQUESTS + 1);
	s->heads = draw(1ULL << REQUESTS) & draw(1ULL << REQUESTS);
	for (i = 0; i < s->asked; i++)
		put_answer(s, s->heads >> i & 1);
	if (draw(4) == 0)
		put_answer(s, false);
	if (draw(3))
		return;
	for (n = 1 + draw(3); n && s->len; n--)
		s->bytes[draw(s->len)] = draw(2) ? odd[draw(sizeof(odd))] : (char)draw(256);
	if (draw(2))
		s->len = draw(s->len + 1);
}

/* @more: after a part, the server may write more at once than what was left, which the program does not see. */
static void write_stream(struct reply_walk *w, const struct stream *s, bool more)
{
	size_t window = 1 + draw(draw(2) ? 20 : 5000), most = 1 + draw(draw(2) ? 30 : 9000);
	size_t shown = 0, n, left;
	char *message;

	reply_walk_begin(w, (__u32)draw(1ULL << 32));
	krl_reply_expect(&w->reply, s->asked, s->heads);
	while (w->at < s->len) {
		n = 1 + draw(most);
		if (w->unseen && !more && n > shown - w->at)
			n = shown - w->at;
		if (n > s->len - w->at)
			n = s->len - w->at;
		if (w->at + n > shown && !w->unseen)
			shown = w->at + n;
		left = draw(3) ? 0 : draw(n + 1);
		/* On the heap, so that the sanitizer sees what is read behind it. */
		message = malloc(n);
		assert_non_null(message);
		memcpy(message, s->bytes + w->at, n);
		reply_walk_write(w, message, n, window, left);
		free(message);
	}
}

static bool is_mark(const struct reply_model *m, size_t at)
{
	size_t i;

	for (i = 0; i < m->mark_count; i++)
		if (m->marks[i] == at)
			return true;
	return false;
}

static void every_stream_as_the_model_reads_it(void **state)
{
	static struct reply_model model;
	static struct reply_walk walk;
	static struct stream stream;
	unsigned int run, marks = 0, understood = 0;

	for (run = 1; run <= RUNS; run++) {
		rng = run * 0x9e3779b97f4a7c15ULL;
		make_stream(&stream);
		reply_model_read(&model, stream.bytes, stream.len, stream.asked, stream.heads);
		write_stream(&walk, &stream, false);
		if (walk.mark_count != model.mark_count ||
		    memcmp(walk.marks, model.marks, model.mark_count * sizeof(*model.marks)))
			fail_msg("run %u: fields behind %zu lines, not %zu", run, walk.mark_count, model.mark_count);
		if (model.lost)
			assert_int_equal(walk.reply.state, KRL_REPLY_LOST);
		else if (model.at == model.end)
			assert_int_equal(walk.reply.state, KRL_REPLY_FRAMED);
		marks += model.mark_count;
		understood += !model.lost;
	}
	/* Else the streams say little. */
	assert_in_range(marks, RUNS, UINT32_MAX);
	assert_in_range(understood, RUNS / 2, RUNS);
}

static void bytes_that_are_not_seen_never_move_the_fields(void **state)
{
	static struct reply_model model;
	static struct reply_walk walk;
	static struct stream stream;
	unsigned int run, unknown = 0;
	size_t i;

	for (run = 1; run <= RUNS; run++) {
		rng = run * 0xd1342543de82ef95ULL;
		make_stream(&stream);
		reply_model_read(&model, stream.bytes, stream.len, stream.asked, stream.heads);
		write_stream(&walk, &stream, true);
		for (i = 0; i < walk.mark_count; i++)
			assert_true(is_mark(&model, walk.marks[i]));
		unknown += walk.reply.state == KRL_REPLY_UNKNOWN;
	}
	assert_in_range(unknown, RUNS / 4, RUNS / 4 * 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_stream_as_the_model_reads_it),
		cmocka_unit_test(bytes_that_are_not_seen_never_move_the_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
