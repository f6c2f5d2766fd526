/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an answer costs, by the program of its rule. A program that no compiler made costs some number as well: it ends,
 * and reaches nothing that is not its own. */
#ifndef KMESH_RL_LIB_COST_H
#define KMESH_RL_LIB_COST_H

#include <kmesh_rl/cost.h>
#include <kmesh_rl/usage.h>

#include "compiler.h"
#include "llm_tokens.h"

/* One evaluation. It is the caller's, to be kept off the stack. */
struct krl_cost_run {
	__s64 values[KRL_COST_DEPTH];
	__u64 tokens;		/* what it comes to: 0 .. KRL_COST_MAX */
	__u32 at;		/* the step that is next */
	__u32 depth;		/* of values */
};

static __always_inline __s64 krl_cost_clamp(__s64 n)
{
	if (n > KRL_COST_MAX)
		return KRL_COST_MAX;
	return n < -KRL_COST_MAX ? -KRL_COST_MAX : n;
}

static __always_inline __u64 krl_cost_size(__s64 n)
{
	return n < 0 ? -(__u64)n : (__u64)n;
}

static __always_inline __s64 krl_cost_signed(__u64 size, int is_negative)
{
	return is_negative ? -(__s64)size : (__s64)size;
}

static __always_inline __s64 krl_cost_multiply(__s64 a, __s64 b)
{
	__u64 x = krl_cost_size(a), y = krl_cost_size(b);

	return krl_cost_signed(x && y > KRL_COST_MAX / x ? KRL_COST_MAX : x * y, (a < 0) != (b < 0));
}

/* BPF has signed division from version 4 of its instructions on only. */
static __always_inline __s64 krl_cost_divide(__s64 a, __s64 b)
{
	return b ? krl_cost_signed(krl_cost_size(a) / krl_cost_size(b), (a < 0) != (b < 0)) : 0;
}

static __always_inline __s64 krl_cost_rest(__s64 a, __s64 b)
{
	return b ? krl_cost_signed(krl_cost_size(a) % krl_cost_size(b), a < 0) : 0;
}

/* Of what one operator takes; @a is no operand of KRL_COST_NEG and KRL_COST_NOT. */
static __always_inline __s64 krl_cost_apply(__u32 op, __s64 a, __s64 b)
{
	switch (op) {
	case KRL_COST_NEG:
		return -b;
	case KRL_COST_NOT:
		return !b;
	case KRL_COST_ADD:
		return krl_cost_clamp(a + b);
	case KRL_COST_SUB:
		return krl_cost_clamp(a - b);
	case KRL_COST_MUL:
		return krl_cost_multiply(a, b);
	case KRL_COST_DIV:
		return krl_cost_divide(a, b);
	case KRL_COST_MOD:
		return krl_cost_rest(a, b);
	case KRL_COST_EQ:
		return a == b;
	case KRL_COST_NE:
		return a != b;
	case KRL_COST_LT:
		return a < b;
	case KRL_COST_LE:
		return a <= b;
	case KRL_COST_GT:
		return a > b;
	case KRL_COST_GE:
		return a >= b;
	}
	return 0;
}

_Static_assert(1U << KRL_COST_INPUT == KRL_LLM_HAS_INPUT && 1U << KRL_COST_OUTPUT == KRL_LLM_HAS_OUTPUT &&
		       1U << KRL_COST_TOTAL == KRL_LLM_HAS_TOTAL &&
		       1U << KRL_COST_CACHED_INPUT == KRL_LLM_HAS_CACHED_INPUT,
	       "the bit of what a variable is");

static __always_inline __s64 krl_cost_load(const struct krl_llm_tokens *t, __u32 var)
{
	__u64 n = 0;

	if (!(t->has >> (var & 31) & 1))
		return 0;
	switch (var) {
	case KRL_COST_INPUT:
		n = t->input;
		break;
	case KRL_COST_OUTPUT:
		n = t->output;
		break;
	case KRL_COST_TOTAL:
		n = t->total;
		break;
	case KRL_COST_CACHED_INPUT:
		n = t->cached_input;
		break;
	}
	return n > KRL_COST_MAX ? KRL_COST_MAX : (__s64)n;
}

