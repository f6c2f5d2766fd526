/* SPDX-License-Identifier: Apache-2.0 */
/* Random expressions as trees: their text, and what they come to by walking them, without the compiler. */
#ifndef KMESH_RL_TEST_COST_TREE_H
#define KMESH_RL_TEST_COST_TREE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/cost.h"
#include "bpf/lib/cost.h"

enum tree_kind {
	TREE_NUMBER,
	TREE_VAR,
	TREE_NEG,
	TREE_MUL,
	TREE_DIV,
	TREE_MOD,
	TREE_ADD,
	TREE_SUB,
	TREE_CHOICE,		/* of numbers */
	TREE_NUMBERS,		/* how many kinds are numbers; those below are conditions */
	TREE_TRUTH = TREE_NUMBERS,
	TREE_HAS,
	TREE_MODEL_IS,
	TREE_MODEL_IS_NOT,
	TREE_NOT,
	TREE_EQ,
	TREE_NE,
	TREE_LT,
	TREE_LE,
	TREE_GT,
	TREE_GE,
	TREE_SAME,		/* of conditions */
	TREE_AND,
	TREE_OR,
	TREE_CHOOSE,		/* of conditions */
	TREE_KINDS,
};

struct tree {
	enum tree_kind kind;
	int64_t number;			/* of TREE_NUMBER, TREE_TRUTH; else which variable or model */
	const struct tree *sub[3];
};

struct tree_source {
	unsigned int (*draw)(void *ctx);	/* a byte, or more bits */
	void *ctx;
	struct tree nodes[364];			/* three below each, TREE_DEPTH times */
	size_t count;
};

#define TREE_DEPTH 5

struct tree_world {
	struct krl_llm_tokens tokens;
	struct krl_llm_model_key model;
};

static const char *const tree_models[] = { "", "a", "gpt-4", "gpt-4o", "12345678", "qwen3/0.6B-\xc3\xa9" };
static const char *const tree_vars[] = { "input_tokens", "output_tokens", "total_tokens", "cached_input_tokens", "model" };

#define TREE_COUNT(list) (sizeof(list) / sizeof(*(list)))

static inline int64_t tree_draw_number(struct tree_source *s)
{
	static const int64_t odd[] = { 0, 1, 2, 3, 10, 1000000, 1LL << 31, 1LL << 32, KRL_COST_MAX / 2, KRL_COST_MAX };
	unsigned int n = s->draw(s->ctx);

	return n % 2 ? odd[n / 2 % TREE_COUNT(odd)] : n / 2 % 128;
}

/* A number, or a condition, with at most @depth levels below it, up to TREE_DEPTH. */
static inline const struct tree *tree_draw(struct tree_source *s, bool number, unsigned int depth)
{
	struct tree *tree;
	unsigned int i;

	tree = &s->nodes[s->count++];
	memset(tree, 0, sizeof(*tree));
	if (number)
		tree->kind = s->draw(s->ctx) % (depth ? TREE_NUMBERS : TREE_NEG);
	else
		tree->kind = TREE_TRUTH + s->draw(s->ctx) % (depth ? TREE_KINDS - TREE_TRUTH : TREE_NOT - TREE_TRUTH);
	switch (tree->kind) {
	case TREE_NUMBER:
		tree->number = tree_draw_number(s);
		break;
	case TREE_TRUTH:
		tree->number = s->draw(s->ctx) % 2;
		break;
	case TREE_VAR:
		tree->number = s->draw(s->ctx) % 4;
		break;
	case TREE_HAS:
		tree->number = s->draw(s->ctx) % 5;
		break;
	case TREE_MODEL_IS:
	case TREE_MODEL_IS_NOT:
		tree->number = s->draw(s->ctx) % TREE_COUNT(tree_models);
		break;
	case TREE_NEG:
	case TREE_NOT:
		tree->sub[0] = tree_draw(s, number, depth - 1);
		break;
	case TREE_CHOICE:
	case TREE_CHOOSE:
		tree->sub[0] = tree_draw(s, false, depth - 1);
		for (i = 1; i < 3; i++)
			tree->sub[i] = tree_draw(s, number, depth - 1);
		break;
	default:
		number = tree->kind < TREE_NUMBERS || (tree->kind >= TREE_EQ && tree->kind <= TREE_GE);
		for (i = 0; i < 2; i++)
			tree->sub[i] = tree_draw(s, number, depth - 1);
	}
	return tree;
}

