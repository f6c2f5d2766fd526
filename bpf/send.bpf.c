/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The requests that a client of this machine writes, judged before they become packets. What is refused is turned into
 * its own answer, which the client reads at once. Each run of the program is about one request, or about what belongs
 * to one before: bpf_msg_apply_bytes() has it run again for what follows. */
#define KRL_BYTES_WRITTEN
#include "maps.h"
#include "lib/admit.h"
#include "lib/kernel.h"
#include "lib/matches.h"
#include "lib/refusal.h"
#include "lib/slot.h"
#include "lib/tiers.h"
#include "lib/write.h"

/* Of a head that is written in pieces, the bytes that are held back for the rest. */
#define KRL_HELD_BYTES 16384

/* Messages that are held back before they are made one piece: the kernel has room for 16 pieces, and holds nothing
 * back when that is used up (net/ipv4/tcp_bpf.c, tcp_bpf_send_verdict). */
#define KRL_HELD_PIECES 8

/* Of a connection that was open before the rule: messages that are no request. */
#define KRL_JOIN_TRIES 64

/* Let the first @n bytes of the message go. No more than what the kernel takes in any case: of the rest of what it
 * takes in part, it would not ask again (psock->eval). */
static __always_inline int krl_send_pass(struct sk_msg_md *msg, struct krl_conn *conn, __u32 seq, __u32 n)
{
	conn->sending.at_seq = seq + n;
	bpf_msg_apply_bytes(msg, n);
	return SK_PASS;
}

/* Take the whole message away; what is left of it is sent, which is nothing. */
static __always_inline int krl_send_nothing(struct sk_msg_md *msg, struct krl_conn *conn, __u32 seq)
{
	conn->sending.at_seq = seq;
	if (!bpf_msg_pop_data(msg, 0, conn->sending.size, 0))
		return SK_PASS;
	krl_count(KRL_REASON_ANSWER_LOST);
	return SK_DROP;
}

/* Write the text over the beginning of the message, which is at least as long and can be read and written. */
static __always_inline int krl_send_copy(struct sk_msg_md *msg, const struct krl_answer_text *text)
{
	char *data = (char *)(long)msg->data, *end = (char *)(long)msg->data_end;
	__u32 i, n;

	for (i = 0; i < KRL_ANSWER_BYTES; i += 8) {
		if (i + 8 > text->len || data + 8 > end)
			break;
		*(__u64 *)data = krl_load_word(text->bytes + i);
		data += 8;
	}
	for (n = 0; n < 7; n++) {
		if (i + n >= text->len || data + 1 > end)
			break;
		*data = text->bytes[(i + n) & (KRL_ANSWER_BYTES - 1)];
		data++;
	}
	return 0;
}

/* Make the first @n bytes of the message @len. */
static __always_inline int krl_send_resize(struct sk_msg_md *msg, __u32 n, __u32 len)
{
	int err = 0;

	if (n > len)
		err = bpf_msg_pop_data(msg, 0, n - len, 0);
	else if (n < len)
		err = bpf_msg_push_data(msg, 0, len - n, 0);
	return err ? err : bpf_msg_pull_data(msg, 0, len, 0);
}

/* Turn the first @n bytes of the message into conn->answer, for the client to read. What was held back goes with the
 * message: of that, the kernel forgets the rest (tcp_bpf_send_verdict, cork). */
static __noinline int krl_send_answer(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, __u32 n)
{
	struct krl_text_slot *slot;
	__u32 len;
	int err;

	if (conn->sending.corked) {
		if (n < conn->sending.size)
			conn->answer.close = 1;
		n = conn->sending.size;
		conn->sending.corked = 0;
	}
	conn->phase = conn->answer.close ? KRL_PHASE_CLOSED : KRL_PHASE_OPEN;
	slot = krl_text_slot_take();
	if (!slot)
		goto lost;
	krl_write_answer(&slot->text, conn);
	len = slot->text.len & (KRL_ANSWER_BYTES - 1);
	err = krl_send_resize(msg, n, len);
	if (!err)
		krl_send_copy(msg, &slot->text);
	slot->busy = 0;
	if (err)
		goto lost;
	bpf_msg_apply_bytes(msg, len);
	if (conn->answer.close) {
		conn->late = KRL_LATE_TRIES;
		krl_send_event(cookie, KRL_EVENT_CLOSE);
	}
	return bpf_msg_redirect_hash(msg, &krl_senders, &cookie, BPF_F_INGRESS);
lost:
	krl_count(KRL_REASON_ANSWER_LOST);
	return SK_DROP;
}

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
		return krl_send_answer(msg, conn, cookie, conn->sending.size);
	conn->phase = KRL_PHASE_DRAIN;
	krl_send_event(cookie, KRL_EVENT_DRAIN);
	return krl_send_nothing(msg, conn, seq);
}

