// SPDX-License-Identifier: Apache-2.0
/* What an answer costs: what is said of an expression that is none, and what one comes to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/policy/cost.h"
#include "cost_tree.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))
#define MOST "4611686018427387903"

/* 9 in, of which 4 were cached, 12 out. */
static const struct krl_llm_tokens all_told = {
	.input = 9, .output = 12, .total = 21, .cached_input = 4,
	.has = KRL_LLM_HAS_INPUT | KRL_LLM_HAS_OUTPUT | KRL_LLM_HAS_TOTAL | KRL_LLM_HAS_CACHED_INPUT,
};

static struct krl_cost compiled(const char *text)
{
	struct krl_cost_error error;
	struct krl_cost cost;

	memset(&cost, 0xff, sizeof(cost));
	if (krl_cost_compile(text, &cost, &error))
		fail_msg("%zu: %s\nin %s", error.column, error.message, text);
	return cost;
}

static uint64_t run(const struct krl_cost *cost, const struct krl_llm_tokens *tokens, const struct krl_llm_model_key *model)
{
	struct krl_cost_run r = { 0 };

	krl_cost_eval(cost, tokens, model, &r);
	return r.tokens;
}

static uint64_t value(const char *text, const struct krl_llm_tokens *tokens, const char *name)
{
	struct krl_llm_model_key model = { .len = strlen(name) };
	struct krl_cost cost = compiled(text);

	memcpy(model.model, name, model.len < KRL_MODEL_BYTES ? model.len : KRL_MODEL_BYTES);
	return run(&cost, tokens, &model);
}

struct told {
	const char *text;
	uint64_t tokens;
};

static void check_all(const struct told *cases, size_t count)
{
	uint64_t n;
	size_t i;

	for (i = 0; i < count; i++) {
		n = value(cases[i].text, &all_told, "gpt-4");
		if (n != cases[i].tokens)
			fail_msg("%s is %llu, not %llu", cases[i].text, (unsigned long long)n,
				 (unsigned long long)cases[i].tokens);
	}
}

static void names_of_the_whole(void **state)
{
	static const struct told cases[] = { { "Total", 21 }, { "Input", 9 }, { "Output", 12 }, { "CachedInput", 4 } };

	check_all(cases, COUNT(cases));
}

static void literals(void **state)
{
	static const struct told cases[] = {
		{ "0", 0 }, { "3", 3 }, { "3u", 3 }, { "3U", 3 }, { "0x10", 16 }, { "0xfFu", 255 }, { "007", 7 },
		{ MOST, KRL_COST_MAX }, { "0x3fffffffffffffff", KRL_COST_MAX }, { " \t\n3\r\f", 3 },
		{ "3 // of each\n+ 1", 4 }, { "3//", 3 }, { "true ? 3 : 4", 3 }, { "false?3:4", 4 },
	};

	check_all(cases, COUNT(cases));
}

static void what_binds_closer(void **state)
{
	static const struct told cases[] = {
		{ "2 + 3 * 4", 14 }, { "(2 + 3) * 4", 20 }, { "20 - 5 - 3", 12 }, { "100 / 5 / 2", 10 }, { "100 / (5 / 2)", 50 },
		{ "2 * 3 % 4", 2 }, { "7 % 4 * 2", 6 }, { "20 - 2 + 3", 21 }, { "- 2 + 3", 1 }, { "10 - -2", 12 }, { "10 --2", 12 },
		{ "--3", 3 }, { "1 + 1 == 2 ? 5 : 6", 5 }, { "1 < 2 == true ? 5 : 6", 5 }, { "true || false && false ? 5 : 6", 5 },
		{ "(true || false) && false ? 5 : 6", 6 }, { "!true || true ? 5 : 6", 5 }, { "!(true || true) ? 5 : 6", 6 },
		{ "false ? 1 : true ? 2 : 3", 2 }, { "false ? 1 : false ? 2 : 3", 3 }, { "(true ? false : true) ? 1 : 2", 2 },
		{ "true ? (false ? 1 : 2) : 3", 2 }, { "true ? 1 : 2 + 10", 1 }, { "(true ? 1 : 2) + 10", 11 },
		{ "1 != 2 && 2 <= 2 && 3 >= 3 && 4 > 3 ? 1 : 0", 1 },
		{ "has(input_tokens) ? input_tokens + output_tokens * 3u : 0u", 45 },
		{ "input_tokens - cached_input_tokens + cached_input_tokens / 4 + 4 * output_tokens", 54 },
	};

	check_all(cases, COUNT(cases));
}

