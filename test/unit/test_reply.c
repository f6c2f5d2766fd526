// SPDX-License-Identifier: Apache-2.0
/* Framing of the server's answers: behind which bytes the fields are put, and where nothing is understood any
 * more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "reply_walk.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))
#define CRLF "\r\n"
#define OK "HTTP/1.1 200 OK" CRLF
#define LENGTH(n) "Content-Length: " #n CRLF CRLF
#define CHUNKED OK "^Transfer-Encoding: chunked" CRLF CRLF
#define LIKE "HTTP/1.1 200 OK" CRLF "Content-Length: 0" CRLF CRLF

/* A stream of the server's, with ^ where fields are put in. */
struct stream {
	char *bytes;
	size_t len;
	size_t marks[REPLY_MARKS];
	size_t mark_count;
};

static struct stream stream_of(const char *text)
{
	struct stream s = { .bytes = malloc(strlen(text) + 1) };

	assert_non_null(s.bytes);
	for (; *text; text++) {
		if (*text == '^')
			s.marks[s.mark_count++] = s.len;
		else
			s.bytes[s.len++] = *text;
	}
	/* So that the sanitizer sees what is read behind the last byte. */
	s.bytes = realloc(s.bytes, s.len ? s.len : 1);
	assert_non_null(s.bytes);
	return s;
}

/* @asked: a letter for each request that waits, H for a HEAD. */
static void expect_requests(struct krl_reply *r, const char *asked)
{
	for (; *asked; asked++)
		krl_reply_expect(r, 1, *asked == 'H');
}

static void assert_walk(const struct reply_walk *w, const struct stream *s, int state, const char *name)
{
	if (w->reply.state != state || w->mark_count != s->mark_count ||
	    memcmp(w->marks, s->marks, s->mark_count * sizeof(*s->marks)))
		fail_msg("%s: state %u, %zu fields, the last at byte %zu", name, w->reply.state, w->mark_count,
			 w->mark_count ? w->marks[w->mark_count - 1] : 0);
}

struct reply_case {
	const char *name;
	const char *asked;
	const char *text;
};

/* However @c is cut into messages, and a message into pieces that can be read. */
static void check_cuts(const struct reply_case *c, int state)
{
	static const size_t windows[] = { 1, 7, 8, 9, 64, 4096 };
	struct stream s = stream_of(c->text);
	struct reply_walk w;
	size_t cut, i;

	for (i = 0; i < COUNT(windows); i++) {
		for (cut = 0; cut <= s.len; cut++) {
			reply_walk_begin(&w, 0xfffffff0);
			expect_requests(&w.reply, c->asked);
			reply_walk_all(&w, s.bytes, cut, cut ? cut : 1, windows[i]);
			reply_walk_all(&w, s.bytes, s.len, s.len ? s.len : 1, windows[i]);
			assert_walk(&w, &s, state, c->name);
		}
		for (cut = 1; cut < 20; cut++) {
			reply_walk_begin(&w, 7);
			expect_requests(&w.reply, c->asked);
			reply_walk_all(&w, s.bytes, s.len, cut, windows[i]);
			assert_walk(&w, &s, state, c->name);
		}
	}
	free(s.bytes);
}

