/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Is there an agent? */
#ifndef KMESH_RL_ALIVE_H
#define KMESH_RL_ALIVE_H

#include "refusal.h"

/* An agent that went round its loop this lately is there to carry an answer; it does so twenty times in
 * that time. One that was killed is known to be gone at once, see krl_leave_answer(). */
#define KRL_ALIVE_NS (2 * KRL_NS_PER_S)

/* Is one awake that would carry an answer? */
static __always_inline int krl_agent_awake(const struct krl_config *config, __u64 now_ns)
{
	/* Signed: the agent may have written alive_ns since. */
	return config->responders && (__s64)(now_ns - config->alive_ns) <= (__s64)KRL_ALIVE_NS;
}

#endif