/* What CEL has no number for. */
static void what_is_an_error_elsewhere(void **state)
{
	static const struct told cases[] = {
		{ "5 / 0", 0 }, { "5 % 0", 0 }, { "1 + 5 / (input_tokens - 9)", 1 }, { "3u - 5u", 0 }, { "3u - 5u + 4u", 2 }, { "-1", 0 },
		{ "0 - 7 / 2 + 10", 7 }, { "10 + -7 / 2", 7 }, { "10 + 7 / -2", 7 }, { "10 + -7 / -2", 13 }, { "10 + -7 % 2", 9 },
		{ "10 + 7 % -2", 11 },
	};

	check_all(cases, COUNT(cases));
	assert_int_equal(value("Total", &(struct krl_llm_tokens){ .total = 7 }, ""), 0);
	assert_int_equal(value("has(cached_input_tokens) ? 1 : 2", &(struct krl_llm_tokens){ 0 }, ""), 2);
	assert_int_equal(value("1 + input_tokens", &(struct krl_llm_tokens){ 0 }, ""), 1);
}

static void numbers_saturate(void **state)
{
	static const struct told cases[] = {
		{ MOST " + 1", KRL_COST_MAX }, { MOST " + " MOST, KRL_COST_MAX }, { MOST " * " MOST, KRL_COST_MAX },
		{ "0x80000000 * 0x7fffffff", 0x80000000ULL * 0x7fffffff }, { "0x80000000 * 0x80000000", KRL_COST_MAX },
		{ "0xffffffff * 0xffffffff", KRL_COST_MAX }, { "-" MOST " - " MOST " + " MOST " + 5", 5 },
		{ "-" MOST " * 2 + " MOST, 0 }, { "-2 * " MOST " + " MOST " + 1", 1 }, { "-" MOST " * -" MOST, KRL_COST_MAX },
		{ MOST " / -1 + " MOST, 0 }, { MOST " - 1 + 1", KRL_COST_MAX }, { "0 * " MOST, 0 },
	};
	struct krl_llm_tokens tokens = all_told;

	check_all(cases, COUNT(cases));
	tokens.total = ~0ULL;
	assert_true(value("Total", &tokens, "") == KRL_COST_MAX);
}

/* What is not needed is jumped over. */
static void conditions_stop_early(void **state)
{
	static const struct {
		const char *text;
		unsigned int steps, run;
	} cases[] = {
		{ "false && has(model) ? 1 : 2", 7, 4 },
		{ "true && has(model) ? 1 : 2", 7, 5 },
		{ "true || has(model) ? 1 : 2", 7, 5 },
		{ "false || false || true ? 1 : 2", 9, 8 },
		{ "true ? 1 : 2 * 3 * 4 * 5", 11, 4 },
	};
	static const struct krl_llm_model_key model;
	struct krl_cost_run r = { 0 };
	struct krl_cost cost;
	unsigned int n;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		cost = compiled(cases[i].text);
		assert_int_equal(cost.count, cases[i].steps);
		memset(&r, 0, sizeof(r));
		for (n = 0; krl_cost_step(&cost, &all_told, &model, &r); n++)
			;
		if (n != cases[i].run || r.depth != 1)
			fail_msg("%s: %u steps, %u values", cases[i].text, n, r.depth);
	}
}