static const struct reply_case understood[] = {
	{ "nothing", "G", "" },
	{ "a length", "G", OK "^" LENGTH(5) "hello" },
	{ "a length of none", "GG", OK "^" LENGTH(0) OK "^" LENGTH(0) },
	{ "leading zeros", "GG", OK "^Content-Length: 000000000000000005" CRLF CRLF "hello" OK "^" LENGTH(0) },
	{ "the longest body", "G", OK "^" LENGTH(999999999999999999) "hello" },
	{ "no reason", "GG", "HTTP/1.1 404" CRLF "^" LENGTH(0) "HTTP/1.1 500 " CRLF "^" LENGTH(0) },
	{ "a reason of anything", "G", "HTTP/1.1 299 \t\x80\xff ~ 200 OK" CRLF "^" LENGTH(1) "a" },
	{ "HTTP/1.0", "GG", "HTTP/1.0 200 OK" CRLF "^" LENGTH(2) "ab" OK "^" LENGTH(0) },
	{ "an own refusal", "GG", "HTTP/1.1 429 Too Many Requests" CRLF "^" LENGTH(1) "x" OK "^" LENGTH(0) },
	{ "many fields", "GG", OK "^Server: a" CRLF "Date: Thu, 01 Jan 1970 00:00:00 GMT" CRLF "X:" CRLF "y: z" CRLF
	  "Content-Type: text/html" CRLF LENGTH(3) "abc" OK "^" LENGTH(0) },
	{ "case of names", "GG", OK "^cONTENT-LENGTH:3" CRLF CRLF "abc" OK "^TRANSFER-encodinG:\tChunkeD " CRLF CRLF
	  "0" CRLF CRLF },
	{ "white space around a length", "GG", OK "^Content-Length: \t 3 \t " CRLF CRLF "abc" OK "^" LENGTH(0) },
	{ "names that begin alike", "GG", OK "^content-" CRLF "Content-: 1" CRLF "Content-Lengths: 1" CRLF
	  "Content-Lengt: 1" CRLF "Content-Length-: 1" CRLF "Content-Length : 1" CRLF "content" CRLF "Content-L" CRLF
	  "Transfer: 1" CRLF "Transfer-Encodin: chunked" CRLF "Transfer-Encodings: chunked" CRLF
	  "Transfer-Encoding : chunked" CRLF "transfer" CRLF "X-Content-Length: 1" CRLF LENGTH(2) "ab" OK "^" LENGTH(0) },
	{ "lines without a colon", "GG", OK "^a" CRLF "ab cd" CRLF "aaaaaaaaaaaaaaaa" CRLF LENGTH(1) "x" OK "^" LENGTH(0) },
	{ "obs-text and tabs in values", "GG", OK "^X: \x80\xff\t\tyyyyyyyyyyyyyyyyyyyy\x80" CRLF LENGTH(0) OK "^" LENGTH(0) },
	{ "HEAD", "HGHG", OK "^" LENGTH(1000) OK "^" LENGTH(0) CHUNKED OK "^" LENGTH(1) "a" },
	{ "HEAD without a length", "HG", OK "^" CRLF OK "^" LENGTH(0) },
	{ "204 and 304", "GGG", "HTTP/1.1 204 No Content" CRLF "^" LENGTH(7) "HTTP/1.1 304 Not Modified" CRLF
	  "^Transfer-Encoding: chunked" CRLF CRLF OK "^" LENGTH(0) },
	{ "interim answers", "GG", "HTTP/1.1 100 Continue" CRLF CRLF "HTTP/1.1 103 Early Hints" CRLF "Link: </a>" CRLF
	  LENGTH(9) "HTTP/1.1 199" CRLF CRLF OK "^" LENGTH(2) "ab" "HTTP/1.1 100 Continue" CRLF CRLF OK "^" LENGTH(0) },
	{ "chunks", "GG", CHUNKED "5" CRLF "hello" CRLF "00A" CRLF "0123456789" CRLF "0" CRLF CRLF OK "^" LENGTH(0) },
	{ "chunks with extensions", "GG", CHUNKED "1;a=b" CRLF "x" CRLF "2;;\t\"\x80" CRLF "xy" CRLF "0;last" CRLF CRLF
	  OK "^" LENGTH(0) },
	{ "trailers", "GG", CHUNKED "1" CRLF "x" CRLF "0" CRLF "X-Sum: 1" CRLF "Content-Length: 9" CRLF "y:" CRLF CRLF
	  OK "^" LENGTH(0) },
	{ "no chunk", "GG", CHUNKED "0" CRLF CRLF OK "^" LENGTH(0) },
	{ "a body like an answer", "GG", OK "^" LENGTH(76) LIKE LIKE OK "^" LENGTH(38) LIKE },
	{ "chunks like answers", "GG", CHUNKED "26" CRLF LIKE CRLF "26" CRLF LIKE CRLF "0" CRLF CRLF OK "^" LENGTH(0) },
	{ "a value like a status line", "G", OK "^X: " OK "HTTP/1.1 200 OK" CRLF LENGTH(0) },
	{ "what nobody asked for", "G", OK "^" LENGTH(2) "ab" OK LENGTH(0) "\n\r\x01 whatever" },
	{ "anything where nothing was asked for", "", "\x16\x03\x01 HTTP/2" CRLF },
	{ "a head that has not ended", "G", OK "^Content-Length: 3" CRLF },
	{ "a status line that has not", "G", "HTTP/1.1 200 OK\r" },
	{ "a chunk that has not", "G", CHUNKED "fffffffffffffff" CRLF "hello" CRLF "0" CRLF CRLF },
};

