/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Requests to model servers: krl_stream goes on here where some rule of the endpoint counts LLMTokens. Bodies are read,
 * and where a rule needs to know of them, a request is judged when its JSON ended: its server has the beginning by then,
 * but never the end of what is refused. What does not depend on the body is judged ahead of it. */
#define KRL_READS_BODIES
#include "verdict.h"
#include "lib/early.h"
#include "lib/meter.h"
#include "lib/report_request.h"

/* Too large for the stack. */
static const struct krl_llm krl_new_llm;

/* The row of the connection; NULL without room. */
static __always_inline struct krl_llm *krl_llm_of(struct krl_conn *conn, __u64 cookie)
{
	struct krl_llm *llm = bpf_map_lookup_elem(&krl_llms, &cookie);

	if (llm)
		return llm;
	bpf_map_update_elem(&krl_llms, &cookie, &krl_new_llm, BPF_NOEXIST);
	llm = bpf_map_lookup_elem(&krl_llms, &cookie);
	conn->llm = !!llm;
	if (llm)
		llm->cookie = cookie;
	return llm;
}

/* Read some of a request's body. Returns whether the walk ended. */
static __noinline long krl_llm_read(struct krl_judging_heads *h, struct krl_llm *llm)
{
	struct krl_conn *conn = h->scanning.conn;
	struct krl_scan *s = &conn->scan;
	__u32 at = krl_scan_at(s), end = s->window_len, did;

	if (at >= end)
		return krl_scan_fill(h->scanning.bytes, conn);
	if (end - at > conn->http.remaining)
		end = at + conn->http.remaining;
	did = krl_llm_request_step(&llm->request, &conn->window, at, end) & (KRL_BODY_EVENT - 1);
	did = krl_http_skip(&conn->http, did);
	s->off += did;
	llm->body_len += did;
	if (llm->body_len > KRL_LLM_BODY_BYTES) {
		krl_count(KRL_REASON_LLM_BODY_LONG);
		llm->unread = 1;
	}
	return 0;
}

static __always_inline int krl_llm_in_body(const struct krl_conn *conn, const struct krl_llm *llm)
{
	return llm->reading && !llm->unread && (conn->http.state == KRL_HTTP_BODY || conn->http.state == KRL_HTTP_CHUNK_DATA);
}

/* The walk went on from llm->off and the state llm->before. Where that was in the value of Accept-Encoding, have blanks
 * there: an empty value asks for no coding (RFC 9110, 12.5.3). */
static __noinline int krl_llm_blank(struct krl_judging_heads *h, struct krl_llm *llm)
{
	const struct krl_conn *conn = h->scanning.conn;
	struct krl_match *m = h->scanning.match;
	__u32 off = llm->off, n = conn->scan.off - off;
	__u8 before = llm->before;

	llm->off = conn->scan.off;
	llm->before = conn->http.state;
	if (before == KRL_HTTP_FIELD_NAME || before == KRL_HTTP_FIELD_START) {
		m->blanks = conn->http.state == KRL_HTTP_FIELD_VALUE && m->name_len == 15 &&
			      krl_load_word(m->name) == KRL_W('a', 'c', 'c', 'e', 'p', 't', '-', 'e') &&
			      krl_load_word(m->name + 8) == KRL_W('n', 'c', 'o', 'd', 'i', 'n', 'g', 0);
		return 0;
	}
	if (conn->http.state != KRL_HTTP_FIELD_VALUE)
		m->blanks = 0;
	if (m->blanks && n && n <= 8 && bpf_skb_store_bytes(h->scanning.bytes, off, "        ", KRL_BOUNDED(n, 8), 0))
		krl_count(KRL_REASON_READ_FAILED);
	return 0;
}

/* Is it time to judge by the body, or has that ended? Some servers answer at the end of the JSON, whatever follows it in the
 * body (Go's json.Decoder). */
static __always_inline int krl_llm_is_read(const struct krl_conn *conn, const struct krl_llm *llm)
{
	if (llm->reading == KRL_LLM_DEFERS && (llm->unread || llm->request.json.state >= KRL_JSON_DONE))
		return 1;
	return llm->reading && conn->http.state == KRL_HTTP_START;
}

/* A step up to the end of a head, or of a body. What is done after a step is done ahead of the next: by 6.1's verifier
 * there is no more room on the stack. */
