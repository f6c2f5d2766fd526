/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Walk the bytes of one skb, or of one message, through the connection's HTTP framing. */
#ifndef KMESH_RL_SCAN_H
#define KMESH_RL_SCAN_H

#include "../maps.h"
#include "bytes.h"
#include "match.h"

/* No skb is larger: BIG TCP's limit (include/linux/netdevice.h, GSO_MAX_SIZE). */
#define KRL_SCAN_STEPS (8 * 65536)

/* On the stack are two pointers alone; the numbers are in the connection's row, where the verifier does
 * not follow them. */
struct krl_scanning {
	krl_bytes *bytes;
	struct krl_conn *conn;
	const struct krl_policy *policy;	/* with match, or NULL */
	struct krl_match *match;
};

/* Where in the connection's window the walk is, or behind it. */
static __always_inline __u32 krl_scan_at(const struct krl_scan *s)
{
	__u32 at = s->off - s->window_off;

	return at > KRL_WINDOW_BYTES ? KRL_WINDOW_BYTES : at;
}

/* Have the window begin where the walk is. Returns 0; or 1 when the bytes cannot be read, and the walk has failed. */
static __always_inline long krl_scan_fill(krl_bytes *bytes, struct krl_conn *conn)
{
	struct krl_scan *s = &conn->scan;
	__u32 n = s->len - s->off;

	if (n > KRL_WINDOW_BYTES)
		n = KRL_WINDOW_BYTES;
	if (n)
		n = krl_bytes_load(bytes, s, conn->window.bytes, n);
	s->failed = !n;
	if (!n)
		return 1;
	s->window_off = s->off;
	s->window_len = n;
	return 0;
}

/* One step. Returns whether the walk ended. */
static __always_inline long krl_scan_one(struct krl_scanning *scanning)
{
	struct krl_conn *conn = scanning->conn;
	struct krl_scan *s = &conn->scan;
	struct krl_match *match = scanning->match;
	const struct krl_policy *policy = scanning->policy;
	int collects = match && policy && krl_match_collects(match);
	__u8 before = conn->http.state;
	__u32 at, steps;
	int event;

	if (s->off >= s->len)
		return 1;
	at = krl_scan_at(s);
	steps = krl_http_step(&conn->http, &conn->window, at, s->window_len, s->len - s->off, collects, &event);
	if (!steps)
		return krl_scan_fill(scanning->bytes, conn);
	s->off += steps;
	if (match && policy && before < KRL_HTTP_BODY && (collects || before != KRL_HTTP_FIELD_VALUE)) {
		union krl_match_went went = { .before = before, .bytes = steps };

		krl_match_step(match, policy, &conn->http, krl_http_word(&conn->window, at), went.all);
	}
	if (event == KRL_HTTP_BEGIN) {
		s->begins++;
		s->begun = s->off - steps;
		if (match)
			krl_match_begin(match);
	} else if (event == KRL_HTTP_HEAD_END) {
		s->head_bits |= (__u64)!!(conn->http.flags & KRL_HTTP_HEAD) << (s->heads & 63);
		s->heads++;
		s->flags = conn->http.flags;
		return KRL_BYTES_ONE || match;
	} else {
		s->event = event;
	}
	if (KRL_BYTES_ONE && before >= KRL_HTTP_BODY && conn->http.state == KRL_HTTP_START)
		return 1;
	return s->event != KRL_HTTP_NOTHING;
}

static long krl_scan_step(__u32 i, void *ctx)
{
	return krl_scan_one(ctx);
}

/* Walk @scanning's bytes up to their end, or with selectors to that of the next head, moving the connection's framing
 * on. */
static __always_inline void krl_scan_on(struct krl_scanning *scanning)
{
	bpf_loop(KRL_SCAN_STEPS, krl_scan_step, scanning, 0);
}

/* All of @bytes are to be walked; the outcome is in @conn->scan. */
static __always_inline void krl_scan_begin(krl_bytes *bytes, struct krl_conn *conn)
{
	__builtin_memset(&conn->scan, 0, sizeof(conn->scan));
	conn->scan.len = krl_bytes_len(bytes, conn);
}

static __always_inline void krl_scan_done(struct krl_conn *conn)
{
	if (!conn->scan.event && conn->scan.off < conn->scan.len)
		conn->scan.failed = 1;
}

/* Walk all of @bytes without selectors; the outcome is in @conn->scan. */
static __always_inline void krl_scan(krl_bytes *bytes, struct krl_conn *conn)
{
	struct krl_scanning scanning = { .bytes = bytes, .conn = conn };

	krl_scan_begin(bytes, conn);
	krl_scan_on(&scanning);
	krl_scan_done(conn);
}

#endif
