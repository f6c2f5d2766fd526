/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The requests that a client of this machine writes, judged before they become packets. What is refused is turned into
 * its own answer, which the client reads at once. Each run of the program is about one request, or about what belongs
 * to one before: bpf_msg_apply_bytes() has it run again for what follows. */
#define KRL_BYTES_WRITTEN
#include "maps.h"
#include "lib/admit.h"
#include "lib/conns.h"
#include "lib/ended.h"
#include "lib/kernel.h"
#include "lib/matches.h"
#include "lib/message.h"
#include "lib/refusal.h"
#include "lib/report_request.h"

/* May an answer from the kernel be read now, or would it overtake one that the client still waits for? A client that
 * waits for each answer has read all that came since its last request was admitted, and something came. */
static __always_inline int krl_send_nothing_owed(const struct krl_conn *conn, struct sock *sk)
{
	if (!krl_sock_read_all(sk))
		return 0;
	if (!conn->admitted)
		return 1;
	return !conn->pipelined && !conn->interim && krl_sock_rcv_nxt(sk) != conn->admit_seq;
}

/* Refuse this request, and all that is written after it: now, or when what the server owes was read. */
static __always_inline int krl_send_refuse_last(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, __u32 seq,
						int nothing_owed)
{
	conn->answer.close = 1;
	conn->sending.at_seq = seq;
	if (nothing_owed)
		return krl_message_answer(msg, conn, cookie, conn->sending.size);
	conn->phase = KRL_PHASE_DRAIN;
	krl_send_event(cookie, KRL_EVENT_DRAIN);
	return krl_message_drop(msg, conn, seq);
}

/* Bytes of the stream went by unseen, or are lost. */
static __always_inline int krl_send_gap(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, __u32 seq,
					int nothing_owed)
{
	krl_count(KRL_REASON_STREAM_GAP);
	conn->answer.kind = KRL_ANSWER_BAD_REQUEST;
	conn->answer.no_body = 0;
	return krl_send_refuse_last(msg, conn, cookie, seq, nothing_owed);
}

static __always_inline int krl_send_unjudged(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, __u32 seq,
					     __u32 reason, int nothing_owed)
{
	if (!krl_refuse_unjudged(conn, reason))
		return SK_PASS;
	return krl_send_refuse_last(msg, conn, cookie, seq, nothing_owed);
}

static __always_inline int krl_send_ended(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, __u32 seq,
					  int nothing_owed)
{
	if (!krl_refuse_ended(conn))
		return SK_PASS;
	return krl_send_refuse_last(msg, conn, cookie, seq, nothing_owed);
}

/* The body of a refused request is taken away; at its end its answer is given. */
static __always_inline int krl_send_swallow(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, __u32 seq)
{
	krl_scan(msg, conn);
	if (conn->scan.event || conn->http.state == KRL_HTTP_START) {
		conn->answer.close |= !!conn->scan.event;
		conn->sending.at_seq = seq;
		return krl_message_answer(msg, conn, cookie, conn->scan.event ? conn->sending.size : conn->scan.off);
	}
	return krl_message_drop(msg, conn, seq);
}

static __always_inline void krl_send_note_admitted(struct krl_conn *conn, struct sock *sk, int nothing_owed)
{
	conn->pipelined |= conn->admitted && !nothing_owed;
	conn->admit_seq = krl_sock_rcv_nxt(sk);
	conn->admitted = 1;
	conn->interim = !!(conn->scan.flags & KRL_HTTP_EXPECT);
}

/* The head that ended is judged, with its body as far as it is in the message. */
static __always_inline int krl_send_judged(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, struct sock *sk,
					   __u32 seq, int nothing_owed, int refused)
{
	struct krl_scanning scanning = { .bytes = msg, .conn = conn };
	int torn = conn->sending.torn;

	conn->sending.torn = 0;
	if (conn->http.state != KRL_HTTP_START && conn->scan.off < conn->scan.len) {
		krl_scan_on(&scanning);
		if (conn->scan.event || conn->scan.failed)
			return krl_send_ended(msg, conn, cookie, seq, nothing_owed && !torn);
	}
	if (!refused) {
		krl_send_note_admitted(conn, sk, nothing_owed);
		return krl_message_pass(msg, conn, seq, conn->scan.off);
	}
	krl_fill_answer(conn);
	conn->answer.close |= torn;
	if (!nothing_owed)
		return krl_send_refuse_last(msg, conn, cookie, seq, 0);
	conn->sending.at_seq = seq;
	if (conn->http.state != KRL_HTTP_START && !(conn->scan.flags & KRL_HTTP_EXPECT)) {
		conn->phase = KRL_PHASE_SWALLOW;
		return krl_message_drop(msg, conn, seq);
	}
	return krl_message_answer(msg, conn, cookie, conn->scan.off);
}

/* Whether the request whose head ended is refused, by @endpoint. -1: it cannot be judged. */
static __always_inline int krl_send_refused(struct krl_conn *conn, const struct krl_endpoint *endpoint,
					    const struct krl_policy *policy, struct krl_match *match)
{
	struct krl_judging judging = { .endpoint = endpoint, .judge = &conn->judge };

	conn->judge.n = 1;
	conn->judge.now_ns = bpf_ktime_get_boot_ns();
	if (!policy || !match)
		return !!krl_admit(&judging);
	if (krl_match_judge(match, policy, endpoint))
		return -1;
	judging.policy = policy;
	judging.match = match;
	return !!krl_admit(&judging);
}

