/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What becomes of a connection in which a walk found no further request: failurePolicy decides of what cannot be judged,
 * and what is malformed is refused. */
#ifndef KMESH_RL_ENDED_H
#define KMESH_RL_ENDED_H

#include "refusal.h"

/* Of a connection that was open before the rule: skbs, or messages, that are no request. */
#define KRL_JOIN_TRIES 64

/* Of a connection that was open before the rule, the first bytes may be the rest of a body: what is no request is let
 * through, for a while. Returns whether it is now; else it is judged as any. */
static __always_inline int krl_join_later(struct krl_conn *conn)
{
	if (!conn->joining || conn->scan.heads || conn->joining == KRL_JOIN_TRIES)
		return 0;
	conn->joining++;
	__builtin_memset(&conn->http, 0, sizeof(conn->http));
	conn->http.flags = KRL_HTTP_NOT_FIRST;
	return 1;
}

/* What is not HTTP/1.1 cannot be judged. Returns whether it is refused, by conn->answer; else the whole connection
 * passes. */
static __always_inline int krl_refuse_unjudged(struct krl_conn *conn, __u32 reason)
{
	struct krl_endpoint *endpoint = bpf_map_lookup_elem(&krl_endpoints, &conn->endpoint);

	krl_count(reason);
	if (endpoint && endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED) {
		conn->answer.kind = KRL_ANSWER_BAD_REQUEST;
		return 1;
	}
	conn->phase = KRL_PHASE_OPAQUE;
	return 0;
}

/* The same of what ended the walk that conn->scan tells of. HTTP/2 is not judged; who can, sees to it before. */
static __always_inline int krl_refuse_ended(struct krl_conn *conn)
{
	if (conn->scan.failed)
		return krl_refuse_unjudged(conn, KRL_REASON_READ_FAILED);
	switch (conn->scan.event) {
	case KRL_HTTP_TLS:
		return krl_refuse_unjudged(conn, KRL_REASON_TLS);
	case KRL_HTTP_H2:	/* after Upgrade: h2c as well */
		return krl_refuse_unjudged(conn, KRL_REASON_HTTP2);
	case KRL_HTTP_UPGRADED:
		krl_count(KRL_REASON_UPGRADED);
		conn->phase = KRL_PHASE_OPAQUE;
		return 0;
	}
	krl_count(KRL_REASON_BAD_REQUEST);
	conn->answer.kind = KRL_ANSWER_BAD_REQUEST;
	conn->answer.no_body = 0;
	return 1;
}

#endif