static void answers_are_understood_in_any_cut(void **state)
{
	size_t i;

	for (i = 0; i < COUNT(understood); i++)
		check_cuts(&understood[i], KRL_REPLY_FRAMED);
}

#define BEHIND CRLF CRLF OK OK LIKE

static const struct reply_case lost[] = {
	{ "up to the end of the connection", "GG", OK "^" CRLF LIKE LIKE },
	{ "the same in HTTP/1.0", "GG", "HTTP/1.0 200 OK" CRLF "^Connection: close" CRLF CRLF LIKE },
	{ "an upgrade", "GG", "HTTP/1.1 101 Switching Protocols" CRLF "Upgrade: x" CRLF CRLF LIKE LIKE },
	{ "an upgrade with a length", "GG", "HTTP/1.1 101" CRLF LENGTH(0) LIKE },
	{ "an empty line first", "GG", CRLF LIKE },
	{ "another version", "GG", "HTTP/1.2 200 OK" BEHIND },
	{ "HTTP/2", "GG", "HTTP/2.0 200 OK" BEHIND },
	{ "lower case", "GG", "http/1.1 200 OK" BEHIND },
	{ "no HTTP", "GG", "SSH-2.0-OpenSSH" BEHIND },
	{ "no space", "GG", "HTTP/1.1200 OK" BEHIND },
	{ "two spaces", "GG", "HTTP/1.1  200 OK" BEHIND },
	{ "a status of two digits", "GG", "HTTP/1.1 20 OK" BEHIND },
	{ "a status of four digits", "GG", "HTTP/1.1 2000 OK" BEHIND },
	{ "a status below 100", "GG", "HTTP/1.1 099 OK" BEHIND },
	{ "a tab behind the status", "GG", "HTTP/1.1 200\tOK" BEHIND },
	{ "LF alone behind the status", "GG", "HTTP/1.1 200\nContent-Length: 1\n\na\r\n" LIKE },
	{ "LF alone behind the reason", "GG", "HTTP/1.1 200 OK\nContent-Length: 5\n\na\r\nbc" LIKE },
	{ "CR alone in the reason", "GG", "HTTP/1.1 200 O\rK" BEHIND },
	{ "a control character in the reason", "GG", "HTTP/1.1 200 O\x01K" BEHIND },
	{ "DEL in the reason", "GG", "HTTP/1.1 200 aaaaaaaaaaaa\x7f" BEHIND },
	{ "LF alone behind a field", "GG", OK "^X: y\nContent-Length: 1\n\na" LIKE },
	{ "CR alone in a field", "GG", OK "^X: y\rZ: a" BEHIND },
	{ "a control character in a field", "GG", OK "^X: aaaaaaaaaaaa\x1f" BEHIND },
	{ "DEL in a field", "GG", OK "^X: aaaaaaaaaaaaaaaaa\x7f" BEHIND },
	{ "DEL in Connection", "GG", OK "^Connection: a\x7f" BEHIND },
	{ "a folded line", "GG", OK "^X: y" CRLF " z" BEHIND },
	{ "a line that begins with a tab", "GG", OK "^\tX: y" BEHIND },
	{ "no name", "GG", OK "^: y" BEHIND },
	{ "a bracket for a name", "GG", OK "^(: y" BEHIND },
	{ "LF alone for the empty line", "GG", OK "^Content-Length: 0" CRLF "\n" LIKE },
	{ "two lengths", "GG", OK "^Content-Length: 0" CRLF LENGTH(0) LIKE },
	{ "a list of lengths", "GG", OK "^Content-Length: 0, 0" BEHIND },
	{ "no digits", "GG", OK "^Content-Length: " BEHIND },
	{ "a sign", "GG", OK "^Content-Length: +1" BEHIND },
	{ "two numbers", "GG", OK "^Content-Length: 1 1" BEHIND },
	{ "nineteen digits", "GG", OK "^Content-Length: 1000000000000000000" BEHIND },
	{ "length and chunks", "GG", CHUNKED "0" CRLF CRLF OK "^Transfer-Encoding: chunked" CRLF LENGTH(0) LIKE },
	{ "chunks and length", "GG", OK "^Content-Length: 0" CRLF "Transfer-Encoding: chunked" BEHIND },
	{ "chunks in HTTP/1.0", "GG", "HTTP/1.0 200 OK" CRLF "^Transfer-Encoding: chunked" BEHIND },
	{ "another coding", "GG", OK "^Transfer-Encoding: gzip" BEHIND },
	{ "two codings", "GG", OK "^Transfer-Encoding: gzip, chunked" BEHIND },
	{ "no chunk size", "GG", CHUNKED CRLF LIKE },
	{ "a space behind the chunk size", "GG", CHUNKED "1 " CRLF "a" BEHIND },
	{ "sixteen hex digits", "GG", CHUNKED "0000000000000001" CRLF "a" BEHIND },
	{ "LF alone behind the chunk size", "GG", CHUNKED "1\na" BEHIND },
	{ "a chunk longer than its size", "GG", CHUNKED "1" CRLF "ab" BEHIND },
	{ "LF alone behind a chunk", "GG", CHUNKED "1" CRLF "a\n0" BEHIND },
	{ "a control character in an extension", "GG", CHUNKED "1;\x01" CRLF "a" BEHIND },
	{ "a trailer without a colon", "GG", CHUNKED "0" CRLF "X-Sum" BEHIND },
	{ "a folded trailer", "GG", CHUNKED "0" CRLF "X: y" CRLF " z" BEHIND },
	{ "LF alone behind a trailer", "GG", CHUNKED "0" CRLF "X: y\n" BEHIND },
};

