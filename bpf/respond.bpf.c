/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs on the agent's AF_UNIX sockets. The length of a datagram there may change, so a whole
 * answer fits however short the request was. What a datagram holds does not matter: each one carries
 * the next answer of the queue, and those of a request that came in several pieces find it empty. */
#include "maps.h"
#include "lib/answer.h"
#include "lib/rule_bucket.h"
#include "lib/kernel.h"
#include "lib/meter.h"
#include "lib/rule.h"
#include "lib/slot.h"
#include "lib/write.h"

/* Tries in a row, 100 ms apart, that must find the server quiet before a waiting answer is sent. */
#define KRL_DRAIN_QUIET 20

/* Entries of the queue that one datagram looks at, for one whose answer is still wanted. */
#define KRL_RESPOND_TRIES 8

/* To the client: on the server's socket it is sent, on the client's own it is there to be read. */
static __always_inline int krl_redirect(struct __sk_buff *skb, const struct krl_conn *conn, __u64 cookie)
{
	if (conn->endpoint.hook == KRL_HOOK_SEND)
		return bpf_sk_redirect_hash(skb, &krl_senders, &cookie, BPF_F_INGRESS);
	return bpf_sk_redirect_hash(skb, &krl_sockets, &cookie, 0);
}

/* What an HTTP/2 connection is told. */
static __always_inline void krl_write_http2(struct krl_answer_text *t, struct krl_conn *conn)
{
	struct krl_h2 *h = &conn->h2;

	t->len = krl_h2_write(h, t->bytes, __sync_lock_test_and_set(&h->lost, 0), 0);
	if (!h->told)
		krl_count(KRL_REASON_HTTP2_GOAWAY);
	h->told = 1;
	h->asked = 0;
	/* Its place is looked at when it is written, where the server's frames are followed. */
	h->underway = conn->reply.state == KRL_REPLY_HTTP2 ? t->len : 0;
}

/* Turn the datagram into conn->answer and send it to the client on the connection's socket. */
static __noinline int krl_send_answer(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie)
{
	struct krl_text_slot *slot;
	int failed;
	__u32 len;

	slot = krl_text_slot_take();
	if (!slot) {
		krl_count(KRL_REASON_ANSWER_LOST);
		return SK_DROP;
	}
	if (conn->answer.kind == KRL_ANSWER_HTTP2)
		krl_write_http2(&slot->text, conn);
	else
		krl_write_answer(&slot->text, conn);
	len = KRL_BOUNDED(slot->text.len, KRL_ANSWER_BYTES);
	failed = bpf_skb_change_tail(skb, len, 0) ||
		 bpf_skb_store_bytes(skb, 0, slot->text.bytes, len, 0);
	slot->busy = 0;
	if (failed) {
		krl_count(KRL_REASON_ANSWER_LOST);
		return SK_DROP;
	}
	if (conn->answer.close || conn->phase == KRL_PHASE_CLOSED)
		krl_send_event(cookie, KRL_EVENT_CLOSE);
	return krl_redirect(skb, conn, cookie);
}

SEC("sk_skb/stream_verdict")
int krl_respond(struct __sk_buff *skb)
{
	struct krl_conn *conn;
	__u64 cookie;
	int i;

#pragma unroll
	for (i = 0; i < KRL_RESPOND_TRIES; i++) {
		if (bpf_map_pop_elem(&krl_answers, &cookie))
			return SK_DROP;
		conn = bpf_map_lookup_elem(&krl_conns, &cookie);
		if (conn && __sync_val_compare_and_swap(&conn->answer.queued, 1, 0))
			return krl_send_answer(skb, conn, cookie);
	}
	return SK_DROP;
}

/* How far the server and the kernel have written on a connection, and whether the client has all of
 * it; of a client's socket, how far what came goes, and whether it has read all. Returns 0, or -1 when the socket is
 * gone. */
static __always_inline int krl_written(const struct krl_conn *conn, __u64 cookie, __u32 *ret_write_seq, int *ret_acked)
{
	int sends = conn->endpoint.hook == KRL_HOOK_SEND;
	struct bpf_sock *sk;
	struct sock *tcp;

	if (sends)
		sk = bpf_map_lookup_elem(&krl_senders, &cookie);
	else
		sk = bpf_map_lookup_elem(&krl_sockets, &cookie);
	if (!sk)
		return -1;
	tcp = (struct sock *)bpf_skc_to_tcp_sock(sk);
	if (tcp) {
		*ret_write_seq = sends ? krl_sock_rcv_nxt(tcp) : krl_sock_write_seq(tcp);
		*ret_acked = sends ? krl_sock_read_all(tcp) : krl_sock_acked(tcp);
	}
	bpf_sk_release(sk);
	return tcp ? 0 : -1;
}

