/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Walk the bytes of one skb through the connection's HTTP framing. */
#ifndef KMESH_RL_SCAN_H
#define KMESH_RL_SCAN_H

#include "../maps.h"

/* No skb is larger: BIG TCP's limit (include/linux/netdevice.h, GSO_MAX_SIZE). */
#define KRL_SCAN_STEPS (8 * 65536)

/* On the stack are two pointers alone; the numbers are in the connection's row, where the verifier does
 * not follow them. */
struct krl_scanning {
	struct __sk_buff *skb;
	struct krl_conn *conn;
};

static __always_inline int krl_scan_fill(struct __sk_buff *skb, struct krl_conn *conn)
{
	struct krl_scan *s = &conn->scan;
	__u32 n = s->len - s->off;

	if (n > KRL_WINDOW_BYTES)
		n = KRL_WINDOW_BYTES;
	if (n == 0)
		return 1;
	n = KRL_BOUNDED(n, KRL_WINDOW_BYTES);
	if (bpf_skb_load_bytes(skb, s->off, conn->window, n))
		return 1;
	s->window_off = s->off;
	s->window_len = n;
	return 0;
}

static long krl_scan_step(__u32 i, void *ctx)
{
	struct krl_conn *conn = ((struct krl_scanning *)ctx)->conn;
	struct krl_scan *s = &conn->scan;
	__u32 at, steps;
	int event;

	if (s->off >= s->len)
		return 1;
	at = s->off - s->window_off;
	if (at > KRL_WINDOW_BYTES)
		at = KRL_WINDOW_BYTES;
	steps = krl_http_step(&conn->http, conn->window, at, s->window_len, s->len - s->off, &event);
	if (!steps) {
		s->failed = krl_scan_fill(((struct krl_scanning *)ctx)->skb, conn);
		return s->failed;
	}
	s->off += steps;
	if (event == KRL_HTTP_BEGIN) {
		s->begins++;
	} else if (event == KRL_HTTP_HEAD_END) {
		s->heads++;
		s->flags = conn->http.flags;
	} else {
		s->event = event;
	}
	return s->event != KRL_HTTP_NOTHING;
}

/* Walk the whole of @skb, moving the connection's framing on; the outcome is in @conn->scan. */
static __always_inline void krl_scan(struct __sk_buff *skb, struct krl_conn *conn)
{
	struct krl_scanning scanning = { .skb = skb, .conn = conn };

	__builtin_memset(&conn->scan, 0, sizeof(conn->scan));
	conn->scan.len = skb->len;
	bpf_loop(KRL_SCAN_STEPS, krl_scan_step, &scanning, 0);
	if (!conn->scan.event && conn->scan.off < conn->scan.len)
		conn->scan.failed = 1;
}

#endif
