// SPDX-License-Identifier: Apache-2.0
/* HTTP/2: what is a request, what of a refused one the server gets, and what the client is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "h2_walk.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))
#define REST_OF_PREFACE ".0\r\n\r\nSM\r\n\r\n"
#define ES KRL_H2_END_STREAM
#define EH KRL_H2_END_HEADERS
#define HIDDEN KRL_H2_UNKNOWN

/* A frame, and what of it the server is to get: its type and flags. */
struct sent {
	__u8 type;
	__u8 flags;
	__u32 id;
	__u32 len;
	__u8 type_seen;
	__u8 flags_seen;
};

/* One of which it is of no interest. */
#define F(type, flags, id, len) { type, flags, id, len, 0, 0 }

struct bytes {
	char *at;
	size_t len;
};

static void append(struct bytes *b, const void *from, size_t len)
{
	b->at = realloc(b->at, b->len + len + 1);
	assert_non_null(b->at);
	memcpy(b->at + b->len, from, len);
	b->len += len;
}

static void append_frame(struct bytes *b, __u8 type, __u8 flags, __u32 id, __u32 len)
{
	char head[KRL_H2_HEAD_BYTES];

	krl_h2_put_head(head, len, type);
	head[4] = flags;
	krl_h2_put_u32(head + 5, id);
	append(b, head, sizeof(head));
	for (; len; len--)
		append(b, "p", 1);
}

/* A client's stream from behind "PRI * HTTP/2" on: the preface's rest, SETTINGS, and @frames as they are sent. */
static struct bytes stream_of(const struct sent *frames, size_t count)
{
	struct bytes b = { 0 };
	size_t i;

	append(&b, REST_OF_PREFACE, sizeof(REST_OF_PREFACE) - 1);
	append_frame(&b, KRL_H2_SETTINGS, 0, 0, 6);
	for (i = 0; i < count; i++)
		append_frame(&b, frames[i].type, frames[i].flags, frames[i].id, frames[i].len);
	return b;
}

/* ... as the server is to get them. Of a body that is all padding the first byte tells its length. */
static struct bytes stream_seen(const struct sent *frames, size_t count)
{
	struct bytes b = stream_of(frames, count);
	size_t at = sizeof(REST_OF_PREFACE) - 1 + KRL_H2_HEAD_BYTES + 6, i;

	for (i = 0; i < count; at += KRL_H2_HEAD_BYTES + frames[i].len, i++) {
		b.at[at + KRL_H2_TYPE_AT] = frames[i].type_seen;
		b.at[at + 4] = frames[i].flags_seen;
		if (frames[i].flags_seen & KRL_H2_PADDED)
			b.at[at + KRL_H2_HEAD_BYTES] = frames[i].len - 1;
	}
	return b;
}

static void walk_whole(struct h2_walk *w, unsigned int tokens, struct bytes *b)
{
	h2_walk_begin(w, tokens);
	h2_walk_skb(w, b->at, b->len, 512);
}

static void assert_seen(const struct sent *frames, size_t count, unsigned int tokens, unsigned int refused)
{
	struct bytes sent = stream_of(frames, count), wanted = stream_seen(frames, count);
	struct h2_walk w;

	walk_whole(&w, tokens, &sent);
	assert_false(w.bad);
	assert_int_equal(w.refused, refused);
	assert_memory_equal(sent.at, wanted.at, wanted.len);
	free(sent.at);
	free(wanted.at);
}