static void answers_are_left_alone_once_lost(void **state)
{
	size_t i;

	for (i = 0; i < COUNT(lost); i++)
		check_cuts(&lost[i], KRL_REPLY_LOST);
}

/* A NUL ends no text of a case. */
static void nul_is_not_understood(void **state)
{
	static const char line[] = "HTTP/1.1 200 a\0b\r\n\r\n", field[] = OK "X: aaaaaaaaaaaaa\0aaaaaaaa\r\n\r\n";
	struct reply_walk w;
	size_t window;

	for (window = 1; window < 24; window++) {
		reply_walk_begin(&w, 0);
		krl_reply_expect(&w.reply, 1, 0);
		reply_walk_all(&w, line, sizeof(line) - 1, 100, window);
		assert_int_equal(w.reply.state, KRL_REPLY_LOST);
		assert_int_equal(w.mark_count, 0);
		reply_walk_begin(&w, 0);
		krl_reply_expect(&w.reply, 1, 0);
		reply_walk_all(&w, field, sizeof(field) - 1, 100, window);
		assert_int_equal(w.reply.state, KRL_REPLY_LOST);
		assert_int_equal(w.mark_count, 1);
	}
}

/* Of each message in turn the kernel takes a part only. The server writes the rest again, which the program is
 * not shown; then in pieces, which it is, once one was taken whole. */
static void check_parts(const struct reply_case *c, int wanted)
{
	struct stream s = stream_of(c->text);
	struct reply_walk w;
	size_t cut, left, rest;

	for (cut = 1; cut <= s.len; cut++) {
		for (left = 1; left <= cut; left++) {
			for (rest = 1; rest <= left; rest += rest < 4 ? 1 : left / 4 + 1) {
				reply_walk_begin(&w, -40);
				expect_requests(&w.reply, c->asked);
				reply_walk_write(&w, s.bytes, cut, 4096, left);
				while (w.at < cut)
					reply_walk_write(&w, s.bytes + w.at, w.at + rest < cut ? rest : cut - w.at,
							 4096, 0);
				reply_walk_all(&w, s.bytes, s.len, s.len, 4096);
				assert_walk(&w, &s, wanted, c->name);
			}
		}
	}
	free(s.bytes);
}

