// SPDX-License-Identifier: Apache-2.0
/* The kernel evaluates what an answer costs as a walk over the expression does; what that takes is printed. argv[1] is the
 * directory of the test objects. */
#include <stdlib.h>

#include "agent/policy/cost.h"
#include "test/prog/cost.h"
#include "test/prog/object.h"
#include "test/unit/cost_tree.h"

enum { REPEAT = 200000, EXPRESSIONS = 3000 };

static const char packet[MIN_PACKET];
static const char *directory;
static struct bpf_object *object;

static uint64_t evaluated(struct test_cost *row)
{
	object_set(object, "test_cost", row);
	object_run(object, "evaluate", packet, sizeof(packet));
	object_get(object, "test_cost", row);
	return row->run.tokens;
}

static void set(struct test_cost *row, const char *text, const char *model)
{
	struct krl_cost_error error;

	memset(row, 0, sizeof(*row));
	row->tokens = (struct krl_llm_tokens){ .input = 9, .output = 12, .total = 21, .cached_input = 4, .has = 15 };
	row->model.len = strlen(model);
	memcpy(row->model.model, model, row->model.len);
	if (krl_cost_compile(text, &row->cost, &error))
		fail_msg("%zu: %s\nin %s", error.column, error.message, text);
}

static void expressions_come_to_what_they_say(void **state)
{
	static const struct {
		const char *text;
		uint64_t tokens;
	} cases[] = {
		{ "Total", 21 },
		{ "has(input_tokens) ? input_tokens + output_tokens * 3u : 0u", 45 },
		{ "model == 'gpt-4' ? 10 * total_tokens : model == 'qwen3' ? 2 * total_tokens : total_tokens", 42 },
		{ "model != 'qwen3' || output_tokens < 12 ? 1 : 2", 2 },
		{ "4611686018427387903 * 2", KRL_COST_MAX },
		{ "10 + -7 / 2 + -7 % 2", 6 },
		{ "input_tokens - output_tokens", 0 },
		{ "5 / 0", 0 },
	};
	struct test_cost row;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		set(&row, cases[i].text, "qwen3");
		if (evaluated(&row) != cases[i].tokens)
			fail_msg("%s is %llu", cases[i].text, (unsigned long long)row.run.tokens);
	}
}

static unsigned int draw(void *ctx)
{
	return rand_r(ctx);
}

static void as_a_walk_over_the_tree(void **state)
{
	static struct tree_source source;
	static struct tree_text text;
	unsigned int seed = 2, i, taken = 0;
	struct tree_world world;
	const struct tree *tree;
	struct test_cost row;
	int64_t want;

	source.draw = draw;
	source.ctx = &seed;
	for (i = 0; i < EXPRESSIONS; i++) {
		memset(&row, 0xff, sizeof(row));
		tree = tree_compile(&source, 1 + i % TREE_DEPTH, &text, &row.cost);
		if (!tree)
			continue;
		taken++;
		tree_draw_world(&source, &world);
		row.tokens = world.tokens;
		row.model = world.model;
		want = tree_value(tree, &world);
		if (evaluated(&row) != (uint64_t)(want < 0 ? 0 : want))
			fail_msg("%s is %llu, not %lld", text.bytes, (unsigned long long)row.run.tokens, (long long)want);
	}
	assert_true(taken > EXPRESSIONS * 9 / 10);
}

/* What no compiler made ends, and its tokens are some. */
static void any_bytes_are_a_program(void **state)
{
	struct test_cost row;
	unsigned int seed = 3, i;
	size_t at;

	for (i = 0; i < EXPRESSIONS; i++) {
		for (at = 0; at < sizeof(row); at++)
			((uint8_t *)&row)[at] = rand_r(&seed);
		if (i % 2)
			for (at = 0; at < KRL_COST_STEPS; at++)
				row.cost.steps[at].op = rand_r(&seed) % (KRL_COST_OR + 1);
		evaluated(&row);
	}
}

static void print_time(const char *what, const char *program, const char *text)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet), .repeat = REPEAT);
	struct test_cost row;

	set(&row, text, "qwen3");
	object_set(object, "test_cost", &row);
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(bpf_object__find_program_by_name(object, program)), &opts),
			 0);
	printf("cost: %s, %u steps: %u ns\n", what, row.cost.count, opts.duration);
}

static void what_it_takes_is_printed(void **state)
{
	char most[256] = "1";
	size_t i;

	assert_int_equal(object_print_verified(object), 0);
	for (i = 0; i < 31; i++)
		strcat(most, "*99");
	print_time("nothing", "look_up_alone", "Total");
	print_time("Total", "evaluate", "Total");
	print_time("of input and output", "evaluate", "has(input_tokens) ? input_tokens + output_tokens * 3u : 0u");
	print_time("by the model", "evaluate", "model == 'gpt-4' ? 10 * total_tokens : model == 'qwen3' ? 2 * total_tokens : 1");
	print_time("the longest", "evaluate", most);
}

static int load(void **state)
{
	return object_load(directory, "cost.bpf.o", &object);
}

static int unload(void **state)
{
	bpf_object__close(object);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expressions_come_to_what_they_say),
		cmocka_unit_test(as_a_walk_over_the_tree),
		cmocka_unit_test(any_bytes_are_a_program),
		cmocka_unit_test(what_it_takes_is_printed),
	};

	directory = argc > 1 ? argv[1] : ".";
	return cmocka_run_group_tests(tests, load, unload);
}
