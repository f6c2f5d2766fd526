// SPDX-License-Identifier: Apache-2.0
/* HTTP/1.1 framing: what is one request, what is two, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/lib/http1_step.h"

#define CRLF "\r\n"
#define HOST "Host: a" CRLF

/* What came of a stream. */
struct seen {
	unsigned int begins;
	unsigned int heads;
	int event;
	__u32 flags;	/* of the last head */
	size_t used;
};

/* Walk @len bytes as the datapath does, @window at a time; a step may not read behind what it was
 * given, which the sanitizer sees since each window is a copy of its own. */
static void walk(struct krl_http *h, const char *stream, size_t len, size_t window, struct seen *seen)
{
	struct krl_http_window copy;
	size_t off = 0, have = 0, start = 0;
	int event;
	__u32 n;

	while (off < len) {
		n = krl_http_step(h, &copy, off - start, have, len - off, window & 1, &event);
		if (!n) {
			start = off;
			have = len - off < window ? len - off : window;
			memcpy(copy.bytes, stream + off, have);
			continue;
		}
		off += n;
		if (event == KRL_HTTP_BEGIN) {
			seen->begins++;
		} else if (event == KRL_HTTP_HEAD_END) {
			seen->heads++;
			seen->flags = h->flags & KRL_HTTP_REQUEST_FLAGS;
		} else if (event != KRL_HTTP_NOTHING) {
			seen->event = event;
			break;
		}
		if (off - start > have)
			have = 0, start = off;
	}
	seen->used += off;
}

static struct seen parse(const char *stream, size_t len)
{
	struct krl_http h = {};
	struct seen seen = {};

	walk(&h, stream, len, 512, &seen);
	return seen;
}