static void each_stream_that_is_opened_is_a_request(void **state)
{
	static const struct sent frames[] = {
		F(KRL_H2_HEADERS, ES | EH, 1, 10),   F(KRL_H2_HEADERS, EH, 3, 0),
		F(KRL_H2_DATA, 0, 3, 20000),	      F(KRL_H2_HEADERS, 0, 5, 1),
		F(KRL_H2_CONTINUATION, EH, 5, 300),  F(KRL_H2_DATA, ES, 3, 0),
		F(KRL_H2_PRIORITY, 0, 9, 5),	      F(KRL_H2_WINDOW_UPDATE, 0, 0, 4),
		F(KRL_H2_RST_STREAM, 0, 5, 4),	      F(KRL_H2_HEADERS, ES | EH, 2001, 16384),
	};
	struct bytes b = stream_of(frames, COUNT(frames));
	struct h2_walk w;

	walk_whole(&w, 10, &b);
	assert_int_equal(w.requests, 4);
	assert_int_equal(w.h.admitted, 2001);
	free(b.at);
}

static void trailers_of_a_request_that_is_underway_are_none(void **state)
{
	static const struct {
		struct sent frames[4];
		unsigned int requests;
	} cases[] = {
		{ { F(KRL_H2_HEADERS, EH, 1, 1), F(KRL_H2_HEADERS, ES | EH, 1, 1) }, 1 },
		{ { F(KRL_H2_HEADERS, EH, 1, 1), F(KRL_H2_HEADERS, ES | EH, 1, 1), F(KRL_H2_HEADERS, ES | EH, 1, 1) },
		  2 },
		/* Trailers end the request. */
		{ { F(KRL_H2_HEADERS, EH, 1, 1), F(KRL_H2_HEADERS, EH, 1, 1) }, 2 },
		{ { F(KRL_H2_HEADERS, ES | EH, 1, 1), F(KRL_H2_HEADERS, ES | EH, 1, 1) }, 2 },
		{ { F(KRL_H2_HEADERS, EH, 1, 1), F(KRL_H2_DATA, ES, 1, 1), F(KRL_H2_HEADERS, ES | EH, 1, 1) }, 2 },
		{ { F(KRL_H2_HEADERS, EH, 1, 1), F(KRL_H2_RST_STREAM, 0, 1, 4), F(KRL_H2_HEADERS, ES | EH, 1, 1) }, 2 },
		{ { F(KRL_H2_HEADERS, EH, 5, 1), F(KRL_H2_HEADERS, ES | EH, 3, 1), F(KRL_H2_HEADERS, ES | EH, 4, 1) }, 3 },
		{ { F(KRL_H2_HEADERS, EH, 0, 1), F(KRL_H2_HEADERS, ES | EH, 0, 1) }, 2 },
	};
	struct h2_walk w;
	struct bytes b;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		/* Those that are not given are DATA on stream 0. */
		b = stream_of(cases[i].frames, 4);
		walk_whole(&w, 10, &b);
		if (w.requests != cases[i].requests)
			fail_msg("case %zu: %u requests", i, w.requests);
		free(b.at);
	}
}

static void of_a_refused_request_the_server_gets_nothing(void **state)
{
	static const struct sent frames[] = {
		{ KRL_H2_HEADERS, EH, 1, 10, KRL_H2_HEADERS, EH },
		{ KRL_H2_HEADERS, 0, 3, 10, HIDDEN, 0 },
		{ KRL_H2_CONTINUATION, 0, 3, 5, HIDDEN, 0 },
		{ KRL_H2_CONTINUATION, EH, 3, 5, HIDDEN, EH },
		{ KRL_H2_DATA, 0, 3, 500, HIDDEN, 0 },
		{ KRL_H2_DATA, 0, 1, 500, KRL_H2_DATA, 0 },
		{ KRL_H2_WINDOW_UPDATE, 0, 3, 4, HIDDEN, 0 },
		{ KRL_H2_WINDOW_UPDATE, 0, 1, 4, KRL_H2_WINDOW_UPDATE, 0 },
		{ KRL_H2_WINDOW_UPDATE, 0, 0, 4, KRL_H2_WINDOW_UPDATE, 0 },
		{ KRL_H2_PING, 0, 0, 8, KRL_H2_PING, 0 },
		{ KRL_H2_SETTINGS, KRL_H2_ACK, 0, 0, KRL_H2_SETTINGS, KRL_H2_ACK },
		{ KRL_H2_HEADERS, ES | EH, 5, 10, HIDDEN, ES | EH },
		{ KRL_H2_HEADERS, ES | EH, 2, 10, HIDDEN, ES | EH },
		{ KRL_H2_RST_STREAM, 0, 3, 4, HIDDEN, 0 },
		{ KRL_H2_DATA, ES, 1, 5, KRL_H2_DATA, ES },
	};

	assert_seen(frames, COUNT(frames), 1, 3);
}

