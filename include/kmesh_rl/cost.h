/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an answer of a model server costs: the expression in `tokens` of a rule, compiled by agent/policy/cost.c and
 * evaluated by bpf/lib/cost.h. Rows of krl_costs, keyed by the hash of their content, so one that is there never
 * changes. */
#ifndef KMESH_RL_COST_H
#define KMESH_RL_COST_H

#include <kmesh_rl/abi.h>

enum {
	KRL_COST_STEPS = 64,
	KRL_COST_DEPTH = 16,		/* values at once */
	KRL_COST_TEXT_BYTES = 512,	/* of all names of models in it */
};

/* Numbers saturate here, and at as much below zero, so that the sum of two fits 64 bits. */
#define KRL_COST_MAX ((1LL << 62) - 1)

/* A stack machine over signed whole numbers; true is 1. */
enum krl_cost_op {
	KRL_COST_PUSH,		/* number: 0 .. KRL_COST_MAX */
	KRL_COST_LOAD,		/* arg: enum krl_cost_var; 0 where the answer does not tell it */
	KRL_COST_HAS,		/* ... whether it does; KRL_COST_MODEL: is a model known? */
	KRL_COST_MODEL_IS,	/* arg: 0 .. KRL_MODEL_BYTES bytes of text at number, a multiple of 8; NULs behind them up to
				 * the next */
	KRL_COST_NEG,
	KRL_COST_NOT,
	KRL_COST_ADD,
	KRL_COST_SUB,
	KRL_COST_MUL,
	KRL_COST_DIV,		/* towards zero; by 0: 0 */
	KRL_COST_MOD,		/* of the sign of what is divided; by 0: 0 */
	KRL_COST_EQ,
	KRL_COST_NE,
	KRL_COST_LT,
	KRL_COST_LE,
	KRL_COST_GT,
	KRL_COST_GE,
	/* Forward to the step that number says, which may be the end: */
	KRL_COST_JUMP,
	KRL_COST_UNLESS,	/* if what is taken off the stack is 0 */
	KRL_COST_AND,		/* if the value on top is 0, which stays; else it is taken off */
	KRL_COST_OR,		/* if it is not 0, likewise */
};

enum krl_cost_var {
	KRL_COST_INPUT,
	KRL_COST_OUTPUT,
	KRL_COST_TOTAL,
	KRL_COST_CACHED_INPUT,
	KRL_COST_MODEL,		/* of KRL_COST_HAS alone */
};

struct krl_cost_step {
	__u32 op;		/* enum krl_cost_op */
	__u32 arg;
	__s64 number;
};

/* One value is left at its end: the tokens; one below zero counts as 0. */
struct krl_cost {
	__u32 count;		/* of steps: 1 .. KRL_COST_STEPS */
	__u32 pad;
	struct krl_cost_step steps[KRL_COST_STEPS];
	char text[KRL_COST_TEXT_BYTES];
};

_Static_assert(sizeof(struct krl_cost) == 8 + 16 * KRL_COST_STEPS + KRL_COST_TEXT_BYTES, "ABI");

#endif
