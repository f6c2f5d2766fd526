/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Requests to an endpoint whose rules have selectors: each is matched and judged as its head ends. */
#ifndef KMESH_RL_SELECT_H
#define KMESH_RL_SELECT_H

#include "admit.h"
#include "endpoint.h"
#include "matches.h"
#include "report_request.h"
#include "taken.h"

struct krl_judging_heads {
	struct krl_scanning scanning;
	struct krl_taking taking;	/* by the same policy and match */
	__u64 cookie;
};

/* The head that ended is judged; @krl_scanning walks on behind it. */
static long krl_judge_head(__u32 i, void *ctx)
{
	struct krl_judging_heads *h = ctx;
	struct krl_conn *conn = h->scanning.conn;
	struct krl_match *match = h->scanning.match;
	const struct krl_policy *policy = h->scanning.policy;
	__u32 heads = conn->scan.heads;

	krl_scan_on(&h->scanning);
	if (conn->scan.heads == heads || conn->scan.event || conn->scan.failed || !match || !policy)
		return 1;
	if (conn->scan.refused)
		return 0;
	if (heads)
		krl_taken_note(&h->taking, &h->cookie);
	if (krl_match_judge(match, policy, h->taking.judging.endpoint)) {
		conn->scan.event = KRL_HTTP_BAD;
		return 1;
	}
	conn->scan.refused = !!krl_admit(&h->taking.judging);
	krl_report_request(h->scanning.bytes, conn, conn->scan.refused);
	return 0;
}

/* Walk the skb, judging each head as it ends; when one is refused, or malformed, what those before it took is given
 * back. Inlined: from here to krl_match_compare() the stacks are 512 bytes, all that 6.1's verifier allows, and a
 * function would be 32 more. */
static __always_inline int krl_scan_judging(struct krl_judging_heads *h)
{
	struct krl_conn *conn = h->scanning.conn;
	int bad;

	krl_scan_begin(h->scanning.bytes, conn);
	conn->judge.n = 1;
	conn->judge.taken = 0;
	conn->judge.shadowed = 0;
	bpf_loop(KRL_SCAN_STEPS, krl_judge_head, h, 0);
	krl_scan_done(conn);
	if (!conn->scan.heads || !h->scanning.policy || !h->scanning.match)
		return 0;
	/* What is malformed passes where it is not known yet to be a request. */
	bad = conn->scan.event == KRL_HTTP_BAD && !conn->joining;
	krl_taken_end(&h->taking, &h->cookie, conn->scan.refused || bad);
	return 0;
}

#endif
