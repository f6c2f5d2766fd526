/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every way a request ends other than allowed or limited by a rule: one list, from which come the
 * BPF counter, the name in metrics and in the CLI, and the explanation. */
#ifndef KMESH_RL_REASONS_H
#define KMESH_RL_REASONS_H

/* X(ID, name, explanation) */
#define KRL_REASONS(X)                                                                             \
	X(BAD_REQUEST, "bad_request", "malformed or ambiguous HTTP/1.1, refused with 400")         \
	X(TLS, "tls", "TLS on a protected port cannot be read")                                    \
	X(HTTP2, "http2", "HTTP/2 that is not judged: it goes out, or rules cannot apply to it")   \
	X(HTTP2_UNSEEN, "http2_unseen", "a request over HTTP/2, to which rules on its head do not apply") \
	X(HTTP2_GOAWAY, "http2_goaway", "an HTTP/2 connection over its limit, told so by GOAWAY")  \
	X(UPGRADED, "upgraded", "the connection left HTTP/1.1 after an Upgrade")                   \
	X(CONN_TABLE_FULL, "conn_table_full", "no room to follow one more connection")             \
	X(NOT_ENROLLED, "not_enrolled", "the socket could not be enrolled, another sockmap has it")  \
	X(BUCKET_OVERFLOW, "bucket_overflow", "bucket map full, the rule's overflow bucket used")  \
	X(RULE_CHANGED, "rule_changed", "a rule went away while a request was judged")             \
	X(SHARED_VALUE, "shared_value", "a value that picks a bucket came twice or is too long, a shared one used") \
	X(READ_FAILED, "read_failed", "the kernel could not read the request's bytes")             \
	X(RESET_UNREAD, "reset_unread", "bytes of a connection that was reset before they were judged, dropped") \
	X(OVERLAP, "overlap", "a TCP segment came with bytes that were there already, taken off")  \
	X(STREAM_GAP, "stream_gap", "the kernel's stream of bytes has a gap, connection ended")    \
	X(EVENT_LOST, "event_lost", "no room to tell the agent of a connection, made up for later") \
	X(REPORT_LOST, "report_lost", "no room to tell of a limited request, which kmesh-rl events does not show") \
	X(CLUSTER_AWAY, "cluster_away", "Redis was away, and a rule of the cluster judged by whenUnavailable") \
	X(ASK_LOST, "ask_lost", "no room to ask for tokens of the cluster, asked again by the next request") \
	X(ANSWER_COMPACT, "answer_compact", "a compact 429, written in place, agent away")         \
	X(ANSWER_LOST, "answer_lost", "no room for even a compact 429, request dropped")           \
	X(ANSWER_CARRIED, "answer_carried", "a 429 that the agent carried, the server was not woken") \
	X(ANSWER_DRAINED, "answer_drained", "a pipelined request was refused after older answers") \
	X(JOIN_UNREAD, "join_unread", "no request was found on a connection that was open before the rule") \
	X(HEADERS_LOST, "headers_lost", "no room to tell of the limit on an answer, which went without") \
	X(REPLY_UNREAD, "reply_unread", "an answer could not be followed, nor be given header fields") \
	X(UNSEEN, "unseen", "a client wrote before its connection was there, not judged")          \
	X(UNGUARDED, "unguarded", "a connection came in before the agent was in its network namespace, not judged") \
	X(NOT_JUDGED, "not_judged", "a connection came in while too many others were judged on its CPU, not judged") \
	X(LLM_BODY_UNREAD, "llm_body_unread", "the model of a request, or what it asks for, cannot be told for sure") \
	X(LLM_BODY_LONG, "llm_body_long", "the body of a request is longer than 1 MiB, and was not read to its end") \
	X(LLM_UNFOLLOWED, "llm_unfollowed", "a request whose answer could not be followed, nor be metered") \
	X(LLM_UNREADABLE, "llm_unreadable", "an answer that does not tell what it used, or is coded") \
	X(LLM_ESTIMATED, "llm_estimated", "a streamed answer without usage, counted by its events") \
	X(LLM_CHARGES_FULL, "llm_charges_full", "no room to charge one more request when its answer is done") \
	X(LLM_CUT, "llm_cut", "a streamed answer that was cut where its budget was spent") \
	X(LLM_USAGE_MISSING, "llm_usage_missing", "a streamed request that does not ask for usage, refused with 400") \
	X(BLOCKING_READER, "blocking_reader", "a connection that its server reads with blocking calls") \
	X(READER_WOKEN, "reader_woken", "a refused request that may have shown such a server EAGAIN")

enum krl_reason {
#define X(id, name, text) KRL_REASON_##id,
	KRL_REASONS(X)
#undef X
	KRL_REASON_MAX
};

#endif