/* Their fields may be in the table of the client alone. */
static void trailers_after_a_refusal_become_an_end(void **state)
{
	static const struct sent frames[] = {
		{ KRL_H2_HEADERS, EH, 1, 10, KRL_H2_HEADERS, EH },
		{ KRL_H2_HEADERS, EH, 3, 10, KRL_H2_HEADERS, EH },
		{ KRL_H2_HEADERS, EH, 5, 10, KRL_H2_HEADERS, EH },
		{ KRL_H2_HEADERS, EH, 7, 10, KRL_H2_HEADERS, EH },
		{ KRL_H2_HEADERS, ES | EH, 9, 10, HIDDEN, ES | EH },
		{ KRL_H2_HEADERS, ES | EH, 1, 256, KRL_H2_DATA, ES | KRL_H2_PADDED },
		{ KRL_H2_HEADERS, ES | EH, 3, 0, KRL_H2_DATA, ES },
		{ KRL_H2_HEADERS, ES | EH, 5, 257, HIDDEN, ES | EH },
		{ KRL_H2_HEADERS, ES, 7, 1, HIDDEN, ES },
		{ KRL_H2_CONTINUATION, EH, 7, 1, HIDDEN, EH },
	};

	assert_seen(frames, COUNT(frames), 4, 1);
}

static const struct sent many[] = {
	F(KRL_H2_HEADERS, 0, 1, 3),	 F(KRL_H2_CONTINUATION, EH, 1, 2), F(KRL_H2_DATA, 0, 1, 11),
	F(KRL_H2_HEADERS, EH, 3, 7),	 F(KRL_H2_HEADERS, ES | EH, 5, 7), F(KRL_H2_WINDOW_UPDATE, 0, 1, 4),
	F(KRL_H2_PING, 0, 0, 8),	 F(KRL_H2_DATA, ES, 3, 12),	    F(KRL_H2_HEADERS, 0, 7, 2),
	F(KRL_H2_CONTINUATION, EH, 7, 2), F(KRL_H2_DATA, ES, 1, 0),
};

/* In skbs of @size but the first, of @first bytes. */
static void walk_cut(struct h2_walk *w, unsigned int tokens, const struct bytes *b, size_t first, size_t size,
		     size_t window)
{
	size_t at = 0, n;
	char *skb;

	h2_walk_begin(w, tokens);
	for (n = first; at < b->len; at += n, n = size) {
		if (n > b->len - at)
			n = b->len - at;
		skb = malloc(n);
		assert_non_null(skb);
		memcpy(skb, b->at + at, n);
		h2_walk_skb(w, skb, n, window);
		memcpy(b->at + at, skb, n);
		free(skb);
	}
}

static void frames_the_same_however_it_is_cut(void **state)
{
	struct bytes b = stream_of(many, COUNT(many));
	struct h2_walk whole, cut;
	size_t first;

	walk_whole(&whole, 10, &b);
	assert_int_equal(whole.requests, 4);
	for (first = 1; first < b.len; first++) {
		walk_cut(&cut, 10, &b, first, b.len, 512);
		assert_memory_equal(&cut.h.sending, &whole.h.sending, sizeof(whole.h.sending));
		assert_int_equal(cut.requests, whole.requests);
		assert_int_equal(cut.h.admitted, whole.h.admitted);
		walk_cut(&cut, 10, &b, first, first, 1 + first % 20);
		assert_int_equal(cut.requests, whole.requests);
		assert_int_equal(cut.h.admitted, whole.h.admitted);
	}
	free(b.at);
}