static void models_are_compared(void **state)
{
	static const struct {
		const char *text, *model;
		uint64_t tokens;
	} cases[] = {
		{ "model == 'gpt-4' ? 1 : 2", "gpt-4", 1 },
		{ "model == 'gpt-4' ? 1 : 2", "gpt-4o", 2 },
		{ "model == \"gpt-4o\" ? 1 : 2", "gpt-4", 2 },
		{ "'gpt-4' == model ? 1 : 2", "gpt-4", 1 },
		{ "(model) != ('gpt-4') ? 1 : 2", "gpt-4", 2 },
		{ "model != 'gpt-4' ? 1 : 2", "GPT-4", 1 },
		{ "model == '' ? 1 : 2", "", 1 },
		{ "has(model) ? 1 : 2", "", 2 },
		{ "has(model) ? 1 : 2", "a", 1 },
		{ "model == '12345678' ? 1 : 2", "12345678", 1 },
		{ "model == '12345678' ? 1 : 2", "123456789", 2 },
		{ "model == 'a' ? 1 : model == 'b' ? 2 : model == 'a' ? 3 : 4", "b", 2 },
		{ "model == 'a' || model == 'b' ? 1 : 2", "b", 1 },
		{ "model == 'a' ? 1 : model == 'longer-than-8' ? 2 : 3", "longer-than-8", 2 },
		{ "model == '\\x67pt\\u002d\\064\\\\\\'\\\"\\`\\?' ? 1 : 2", "gpt-4\\'\"`?", 1 },
		{ "model == '\\a\\b\\f\\n\\r\\t\\v' ? 1 : 2", "\a\b\f\n\r\t\v", 1 },
		{ "model == '\\u00e9\\U0001F600\\u20ac\\xe9\\351' ? 1 : 2", "\xc3\xa9\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa9\xc3\xa9", 1 },
		{ "model == '\xc3\xa9 // \"' ? 1 : 2", "\xc3\xa9 // \"", 1 },
		/* of 64 bytes, and of more of which 64 are kept */
		{ "model == '1234567812345678123456781234567812345678123456781234567812345678' ? 1 : 2",
		  "1234567812345678123456781234567812345678123456781234567812345678", 1 },
		{ "model == '1234567812345678123456781234567812345678123456781234567812345678' ? 1 : 2",
		  "12345678123456781234567812345678123456781234567812345678123456789", 2 },
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++)
		if (value(cases[i].text, &all_told, cases[i].model) != cases[i].tokens)
			fail_msg("%s, of %s", cases[i].text, cases[i].model);
}

/* The key of a row is a hash of its bytes. */
static void the_same_program_is_the_same_bytes(void **state)
{
	struct krl_cost a = compiled("Total"), b = compiled(" total_tokens // of all");

	assert_memory_equal(&a, &b, sizeof(a));
	a = compiled("model == 'gpt' || model != 'gpt' && model == 'o1' ? 1 : 2");
	b = compiled("(\"gpt\"==model)||(\"\\x67pt\"!=model)&&(model == 'o1')?(1u):(0x2)");
	assert_memory_equal(&a, &b, sizeof(a));
	assert_memory_equal(a.text, "gpt\0\0\0\0\0o1\0\0\0\0\0", 16);
	assert_int_equal(a.text[16], 0);
}

struct refused {
	const char *text;
	size_t column;
	const char *message;
};

static void check_refused(const struct refused *cases, size_t count)
{
	struct krl_cost_error error;
	struct krl_cost cost, before;
	size_t i;

	memset(&before, 0xaa, sizeof(before));
	for (i = 0; i < count; i++) {
		cost = before;
		if (!krl_cost_compile(cases[i].text, &cost, &error))
			fail_msg("taken: %s", cases[i].text);
		if (error.column != cases[i].column || strcmp(error.message, cases[i].message))
			fail_msg("%s: %zu: %s", cases[i].text, error.column, error.message);
		assert_memory_equal(&cost, &before, sizeof(cost));
	}
}

#define A_NAME ": expected input_tokens, output_tokens, total_tokens, cached_input_tokens or model"
#define AN_ESCAPE "expected \\n, \\\\, \\', \\\", \\x41, \\u0041 or \\101, found "

static void what_is_no_expression(void **state)
{
	static const struct refused cases[] = {
		{ "", 1, "expected a value, found the end" },
		{ "  ", 3, "expected a value, found the end" },
		{ ")", 1, "expected a value, found \")\"" },
		{ "1 +", 4, "expected a value, found the end" },
		{ "1 + * 2", 5, "expected a value, found \"*\"" },
		{ "(1 + 2", 7, "expected \")\", found the end" },
		{ "1 2", 3, "expected an operator, found \"2\"" },
		{ "1)", 2, "expected an operator, found \")\"" },
		{ "1 = 2", 3, "expected an operator, found \"=\"" },
		{ "1 'a'", 3, "expected an operator, found the text 'a'" },
		{ "1 \xc3\xa9", 3, "expected an operator, found \"\xc3\xa9\"" },
		{ "true ? 1", 9, "expected \":\", found the end" },
		{ "true ? true ? 1 : 2 : 3", 13, "expected \":\", found \"?\"" },
		{ "inputTokens", 1, "unknown name \"inputTokens\"" A_NAME },
		{ "1 + Total", 5, "unknown name \"Total\"" A_NAME },
		{ "total", 1, "unknown name \"total\"" A_NAME },
		{ "null", 1, "unknown name \"null\"" A_NAME },
		{ "a_name_that_is_longer_than_others", 1, "unknown name \"a_name_that_is_longer_th\"" A_NAME },
		{ "size(model)", 1, "unknown name \"size\"" A_NAME },
		{ "has input_tokens", 5, "expected \"(\", found \"input_tokens\"" },
		{ "has(3)", 5, "expected a name, found \"3\"" },
		{ "has(Input)", 5, "unknown name \"Input\"" A_NAME },
		{ "has(model.x)", 10, "expected \")\", found \".\"" },
		{ "has(true)", 5, "unknown name \"true\"" A_NAME },
		{ "1.5", 1, "expected a whole number, found \"1.5\"" },
		{ "2 * 1e3", 5, "expected a whole number, found \"1e3\"" },
		{ "3uu", 1, "expected a whole number, found \"3uu\"" },
		{ "0x", 1, "expected a whole number, found \"0x\"" },
		{ "0X10", 1, "expected a whole number, found \"0X10\"" },
		{ "4611686018427387904", 1, "expected a number up to " MOST ", found \"4611686018427387904\"" },
		{ "0x4000000000000000u", 1, "expected a number up to " MOST ", found \"0x4000000000000000u\"" },
		{ "99999999999999999999999999999999999999999999999999999", 1,
		  "expected a number up to " MOST ", found \"9999999999999999999999999999999999999999\"" },
	};

	check_refused(cases, COUNT(cases));
}

