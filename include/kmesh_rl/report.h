/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel tells of requests and connections that a rule refused, through krl_reports. */
#ifndef KMESH_RL_REPORT_H
#define KMESH_RL_REPORT_H

#include <kmesh_rl/abi.h>

enum {
	KRL_REPORT_LINE_BYTES = 128,	/* of the request line */
	KRL_REPORT_BYTES = 1 << 18,	/* of krl_reports */
	KRL_REPORT_RULES = 32,	/* all rules of a node tell together as much as so many of them may */
};

enum {
	KRL_REPORT_SHADOW = 1U << 0,	/* it was let through: mode: Shadow */
	KRL_REPORT_HTTP2 = 1U << 1,
	KRL_REPORT_HIDES_PATH = 1U << 2,	/* some RateLimit of the endpoint has redact: true, and picks buckets by path */
};

struct krl_report {
	__u64 time_ns;		/* CLOCK_BOOTTIME */
	struct krl_flow flow;	/* of the socket that is judged; local may be zero where it dials */
	__u64 descriptor[2];
	__u64 needed;		/* tokens that had to be there */
	__s64 tokens;		/* ... and that were */
	__u64 wait_ns;		/* until it pays to come again */
	__u32 rule_id;
	__u32 slot;		/* the rule's row */
	__u16 hook;		/* enum krl_hook */
	__u16 flags;		/* KRL_REPORT_... */
	__u16 line_len;		/* 0: the request line is not at hand */
	__u16 model_len;	/* as struct krl_llm_model_key */
	char model[KRL_MODEL_BYTES];
	char line[KRL_REPORT_LINE_BYTES];
};

_Static_assert(sizeof(struct krl_report) == 304, "ABI");

#endif