/* Is the server done with the requests that it got before the refused one? It wrote something since
 * the last was admitted, unless it waits for the rest of that, the client has all of it, and nothing
 * came for a while. */
static __always_inline int krl_drained(struct krl_conn *conn, __u64 cookie)
{
	__u32 write_seq;
	int acked;

	if (krl_written(conn, cookie, &write_seq, &acked))
		return 0;
	if (!acked || write_seq != conn->drain_seq || (write_seq == conn->admit_seq && !conn->torn)) {
		conn->drain_seq = write_seq;
		conn->quiet = 0;
		return 0;
	}
	conn->quiet++;
	conn->answer_seq = write_seq;
	return conn->quiet >= KRL_DRAIN_QUIET;
}

/* May an HTTP/2 connection be told now? Where the server's frames are followed, between two of them: at once when no
 * stream is open; else, as when they are not followed, when nothing came for a while. */
static __always_inline int krl_h2_rested(struct krl_conn *conn, __u64 cookie)
{
	int followed = conn->reply.state == KRL_REPLY_HTTP2, acked;
	__u32 write_seq;

	if (krl_written(conn, cookie, &write_seq, &acked) || !acked)
		return 0;
	if (followed && (!krl_h2_between(&conn->h2) ||
			 write_seq != conn->reply.at_seq + (__u32)conn->reply.skip))
		return 0;
	if (followed && krl_h2_ring_empty(&conn->h2.open))
		return 1;
	if (write_seq != conn->drain_seq || !conn->quiet) {
		conn->drain_seq = write_seq;
		conn->quiet = 1;
		return 0;
	}
	conn->quiet++;
	return conn->quiet > KRL_DRAIN_QUIET;
}

static __always_inline int krl_h2_try(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie)
{
	if (!krl_h2_wants(&conn->h2)) {
		krl_send_event(cookie, KRL_EVENT_DONE);
		return SK_DROP;
	}
	if (!krl_h2_rested(conn, cookie))
		return SK_DROP;
	krl_send_event(cookie, KRL_EVENT_DONE);
	conn->quiet = 0;
	conn->answer.kind = KRL_ANSWER_HTTP2;
	conn->answer.close = 0;
	return krl_send_answer(skb, conn, cookie);
}

/* May the connection be ended? Not before its last answer is written: the agent may be told of it
 * before the worker that carries it comes to that, and asks again then. -1: its socket is gone. */
static __always_inline int krl_ended(struct krl_conn *conn, __u64 cookie)
{
	__u32 write_seq;
	int acked;

	if (conn->late) {
		conn->late--;
		return 0;
	}
	if (conn->phase == KRL_PHASE_DRAIN)
		return 1;
	/* Its client could not be told for a minute. The streams that were admitted go on, and so do the tries. */
	if (conn->phase == KRL_PHASE_H2) {
		if (!krl_h2_wants(&conn->h2))
			return -1;
		krl_send_event(cookie, KRL_EVENT_DRAIN);
		return 0;
	}
	if (krl_written(conn, cookie, &write_seq, &acked))
		return -1;
	if (conn->endpoint.hook == KRL_HOOK_SEND)
		return conn->phase == KRL_PHASE_CLOSED && acked;
	return conn->phase == KRL_PHASE_CLOSED && write_seq != conn->answer_seq;
}

/* Make the datagram one that breaks the pipe it is redirected to: sending nothing is a hard error to
 * sk_psock_backlog (net/core/skmsg.c), which puts EPIPE on the socket and sends nothing more. */
static __always_inline long krl_break(struct __sk_buff *skb)
{
	return bpf_skb_change_tail(skb, 0, 0);
}

/* End the connection: the server, or the client that has not closed it after its last answer, reads EPIPE and closes,
 * and FIN follows what was written. */
static __always_inline int krl_end(struct __sk_buff *skb, struct krl_conn *conn, __u64 cookie)
{
	conn->broken = 1;
	krl_send_event(cookie, KRL_EVENT_DONE);
	return krl_break(skb) ? SK_DROP : krl_redirect(skb, conn, cookie);
}

