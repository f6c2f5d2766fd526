/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A program that evaluates what an answer costs, what it works on and what comes of it. */
#ifndef KMESH_RL_TEST_COST_H
#define KMESH_RL_TEST_COST_H

#include "bpf/lib/cost.h"

struct test_cost {
	struct krl_cost cost;
	struct krl_llm_tokens tokens;
	struct krl_llm_model_key model;
	struct krl_cost_run run;
};

#endif
