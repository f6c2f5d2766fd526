// SPDX-License-Identifier: Apache-2.0
/* An expression of what an answer costs: refused at a place that it has, or a program that keeps to its stack on every way
 * through it. The input is the text of one, and what a random one is drawn from, which comes to what a walk over its tree
 * does. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/cost.h"
#include "test/unit/cost_tree.h"

#define MAX_TEXT 4096
#define UNSEEN -1

/* How many values each step finds; one that is not reached by the steps before is a mistake as well. */
struct depths {
	int at[KRL_COST_STEPS + 1];
};

static void reach(struct depths *d, const struct krl_cost *cost, uint64_t step, int depth)
{
	if (step > cost->count || depth < 0 || depth > KRL_COST_DEPTH)
		abort();
	if (d->at[step] != UNSEEN && d->at[step] != depth)
		abort();
	d->at[step] = depth;
}

static void check_jump(struct depths *d, const struct krl_cost *cost, uint32_t i)
{
	const struct krl_cost_step *step = &cost->steps[i];
	int depth = d->at[i];

	if (step->number <= i || step->op > KRL_COST_OR || (step->op != KRL_COST_JUMP && depth < 1))
		abort();
	reach(d, cost, step->number, step->op == KRL_COST_UNLESS ? depth - 1 : depth);
	if (step->op != KRL_COST_JUMP)
		reach(d, cost, i + 1, depth - 1);
}

static void check_model_is(const struct krl_cost *cost, const struct krl_cost_step *step)
{
	if (step->arg > KRL_MODEL_BYTES || step->number < 0 || step->number % 8 ||
	    step->number + step->arg > KRL_COST_TEXT_BYTES)
		abort();
	if (step->arg % 8 && cost->text[step->number + step->arg])
		abort();
}

static void check_program(const struct krl_cost *cost)
{
	const struct krl_cost_step *step;
	struct depths d;
	uint32_t i;

	if (!cost->count || cost->count > KRL_COST_STEPS)
		abort();
	memset(&d, 0xff, sizeof(d));
	d.at[0] = 0;
	for (i = 0; i < cost->count; i++) {
		step = &cost->steps[i];
		if (d.at[i] == UNSEEN)
			abort();
		if (step->op == KRL_COST_MODEL_IS)
			check_model_is(cost, step);
		if (step->op >= KRL_COST_JUMP) {
			check_jump(&d, cost, i);
		} else if (step->op < KRL_COST_NEG) {
			reach(&d, cost, i + 1, d.at[i] + 1);
		} else {
			if (d.at[i] < 1 + (step->op >= KRL_COST_ADD))
				abort();
			reach(&d, cost, i + 1, d.at[i] - (step->op >= KRL_COST_ADD));
		}
	}
	if (d.at[cost->count] != 1)
		abort();
}

static void check_text(const char *text)
{
	static const struct krl_llm_model_key model = { .len = 1, .model = "a" };
	static const struct krl_llm_tokens tokens = { .input = 1, .output = ~0ULL, .has = 15 };
	struct krl_cost_error error = { 0 };
	struct krl_cost_run run = { 0 };
	struct krl_cost cost;

	if (krl_cost_compile(text, &cost, &error)) {
		if (!error.column || error.column > strlen(text) + 1 || !*error.message)
			abort();
		return;
	}
	check_program(&cost);
	krl_cost_eval(&cost, &tokens, &model, &run);
	if (run.depth != 1 || run.at != cost.count || run.tokens > KRL_COST_MAX)
		abort();
}

struct input {
	const uint8_t *data;
	size_t size, at;
};

static unsigned int draw(void *ctx)
{
	struct input *input = ctx;

	return input->at < input->size ? input->data[input->at++] : 0;
}

static void check_tree(const uint8_t *data, size_t size)
{
	static struct tree_source source;
	static struct tree_text text;
	struct input input = { .data = data, .size = size };
	struct krl_cost_run run = { 0 };
	struct tree_world world;
	const struct tree *tree;
	struct krl_cost cost;
	int64_t want;

	source.draw = draw;
	source.ctx = &input;
	tree = tree_compile(&source, TREE_DEPTH, &text, &cost);
	if (!tree)
		return;
	check_program(&cost);
	tree_draw_world(&source, &world);
	krl_cost_eval(&cost, &world.tokens, &world.model, &run);
	want = tree_value(tree, &world);
	if (run.tokens != (uint64_t)(want < 0 ? 0 : want))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[MAX_TEXT + 1];

	if (size > MAX_TEXT)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	check_text(text);
	check_tree(data, size);
	return 0;
}