/* Any world in which some of it is not told. */
static inline void tree_draw_world(struct tree_source *s, struct tree_world *ret)
{
	const char *model = tree_models[s->draw(s->ctx) % TREE_COUNT(tree_models)];

	memset(ret, 0, sizeof(*ret));
	ret->tokens.has = s->draw(s->ctx) & 15;
	ret->tokens.input = ret->tokens.has & KRL_LLM_HAS_INPUT ? tree_draw_number(s) : 0;
	ret->tokens.output = ret->tokens.has & KRL_LLM_HAS_OUTPUT ? tree_draw_number(s) : 0;
	ret->tokens.total = ret->tokens.has & KRL_LLM_HAS_TOTAL ? tree_draw_number(s) : 0;
	ret->tokens.cached_input = ret->tokens.has & KRL_LLM_HAS_CACHED_INPUT ? tree_draw_number(s) : 0;
	ret->model.len = strlen(model);
	memcpy(ret->model.model, model, ret->model.len);
}

/* --- its text: parentheses only where they must be ----------------------------------------------------- */

struct tree_text {
	char bytes[8192];
	size_t len;
};

static inline void tree_say(struct tree_text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text->len += vsnprintf(text->bytes + text->len, sizeof(text->bytes) - text->len, format, args);
	va_end(args);
}

/* How close a tree binds, by the table of langdef.md, the other way round. */
static inline unsigned int tree_level(const struct tree *tree)
{
	switch (tree->kind) {
	case TREE_CHOICE:
	case TREE_CHOOSE:
		return 1;
	case TREE_OR:
		return 2;
	case TREE_AND:
		return 3;
	case TREE_MODEL_IS:
	case TREE_MODEL_IS_NOT:
	case TREE_EQ:
	case TREE_NE:
	case TREE_LT:
	case TREE_LE:
	case TREE_GT:
	case TREE_GE:
	case TREE_SAME:
		return 4;
	case TREE_ADD:
	case TREE_SUB:
		return 5;
	case TREE_MUL:
	case TREE_DIV:
	case TREE_MOD:
		return 6;
	case TREE_NEG:
	case TREE_NOT:
		return 7;
	default:
		return 8;
	}
}

static inline void tree_write(const struct tree *tree, struct tree_text *text);

static inline void tree_write_in(const struct tree *tree, unsigned int level, struct tree_text *text)
{
	bool closed = tree_level(tree) < level;

	tree_say(text, closed ? "(" : "");
	tree_write(tree, text);
	tree_say(text, closed ? ")" : "");
}

static inline void tree_write(const struct tree *tree, struct tree_text *text)
{
	static const char *const signs[] = {
		[TREE_MUL] = "*",  [TREE_DIV] = "/", [TREE_MOD] = " % ", [TREE_ADD] = "+",  [TREE_SUB] = "-",   [TREE_EQ] = "==",
		[TREE_NE] = " !=", [TREE_LT] = "<",  [TREE_LE] = "<=",   [TREE_GT] = "> ",  [TREE_GE] = ">=",  [TREE_SAME] = "==",
		[TREE_AND] = "&&", [TREE_OR] = "||",
	};
	unsigned int level = tree_level(tree);

	switch (tree->kind) {
	case TREE_NUMBER:
		tree_say(text, tree->number % 3 ? "%lld" : tree->number % 2 ? "0x%llxu" : "%lldu", (long long)tree->number);
		return;
	case TREE_TRUTH:
		tree_say(text, tree->number ? "true" : "false");
		return;
	case TREE_VAR:
		tree_say(text, "%s", tree_vars[tree->number]);
		return;
	case TREE_HAS:
		tree_say(text, "has(%s)", tree_vars[tree->number]);
		return;
	case TREE_MODEL_IS:
		tree_say(text, "model == '%s'", tree_models[tree->number]);
		return;
	case TREE_MODEL_IS_NOT:
		tree_say(text, "\"%s\"!=model", tree_models[tree->number]);
		return;
	case TREE_NEG:
	case TREE_NOT:
		tree_say(text, tree->kind == TREE_NEG ? "-" : "!");
		tree_write_in(tree->sub[0], level, text);
		return;
	case TREE_CHOICE:
	case TREE_CHOOSE:
		tree_write_in(tree->sub[0], 2, text);
		tree_say(text, "?");
		tree_write_in(tree->sub[1], 2, text);
		tree_say(text, ":");
		tree_write_in(tree->sub[2], 1, text);
		return;
	default:
		tree_write_in(tree->sub[0], level, text);
		tree_say(text, "%s", signs[tree->kind]);
		tree_write_in(tree->sub[1], level + 1, text);
	}
}

