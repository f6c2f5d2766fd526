/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Requests over HTTP/2. Each stream is judged as it is opened; of those that are refused each frame is hidden from the
 * server in its place, since the length of an skb must not change, and all others go on: what the client says of
 * admitted streams, and of the connection. */
#include "maps.h"
#include "lib/admit.h"
#include "lib/alive.h"
#include "lib/kernel.h"
#include "lib/pad.h"
#include "lib/protocols.h"
#include "lib/report_request.h"
#include "lib/refusal.h"
#include "lib/matches.h"
#include "lib/scan.h"
#include "lib/tiers.h"

struct krl_h2_walking {
	struct __sk_buff *skb;
	struct krl_conn *conn;
	struct krl_judging judging;	/* endpoint NULL: not protected now */
};

/* One more request. Returns 0 when it is admitted. */
static __always_inline int krl_h2_judge(struct krl_h2_walking *w)
{
	struct krl_match *match = w->judging.match;
	const struct krl_policy *policy = w->judging.policy;
	int refused;

	if (!w->judging.endpoint)
		return 0;
	if (match && policy) {
		krl_match_begin(match);
		match->blind = 1;
		krl_peer_match_end(match, policy);
		if (policy->of_head) {
			krl_count(KRL_REASON_HTTP2_UNSEEN);
			krl_protocols_unseen(&w->conn->endpoint, w->conn->judge.now_ns);
		}
	}
	refused = krl_admit(&w->judging);
	krl_report_request(w->skb, w->conn, refused);
	return refused;
}

/* Overwrite the type of the frame whose type is @back bytes before where the walk is. */
static __always_inline int krl_h2_hide(struct __sk_buff *skb, const struct krl_scan *s, __u32 back)
{
	const __u8 type = KRL_H2_UNKNOWN;

	return !!bpf_skb_store_bytes(skb, s->off - back, &type, sizeof(type), 0);
}

/* Make trailers of @len bytes the end of a body, all of it padding (RFC 9113, 6.1). */
static __always_inline int krl_h2_end(struct __sk_buff *skb, const struct krl_scan *s, __u32 back, __u32 len)
{
	const __u8 head[2] = { KRL_H2_DATA, KRL_H2_END_STREAM | (len ? KRL_H2_PADDED : 0) };
	__u8 padding = len - 1;

	if (bpf_skb_store_bytes(skb, s->off - back, head, sizeof(head), 0))
		return 1;
	return len && bpf_skb_store_bytes(skb, s->off, &padding, sizeof(padding), 0);
}

static __always_inline int krl_h2_act(struct krl_h2_walking *w, int event)
{
	struct krl_conn *conn = w->conn;
	struct krl_scan *s = &conn->scan;
	__u32 back = krl_h2_type_back(&conn->h2);

	switch (event) {
	case KRL_H2_REQUEST:
		if (!krl_h2_judge(w)) {
			krl_h2_admit(&conn->h2);
			return 0;
		}
		krl_h2_refuse(&conn->h2);
		return krl_h2_hide(w->skb, s, back);
	case KRL_H2_REFUSED:
		krl_judge_count_refused(&conn->judge, 1);
		krl_report_request(w->skb, conn, 1);
		return krl_h2_hide(w->skb, s, back);
	case KRL_H2_HIDE:
		return krl_h2_hide(w->skb, s, back);
	case KRL_H2_END:
		return krl_h2_end(w->skb, s, back, conn->h2.skip);
	}
	return 0;
}

static long krl_h2_walk_step(__u32 i, void *ctx)
{
	struct krl_h2_walking *w = ctx;
	struct krl_conn *conn = w->conn;
	struct krl_scan *s = &conn->scan;
	__u32 steps, in_frame = conn->h2.skip;
	int event;

	if (s->off >= s->len)
		return 1;
	steps = krl_h2_step(&conn->h2, conn->window.bytes, krl_scan_at(s), s->window_len, s->len - s->off, &event);
	if (!steps)
		return krl_scan_fill(w->skb, conn);
	s->off += steps;
	/* The header of a frame that is let through. */
	if (!in_frame && (event == KRL_H2_NOTHING || event == KRL_H2_REQUEST || event == KRL_H2_END))
		s->heads++;
	if (event == KRL_H2_BAD) {
		s->event = event;
		return 1;
	}
	s->failed = krl_h2_act(w, event);
	if (event == KRL_H2_REQUEST && conn->h2.hidden)
		s->heads--;
	return s->failed;
}

/* Is nothing of a frame of the client's underway? */
static __always_inline int krl_h2_rests(const struct krl_h2 *h)
{
	return h->state == KRL_H2_FRAMES && !h->skip && !h->client.len;
}

/* Are all admitted streams done with, and does the server write nothing? What the kernel writes now stands between
 * two frames. */
static __always_inline int krl_h2_still(const struct krl_conn *conn, struct sock *sk)
{
	return conn->reply.state == KRL_REPLY_HTTP2 && krl_h2_between(&conn->h2) &&
	       krl_sock_write_seq(sk) == conn->reply.at_seq + (__u32)conn->reply.skip &&
	       krl_h2_ring_empty(&conn->h2.open) && krl_sock_acked(sk);
}