static const struct {
	const char *name;
	const char *stream;
	unsigned int requests;
	__u32 flags;
} good[] = {
	{ "no fields", "GET / HTTP/1.1" CRLF CRLF, 1, 0 },
	{ "plain", "GET /a?b=c HTTP/1.1" CRLF HOST CRLF, 1, 0 },
	{ "empty lines before", CRLF CRLF "GET / HTTP/1.1" CRLF HOST CRLF, 1, 0 },
	{ "two in a row", "GET / HTTP/1.1" CRLF HOST CRLF "GET / HTTP/1.1" CRLF HOST CRLF, 2, 0 },
	{ "head", "HEAD / HTTP/1.1" CRLF HOST CRLF, 1, KRL_HTTP_HEAD },
	{ "head in small letters, which is another method", "head / HTTP/1.1" CRLF CRLF, 1, KRL_HTTP_SMALL },
	{ "head with one small letter", "HeAD / HTTP/1.1" CRLF CRLF, 1, KRL_HTTP_SMALL },
	{ "capitals after small letters", "get / HTTP/1.1" CRLF CRLF "HEAD / HTTP/1.1" CRLF CRLF, 2, 0 },
	{ "absolute target", "GET http://a/b HTTP/1.1" CRLF CRLF, 1, 0 },
	{ "absolute target without a path", "GET HTTP://[::1]:80?b HTTP/1.1" CRLF CRLF, 1, 0 },
	{ "asterisk", "OPTIONS * HTTP/1.1" CRLF CRLF, 1, 0 },
	{ "host and port", "CONNECT a.b:443 HTTP/1.1" CRLF CRLF, 1, KRL_HTTP_UPGRADE },
	{ "address and port", "CONNECT [::1]:443 HTTP/1.1" CRLF CRLF, 1, KRL_HTTP_UPGRADE },
	{ "a colon in a path", "GET /a:b HTTP/1.1" CRLF CRLF, 1, 0 },
	{ "method that begins as head", "HEADER / HTTP/1.1" CRLF CRLF, 1, 0 },
	{ "old version", "GET / HTTP/1.0" CRLF CRLF, 1, KRL_HTTP_1_0 },
	{ "close", "GET / HTTP/1.1" CRLF "Connection: Close" CRLF CRLF, 1, KRL_HTTP_CLOSE },
	{ "close in a list", "GET / HTTP/1.1" CRLF "connection:te ,\tclose" CRLF CRLF, 1, KRL_HTTP_CLOSE },
	{ "not close", "GET / HTTP/1.1" CRLF "Connection: close d, closed" CRLF CRLF, 1, 0 },
	{ "expect", "PUT / HTTP/1.1" CRLF "Expect: 100-Continue" CRLF "Content-Length: 0" CRLF CRLF, 1,
	  KRL_HTTP_EXPECT | KRL_HTTP_HAS_LENGTH },
	{ "upgrade", "GET / HTTP/1.1" CRLF "Upgrade: websocket" CRLF CRLF, 1, KRL_HTTP_UPGRADE },
	{ "length", "POST / HTTP/1.1" CRLF "Content-Length: 5" CRLF CRLF "helloGET / HTTP/1.1" CRLF CRLF, 2, 0 },
	{ "length with leading zeros and space", "POST / HTTP/1.1" CRLF "CONTENT-LENGTH: \t 005 \t" CRLF CRLF
	  "helloGET / HTTP/1.1" CRLF CRLF, 2, 0 },
	{ "body that looks like a request", "POST / HTTP/1.1" CRLF "Content-Length: 18" CRLF CRLF
	  "GET / HTTP/1.1" CRLF CRLF, 1, KRL_HTTP_HAS_LENGTH },
	{ "chunked", "POST / HTTP/1.1" CRLF "Transfer-Encoding: chunked" CRLF CRLF "5" CRLF "hello" CRLF
	  "A;x=\"y\"" CRLF "0123456789" CRLF "0" CRLF CRLF "GET / HTTP/1.1" CRLF CRLF, 2, 0 },
	{ "chunked with trailers", "POST / HTTP/1.1" CRLF "transfer-encoding:CHUNKED" CRLF CRLF "0" CRLF
	  "X-Sum: 1" CRLF "Content-Length: 7" CRLF CRLF "GET / HTTP/1.1" CRLF CRLF, 2, 0 },
	{ "a name that begins as content-length", "GET / HTTP/1.1" CRLF "Content-Length-X: 5" CRLF CRLF, 1, 0 },
	{ "a name longer than is kept", "GET / HTTP/1.1" CRLF
	  "Content-Lengthhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh: 5" CRLF CRLF, 1, 0 },
	{ "tab and obs-text in a value", "GET / HTTP/1.1" CRLF "X: a\tb \xc3\xa9 and so on and on" CRLF CRLF, 1, 0 },
	{ "empty value", "GET / HTTP/1.1" CRLF "X:" CRLF "Y: " CRLF CRLF, 1, 0 },
};

static void frames_well_formed_streams(void **state)
{
	struct seen seen;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		print_message("  %s\n", good[i].name);
		seen = parse(good[i].stream, strlen(good[i].stream));
		assert_int_equal(seen.event, KRL_HTTP_NOTHING);
		assert_int_equal(seen.heads, good[i].requests);
		assert_int_equal(seen.begins, good[i].requests);
		if (good[i].requests == 1)
			assert_int_equal(seen.flags, good[i].flags);
	}
}

static void frames_the_same_however_it_is_cut(void **state)
{
	size_t i, cut, len, window;

	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		len = strlen(good[i].stream);
		for (cut = 0; cut <= len; cut++) {
			struct krl_http h = {};
			struct seen seen = {};

			window = 1 + cut % 16;
			walk(&h, good[i].stream, cut, window, &seen);
			walk(&h, good[i].stream + cut, len - cut, window, &seen);
			assert_int_equal(seen.event, KRL_HTTP_NOTHING);
			assert_int_equal(seen.heads, good[i].requests);
			assert_int_equal(seen.used, len);
		}
	}
}

#define POST "POST / HTTP/1.1" CRLF
#define CHUNKED POST "Transfer-Encoding: chunked" CRLF CRLF