/* --- what it comes to ---------------------------------------------------------------------------------- */

static inline int64_t tree_bounded(__int128 n)
{
	return n > KRL_COST_MAX ? KRL_COST_MAX : n < -KRL_COST_MAX ? -KRL_COST_MAX : (int64_t)n;
}

static inline bool tree_model_is(const struct tree *tree, const struct tree_world *w)
{
	return w->model.len == strlen(tree_models[tree->number]) && !strncmp(tree_models[tree->number], w->model.model, 64);
}

static inline int64_t tree_value(const struct tree *tree, const struct tree_world *w)
{
	const uint64_t vars[] = { w->tokens.input, w->tokens.output, w->tokens.total, w->tokens.cached_input };
	int64_t a, b;

	switch (tree->kind) {
	case TREE_NUMBER:
	case TREE_TRUTH:
		return tree->number;
	case TREE_VAR:
		return vars[tree->number];
	case TREE_HAS:
		return tree->number == 4 ? w->model.len > 0 : w->tokens.has >> tree->number & 1;
	case TREE_MODEL_IS:
		return tree_model_is(tree, w);
	case TREE_MODEL_IS_NOT:
		return !tree_model_is(tree, w);
	case TREE_CHOICE:
	case TREE_CHOOSE:
		return tree_value(tree->sub[tree_value(tree->sub[0], w) ? 1 : 2], w);
	default:
		break;
	}
	a = tree_value(tree->sub[0], w);
	b = tree->sub[1] ? tree_value(tree->sub[1], w) : 0;
	switch (tree->kind) {
	case TREE_NEG:
		return -a;
	case TREE_NOT:
		return !a;
	case TREE_MUL:
		return tree_bounded((__int128)a * b);
	case TREE_DIV:
		return b ? a / b : 0;
	case TREE_MOD:
		return b ? a % b : 0;
	case TREE_ADD:
		return tree_bounded((__int128)a + b);
	case TREE_SUB:
		return tree_bounded((__int128)a - b);
	case TREE_EQ:
	case TREE_SAME:
		return a == b;
	case TREE_NE:
		return a != b;
	case TREE_LT:
		return a < b;
	case TREE_LE:
		return a <= b;
	case TREE_GT:
		return a > b;
	case TREE_GE:
		return a >= b;
	case TREE_AND:
		return a && b;
	default:
		return a || b;
	}
}

/* Draw an expression that is at most @depth deep, write it as @text and compile it. Returns its tree; or NULL: it was
 * refused, as the longest are. Aborts where it was for another reason. */
static inline const struct tree *tree_compile(struct tree_source *source, unsigned int depth, struct tree_text *text,
					      struct krl_cost *ret)
{
	struct krl_cost_error error;
	const struct tree *tree;

	source->count = 0;
	text->len = 0;
	tree = tree_draw(source, true, depth);
	tree_write(tree, text);
	if (!krl_cost_compile(text->bytes, ret, &error))
		return tree;
	if (strstr(error.message, "found more"))
		return NULL;
	fprintf(stderr, "%zu: %s\nin %s\n", error.column, error.message, text->bytes);
	abort();
}

#endif