static void what_is_written_again_counts_once(void **state)
{
	size_t i;

	for (i = 0; i < COUNT(understood); i++)
		check_parts(&understood[i], KRL_REPLY_FRAMED);
	for (i = 0; i < COUNT(lost); i++)
		check_parts(&lost[i], KRL_REPLY_LOST);
}

/* More than what was left of a message, in one that the program does not see. */
static void bytes_that_were_not_seen(void **state)
{
	static const char *const text = OK "^" LENGTH(20) "01234567890123456789" OK "^" LENGTH(0) OK "^" LENGTH(0);
	struct stream s = stream_of(text);
	size_t body = s.marks[1] - strlen(OK) - 20;
	struct reply_walk w;

	/* Of a body: no matter. */
	reply_walk_begin(&w, 0);
	expect_requests(&w.reply, "GGG");
	assert_int_equal(reply_walk_write(&w, s.bytes, body + 10, 4096, 5), body + 5);
	assert_int_equal(reply_walk_write(&w, s.bytes + w.at, 15, 4096, 0), 15);
	reply_walk_all(&w, s.bytes, s.len, s.len, 4096);
	assert_walk(&w, &s, KRL_REPLY_FRAMED, "a body that was not seen");

	/* Of a head: the answers cannot be followed, until it is known again that none is underway. */
	reply_walk_begin(&w, 0);
	expect_requests(&w.reply, "GGG");
	reply_walk_write(&w, s.bytes, body + 10, 4096, 5);
	reply_walk_write(&w, s.bytes + w.at, 16, 4096, 0);
	reply_walk_all(&w, s.bytes, s.len, s.len, 4096);
	assert_int_equal(w.mark_count, 1);
	assert_int_equal(w.reply.state, KRL_REPLY_UNKNOWN);
	krl_reply_begin(&w.reply, w.seq);
	krl_reply_expect(&w.reply, 1, 0);
	w.at = 0;
	reply_walk_all(&w, OK LENGTH(0), strlen(OK LENGTH(0)), 100, 4096);
	assert_int_equal(w.mark_count, 2);
	free(s.bytes);
}

/* Fields that were put in are taken: less than that cannot be told from bytes of the server. */
static void less_than_what_was_sure(void **state)
{
	struct reply_walk w;

	reply_walk_begin(&w, 0);
	krl_reply_expect(&w.reply, 1, 0);
	reply_walk_write(&w, OK LENGTH(0), strlen(OK LENGTH(0)), 4096, 1);
	assert_int_equal(krl_reply_resume(&w.reply, strlen(OK) + REPLY_TEXT_BYTES), strlen(LENGTH(0)));
	assert_int_equal(w.reply.state, KRL_REPLY_FRAMED);
	krl_reply_resume(&w.reply, strlen(OK) + REPLY_TEXT_BYTES - 1);
	assert_int_equal(w.reply.state, KRL_REPLY_UNKNOWN);
}

/* More than the difference of two sequence numbers can say. */
static void a_body_of_gigabytes(void **state)
{
	const __u64 length = 6000000000;
	struct reply_walk w;
	__u64 taken;

	reply_walk_begin(&w, -100);
	krl_reply_expect(&w.reply, 2, 0);
	reply_walk_all(&w, OK LENGTH(6000000000), strlen(OK LENGTH(6000000000)), 100, 64);
	for (taken = 0; taken + (1 << 30) < length; taken += 1 << 30)
		assert_int_equal(krl_reply_resume(&w.reply, w.seq + (__u32)taken), length - taken);
	w.seq += (__u32)taken;
	assert_int_equal(krl_reply_resume(&w.reply, w.seq), length - taken);
	assert_int_equal(krl_reply_resume(&w.reply, w.seq + (__u32)(length - taken)), 0);
	assert_int_equal(w.reply.state, KRL_REPLY_FRAMED);
	krl_reply_resume(&w.reply, w.seq + (__u32)(length - taken) + 1);
	assert_int_equal(w.reply.state, KRL_REPLY_UNKNOWN);
}