static const struct {
	const char *name;
	const char *stream;
} bad[] = {
	{ "two equal lengths", POST "Content-Length: 5" CRLF "Content-Length: 5" CRLF CRLF },
	{ "two lengths", POST "Content-Length: 5" CRLF "Content-Length: 6" CRLF CRLF },
	{ "list of lengths", POST "Content-Length: 5, 5" CRLF CRLF },
	{ "length and chunked", POST "Content-Length: 5" CRLF "Transfer-Encoding: chunked" CRLF CRLF },
	{ "chunked and length", POST "Transfer-Encoding: chunked" CRLF "Content-Length: 5" CRLF CRLF },
	{ "signed length", POST "Content-Length: +5" CRLF CRLF },
	{ "negative length", POST "Content-Length: -5" CRLF CRLF },
	{ "hex length", POST "Content-Length: 0x5" CRLF CRLF },
	{ "length of two words", POST "Content-Length: 5 5" CRLF CRLF },
	{ "empty length", POST "Content-Length:" CRLF CRLF },
	{ "length past 18 digits", POST "Content-Length: 18446744073709551621" CRLF CRLF },
	{ "twice chunked", POST "Transfer-Encoding: chunked, chunked" CRLF CRLF },
	{ "chunked in two fields", POST "Transfer-Encoding: chunked" CRLF "Transfer-Encoding: chunked" CRLF CRLF },
	{ "gzip, chunked", POST "Transfer-Encoding: gzip, chunked" CRLF CRLF },
	{ "identity", POST "Transfer-Encoding: identity" CRLF CRLF },
	{ "nearly chunked", POST "Transfer-Encoding: xchunked" CRLF CRLF },
	{ "chunked with a vertical tab", POST "Transfer-Encoding: \x0b" "chunked" CRLF CRLF },
	{ "chunked and more", POST "Transfer-Encoding: chunked;q=1" CRLF CRLF },
	{ "chunked in quotes", POST "Transfer-Encoding: \"chunked\"" CRLF CRLF },
	{ "empty encoding", POST "Transfer-Encoding: " CRLF CRLF },
	{ "chunked on 1.0", "POST / HTTP/1.0" CRLF "Transfer-Encoding: chunked" CRLF CRLF },
	{ "bare LF after the request line", "GET / HTTP/1.1\n" HOST CRLF },
	{ "bare LF after a field", "GET / HTTP/1.1" CRLF "X: y\nZ: a" CRLF CRLF },
	{ "bare CR in a field", "GET / HTTP/1.1" CRLF "X: y\rZ: a" CRLF CRLF },
	{ "NUL in a field", NULL },
	{ "DEL in a field", "GET / HTTP/1.1" CRLF "X: aaaaaaaa\x7f" CRLF CRLF },
	{ "space before colon", "GET / HTTP/1.1" CRLF "Host : a" CRLF CRLF },
	{ "tab before colon", "GET / HTTP/1.1" CRLF "Content-Length\t: 5" CRLF CRLF },
	{ "folded line", "GET / HTTP/1.1" CRLF "X: y" CRLF " z" CRLF CRLF },
	{ "space before the first field", "GET / HTTP/1.1" CRLF " Host: a" CRLF CRLF },
	{ "no name", "GET / HTTP/1.1" CRLF ": a" CRLF CRLF },
	{ "no colon", "GET / HTTP/1.1" CRLF "Host" CRLF CRLF },
	{ "bracket in a name", "GET / HTTP/1.1" CRLF "X(y: a" CRLF CRLF },
	{ "no version", "GET /" CRLF },
	{ "version 2.0", "GET / HTTP/2.0" CRLF CRLF },
	{ "version 1.2", "GET / HTTP/1.2" CRLF CRLF },
	{ "version 1.10", "GET / HTTP/1.10" CRLF CRLF },
	{ "lower case version", "GET / http/1.1" CRLF CRLF },
	{ "two spaces", "GET  / HTTP/1.1" CRLF CRLF },
	{ "tab between", "GET\t/ HTTP/1.1" CRLF CRLF },
	{ "space after the version", "GET / HTTP/1.1 " CRLF CRLF },
	{ "space before the method", " GET / HTTP/1.1" CRLF CRLF },
	{ "bracket in the method", "G(T / HTTP/1.1" CRLF CRLF },
	{ "bare LF before the request", "\nGET / HTTP/1.1" CRLF CRLF },
	{ "path without a slash", "GET v1/models HTTP/1.1" CRLF CRLF },
	{ "name alone", "GET v1 HTTP/1.1" CRLF CRLF },
	{ "scheme with a path", "GET a:v1/models HTTP/1.1" CRLF CRLF },
	{ "scheme with one slash", "GET http:/v1 HTTP/1.1" CRLF CRLF },
	{ "scheme, a slash and nothing", "GET http:/ HTTP/1.1" CRLF CRLF },
	{ "scheme and nothing", "CONNECT http: HTTP/1.1" CRLF CRLF },
	{ "query alone", "GET ?v1 HTTP/1.1" CRLF CRLF },
	{ "fragment alone", "GET #v1 HTTP/1.1" CRLF CRLF },
	{ "query without a path", "GET v1?a HTTP/1.1" CRLF CRLF },
	{ "asterisk and more", "OPTIONS */v1 HTTP/1.1" CRLF CRLF },
	{ "backslash", "GET \\v1 HTTP/1.1" CRLF CRLF },
	{ "host and port of another method", "GET a:80 HTTP/1.1" CRLF CRLF },
	{ "host and port with a path", "CONNECT a:80/v1 HTTP/1.1" CRLF CRLF },
	{ "host and port with a query", "CONNECT a:80?v1 HTTP/1.1" CRLF CRLF },
	{ "host without a port", "CONNECT a HTTP/1.1" CRLF CRLF },
	{ "chunk size in hex notation", CHUNKED "0x5" CRLF "hello" CRLF },
	{ "signed chunk size", CHUNKED "+5" CRLF "hello" CRLF },
	{ "space before the chunk size", CHUNKED " 5" CRLF "hello" CRLF },
	{ "space after the chunk size", CHUNKED "5 " CRLF "hello" CRLF },
	{ "no chunk size", CHUNKED CRLF },
	{ "extension without size", CHUNKED ";a" CRLF },
	{ "chunk size past 15 digits", CHUNKED "1000000000000005" CRLF },
	{ "chunk line ends in LF", CHUNKED "5\nhello" CRLF },
	{ "LF in a chunk extension", CHUNKED "5;a\nb" CRLF "hello" CRLF },
	{ "chunk longer than its size", CHUNKED "5" CRLF "hello!" CRLF },
	{ "chunk ends in LF", CHUNKED "5" CRLF "hello\n0" CRLF CRLF },
	{ "folded trailer", CHUNKED "0" CRLF "X: y" CRLF " z" CRLF CRLF },
	{ "LF for the trailers' end", CHUNKED "0" CRLF "\n" },
};