/* A program has no name of more than KRL_MODEL_BYTES, and a longer one differs by its length. */
static __always_inline int krl_cost_model_is(const struct krl_cost *c, const struct krl_cost_step *step,
					     const struct krl_llm_model_key *model)
{
	__u32 len = model->len, at = step->number, i;

	if (len != step->arg)
		return 0;
	for (i = 0; i < KRL_MODEL_BYTES; i += 8) {
		if (i >= len)
			break;
		if (krl_load_word(c->text + KRL_MASKED(at + i, KRL_COST_TEXT_BYTES) / 8 * 8) !=
		    krl_load_word(model->model + i))
			return 0;
	}
	return 1;
}

/* What a step pushes. */
static __always_inline __s64 krl_cost_push(const struct krl_cost *c, const struct krl_cost_step *step,
					   const struct krl_llm_tokens *t, const struct krl_llm_model_key *model)
{
	switch (step->op) {
	case KRL_COST_LOAD:
		return krl_cost_load(t, step->arg);
	case KRL_COST_HAS:
		return step->arg == KRL_COST_MODEL ? model->len != 0 : t->has >> (step->arg & 31) & 1;
	case KRL_COST_MODEL_IS:
		return krl_cost_model_is(c, step, model);
	}
	return krl_cost_clamp(step->number);
}

/* Is it jumped, with @top on the stack? */
static __always_inline int krl_cost_jumps(__u32 op, __s64 top)
{
	if (op == KRL_COST_JUMP)
		return 1;
	return op == KRL_COST_OR ? top != 0 : top == 0;
}

/* One step. Returns 0 at the end, else 1. */
KRL_GLOBAL int krl_cost_step(const struct krl_cost *c, const struct krl_llm_tokens *t,
			     const struct krl_llm_model_key *model, struct krl_cost_run *run)
{
	const struct krl_cost_step *step;
	__u32 at, depth;
	__s64 top, n;

	if (!c || !t || !model || !run)
		return 0;
	at = run->at;
	depth = run->depth;
	if (at >= c->count || at >= KRL_COST_STEPS)
		return 0;
	run->at = at + 1;
	step = &c->steps[KRL_MASKED(at, KRL_COST_STEPS)];
	top = run->values[KRL_MASKED(depth - 1, KRL_COST_DEPTH)];
	if (step->op >= KRL_COST_JUMP) {
		if (krl_cost_jumps(step->op, top)) {
			run->at = step->number;
			depth -= step->op == KRL_COST_UNLESS;
		} else {
			depth--;
		}
		run->depth = depth;
		return 1;
	}
	if (step->op < KRL_COST_NEG) {
		n = krl_cost_push(c, step, t, model);
		depth++;
	} else {
		depth -= step->op >= KRL_COST_ADD;
		n = krl_cost_apply(step->op, run->values[KRL_MASKED(depth - 1, KRL_COST_DEPTH)], top);
	}
	run->values[KRL_MASKED(depth - 1, KRL_COST_DEPTH)] = n;
	run->depth = depth;
	return 1;
}

/* The tokens that an answer costs which used @t, of @model (whose rule_id is not looked at; len 0: none is known):
 * run->tokens, by @c. In BPF @c may not be a row of a map that programs cannot write: the verifier takes none such as
 * the argument of a global function (check_mem_reg() in kernel/bpf/verifier.c). */
KRL_GLOBAL int krl_cost_eval(const struct krl_cost *c, const struct krl_llm_tokens *t,
			     const struct krl_llm_model_key *model, struct krl_cost_run *run)
{
	__s64 n;
	__u32 i;

	if (!c || !t || !model || !run)
		return 0;
	run->at = 0;
	run->depth = 0;
	run->values[0] = 0;
	/* Jumps go forward, so no step comes twice. */
	for (i = 0; i < KRL_COST_STEPS; i++)
		if (!krl_cost_step(c, t, model, run))
			break;
	n = run->values[0];
	run->tokens = n > 0 ? n : 0;
	return 0;
}

#endif