static void what_is_lost_is_not_forgotten(void **state)
{
	struct krl_reply r;

	krl_reply_begin(&r, 5);
	krl_reply_forget(&r);
	assert_int_equal(r.state, KRL_REPLY_UNKNOWN);
	r.state = KRL_REPLY_LOST;
	krl_reply_forget(&r);
	assert_int_equal(r.state, KRL_REPLY_LOST);
}

static void sixty_four_requests_wait(void **state)
{
	struct krl_reply r;

	krl_reply_begin(&r, 0);
	krl_reply_expect(&r, 64, ~0ULL);
	assert_int_equal(r.state, KRL_REPLY_FRAMED);
	krl_reply_expect(&r, 1, 0);
	assert_int_equal(r.state, KRL_REPLY_UNKNOWN);

	krl_reply_begin(&r, 0);
	krl_reply_expect(&r, 65, 0);
	assert_int_equal(r.state, KRL_REPLY_UNKNOWN);

	krl_reply_begin(&r, 0);
	krl_reply_expect(&r, ~0U, 0);
	assert_int_equal(r.state, KRL_REPLY_UNKNOWN);
}

/* Which of the requests are HEAD, round and round, as many at once as there is room for; over the wrap of both
 * counters. */
static void head_bits_go_round(void **state)
{
	static const char answer[] = OK LENGTH(3);
	bool heads[64], head;
	unsigned int asked, answered, round, n, i;
	__u32 bits = 12345;
	struct reply_walk w;
	__u64 mask;

	for (round = 0; round < 400; round++) {
		reply_walk_begin(&w, bits);
		w.reply.asked = w.reply.answered = round ? bits : -3U;
		for (asked = answered = 0; answered < 300;) {
			bits = bits * 1103515245 + 12345;
			n = (bits >> 16) % (65 - (asked - answered));
			for (mask = 0, i = 0; i < n; i++) {
				head = (bits >> (i & 15)) & 1;
				heads[(asked + i) % 64] = head;
				mask |= (__u64)head << i;
			}
			/* Whatever stands beyond them is none of its affair. */
			krl_reply_expect(&w.reply, n, n < 64 ? mask | ~0ULL << n : mask);
			asked += n;
			for (n = bits % 64; n-- && answered < asked; answered++) {
				w.at = 0;
				w.mark_count = 0;
				reply_walk_all(&w, answer, sizeof(answer) - 1, 100, 64);
				assert_int_equal(w.reply.skip, heads[answered % 64] ? 0 : 3);
				w.at = 0;
				if (!heads[answered % 64])
					reply_walk_all(&w, "abc", 3, 3, 64);
				assert_int_equal(w.mark_count, 1);
			}
		}
		assert_int_equal(w.reply.state, KRL_REPLY_FRAMED);
	}
}

static void plain_bytes_are_counted(void **state)
{
	unsigned int at, c, fill, i, wanted;
	unsigned char bytes[8];
	__u64 word;

	for (fill = 0x20; fill <= 0xff; fill++) {
		if (fill == 0x7f)
			continue;
		for (at = 0; at < 8; at++) {
			for (c = 0; c <= 0xff; c++) {
				memset(bytes, fill, sizeof(bytes));
				bytes[at] = c;
				/* A second one, behind or before. */
				bytes[(at + 3) % 8] = c;
				for (wanted = 0, i = 0; i < 8 && bytes[i] >= 0x20 && bytes[i] != 0x7f; i++)
					wanted++;
				memcpy(&word, bytes, sizeof(word));
				assert_int_equal(krl_word_plain(word, 0x20), wanted);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_understood_in_any_cut),
		cmocka_unit_test(answers_are_left_alone_once_lost),
		cmocka_unit_test(nul_is_not_understood),
		cmocka_unit_test(what_is_written_again_counts_once),
		cmocka_unit_test(bytes_that_were_not_seen),
		cmocka_unit_test(less_than_what_was_sure),
		cmocka_unit_test(a_body_of_gigabytes),
		cmocka_unit_test(what_is_lost_is_not_forgotten),
		cmocka_unit_test(sixty_four_requests_wait),
		cmocka_unit_test(head_bits_go_round),
		cmocka_unit_test(plain_bytes_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