/* No header of a refused request reaches the server, wherever it is cut. */
static void no_cut_brings_a_refused_request_through(void **state)
{
	struct bytes b;
	struct h2_walk w;
	size_t size, at;

	for (size = 1; size < 40; size++) {
		b = stream_of(many, COUNT(many));
		walk_cut(&w, 1, &b, size, size, 512);
		assert_int_equal(w.admitted, 1);
		assert_int_equal(w.refused, 3);
		for (at = sizeof(REST_OF_PREFACE) - 1 + KRL_H2_HEAD_BYTES + 6; at < b.len;) {
			struct krl_h2_head head;

			krl_h2_head_load(&head, b.at + at);
			if (krl_h2_type(&head) == KRL_H2_HEADERS || krl_h2_type(&head) == KRL_H2_CONTINUATION)
				assert_int_equal(krl_h2_id(&head), 1);
			at += KRL_H2_HEAD_BYTES + krl_h2_length(&head);
		}
		free(b.at);
	}
}

static void only_the_preface_and_settings_begin_a_connection(void **state)
{
	static const char *const cases[] = {
		".1\r\n\r\nSM\r\n\r\n", ".0\r\n\nSM\r\n\r\n", ".0\r\n\r\nsm\r\n\r\n", ".0 \r\n\r\nSM\r\n\r\n",
	};
	struct bytes b;
	struct h2_walk w;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		b = (struct bytes){ 0 };
		append(&b, cases[i], strlen(cases[i]));
		walk_whole(&w, 1, &b);
		assert_true(w.bad);
		free(b.at);
	}
	for (i = 0; i < 4; i++) {
		b = (struct bytes){ 0 };
		append(&b, REST_OF_PREFACE, sizeof(REST_OF_PREFACE) - 1);
		append_frame(&b, i ? KRL_H2_SETTINGS : KRL_H2_PING, i == 1 ? KRL_H2_ACK : 0, i == 2 ? 1 : 0, 0);
		walk_whole(&w, 1, &b);
		assert_int_equal(w.bad, i < 3);
		free(b.at);
	}
}

/* All of a refused body counts, its padding too (RFC 9113, 6.9.1); what is told once is told. */
static void tells_goaway_once_and_gives_the_window_back(void **state)
{
	static const unsigned char both[] = {
		0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0x2c,
		0, 0, 11, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0xb,
	};
	static const struct sent frames[] = {
		F(KRL_H2_HEADERS, ES | EH, 1, 1), F(KRL_H2_HEADERS, EH, 3, 1), F(KRL_H2_DATA, KRL_H2_PADDED, 3, 200),
		F(KRL_H2_DATA, ES, 3, 100),
	};
	struct bytes b = stream_of(frames, COUNT(frames));
	char text[KRL_H2_TELL_BYTES];
	struct h2_walk w;

	walk_whole(&w, 1, &b);
	assert_int_equal(w.h.lost, 300);
	assert_true(krl_h2_wants(&w.h));
	assert_int_equal(krl_h2_write(&w.h, text, w.h.lost, 3), sizeof(both));
	assert_memory_equal(text, both, sizeof(both));
	w.h.told = 1;
	assert_true(krl_h2_wants(&w.h));
	assert_int_equal(krl_h2_write(&w.h, text, 300, 0), KRL_H2_WINDOW_BYTES);
	w.h.lost = 0;
	assert_false(krl_h2_wants(&w.h));
	free(b.at);
}

static void server_says(struct krl_h2 *h, __u8 type, __u8 flags, __u32 id)
{
	char head[KRL_H2_HEAD_BYTES];

	krl_h2_put_head(head, 5, type);
	head[4] = flags;
	krl_h2_put_u32(head + 5, id);
	krl_h2_head_load(&h->server, head);
	assert_int_equal(krl_h2_server_frame(h), 5);
}

