/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The verdict on each skb that an enrolled socket receives, in stream order: frame the requests in
 * it, judge them as a unit, let the skb through or answer from the kernel. */
#include "verdict.h"

/* What bpf_skb_adjust_room takes off an skb at once (net/core/filter.c, sk_skb_adjust_room), and how often
 * it is asked to: more than a window holds. */
#define KRL_TRIM_MAX 0xfff
#define KRL_TRIMS 32

/* TCP queues a segment that overlaps what it has already as it came, and leaves it to the reader to skip
 * that (net/ipv4/tcp_input.c, tcp_data_queue); tcp_read_skb does not. Take it off, or server and framing
 * would see these bytes twice. Returns 0, or -1 when the stream has a gap or cannot be mended. */
static __always_inline int krl_skip_overlap(struct __sk_buff *skb, struct krl_conn *conn)
{
	__u32 seq = skb->cb[0];	/* TCP_SKB_CB(skb)->seq: sk_skb_convert_ctx_access, struct sk_skb_cb */
	__u32 end = seq + skb->len, over = conn->next_seq - seq, n;
	int i;

	if (KRL_LIKELY(!conn->tracked || !over)) {
		conn->next_seq = end;
		conn->tracked = 1;
		return 0;
	}
	if ((__s32)over < 0 || over > skb->len)
		return -1;
	for (i = 0; i < KRL_TRIMS && over; i++) {
		n = over < KRL_TRIM_MAX ? over : KRL_TRIM_MAX;
		if (bpf_skb_adjust_room(skb, -(__s32)n, 0, 0))
			return -1;
		over -= n;
	}
	krl_count(KRL_REASON_OVERLAP);
	conn->next_seq = end;
	return over ? -1 : 0;
}

/* Not a byte more of stack fits: krl_scan_judging(). */
SEC("sk_skb/stream_verdict")
int krl_stream(struct __sk_buff *skb)
{
	struct krl_judging_heads heads = { 0 };
	struct krl_policy *policy;
	struct krl_match *match;
	struct krl_endpoint *endpoint;
	struct krl_conn *conn;
	struct sock *sk;
	int fresh, single, nothing_owed;

	heads.cookie = bpf_get_socket_cookie(skb);
	conn = bpf_map_lookup_elem(&krl_conns, &heads.cookie);
	/* The row goes when the connection does. Bytes that came before accept() are still there to be read
	 * after a reset, and nobody is left to be answered. */
	if (!conn) {
		krl_count(KRL_REASON_RESET_UNREAD);
		return SK_DROP;
	}
	if (krl_skip_overlap(skb, conn)) {
		krl_count(KRL_REASON_STREAM_GAP);
		conn->phase = KRL_PHASE_DRAIN;
		krl_send_event(heads.cookie, KRL_EVENT_CLOSE);
		return SK_DROP;
	}
	if (!skb->len || conn->phase == KRL_PHASE_OPAQUE)
		return SK_PASS;
	sk = krl_skb_sock(skb);
	if (!sk) {
		krl_count(KRL_REASON_READ_FAILED);
		return SK_PASS;
	}
	if (conn->phase == KRL_PHASE_DRAIN || conn->phase == KRL_PHASE_CLOSED) {
		conn->late = KRL_LATE_TRIES;
		return krl_drop(skb, conn, sk);
	}
	if (conn->phase == KRL_PHASE_JOINING) {
		if (!krl_sock_answered(sk, conn->admit_seq))
			return SK_PASS;
		conn->phase = KRL_PHASE_OPEN;
	}
	if (conn->phase == KRL_PHASE_H2)
		return krl_go_on_http2(skb, conn, heads.cookie, sk, 0);
	if (conn->answer.queued)
		return krl_not_waited(skb, conn, heads.cookie, sk);
	if (conn->phase == KRL_PHASE_SWALLOW)
		return krl_swallow(skb, conn, heads.cookie, sk);

	fresh = conn->http.state == KRL_HTTP_START;
	conn->torn = conn->admitted && conn->http.state >= KRL_HTTP_BODY;
	endpoint = krl_conn_endpoint(conn);
	policy = krl_endpoint_policy(&endpoint);
	if (policy && KRL_UNLIKELY(endpoint->flags & KRL_ENDPOINT_LLM)) {
		bpf_tail_call(skb, &krl_programs, KRL_PROGRAM_LLM);
		return krl_unjudged(skb, conn, heads.cookie, sk, KRL_REASON_READ_FAILED, 0);
	}
	conn->judge.now_ns = bpf_ktime_get_boot_ns();
	if (policy) {
		match = krl_match_of(skb, conn, heads.cookie, endpoint->policy);
		if (!match)
			return krl_unjudged(skb, conn, heads.cookie, sk, KRL_REASON_CONN_TABLE_FULL,
					    krl_nothing_owed(conn, sk));
		heads.scanning = (struct krl_scanning){ .bytes = skb, .conn = conn, .policy = policy, .match = match };
		heads.taking.judging = (struct krl_judging){ .endpoint = endpoint, .judge = &conn->judge,
							     .policy = policy, .match = match };
		krl_scan_judging(&heads);
	} else {
		krl_scan(skb, conn);
	}
	if (conn->scan.heads || conn->scan.event)
		krl_look_at_reader(conn, sk);
	nothing_owed = krl_nothing_owed(conn, sk);
	if (conn->scan.failed || conn->scan.event) {
		if (krl_join_later(conn))
			return SK_PASS;
		/* The requests before what leaves HTTP go to the server with it, so they are judged. */
		conn->scan.leaves = conn->scan.heads && conn->scan.event != KRL_HTTP_BAD;
		if (conn->joining && !conn->scan.leaves)
			return krl_unjudged(skb, conn, heads.cookie, sk, KRL_REASON_JOIN_UNREAD, nothing_owed);
		if (!conn->scan.leaves)
			goto ended;
	}
	if (!conn->scan.heads)
		return SK_PASS;
	conn->joining = 0;
	if (!conn->spoken)
		krl_speaks_http1(conn);

	if (!policy && endpoint) {
		conn->judge.n = conn->scan.heads;
		heads.taking.judging = (struct krl_judging){ .endpoint = endpoint, .judge = &conn->judge };
		conn->scan.refused = !!krl_admit(&heads.taking.judging);
		krl_report_request(skb, conn, conn->scan.refused);
	}
	if (!conn->scan.refused) {
		if (conn->scan.leaves)
			goto ended;
		if (endpoint && endpoint->flags & KRL_ENDPOINT_HEADERS)
			krl_fill_headers(conn, sk, nothing_owed);
		else
			krl_reply_forget(&conn->reply);
		krl_note_admitted(conn, sk);
		return SK_PASS;
	}

	krl_fill_answer(conn);
	single = fresh && !conn->scan.leaves && conn->scan.begins == 1 && conn->scan.heads == 1;
	if (!single || !nothing_owed)
		return krl_refuse_last(skb, conn, heads.cookie, sk, nothing_owed);
	if (conn->http.state != KRL_HTTP_START && !(conn->scan.flags & KRL_HTTP_EXPECT)) {
		conn->phase = KRL_PHASE_SWALLOW;
		return krl_drop(skb, conn, sk);
	}
	return krl_answer(skb, conn, heads.cookie, sk);
ended:
	krl_reply_forget(&conn->reply);
	return krl_scan_ended(skb, conn, heads.cookie, sk, nothing_owed);
}

char _license[] SEC("license") = "Dual BSD/GPL";