static void refuses_what_a_server_could_frame_differently(void **state)
{
	static const char nul[] = "GET / HTTP/1.1" CRLF "X: aaaaaaaaa\0b" CRLF CRLF;
	struct seen seen;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		print_message("  %s\n", bad[i].name);
		seen = bad[i].stream ? parse(bad[i].stream, strlen(bad[i].stream))
				     : parse(nul, sizeof(nul) - 1);
		assert_int_equal(seen.event, KRL_HTTP_BAD);
	}
}

static void every_control_character_in_a_value_is_refused(void **state)
{
	char stream[] = "GET / HTTP/1.1" CRLF "X: 0123456?89abcdef" CRLF CRLF;
	char *at = strchr(stream, '?');
	int c;

	for (c = 0; c < 0x100; c++) {
		*at = c;
		assert_int_equal(parse(stream, sizeof(stream) - 1).event,
				 (c < 0x20 && c != '\t') || c == 0x7f ? KRL_HTTP_BAD : KRL_HTTP_NOTHING);
	}
}

static void tells_other_protocols_at_the_start_of_a_connection(void **state)
{
	static const char later[] = "GET / HTTP/1.1" CRLF CRLF "\x16\x03\x01";

	assert_int_equal(parse("\x16\x03\x01", 3).event, KRL_HTTP_TLS);
	assert_int_equal(parse(later, sizeof(later) - 1).event, KRL_HTTP_BAD);
	assert_int_equal(parse("PRI * HTTP/2.0" CRLF CRLF, 18).event, KRL_HTTP_H2);
	assert_int_equal(parse("\x80\x01", 2).event, KRL_HTTP_BAD);
	assert_int_equal(parse("GET / HTTP/1.1" CRLF CRLF "PRI * HTTP/2.0", 32).event, KRL_HTTP_BAD);
	assert_int_equal(parse("pri * HTTP/2.0" CRLF CRLF, 18).event, KRL_HTTP_BAD);
	assert_int_equal(parse("PRI / HTTP/2.0" CRLF CRLF, 18).event, KRL_HTTP_BAD);
	assert_int_equal(parse(CRLF "PRI * HTTP/2.0" CRLF CRLF, 20).event, KRL_HTTP_BAD);
}

