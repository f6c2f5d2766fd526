/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Telling people of requests that rules refused. */
#ifndef KMESH_RL_REPORT_REQUEST_H
#define KMESH_RL_REPORT_REQUEST_H

#include "bytes.h"
#include "report.h"

/* Copy the beginning of the request line that is walked, and what follows it. Returns how many bytes; 0 where it is not in
 * @bytes. */
static __always_inline __u32 krl_report_line(krl_bytes *bytes, const struct krl_conn *conn,
					     char ret[KRL_REPORT_LINE_BYTES])
{
	__u32 at = conn->scan.begun, n = conn->scan.len - at;

	if (!conn->scan.begins && !krl_bytes_has_head(conn))
		return 0;
	if (n > KRL_REPORT_LINE_BYTES)
		n = KRL_REPORT_LINE_BYTES;
	return n ? krl_bytes_peek(bytes, &conn->scan, at, ret, n, KRL_REPORT_LINE_BYTES) : 0;
}

static __always_inline int krl_report_hides_path(const struct krl_conn *conn)
{
	const struct krl_endpoint *endpoint = bpf_map_lookup_elem(&krl_endpoints, &conn->endpoint);
	const struct krl_policy *policy = endpoint ? bpf_map_lookup_elem(&krl_policies, &endpoint->policy) : 0;

	return policy && policy->path != KRL_NO_FIELD &&
	       policy->fields[policy->path & (KRL_MAX_FIELDS - 1)].distinct & KRL_DISTINCT_HIDDEN;
}

/* As krl_report_begin(), of the request on @conn that was judged last, in @bytes. */
static __always_inline struct krl_report *krl_report_request_begin(krl_bytes *bytes, const struct krl_conn *conn,
								   int refused)
{
	struct krl_report *r = krl_report_begin(&conn->judge, refused, conn->endpoint.hook);

	if (!r)
		return 0;
	krl_bytes_flow(bytes, &r->flow);
	r->flow.netns_cookie = conn->judge.key.netns_cookie;
	if (conn->phase == KRL_PHASE_H2)
		r->flags |= KRL_REPORT_HTTP2;
	if (krl_report_hides_path(conn))
		r->flags |= KRL_REPORT_HIDES_PATH;
	return r;
}

static __noinline int krl_report_told(krl_bytes *bytes, const struct krl_conn *conn, int refused)
{
	struct krl_report *r = krl_report_request_begin(bytes, conn, refused);

	if (!r)
		return 0;
	r->line_len = krl_report_line(bytes, conn, r->line);
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	return 0;
}

/* The request on @conn was judged: tell of it if it was @refused, or would have been by a rule in shadow mode. */
static __always_inline void krl_report_request(krl_bytes *bytes, const struct krl_conn *conn, int refused)
{
	if (KRL_UNLIKELY(refused || conn->judge.shadowed))
		krl_report_told(bytes, conn, refused);
}

#endif