static long krl_llm_scan_step(__u32 i, void *ctx)
{
	struct krl_judging_heads *h = ctx;
	struct krl_llm *llm = h->taking.judging.llm;
	struct krl_conn *conn = h->scanning.conn;

	if (h->taking.judging.endpoint->flags & KRL_ENDPOINT_NO_CODING)
		krl_llm_blank(h, llm);
	if (conn->scan.off >= conn->scan.len || krl_llm_is_read(conn, llm))
		return 1;
	if (krl_llm_in_body(conn, llm))
		return krl_llm_read(h, llm);
	return krl_scan_one(&h->scanning);
}

/* A head ended. Is its request judged now? */
static __always_inline int krl_llm_head(struct krl_judging_heads *h, struct krl_llm *llm)
{
	const struct krl_endpoint *endpoint = h->taking.judging.endpoint;
	struct krl_conn *conn = h->scanning.conn;

	llm->number = llm->base + conn->scan.heads - 1;
	/* More cannot be followed. */
	if (llm->number - conn->reply.answered >= KRL_REPLY_MAX_WAITING)
		conn->scan.event = KRL_HTTP_BAD;
	__builtin_memset(&llm->request, 0, sizeof(llm->request));
	llm->body_len = 0;
	llm->charge.prompt = 0;
	llm->usage_missing = 0;
	llm->early = KRL_EARLY_NOT;
	llm->unread = !!(conn->http.flags & KRL_HTTP_CODED);
	llm->reading = KRL_LLM_READS_NOT;
	llm->line_len = krl_report_line(h->scanning.bytes, conn, llm->line);
	if (conn->http.state == KRL_HTTP_START)
		return 1;
	llm->reading = endpoint->flags & KRL_ENDPOINT_BODIES ? KRL_LLM_DEFERS : KRL_LLM_READS;
	return llm->reading == KRL_LLM_READS;
}

/* The model is that of the body, unless a header told one. */
static __noinline int krl_llm_body_model(struct krl_match *m, const struct krl_policy *policy, struct krl_llm *llm)
{
	struct krl_match_value v = { .match = m, .policy = policy, .bytes = m->value, .field = policy->model };
	const struct krl_llm_request *r = &llm->request;
	__u32 i;

	if (m->model_len || policy->model == KRL_NO_FIELD || !(r->has & KRL_LLM_HAS(KRL_LLM_MODEL)))
		return 0;
	for (i = 0; i < KRL_LLM_MODEL_BYTES + 8; i += 8)
		krl_store_word(m->value + i, krl_load_word(r->model + i));
	v.is_long = r->model_len > KRL_LLM_MODEL_BYTES;
	v.len = v.is_long ? KRL_LLM_MODEL_BYTES : r->model_len;
	krl_match_model(m, r->model_len);
	/* Servers may take another model from it: all such requests share a bucket. */
	if (r->has & KRL_LLM_UNSURE)
		m->present |= 1U << (policy->model & (KRL_MAX_FIELDS - 1));
	krl_match_ended(&v);
	return 0;
}

/* The body ended. Returns 0; or -1 where it had to be read, could not be, and what cannot be judged is refused. */
static __always_inline int krl_llm_body_end(struct krl_judging_heads *h, struct krl_llm *llm)
{
	const struct krl_llm_request *r = &llm->request;
	struct krl_match *match = h->scanning.match;

	llm->charge.prompt = (llm->body_len + KRL_LLM_TOKEN_BYTES - 1) / KRL_LLM_TOKEN_BYTES;
	llm->unread |= !krl_llm_request_is_read(r);
	if (!llm->unread) {
		krl_llm_body_model(match, h->scanning.policy, llm);
		llm->usage_missing = match->completions && r->has & KRL_LLM_HAS(KRL_LLM_STREAM) &&
				     !(r->has & KRL_LLM_HAS(KRL_LLM_INCLUDE_USAGE));
	}
	if (llm->reading != KRL_LLM_DEFERS || !(llm->unread || r->has & KRL_LLM_UNSURE))
		return 0;
	krl_count(KRL_REASON_LLM_BODY_UNREAD);
	return h->taking.judging.endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED ? -1 : 0;
}

static __always_inline void krl_llm_charge_model(struct krl_charge *charge, const struct krl_match *match,
						 const struct krl_llm *llm)
{
	charge->completion = !!(llm->request.came & KRL_LLM_HAS(KRL_LLM_PROMPTS));
	charge->model.len = match->model_len;
	__builtin_memcpy(charge->model.model, match->model, sizeof(match->model));
}