static void knows_where_a_frame_may_stand(void **state)
{
	struct krl_h2 h = { 0 };

	assert_false(krl_h2_between(&h));
	server_says(&h, KRL_H2_SETTINGS, 0, 0);
	assert_true(krl_h2_between(&h));
	server_says(&h, KRL_H2_HEADERS, ES, 1);
	assert_false(krl_h2_between(&h));
	server_says(&h, KRL_H2_CONTINUATION, 0, 1);
	assert_false(krl_h2_between(&h));
	server_says(&h, KRL_H2_CONTINUATION, EH, 1);
	assert_true(krl_h2_between(&h));
	krl_h2_head_add(&h.server, 0);
	assert_false(krl_h2_between(&h));
}

static void knows_which_streams_are_open(void **state)
{
	static const struct sent frames[] = { F(KRL_H2_HEADERS, EH, 1, 1), F(KRL_H2_HEADERS, ES | EH, 3, 1),
					      F(KRL_H2_HEADERS, ES | EH, 5, 1) };
	struct bytes b = stream_of(frames, COUNT(frames));
	struct h2_walk w;

	walk_whole(&w, 3, &b);
	server_says(&w.h, KRL_H2_HEADERS, EH, 1);
	server_says(&w.h, KRL_H2_DATA, ES, 1);
	/* Twice the end of one is not that of another. */
	server_says(&w.h, KRL_H2_RST_STREAM, 0, 1);
	server_says(&w.h, KRL_H2_HEADERS, ES | EH, 3);
	assert_false(krl_h2_ring_empty(&w.h.open));
	server_says(&w.h, KRL_H2_RST_STREAM, 0, 5);
	assert_true(krl_h2_ring_empty(&w.h.open));
	free(b.at);
}

static void a_stream_that_is_lost_sight_of_stays_open(void **state)
{
	struct krl_h2_ring ring = { 0 };
	__u32 id;

	for (id = 1; id < 4 * 128; id += 2) {
		krl_h2_ring_set(&ring, id);
		assert_true(krl_h2_ring_has(&ring, 1));
	}
	for (id = 3; id < 4 * 128; id += 2)
		krl_h2_ring_clear(&ring, id);
	krl_h2_ring_clear(&ring, 2);
	krl_h2_ring_clear(&ring, 0);
	assert_true(krl_h2_ring_has(&ring, 1));
	krl_h2_ring_set(&ring, 4 * 128 + 1);
	assert_false(krl_h2_ring_has(&ring, 1));
	krl_h2_ring_clear(&ring, 4 * 128 + 1);
	krl_h2_ring_clear(&ring, 1);
	assert_false(krl_h2_ring_empty(&ring));
}

static void an_upgrade_has_its_request_on_stream_1(void **state)
{
	struct krl_h2 h = { 0 };

	krl_h2_begin(&h, 1);
	assert_int_equal(h.admitted, 1);
	assert_true(krl_h2_ring_has(&h.open, 1));
	assert_false(krl_h2_ring_has(&h.sending, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_stream_that_is_opened_is_a_request),
		cmocka_unit_test(trailers_of_a_request_that_is_underway_are_none),
		cmocka_unit_test(of_a_refused_request_the_server_gets_nothing),
		cmocka_unit_test(trailers_after_a_refusal_become_an_end),
		cmocka_unit_test(frames_the_same_however_it_is_cut),
		cmocka_unit_test(no_cut_brings_a_refused_request_through),
		cmocka_unit_test(only_the_preface_and_settings_begin_a_connection),
		cmocka_unit_test(tells_goaway_once_and_gives_the_window_back),
		cmocka_unit_test(knows_where_a_frame_may_stand),
		cmocka_unit_test(knows_which_streams_are_open),
		cmocka_unit_test(a_stream_that_is_lost_sight_of_stays_open),
		cmocka_unit_test(an_upgrade_has_its_request_on_stream_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
