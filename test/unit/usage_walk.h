/* SPDX-License-Identifier: Apache-2.0 */
/* An answer of a model server on its way through what reads its usage. */
#ifndef KMESH_RL_TEST_USAGE_WALK_H
#define KMESH_RL_TEST_USAGE_WALK_H

#include "body_walk.h"
#include "bpf/lib/llm_answer.h"

static inline uint32_t usage_step(void *state, const struct krl_http_window *w, uint32_t at, uint32_t end)
{
	return krl_llm_usage_step(state, w, at, end);
}

#endif