/* The whole skb is of refused requests: tell the client in its place. */
static __always_inline int krl_h2_tell_in_place(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie)
{
	__u32 lost = __sync_lock_test_and_set(&conn->h2.lost, 0);
	__u32 len = lost ? KRL_H2_TELL_BYTES : KRL_H2_GOAWAY_BYTES;
	int err;

	krl_h2_write(&conn->h2, conn->text.bytes, lost, skb->len - len);
	if (lost)
		err = bpf_skb_store_bytes(skb, 0, conn->text.bytes, KRL_H2_TELL_BYTES, 0);
	else
		err = bpf_skb_store_bytes(skb, 0, conn->text.bytes, KRL_H2_GOAWAY_BYTES, 0);
	if (err || krl_pad(skb, len, skb->len)) {
		krl_count(KRL_REASON_ANSWER_LOST);
		return SK_DROP;
	}
	conn->h2.told = 1;
	krl_count(KRL_REASON_HTTP2_GOAWAY);
	return bpf_sk_redirect_hash(skb, &krl_sockets, &cookie, 0);
}

/* The client is to be told. That goes between two frames of the server's: at once when that is still, else with what
 * it writes next (krl_h2_reply), or when the agent finds it still. */
static __noinline int krl_h2_tell(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie, struct sock *sk,
				       int refused_alone)
{
	struct krl_config *config;
	__u32 zero = 0;

	if (krl_h2_still(conn, sk)) {
		if (refused_alone && !conn->h2.told && skb->len <= KRL_H2_FRAME_MAX &&
		    skb->len >= (conn->h2.lost ? KRL_H2_TELL_BYTES : KRL_H2_GOAWAY_BYTES) && !krl_sock_blocks(sk))
			return krl_h2_tell_in_place(skb, conn, cookie);
		config = bpf_map_lookup_elem(&krl_config, &zero);
		if (config && krl_agent_awake(config, conn->judge.now_ns) && !krl_queue_answer(conn, cookie)) {
			conn->answer.kind = KRL_ANSWER_HTTP2;
			conn->answer.close = 0;
			conn->h2.underway = 1;
			krl_send_event(cookie, KRL_EVENT_CARRY);
			return SK_PASS;
		}
	}
	if (!conn->h2.asked)
		krl_send_event(cookie, KRL_EVENT_DRAIN);
	conn->h2.asked = 1;
	return SK_PASS;
}

/* Refused with 400, as any malformed request, when the server has said what it may say. */
static __always_inline int krl_h2_refuse_all(struct krl_conn *conn, __u64 cookie, __u32 reason)
{
	krl_count(reason);
	conn->answer.kind = KRL_ANSWER_BAD_REQUEST;
	conn->answer.no_body = 0;
	conn->answer.close = 1;
	conn->late = KRL_LATE_TRIES;
	conn->phase = KRL_PHASE_DRAIN;
	krl_send_event(cookie, KRL_EVENT_DRAIN);
	return SK_DROP;
}

/* Returns 0; or -1 without room to match, where what cannot be judged is refused. */
static __noinline int krl_h2_find_rules(struct krl_h2_walking *w, __u64 cookie)
{
	struct krl_endpoint *endpoint = krl_conn_endpoint(w->conn);

	w->judging.policy = krl_endpoint_policy(&endpoint);
	if (endpoint && w->judging.policy) {
		w->judging.match = krl_match_of(w->skb, w->conn, cookie, endpoint->policy);
		if (!w->judging.match && endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED)
			return -1;
		if (!w->judging.match) {
			krl_count(KRL_REASON_CONN_TABLE_FULL);
			return 0;
		}
	}
	w->judging.endpoint = endpoint;
	return 0;
}

/* Does some rule not apply, of an endpoint where what cannot be judged is refused? */
static __always_inline int krl_h2_unjudged(const struct krl_judging *judging)
{
	return judging->endpoint && judging->policy && judging->policy->of_head &&
	       judging->endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED;
}

/* krl_stream goes on in here with what a connection in KRL_PHASE_H2 receives. */
SEC("sk_skb/stream_verdict")
int krl_http2(struct __sk_buff *skb)
{
	struct krl_h2_walking walking = { .skb = skb };
	struct krl_conn *conn;
	__u64 cookie;
	struct sock *sk;
	int rests;

	cookie = bpf_get_socket_cookie(skb);
	conn = bpf_map_lookup_elem(&krl_conns, &cookie);
	sk = krl_skb_sock(skb);
	if (!conn || !sk)
		return SK_DROP;
	walking.conn = conn;
	walking.judging.judge = &conn->judge;
	if (krl_h2_find_rules(&walking, cookie))
		return krl_h2_refuse_all(conn, cookie, KRL_REASON_CONN_TABLE_FULL);
	if (conn->h2.begins && krl_h2_unjudged(&walking.judging))
		return krl_h2_refuse_all(conn, cookie, KRL_REASON_HTTP2);
	rests = krl_h2_rests(&conn->h2);
	if (!conn->h2.begins)
		krl_scan_begin(skb, conn);
	conn->h2.begins = 0;
	conn->scan.event = 0;
	conn->judge.now_ns = bpf_ktime_get_boot_ns();
	conn->judge.n = 1;
	bpf_loop(KRL_SCAN_STEPS, krl_h2_walk_step, &walking, 0);
	krl_scan_done(conn);
	if (conn->scan.event)
		return krl_h2_refuse_all(conn, cookie, KRL_REASON_BAD_REQUEST);
	if (conn->scan.failed) {
		krl_count(KRL_REASON_READ_FAILED);
		conn->phase = KRL_PHASE_DRAIN;
		krl_send_event(cookie, KRL_EVENT_CLOSE);
		return SK_DROP;
	}
	if (!krl_h2_wants(&conn->h2))
		return SK_PASS;
	return krl_h2_tell(skb, conn, cookie, sk, rests && krl_h2_rests(&conn->h2) && !conn->scan.heads);
}

char _license[] SEC("license") = "Dual BSD/GPL";