/* A request that was judged by its head is told what its body said. */
static __noinline int krl_llm_charge_late(struct krl_judging_heads *h, const struct krl_llm *llm)
{
	struct krl_charge_key key = { .cookie = h->cookie, .request = llm->number };
	struct krl_charge *charge = bpf_map_lookup_elem(&krl_charges, &key);

	if (!charge)
		return 0;
	charge->prompt = llm->charge.prompt;
	krl_llm_charge_model(charge, h->scanning.match, llm);
	return 0;
}

/* The request was admitted, but its answer will not be metered: since the server's are not understood, which is for the
 * failure policy, or since the client did not wait for the one before. Returns 0; or -1: it is refused. */
static __always_inline int krl_llm_unfollowed(struct krl_judging_heads *h)
{
	krl_count(KRL_REASON_LLM_UNFOLLOWED);
	if (h->scanning.conn->reply.state != KRL_REPLY_LOST ||
	    h->taking.judging.endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED) {
		krl_judge_undo(&h->taking.judging);
		return -1;
	}
	krl_charge_cancel(h->cookie);
	return 0;
}

/* Did the server answer the request that is judged to the end, without waiting for its body? */
static __always_inline int krl_llm_is_answered(const struct krl_reply *r, const struct krl_llm *llm)
{
	return (__s32)(r->answered - llm->number) > 0 && !(llm->answering && llm->answer == llm->number);
}

/* The request was admitted, and has its answer already: an error, or one that nothing can be charged for. */
static __always_inline int krl_llm_too_late(struct krl_judging_heads *h)
{
	if (h->scanning.conn->reply.status < 300)
		krl_count(KRL_REASON_LLM_UNFOLLOWED);
	krl_charge_cancel(h->cookie);
	return 0;
}

/* Which rules count for the request? As krl_match_judge(). What the one before it took is noted by its values. Not inlined:
 * krl_llm_go_on() has 32 bytes of stack, and no more by 6.1's verifier. */
static __noinline int krl_llm_match(struct krl_judging_heads *h, const struct krl_llm *llm)
{
	struct krl_judge *judge = h->taking.judging.judge;
	struct krl_match *match = h->scanning.match;

	if (llm->early != KRL_EARLY_JUDGED && judge->taken | judge->shadowed)
		krl_taken_note(&h->taking, &h->cookie);
	match->open = llm->early == KRL_EARLY_JUDGES && !match->model_len;
	return krl_match_judge(match, h->scanning.policy, h->taking.judging.endpoint);
}

/* Judge the request whose head, or body, ended. Returns whether it is refused; -1: as one that cannot be judged. */
static __always_inline int krl_llm_judge(struct krl_judging_heads *h, struct krl_llm *llm)
{
	/* What is reserved may depend on it. */
	krl_llm_charge_model(&llm->charge, h->scanning.match, llm);
	if (krl_admit(&h->taking.judging))
		return 1;
	if (llm->early == KRL_EARLY_JUDGES) {
		h->scanning.match->ambiguous = 0;
		return krl_early_keep(h->scanning.conn, llm, h->taking.judging.endpoint);
	}
	llm->early = KRL_EARLY_NOT;
	llm->judged = 1;
	if (llm->usage_required) {
		krl_judge_undo(&h->taking.judging);
		return 1;
	}
	if (llm->charge.count && !llm->followed)
		return krl_llm_unfollowed(h);
	if (krl_llm_is_answered(&h->scanning.conn->reply, llm))
		return krl_llm_too_late(h);
	return krl_charge_keep(h->cookie, llm->number) &&
	       h->taking.judging.endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED ? -1 : 0;
}

/* As krl_report_told(), with the model. */
static __noinline int krl_llm_report(struct krl_judging_heads *h, const struct krl_llm *llm, int refused)
{
	const struct krl_conn *conn = h->scanning.conn;
	const struct krl_match *match = h->scanning.match;
	struct krl_report *r = krl_report_request_begin(h->scanning.bytes, conn, refused);

	if (!r)
		return 0;
	r->model_len = match->model_len;
	__builtin_memcpy(r->model, match->model, sizeof(r->model));
	r->line_len = llm->line_len;
	__builtin_memcpy(r->line, llm->line, sizeof(r->line));
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	return 0;
}