/* Something was written before the socket was enrolled: in the SYN, or by a send() that had waited for the connection,
 * which goes on as it began. What is written until that is answered may be the rest of it. Returns -1, or a verdict. */
static __always_inline int krl_send_unseen(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, struct sock *sk,
					   __u32 seq)
{
	struct krl_endpoint *endpoint = bpf_map_lookup_elem(&krl_endpoints, &conn->endpoint);
	int answered = krl_sock_read_all(sk) && krl_sock_rcv_nxt(sk) != conn->admit_seq;

	krl_count(KRL_REASON_UNSEEN);
	conn->http.flags = KRL_HTTP_NOT_FIRST;
	if (endpoint && endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED) {
		conn->answer.kind = KRL_ANSWER_BAD_REQUEST;
		return krl_send_refuse_last(msg, conn, cookie, seq, answered);
	}
	conn->phase = KRL_PHASE_JOINING;
	conn->joining = 1;
	return -1;
}

static __always_inline int krl_send_judge(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, struct sock *sk,
					  __u32 seq)
{
	struct krl_scanning scanning = { .bytes = msg, .conn = conn };
	int nothing_owed = krl_send_nothing_owed(conn, sk), refused = 0, over;
	struct krl_endpoint *endpoint;
	__u32 room;

	over = krl_message_place(conn, seq);
	if (over < 0)
		return krl_send_gap(msg, conn, cookie, seq, nothing_owed);
	room = krl_message_room(msg, conn, sk);
	/* What was held back is lost with the rest of the message. */
	if (!room && over && krl_http_in_head(&conn->http))
		return krl_send_gap(msg, conn, cookie, seq, nothing_owed);
	if (!room)
		return SK_DROP;
	/* The send buffer was made smaller since it was held back. sending.at_seq stays where framing is. */
	if (over > (int)room) {
		conn->sending.torn |= krl_http_in_head(&conn->http);
		bpf_msg_apply_bytes(msg, room);
		return SK_PASS;
	}
	/* What was held back went out: there were too many pieces. */
	if (!over && krl_http_in_head(&conn->http))
		conn->sending.torn = 1;

	endpoint = krl_conn_endpoint(conn);
	scanning.policy = krl_endpoint_policy(&endpoint);
	if (endpoint && scanning.policy) {
		scanning.match = krl_match_of(msg, conn, cookie, endpoint->policy);
		if (!scanning.match)
			return krl_send_unjudged(msg, conn, cookie, seq, KRL_REASON_CONN_TABLE_FULL, nothing_owed);
	}
	krl_scan_begin(msg, conn);
	conn->scan.len = room;
	conn->scan.off = over;
	krl_scan_on(&scanning);
	if (conn->scan.event || conn->scan.failed) {
		if (krl_join_later(conn))
			return krl_message_pass(msg, conn, seq, room);
		if (conn->joining)
			return krl_send_unjudged(msg, conn, cookie, seq, KRL_REASON_JOIN_UNREAD, nothing_owed);
		return krl_send_ended(msg, conn, cookie, seq, nothing_owed);
	}
	if (conn->scan.heads) {
		conn->joining = 0;
		if (endpoint)
			refused = krl_send_refused(conn, endpoint, scanning.policy, scanning.match);
		if (endpoint && refused >= 0)
			krl_report_request(msg, conn, refused);
		if (refused < 0) {
			conn->scan.event = KRL_HTTP_BAD;
			return krl_send_ended(msg, conn, cookie, seq, nothing_owed);
		}
		return krl_send_judged(msg, conn, cookie, sk, seq, nothing_owed, refused);
	}
	if (krl_http_in_head(&conn->http))
		return krl_message_hold(msg, conn, sk, seq);
	return krl_message_pass(msg, conn, seq, conn->scan.off);
}

SEC("sk_msg")
int krl_send(struct sk_msg_md *msg)
{
	struct krl_conn *conn;
	struct sock *sk;
	__u64 cookie;
	int verdict;
	__u32 seq;

	/* The kernel keeps both from run to run. */
	bpf_msg_apply_bytes(msg, 0);
	bpf_msg_cork_bytes(msg, 0);
	conn = krl_msg_conn(msg, &sk);
	if (!conn || !sk || conn->phase == KRL_PHASE_OPAQUE)
		return SK_PASS;
	cookie = krl_sock_cookie(sk);
	conn->sending.size = msg->size;
	seq = krl_sock_write_seq(sk);
	if (conn->phase == KRL_PHASE_DRAIN || conn->phase == KRL_PHASE_CLOSED) {
		conn->late = KRL_LATE_TRIES;
		return krl_message_drop(msg, conn, seq);
	}
	if (!conn->http.flags && seq != conn->sending.at_seq) {
		verdict = krl_send_unseen(msg, conn, cookie, sk, seq);
		if (verdict >= 0)
			return verdict;
	}
	if (conn->phase == KRL_PHASE_JOINING) {
		if (!krl_sock_read_all(sk) || krl_sock_rcv_nxt(sk) == conn->admit_seq)
			return SK_PASS;
		conn->phase = KRL_PHASE_OPEN;
		conn->sending.at_seq = seq;
	}
	if (conn->phase == KRL_PHASE_SWALLOW)
		return krl_send_swallow(msg, conn, cookie, seq);
	return krl_send_judge(msg, conn, cookie, sk, seq);
}

char _license[] SEC("license") = "Dual BSD/GPL";