#define UPGRADE "GET / HTTP/1.1" CRLF "Upgrade: websocket" CRLF CRLF
#define TUNNEL "CONNECT a:443 HTTP/1.1" CRLF CRLF

static void leaves_http_only_for_bytes_no_server_takes_as_a_request(void **state)
{
	static const struct {
		const char *stream;
		size_t len;
		int event;
		unsigned int heads;
	} cases[] = {
		{ UPGRADE "\x81\x85", sizeof(UPGRADE) + 1, KRL_HTTP_UPGRADED, 1 },
		{ UPGRADE "A\x85", sizeof(UPGRADE) + 1, KRL_HTTP_UPGRADED, 1 },
		{ UPGRADE "\x01\x85", sizeof(UPGRADE) + 1, KRL_HTTP_UPGRADED, 1 },
		{ UPGRADE "\x16\x03", sizeof(UPGRADE), KRL_HTTP_UPGRADED, 1 },
		{ TUNNEL "\x16\x03", sizeof(TUNNEL), KRL_HTTP_UPGRADED, 1 },
		{ TUNNEL "\x81\x85", sizeof(TUNNEL) + 1, KRL_HTTP_UPGRADED, 1 },
		{ TUNNEL "GET / HTTP/1.1" CRLF CRLF, sizeof(TUNNEL) + 17, KRL_HTTP_NOTHING, 2 },
		{ UPGRADE "\x01G", sizeof(UPGRADE) + 1, KRL_HTTP_BAD, 1 },
		{ UPGRADE "C\x85", sizeof(UPGRADE) + 1, KRL_HTTP_BAD, 1 },
		{ UPGRADE "\x85GET", sizeof(UPGRADE) + 3, KRL_HTTP_BAD, 1 },
		{ UPGRADE "\xa0GET", sizeof(UPGRADE) + 3, KRL_HTTP_BAD, 1 },
		{ UPGRADE "\x0bGET", sizeof(UPGRADE) + 3, KRL_HTTP_BAD, 1 },
		{ UPGRADE " GET", sizeof(UPGRADE) + 3, KRL_HTTP_BAD, 1 },
		{ UPGRADE "PRI * HTTP/2", sizeof(UPGRADE) + 11, KRL_HTTP_H2, 1 },
		{ UPGRADE "GET / HTTP/1.1" CRLF CRLF, sizeof(UPGRADE) + 17, KRL_HTTP_NOTHING, 2 },
		{ UPGRADE "GET / HTTP/1.1\n", sizeof(UPGRADE) + 14, KRL_HTTP_BAD, 1 },
		{ UPGRADE "GET / HTTP/1.1" CRLF CRLF "\x81\x85", sizeof(UPGRADE) + 19, KRL_HTTP_BAD, 2 },
	};
	struct seen seen;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		seen = parse(cases[i].stream, cases[i].len);
		assert_int_equal(seen.event, cases[i].event);
		assert_int_equal(seen.heads, cases[i].heads);
	}
}

static void knows_exactly_the_token_characters(void **state)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	int c, alnum;

	for (c = 0; c < 0x100; c++) {
		alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		assert_int_equal(krl_http_is_tchar(c), alnum || (c && strchr(others, c)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_well_formed_streams),
		cmocka_unit_test(frames_the_same_however_it_is_cut),
		cmocka_unit_test(refuses_what_a_server_could_frame_differently),
		cmocka_unit_test(every_control_character_in_a_value_is_refused),
		cmocka_unit_test(tells_other_protocols_at_the_start_of_a_connection),
		cmocka_unit_test(leaves_http_only_for_bytes_no_server_takes_as_a_request),
		cmocka_unit_test(knows_exactly_the_token_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
