/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer of a model server costs: the text of `tokens` of a rule, and the program that the kernel runs. */
#ifndef KMESH_RL_POLICY_COST_H
#define KMESH_RL_POLICY_COST_H

#include <stddef.h>

#include <kmesh_rl/cost.h>

struct krl_cost_error {
	size_t column;		/* in characters, from 1 */
	char message[128];
};

/* Compile @text: Total, Input, Output, CachedInput, or an expression, see docs/llm.md "What it costs". One program is
 * always the same bytes. Returns 0; -1 when it is none, or longer or deeper than a program can be, which @ret_error
 * tells. */
int krl_cost_compile(const char *text, struct krl_cost *ret, struct krl_cost_error *ret_error);

#endif