/* The next head, or body, that ends, is judged where it is time to. */
static long krl_llm_go_on(__u32 i, void *ctx)
{
	struct krl_judging_heads *h = ctx;
	struct krl_conn *conn = h->scanning.conn;
	struct krl_llm *llm = h->taking.judging.llm;
	int deferred, verdict;

	llm->heads = conn->scan.heads;
	bpf_loop(KRL_SCAN_STEPS, krl_llm_scan_step, h, 0);
	if (conn->scan.event || conn->scan.failed)
		return 1;
	if (conn->scan.heads != llm->heads) {
		if (!krl_llm_head(h, llm))
			return 0;
	} else if (krl_llm_is_read(conn, llm)) {
		if (krl_llm_body_end(h, llm))
			goto bad;
		deferred = llm->reading == KRL_LLM_DEFERS;
		llm->reading = KRL_LLM_READS_NOT;
		if (!deferred) {
			krl_llm_charge_late(h, llm);
			return 0;
		}
	} else if (llm->reading == KRL_LLM_DEFERS && !llm->early) {
		llm->early = KRL_EARLY_JUDGES;
	} else {
		return 1;
	}
	if (conn->scan.refused || conn->scan.event)
		return 0;
	if (krl_llm_match(h, llm))
		goto bad;
	verdict = krl_llm_judge(h, llm);
	if (verdict < 0)
		goto bad;
	conn->scan.refused = verdict;
	if (verdict ? !llm->usage_required : !llm->early && conn->judge.shadowed)
		krl_llm_report(h, llm, verdict);
	return 0;
bad:
	conn->scan.event = KRL_HTTP_BAD;
	return 1;
}

/* What requests of this skb are charged is not, since the skb is dropped. */
static __always_inline void krl_llm_uncharge(const struct krl_conn *conn, struct krl_llm *llm, __u64 cookie)
{
	__u32 number, i;

	for (i = 0; i < KRL_REPLY_MAX_WAITING; i++) {
		number = llm->charged_from + i;
		if (number == llm->base + conn->scan.heads)
			break;
		krl_charge_settle(cookie, number, 0, KRL_LLM_REFUSED);
	}
}

/* Does the client speak another protocol ahead of the 101 that allows it (RFC 6455, 4.1; RFC 7540, 3.2)? A server that does
 * not switch answers the request all the same, and that is to be paid for. */
static __always_inline int krl_llm_leaves_early(const struct krl_conn *conn)
{
	const struct krl_reply *r = &conn->reply;

	if (conn->joining || (conn->scan.event != KRL_HTTP_UPGRADED && conn->scan.event != KRL_HTTP_H2))
		return 0;
	return conn->scan.heads || (r->state == KRL_REPLY_FRAMED && krl_reply_waits(r));
}

/* Walk the skb, judging each request when it is time to. */
static __always_inline void krl_llm_walk(struct krl_judging_heads *h, struct krl_llm *llm)
{
	struct krl_conn *conn = h->scanning.conn;

	krl_scan_begin(h->scanning.bytes, conn);
	conn->judge.n = 1;
	krl_early_resume(conn, llm, h->taking.judging.endpoint);
	llm->off = 0;
	llm->before = conn->http.state;
	bpf_loop(KRL_SCAN_STEPS, krl_llm_go_on, h, 0);
	krl_scan_done(conn);
	if (krl_llm_leaves_early(conn))
		conn->scan.event = KRL_HTTP_BAD;
	if (conn->scan.event == KRL_HTTP_BAD && !conn->joining)
		conn->scan.refused = 1;
	krl_taken_end(&h->taking, &h->cookie, conn->scan.refused);
	if (!conn->scan.refused)
		return;
	krl_llm_uncharge(conn, llm, h->cookie);
	llm->reading = KRL_LLM_READS_NOT;
	llm->early = KRL_EARLY_NOT;
}

/* Where the answers to the requests of this skb are counted from: as krl_fill_headers() will have it. */
static __noinline int krl_llm_follow(struct krl_conn *conn, struct krl_llm *llm, struct sock *sk, __u64 cookie)
{
	struct krl_reply *r = &conn->reply;

	krl_find_reply(r, sk, llm->nothing_owed);
	llm->followed = r->state == KRL_REPLY_FRAMED;
	if (!llm->followed) {
		krl_meter_leave(r, cookie);
		llm->followed = llm->nothing_owed && llm->reading != KRL_LLM_DEFERS &&
				(r->state == KRL_REPLY_UNKNOWN || r->state == KRL_REPLY_HTTP2);
		r->asked = r->answered = 0;
	}
	if (conn->answered && krl_sock_write_seq(sk) == conn->answer_seq)
		llm->followed = 0;
	llm->base = r->asked;
	llm->charged_from = llm->reading == KRL_LLM_DEFERS ? llm->number : llm->base;
	return 0;
}

/* Has the server said nothing to the request whose body ends here but that it may come (100 Continue)? */
static __always_inline int krl_llm_nothing_said(const struct krl_conn *conn, struct sock *sk)
{
	const struct krl_reply *r = &conn->reply;

	return r->state == KRL_REPLY_FRAMED && r->asked - r->answered == 1 && r->http.state == KRL_HTTP_START && !r->line &&
	       !r->skip && r->at_seq == krl_sock_write_seq(sk) && !conn->pipelined;
}