static __always_inline int krl_send_unjudged(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, __u32 seq,
					     __u32 reason, int nothing_owed)
{
	struct krl_endpoint *endpoint = bpf_map_lookup_elem(&krl_endpoints, &conn->endpoint);

	krl_count(reason);
	if (endpoint && endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED) {
		conn->answer.kind = KRL_ANSWER_BAD_REQUEST;
		return krl_send_refuse_last(msg, conn, cookie, seq, nothing_owed);
	}
	conn->phase = KRL_PHASE_OPAQUE;
	bpf_msg_apply_bytes(msg, 0);
	return SK_PASS;
}

static __always_inline int krl_send_ended(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, __u32 seq,
					  int nothing_owed)
{
	__u32 event = conn->scan.event;

	if (conn->scan.failed)
		return krl_send_unjudged(msg, conn, cookie, seq, KRL_REASON_READ_FAILED, nothing_owed);
	if (event == KRL_HTTP_TLS)
		return krl_send_unjudged(msg, conn, cookie, seq, KRL_REASON_TLS, nothing_owed);
	if (event == KRL_HTTP_H2 && !(conn->http.flags & KRL_HTTP_UPGRADE_ASKED))
		return krl_send_unjudged(msg, conn, cookie, seq, KRL_REASON_HTTP2, nothing_owed);
	if (event == KRL_HTTP_UPGRADED || event == KRL_HTTP_H2) {
		krl_count(KRL_REASON_UPGRADED);
		conn->phase = KRL_PHASE_OPAQUE;
		return SK_PASS;
	}
	krl_count(KRL_REASON_BAD_REQUEST);
	conn->answer.kind = KRL_ANSWER_BAD_REQUEST;
	conn->answer.no_body = 0;
	return krl_send_refuse_last(msg, conn, cookie, seq, nothing_owed);
}

/* The body of a refused request is taken away; at its end its answer is given. */
static __always_inline int krl_send_swallow(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, __u32 seq)
{
	krl_scan(msg, conn);
	if (conn->scan.event || conn->http.state == KRL_HTTP_START) {
		conn->answer.close |= !!conn->scan.event;
		conn->sending.at_seq = seq;
		return krl_send_answer(msg, conn, cookie, conn->scan.event ? conn->sending.size : conn->scan.off);
	}
	return krl_send_nothing(msg, conn, seq);
}

/* The message ends in a head: hold it back, so that nothing of a request that will be refused becomes a packet; or let
 * it go where it is too long for that. */
static __always_inline int krl_send_hold(struct sk_msg_md *msg, struct krl_conn *conn, __u32 seq)
{
	__u32 size = conn->sending.size, len = conn->scan.len;

	if (len < size || size >= KRL_HELD_BYTES || size >= conn->sending.sure || conn->sending.torn) {
		conn->sending.torn = 1;
		return krl_send_pass(msg, conn, seq, len);
	}
	/* What was pulled may not be written behind (net/core/filter.c, sk_msg_reset_curr, leaves the place to the
	 * next piece). */
	if (conn->scan.pulled || ++conn->sending.pieces >= KRL_HELD_PIECES) {
		conn->sending.pieces = 0;
		if (bpf_msg_pull_data(msg, 0, size, 0)) {
			conn->sending.torn = 1;
			return krl_send_pass(msg, conn, seq, size);
		}
	}
	conn->sending.at_seq = seq + size;
	conn->sending.corked = 1;
	bpf_msg_cork_bytes(msg, size + 1);
	return SK_PASS;
}

/* How many bytes of the message may be judged: those that go out in any case when they are admitted. 0: none now. */
static __always_inline __u32 krl_send_room(struct sk_msg_md *msg, struct krl_conn *conn, struct sock *sk)
{
	__u32 first = (long)msg->data_end - (long)msg->data;
	__u32 sure = krl_sock_sure(sk, first, conn->sending.pieces);

	conn->sending.sure = sure;
	if (sure)
		return sure < conn->sending.size ? sure : conn->sending.size;
	/* One byte is taken or not: a writer that blocks waits for that. */
	return !krl_sock_full(sk) || conn->http.state == KRL_HTTP_BODY || conn->http.state == KRL_HTTP_CHUNK_DATA;
}

/* Where in the stream the message is. Returns how many of its bytes were framed already, or -1: others went out. */
static __always_inline int krl_send_place(struct krl_conn *conn, __u32 seq)
{
	__s32 over = conn->sending.at_seq - seq;

	if (over >= 0)
		return over;
	/* The kernel took part of a message, and did not ask about the rest. */
	return krl_http_skip(&conn->http, -over) == (__u32)-over ? 0 : -1;
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
		return krl_send_pass(msg, conn, seq, conn->scan.off);
	}
	krl_fill_answer(&conn->answer, &conn->judge);
	conn->answer.no_body = !!(conn->scan.flags & KRL_HTTP_HEAD);
	conn->answer.close = torn || conn->scan.flags & (KRL_HTTP_CLOSE | KRL_HTTP_1_0 | KRL_HTTP_EXPECT);
	if (!nothing_owed)
		return krl_send_refuse_last(msg, conn, cookie, seq, 0);
	conn->sending.at_seq = seq;
	if (conn->http.state != KRL_HTTP_START && !(conn->scan.flags & KRL_HTTP_EXPECT)) {
		conn->phase = KRL_PHASE_SWALLOW;
		return krl_send_nothing(msg, conn, seq);
	}
	return krl_send_answer(msg, conn, cookie, conn->scan.off);
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
	krl_match_end(match, policy);
	if (match->ambiguous) {
		krl_count(KRL_REASON_SHARED_VALUE);
		if (endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED)
			return -1;
	}
	judging.policy = policy;
	judging.match = match;
	return !!krl_admit(&judging);
}

