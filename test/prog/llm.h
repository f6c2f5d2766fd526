/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A body that packets of a test bring, one after another, and what is read from it. */
#ifndef KMESH_RL_TEST_LLM_H
#define KMESH_RL_TEST_LLM_H

#include "bpf/lib/llm_request.h"
#include "bpf/lib/llm_answer.h"

struct test_llm {
	struct krl_llm_request request;
	struct krl_llm_usage usage;
	struct krl_http_window window;
	__u32 off;		/* in the packet */
	__u32 start;		/* of what is in the window */
	__u32 have;		/* bytes there */
	__u32 again;		/* each packet is a body of its own */
};

#endif