static long krl_recall(const void *map, const void *key, void *value, void *ctx)
{
	const struct krl_conn *conn = value;

	if (conn->phase == KRL_PHASE_DRAIN || (conn->phase == KRL_PHASE_H2 && krl_h2_wants(&conn->h2)))
		krl_send_event(*(const __u64 *)key, KRL_EVENT_DRAIN);
	else if (conn->phase == KRL_PHASE_CLOSED)
		krl_send_event(*(const __u64 *)key, KRL_EVENT_CLOSE);
	return 0;
}

struct krl_sweeping {
	struct __sk_buff *skb;
	__u64 now_ns;
};

static long krl_sweep_key(__u32 i, void *ctx)
{
	struct krl_sweeping *s = ctx;
	struct krl_settings settings;
	struct krl_bucket_key key;
	struct krl_bucket *b;
	struct krl_rule *rule;
	__u32 slot;

	if (bpf_skb_load_bytes(s->skb, sizeof(struct krl_command) + i * sizeof(key), &key, sizeof(key)))
		return 1;
	slot = key.slot;
	rule = bpf_map_lookup_elem(&krl_rules, &slot);
	b = bpf_map_lookup_elem(&krl_buckets, &key);
	if (rule && b && !krl_rule_read(rule, key.rule_id, &settings) &&
	    !krl_rule_bucket_bury(b, &settings, KRL_READ_ONCE(rule->flags), KRL_READ_ONCE(rule->credit), s->now_ns))
		bpf_map_delete_elem(&krl_buckets, &key);
	return 0;
}

/* Settle request @number of the connection @cookie, that with @conn is let go, or whose end sockops was not told: what of
 * its answer was seen is charged, as when it is closed. */
static __noinline int krl_settle_lost(struct krl_conn *conn, __u64 cookie, __u32 number)
{
	struct bpf_sock *sk;

	if (conn) {
		if (!bpf_map_lookup_elem(&krl_loose, &cookie))
			return 0;
		sk = bpf_map_lookup_elem(&krl_sockets, &cookie);
		if (sk) {
			bpf_sk_release(sk);
			return 0;
		}
		if (conn->llm)
			krl_meter_close(&conn->reply, cookie);
	}
	return krl_charge_settle(cookie, number, 0, KRL_LLM_REFUSED);
}

SEC("sk_skb/stream_verdict")
int krl_command(struct __sk_buff *skb)
{
	struct krl_sweeping sweeping;
	struct krl_command command;
	struct krl_conn *conn;
	__u32 zero = 0;
	int ended;

	if (bpf_skb_load_bytes(skb, 0, &command, sizeof(command)))
		return SK_DROP;
	if (command.kind == KRL_COMMAND_BREAK_SINK)
		return krl_break(skb) ? SK_DROP : bpf_sk_redirect_hash(skb, &krl_sink, &zero, 0);
	if (command.kind == KRL_COMMAND_SWEEP) {
		sweeping.skb = skb;
		sweeping.now_ns = bpf_ktime_get_boot_ns();
		bpf_loop(command.count, krl_sweep_key, &sweeping, 0);
		return SK_DROP;
	}
	if (command.kind == KRL_COMMAND_RECALL) {
		bpf_for_each_map_elem(&krl_conns, krl_recall, 0, 0);
		return SK_DROP;
	}
	conn = bpf_map_lookup_elem(&krl_conns, &command.cookie);
	if (command.kind == KRL_COMMAND_SETTLE) {
		krl_settle_lost(conn, command.cookie, command.count);
		return SK_DROP;
	}
	if (!conn) {
		krl_send_event(command.cookie, KRL_EVENT_DONE);
		return SK_DROP;
	}
	switch (command.kind) {
	case KRL_COMMAND_CLOSE:
		ended = krl_ended(conn, command.cookie);
		if (ended > 0)
			return krl_end(skb, conn, command.cookie);
		if (ended < 0)
			krl_send_event(command.cookie, KRL_EVENT_DONE);
		return SK_DROP;
	case KRL_COMMAND_DRAIN:
		if (conn->phase == KRL_PHASE_H2)
			return krl_h2_try(skb, conn, command.cookie);
		if (conn->phase != KRL_PHASE_DRAIN || !krl_drained(conn, command.cookie))
			return SK_DROP;
		if (conn->torn)
			return krl_end(skb, conn, command.cookie);
		conn->phase = KRL_PHASE_CLOSED;
		krl_count(KRL_REASON_ANSWER_DRAINED);
		return krl_send_answer(skb, conn, command.cookie);
	}
	return SK_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