/* Of a connection that was open before the rule, the first bytes may be the rest of a body. */
static __always_inline int krl_send_join_later(struct sk_msg_md *msg, struct krl_conn *conn, __u32 seq, __u32 room)
{
	conn->joining++;
	__builtin_memset(&conn->http, 0, sizeof(conn->http));
	conn->http.flags = KRL_HTTP_NOT_FIRST;
	return krl_send_pass(msg, conn, seq, room);
}

static __always_inline int krl_send_judge(struct sk_msg_md *msg, struct krl_conn *conn, __u64 cookie, struct sock *sk,
					  __u32 seq)
{
	struct krl_scanning scanning = { .bytes = msg, .conn = conn };
	int nothing_owed = krl_send_nothing_owed(conn, sk), refused = 0, over;
	struct krl_endpoint *endpoint;
	__u32 room;

	over = krl_send_place(conn, seq);
	if (over < 0) {
		krl_count(KRL_REASON_STREAM_GAP);
		conn->answer.kind = KRL_ANSWER_BAD_REQUEST;
		return krl_send_refuse_last(msg, conn, cookie, seq, nothing_owed);
	}
	room = krl_send_room(msg, conn, sk);
	if (!room)
		return SK_DROP;
	if (over > (int)room)
		return krl_send_pass(msg, conn, seq, room);
	/* What was held back went out: there were too many pieces. */
	if (!over && krl_http_in_head(&conn->http))
		conn->sending.torn = 1;

	endpoint = krl_conn_endpoint(conn);
	if (endpoint && endpoint->policy) {
		scanning.policy = bpf_map_lookup_elem(&krl_policies, &endpoint->policy);
		if (!scanning.policy) {
			krl_count(KRL_REASON_RULE_CHANGED);
			endpoint = 0;
		} else {
			scanning.match = krl_match_of(msg, conn, cookie, endpoint->policy);
			if (!scanning.match)
				return krl_send_unjudged(msg, conn, cookie, seq, KRL_REASON_CONN_TABLE_FULL,
							 nothing_owed);
		}
	}
	krl_scan_begin(msg, conn);
	conn->scan.len = room;
	conn->scan.off = over;
	krl_scan_on(&scanning);
	if (conn->scan.event || conn->scan.failed) {
		if (conn->joining && conn->joining < KRL_JOIN_TRIES)
			return krl_send_join_later(msg, conn, seq, room);
		if (conn->joining)
			return krl_send_unjudged(msg, conn, cookie, seq, KRL_REASON_JOIN_UNREAD, nothing_owed);
		return krl_send_ended(msg, conn, cookie, seq, nothing_owed);
	}
	if (conn->scan.heads) {
		conn->joining = 0;
		if (endpoint)
			refused = krl_send_refused(conn, endpoint, scanning.policy, scanning.match);
		if (refused < 0) {
			conn->scan.event = KRL_HTTP_BAD;
			return krl_send_ended(msg, conn, cookie, seq, nothing_owed);
		}
		return krl_send_judged(msg, conn, cookie, sk, seq, nothing_owed, refused);
	}
	if (krl_http_in_head(&conn->http))
		return krl_send_hold(msg, conn, seq);
	return krl_send_pass(msg, conn, seq, conn->scan.off);
}

SEC("sk_msg")
int krl_send(struct sk_msg_md *msg)
{
	struct krl_conn *conn;
	struct sock *sk;
	__u64 cookie;
	__u32 seq;

	sk = krl_msg_sock(msg);
	if (!sk)
		return SK_PASS;
	cookie = krl_sock_cookie(sk);
	conn = bpf_map_lookup_elem(&krl_conns, &cookie);
	/* The kernel keeps both from run to run. */
	bpf_msg_apply_bytes(msg, 0);
	bpf_msg_cork_bytes(msg, 0);
	if (!conn || conn->phase == KRL_PHASE_OPAQUE)
		return SK_PASS;
	conn->sending.size = msg->size;
	seq = krl_sock_write_seq(sk);
	if (conn->phase == KRL_PHASE_DRAIN || conn->phase == KRL_PHASE_CLOSED) {
		conn->late = KRL_LATE_TRIES;
		return krl_send_nothing(msg, conn, seq);
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