/* Find what the requests of @conn are judged by. */
static __noinline int krl_llm_rules(struct krl_judging_heads *h, struct krl_conn *conn)
{
	struct krl_endpoint *endpoint = krl_conn_endpoint(conn);

	h->scanning.policy = krl_endpoint_policy(&endpoint);
	h->taking.judging.policy = h->scanning.policy;
	h->taking.judging.endpoint = endpoint;
	return 0;
}

SEC("sk_skb/stream_verdict")
int krl_stream_llm(struct __sk_buff *skb)
{
	struct krl_judging_heads heads = { 0 };
	struct krl_conn *conn;
	struct krl_llm *llm;
	struct sock *sk;

	heads.cookie = bpf_get_socket_cookie(skb);
	conn = bpf_map_lookup_elem(&krl_conns, &heads.cookie);
	sk = krl_skb_sock(skb);
	if (!conn || !sk)
		return SK_PASS;
	krl_llm_rules(&heads, conn);
	if (!heads.taking.judging.endpoint || !heads.scanning.policy)
		return SK_PASS;
	conn->torn = conn->admitted && conn->http.state >= KRL_HTTP_BODY;
	conn->judge.now_ns = bpf_ktime_get_boot_ns();
	heads.scanning.match = krl_match_of(skb, conn, heads.cookie, heads.taking.judging.endpoint->policy);
	llm = krl_llm_of(conn, heads.cookie);
	if (!heads.scanning.match || !llm)
		return krl_unjudged(skb, conn, heads.cookie, sk, KRL_REASON_CONN_TABLE_FULL, 0);
	llm->leaves = 0;
	llm->nothing_owed = krl_nothing_owed(conn, sk);
	llm->fresh = conn->http.state == KRL_HTTP_START;
	krl_llm_follow(conn, llm, sk, heads.cookie);
	heads.scanning.bytes = skb;
	heads.scanning.conn = conn;
	heads.taking.judging.judge = &conn->judge;
	heads.taking.judging.match = heads.scanning.match;
	heads.taking.judging.llm = llm;
	krl_llm_walk(&heads, llm);
	llm = heads.taking.judging.llm;
	if (conn->scan.heads || conn->scan.event)
		krl_look_at_reader(conn, sk);
	if (conn->torn && krl_llm_nothing_said(conn, sk)) {
		conn->torn = 0;
		llm->nothing_owed = 1;
	}
	if (conn->scan.failed || conn->scan.event) {
		if (krl_join_later(conn))
			return SK_PASS;
		llm->leaves = conn->scan.heads && conn->scan.event != KRL_HTTP_BAD;
		if (conn->joining && !llm->leaves)
			return krl_unjudged(skb, conn, heads.cookie, sk, KRL_REASON_JOIN_UNREAD, llm->nothing_owed);
		if (!llm->leaves)
			goto ended;
	}
	if (!conn->scan.heads && !conn->scan.refused) {
		if (llm->judged)
			krl_fill_told(conn);
		return SK_PASS;
	}
	conn->joining = 0;
	if (!conn->spoken)
		krl_speaks_http1(conn);
	if (!conn->scan.refused) {
		krl_fill_headers(conn, sk, llm->nothing_owed);
		if (llm->leaves)
			goto ended;
		krl_note_admitted(conn, sk);
		return SK_PASS;
	}
	krl_fill_answer(conn);
	if (llm->usage_required) {
		krl_count(KRL_REASON_LLM_USAGE_MISSING);
		conn->answer.kind = KRL_ANSWER_USAGE_MISSING;
	}
	if (!llm->nothing_owed || llm->leaves || !llm->fresh || conn->scan.begins != 1 || conn->scan.heads != 1)
		return krl_refuse_last(skb, conn, heads.cookie, sk, llm->nothing_owed);
	if (conn->http.state != KRL_HTTP_START && !(conn->scan.flags & KRL_HTTP_EXPECT)) {
		conn->phase = KRL_PHASE_SWALLOW;
		return krl_drop(skb, conn, sk);
	}
	return krl_answer(skb, conn, heads.cookie, sk);
ended:
	/* What was admitted before is answered, and paid for. */
	conn->headers.form = 0;
	return krl_scan_ended(skb, conn, heads.cookie, sk, llm->nothing_owed);
}

char _license[] SEC("license") = "Dual BSD/GPL";
