// SPDX-License-Identifier: Apache-2.0
/* The datapath's HTTP logic does in the kernel what it does in the unit tests.
 * argv[1] is the directory of the test objects. */
#include <stdio.h>
#include <string.h>

#include "agent/policy/form.h"
#include "bpf/lib/conn.h"
#include "test/prog/object.h"

static const char *directory;
static struct bpf_object *object;

static void run(const char *program, const void *packet, uint32_t len)
{
	object_run(object, program, packet, len);
}

static void set_conn(const struct krl_conn *conn)
{
	object_set(object, "test_conn", conn);
}

static struct krl_conn get_conn(void)
{
	struct krl_conn conn;

	object_get(object, "test_conn", &conn);
	return conn;
}

/* Walk @stream in packets of @piece bytes; adds up what begins and ends in them. */
static void scan(const char *stream, size_t len, size_t piece, uint32_t *ret_begins, uint32_t *ret_heads)
{
	static const struct krl_conn fresh;
	struct krl_conn conn;
	size_t off, n;

	set_conn(&fresh);
	*ret_begins = *ret_heads = 0;
	for (off = 0; off < len; off += n) {
		n = len - off < piece ? len - off : piece;
		/* The last piece may not be too short for a packet. */
		if (len - off - n && len - off - n < MIN_PACKET)
			n = len - off;
		run("scan_packet", stream + off, n);
		conn = get_conn();
		assert_int_equal(conn.scan.failed, 0);
		assert_int_equal(conn.scan.event, KRL_HTTP_NOTHING);
		assert_int_equal(conn.scan.off, n);
		*ret_begins += conn.scan.begins;
		*ret_heads += conn.scan.heads;
	}
}

static void requests_are_counted_in_any_cut(void **state)
{
	static const char stream[] = "GET /a HTTP/1.1\r\nHost: a\r\nX-Long: 0123456789012345678901234567\r\n\r\n"
				     "POST /b HTTP/1.1\r\nContent-Length: 20\r\n\r\n01234567890123456789"
				     "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
				     "14\r\n01234567890123456789\r\n0\r\n\r\n"
				     "HEAD /d HTTP/1.1\r\nConnection: close\r\n\r\n";
	uint32_t begins, heads;
	size_t piece;

	for (piece = MIN_PACKET; piece <= sizeof(stream); piece++) {
		scan(stream, sizeof(stream) - 1, piece, &begins, &heads);
		assert_int_equal(begins, 4);
		assert_int_equal(heads, 4);
		assert_int_equal(get_conn().scan.flags & KRL_HTTP_REQUEST_FLAGS, KRL_HTTP_HEAD | KRL_HTTP_CLOSE);
		assert_int_equal(get_conn().http.state, KRL_HTTP_START);
	}
}

static void a_body_is_stepped_over_without_being_read(void **state)
{
	static char stream[3000] = "POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n";
	struct krl_conn conn;
	size_t head = strlen(stream);

	memset(stream + head, '\n', sizeof(stream) - head);
	set_conn(&(struct krl_conn){ 0 });
	run("scan_packet", stream, sizeof(stream));
	conn = get_conn();
	assert_int_equal(conn.scan.heads, 1);
	assert_int_equal(conn.scan.event, KRL_HTTP_NOTHING);
	assert_int_equal(conn.http.remaining, 1000000 - (sizeof(stream) - head));
}

static void a_long_head_spans_windows(void **state)
{
	static char stream[3000];
	size_t len = snprintf(stream, sizeof(stream), "GET / HTTP/1.1\r\nX: ");

	memset(stream + len, 'v', 2500);
	len += 2500;
	len += snprintf(stream + len, sizeof(stream) - len, "\r\nConnection: close\r\n\r\n");
	set_conn(&(struct krl_conn){ 0 });
	run("scan_packet", stream, len);
	assert_int_equal(get_conn().scan.heads, 1);
	assert_true(get_conn().scan.flags & KRL_HTTP_CLOSE);
}

static void what_is_malformed_stops_the_walk(void **state)
{
	static const char stream[] = "GET / HTTP/1.1\r\nHost : a\r\n\r\n";

	set_conn(&(struct krl_conn){ 0 });
	run("scan_packet", stream, sizeof(stream) - 1);
	assert_int_equal(get_conn().scan.event, KRL_HTTP_BAD);
	assert_int_equal(get_conn().scan.heads, 0);
}

static void an_answer_is_the_same_as_in_userspace(void **state)
{
	static const struct krl_conn conn = { .answer = { .kind = KRL_ANSWER_LIMITED, .retry_after_s = 7,
							  .reset_s = 1795244201 } };
	const struct krl_form_spec spec = { .rule = "all", .settings = { 10, 10, 60000000000ULL } };
	static const char expected[] = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"
				       "Content-Length: 48\r\nRetry-After: 7\r\nX-RateLimit-Limit: 10\r\n"
				       "X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1795244201\r\n\r\n"
				       "{\"error\":\"Rate limit exceeded: 10 per 1 minute\"}";
	static const char packet[MIN_PACKET];
	static struct krl_answer_text text;
	struct krl_form form;

	set_conn(&conn);
	assert_int_equal(krl_form_build(&spec, &form), 0);
	object_set(object, "test_form", &form);
	run("write_answer", packet, sizeof(packet));
	object_get(object, "test_text", &text);
	assert_int_equal(text.len, sizeof(expected) - 1);
	assert_memory_equal(text.bytes, expected, sizeof(expected) - 1);
}

static int load(void **state)
{
	return object_load(directory, "scan.bpf.o", &object);
}

static int unload(void **state)
{
	bpf_object__close(object);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_counted_in_any_cut),
		cmocka_unit_test(a_body_is_stepped_over_without_being_read),
		cmocka_unit_test(a_long_head_spans_windows),
		cmocka_unit_test(what_is_malformed_stops_the_walk),
		cmocka_unit_test(an_answer_is_the_same_as_in_userspace),
	};

	directory = argc > 1 ? argv[1] : ".";
	return cmocka_run_group_tests(tests, load, unload);
}