static void what_is_no_text(void **state)
{
	static const struct refused cases[] = {
		{ "model == 'gpt", 14, "expected ' behind the text, found the end" },
		{ "model == \"gpt'", 15, "expected \" behind the text, found the end" },
		{ "model == 'gpt\n'", 14, "expected ' behind the text, found the end of the line" },
		{ "model == 'a\\q'", 12, AN_ESCAPE "\"\\q\"" },
		{ "model == '\\400'", 11, AN_ESCAPE "\"\\4\"" },
		{ "model == '\\x4'", 11, AN_ESCAPE "\"\\x\"" },
		{ "model == '\\ud83d\\ude00'", 11, AN_ESCAPE "\"\\u\"" },
		{ "model == '\\U00110000'", 11, AN_ESCAPE "\"\\U\"" },
		{ "model == '\\", 11, AN_ESCAPE "\"\\\"" },
		{ "model == '12345678123456781234567812345678123456781234567812345678123456789'", 10,
		  "expected a name of at most 64 bytes, found more" },
		/* characters are counted, not bytes */
		{ "model == '\xc3\xa9\xe2\x82\xac' ? 1 : x", 21, "unknown name \"x\"" A_NAME },
	};

	check_refused(cases, COUNT(cases));
}

static void kinds_that_do_not_fit(void **state)
{
	static const struct refused cases[] = {
		{ "1 + true", 3, "+ wants numbers, found a condition" },
		{ "(1 < 2) * 3", 9, "* wants numbers, found a condition" },
		{ "model + 1", 7, "+ wants numbers, found model" },
		{ "1 - 'a'", 3, "- wants numbers, found text" },
		{ "-true", 1, "- wants numbers, found a condition" },
		{ "!1 ? 1 : 2", 1, "! wants conditions, found a number" },
		{ "1 < 2 < 3", 7, "< wants numbers, found a condition" },
		{ "true >= false ? 1 : 2", 6, ">= wants numbers, found a condition" },
		{ "1 && true ? 1 : 2", 3, "&& wants conditions, found a number" },
		{ "true || 1 ? 1 : 2", 6, "|| wants conditions, found a number" },
		{ "1 ? 2 : 3", 3, "? wants conditions, found a number" },
		{ "model ? 2 : 3", 7, "? wants conditions, found model" },
		{ "true ? 1 : false", 6, "?: wants two numbers or two conditions, found a number and a condition" },
		{ "true ? 'a' : 'b'", 6, "?: wants two numbers or two conditions, found text and text" },
		{ "true ? model : 1", 6, "?: wants two numbers or two conditions, found model and a number" },
		{ "1 == true ? 1 : 2", 3, "== cannot compare a number with a condition" },
		{ "model == 1 ? 1 : 2", 7, "== cannot compare model with a number" },
		{ "model != model ? 1 : 2", 7, "!= cannot compare model with model" },
		{ "'a' == 'b' ? 1 : 2", 5, "== cannot compare text with text" },
		{ "model < 'a' ? 1 : 2", 7, "< wants numbers, found model" },
		{ " total_tokens > 5", 2, "expected a number of tokens, found a condition" },
		{ "model", 1, "expected a number of tokens, found model" },
		{ "'gpt'", 1, "expected a number of tokens, found text" },
	};

	check_refused(cases, COUNT(cases));
}

/* @before, @count times @each, @after. */
static const char *repeated(const char *before, const char *each, size_t count, const char *after)
{
	static char text[4096];
	size_t len = snprintf(text, sizeof(text), "%s", before);

	while (count--)
		len += snprintf(text + len, sizeof(text) - len, "%s", each);
	snprintf(text + len, sizeof(text) - len, "%s", after);
	return text;
}

static void refused(const char *text, size_t column, const char *message)
{
	const struct refused one = { text, column, message };

	check_refused(&one, 1);
}

/* What CEL wants of every implementation: 32 operators of a kind, 32 levels. */
static void how_long_and_how_deep(void **state)
{
	struct krl_cost cost;

	assert_int_equal(value(repeated("1", "+ 1", 31, ""), &all_told, ""), 32);
	assert_int_equal(value(repeated("false", "|| true", 29, " ? 1 : 2"), &all_told, ""), 1);
	assert_int_equal(value(repeated("", "(", 31, "7)))))))))))))))))))))))))))))))"), &all_told, ""), 7);
	assert_int_equal(value(repeated("", "-", 30, "7"), &all_told, ""), 7);
	assert_int_equal(value(repeated("", "1+(", 15, "7)))))))))))))))"), &all_told, ""), 22);
	/* One of the two sides of a choice is on the stack. */
	assert_int_equal(value(repeated("1+(2+(", "false ? 1 : ", 14, "4))"), &all_told, ""), 7);
	cost = compiled(repeated("1", "+1", 31, ""));
	assert_int_equal(cost.count, 63);
	refused(repeated("1", "+1", 32, ""), 66, "expected at most 64 steps, found more: see docs/llm.md");
	refused(repeated("", "(", 33, "7"), 33, "expected at most 32 expressions inside of one another, found more");
	refused(repeated("", "-", 1000, "7"), 33, "expected at most 32 expressions inside of one another, found more");
	refused(repeated("", "1+(", 16, "7"), 49, "expected at most 16 values at once, found more");
	refused(repeated("", "true ? 1 : ", 100, "1"), 177, "expected at most 64 steps, found more: see docs/llm.md");
}

static void names_have_room(void **state)
{
	char text[4096];
	size_t len = 0;
	int i;

	for (i = 0; i < 9; i++)
		len += snprintf(text + len, sizeof(text) - len, "model == '%064d' ? %d : ", i, i);
	snprintf(text + len, sizeof(text) - len, "9");
	refused(text, 8 * 82 + 10, "expected names of at most 512 bytes in all, found more");
	memcpy(strstr(text, "8' ? 8"), "7", 1);
	compiled(text);
}

static unsigned int draw(void *ctx)
{
	return rand_r(ctx);
}

static void as_a_walk_over_the_tree(void **state)
{
	static struct tree_source source;
	static struct tree_text text;
	unsigned int seed = 1, i, w, taken = 0;
	struct tree_world world;
	const struct tree *tree;
	struct krl_cost cost;
	int64_t want;

	source.draw = draw;
	source.ctx = &seed;
	for (i = 0; i < 100000; i++) {
		tree = tree_compile(&source, 1 + i % TREE_DEPTH, &text, &cost);
		if (!tree)
			continue;
		taken++;
		for (w = 0; w < 4; w++) {
			tree_draw_world(&source, &world);
			want = tree_value(tree, &world);
			if (run(&cost, &world.tokens, &world.model) != (uint64_t)(want < 0 ? 0 : want))
				fail_msg("%s is not %lld", text.bytes, (long long)want);
		}
	}
	assert_true(taken > 90000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_the_whole),
		cmocka_unit_test(literals),
		cmocka_unit_test(what_binds_closer),
		cmocka_unit_test(what_is_an_error_elsewhere),
		cmocka_unit_test(numbers_saturate),
		cmocka_unit_test(conditions_stop_early),
		cmocka_unit_test(models_are_compared),
		cmocka_unit_test(the_same_program_is_the_same_bytes),
		cmocka_unit_test(what_is_no_expression),
		cmocka_unit_test(what_is_no_text),
		cmocka_unit_test(kinds_that_do_not_fit),
		cmocka_unit_test(how_long_and_how_deep),
		cmocka_unit_test(names_have_room),
		cmocka_unit_test(as_a_walk_over_the_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
