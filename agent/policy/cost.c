// SPDX-License-Identifier: Apache-2.0
/* One pass: what is read is checked and put out at once. The grammar is that of the Common Expression Language, see
 * cost_lex.h; each function below reads one of its productions. */
#include "cost.h"

#include <stdbool.h>
#include <string.h>

#include "cost_lex.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

/* Expressions inside of one another: CEL asks for 32. */
#define NESTED 32

#define NAMES "input_tokens, output_tokens, total_tokens, cached_input_tokens or model"

enum kind {
	NUMBER,
	CONDITION,
	TEXT,		/* nothing was put out for it */
	MODEL,		/* likewise */
};

static const char *const kinds[] = { "a number", "a condition", "text", "model" };

struct operand {
	enum kind kind;
	const char *at;
	char text[KRL_MODEL_BYTES];
	size_t text_len;
};

struct compiler {
	struct krl_cost_lex lex;
	struct krl_cost *cost;
	size_t text_len;
	unsigned int depth;		/* values on the stack */
	unsigned int nested;
};

struct operator {
	const char *sign;
	unsigned int level;		/* the higher, the closer it binds */
	enum krl_cost_op op;
};

#define ANY_LEVEL 1

static const struct operator operators[] = {
	{ "||", 1, KRL_COST_OR },  { "&&", 2, KRL_COST_AND }, { "==", 3, KRL_COST_EQ }, { "!=", 3, KRL_COST_NE },
	{ "<", 3, KRL_COST_LT },   { "<=", 3, KRL_COST_LE },  { ">", 3, KRL_COST_GT },	{ ">=", 3, KRL_COST_GE },
	{ "+", 4, KRL_COST_ADD },  { "-", 4, KRL_COST_SUB },  { "*", 5, KRL_COST_MUL }, { "/", 5, KRL_COST_DIV },
	{ "%", 5, KRL_COST_MOD },
};

static int parse_expression(struct compiler *c, struct operand *ret);

static bool is_comparison(enum krl_cost_op op)
{
	return op >= KRL_COST_EQ && op <= KRL_COST_GE;
}

/* --- what is put out ----------------------------------------------------------------------------------- */

/* Put a step out, which leaves @grows more values on the stack. */
static int put(struct compiler *c, enum krl_cost_op op, __u32 arg, __s64 number, int grows)
{
	if (c->cost->count == KRL_COST_STEPS)
		return krl_cost_fail(&c->lex, c->lex.word.at, "expected at most %d steps, found more: see docs/llm.md",
				     KRL_COST_STEPS);
	c->depth += grows;
	if (c->depth > KRL_COST_DEPTH)
		return krl_cost_fail(&c->lex, c->lex.word.at, "expected at most %d values at once, found more",
				     KRL_COST_DEPTH);
	c->cost->steps[c->cost->count++] = (struct krl_cost_step){ .op = op, .arg = arg, .number = number };
	return 0;
}

/* A jump that was put out last goes to where the next step comes. */
static __u32 last(const struct compiler *c)
{
	return c->cost->count - 1;
}

static void land(struct compiler *c, __u32 jump)
{
	c->cost->steps[jump].number = c->cost->count;
}

/* Where the name of @o is in the program's text, where it is put if it is not there. -1: there is no room. */
static __s64 text_at(struct compiler *c, const struct operand *o)
{
	size_t len = (o->text_len + 7) / 8 * 8, at;

	for (at = 0; at + len <= c->text_len; at += 8)
		if (!memcmp(c->cost->text + at, o->text, len))
			return at;
	if (c->text_len + len > KRL_COST_TEXT_BYTES)
		return -1;
	at = c->text_len;
	memcpy(c->cost->text + at, o->text, len);
	c->text_len += len;
	return at;
}

static int put_model_is(struct compiler *c, const struct operand *text, enum krl_cost_op op)
{
	__s64 at = text_at(c, text);

	if (at < 0)
		return krl_cost_fail(&c->lex, text->at, "expected names of at most %d bytes in all, found more",
				     KRL_COST_TEXT_BYTES);
	if (put(c, KRL_COST_MODEL_IS, text->text_len, at, 1))
		return -1;
	return op == KRL_COST_NE ? put(c, KRL_COST_NOT, 0, 0, 0) : 0;
}

/* --- what is read -------------------------------------------------------------------------------------- */

static int next(struct compiler *c)
{
	return krl_cost_lex_next(&c->lex);
}

static int take(struct compiler *c, const char *sign)
{
	const char what[] = { '"', *sign, '"', 0 };

	return krl_cost_word_is(&c->lex.word, sign) ? next(c) : krl_cost_expected(&c->lex, what);
}

/* enum krl_cost_var of the word; -1, and said so, when it has none. */
static int var_of(struct compiler *c)
{
	static const char *const names[] = { [KRL_COST_INPUT] = "input_tokens",
					     [KRL_COST_OUTPUT] = "output_tokens",
					     [KRL_COST_TOTAL] = "total_tokens",
					     [KRL_COST_CACHED_INPUT] = "cached_input_tokens",
					     [KRL_COST_MODEL] = "model" };
	const struct krl_cost_word *word = &c->lex.word;
	size_t i;

	for (i = 0; i < COUNT(names); i++)
		if (krl_cost_word_is(word, names[i]))
			return i;
	if (word->kind != KRL_COST_WORD_NAME)
		return krl_cost_expected(&c->lex, "a name");
	return krl_cost_fail(&c->lex, word->at, "unknown name \"%.*s\": expected " NAMES,
			     word->len < 24 ? (int)word->len : 24, word->at);
}

static int parse_has(struct compiler *c, struct operand *ret)
{
	int var;

	ret->kind = CONDITION;
	if (next(c) || take(c, "("))
		return -1;
	var = var_of(c);
	return var < 0 || next(c) || take(c, ")") ? -1 : put(c, KRL_COST_HAS, var, 0, 1);
}

static int parse_name(struct compiler *c, struct operand *ret)
{
	const struct krl_cost_word *word = &c->lex.word;
	int var;

	if (krl_cost_word_is(word, "has"))
		return parse_has(c, ret);
	if (krl_cost_word_is(word, "true") || krl_cost_word_is(word, "false")) {
		ret->kind = CONDITION;
		return put(c, KRL_COST_PUSH, 0, krl_cost_word_is(word, "true"), 1) ? -1 : next(c);
	}
	var = var_of(c);
	if (var < 0)
		return -1;
	ret->kind = var == KRL_COST_MODEL ? MODEL : NUMBER;
	return (ret->kind == NUMBER && put(c, KRL_COST_LOAD, var, 0, 1)) ? -1 : next(c);
}

static int parse_primary(struct compiler *c, struct operand *ret)
{
	const struct krl_cost_word *word = &c->lex.word;

	ret->at = word->at;
	if (word->kind == KRL_COST_WORD_NAME)
		return parse_name(c, ret);
	if (word->kind == KRL_COST_WORD_NUMBER) {
		ret->kind = NUMBER;
		return put(c, KRL_COST_PUSH, 0, word->number, 1) ? -1 : next(c);
	}
	if (word->kind == KRL_COST_WORD_TEXT) {
		ret->kind = TEXT;
		ret->text_len = word->text_len;
		memcpy(ret->text, word->text, sizeof(ret->text));
		return next(c);
	}
	if (!krl_cost_word_is(word, "("))
		return krl_cost_expected(&c->lex, "a value");
	return next(c) || parse_expression(c, ret) ? -1 : take(c, ")");
}

/* @o is to be of @want for what is written at @at. */
static int check_kind(struct compiler *c, const char *at, const char *sign, const struct operand *o, enum kind want)
{
	if (o->kind == want)
		return 0;
	return krl_cost_fail(&c->lex, at, "%s wants %s, found %s", sign, want == NUMBER ? "numbers" : "conditions",
			     kinds[o->kind]);
}

static int parse_unary(struct compiler *c, struct operand *ret)
{
	const char *at = c->lex.word.at;
	bool is_not = krl_cost_word_is(&c->lex.word, "!");
	int err;

	if (++c->nested > NESTED)
		return krl_cost_fail(&c->lex, at, "expected at most %d expressions inside of one another, found more", NESTED);
	if (is_not || krl_cost_word_is(&c->lex.word, "-"))
		err = next(c) || parse_unary(c, ret) ||
		      check_kind(c, at, is_not ? "!" : "-", ret, is_not ? CONDITION : NUMBER) ||
		      put(c, is_not ? KRL_COST_NOT : KRL_COST_NEG, 0, 0, 0);
	else
		err = parse_primary(c, ret);
	c->nested--;
	return err ? -1 : 0;
}

/* The operator that the word is, which binds as @level or closer. */
static const struct operator *operator_of(const struct compiler *c, unsigned int level)
{
	size_t i;

	for (i = 0; i < COUNT(operators); i++)
		if (operators[i].level >= level && krl_cost_word_is(&c->lex.word, operators[i].sign))
			return &operators[i];
	return NULL;
}

/* == and !=, of which both sides are there. */
static int put_equal(struct compiler *c, const char *at, const struct operator *operator, const struct operand *left,
		     const struct operand *right)
{
	if (left->kind == MODEL && right->kind == TEXT)
		return put_model_is(c, right, operator->op);
	if (left->kind == TEXT && right->kind == MODEL)
		return put_model_is(c, left, operator->op);
	if (left->kind != right->kind || left->kind == TEXT || left->kind == MODEL)
		return krl_cost_fail(&c->lex, at, "%s cannot compare %s with %s", operator->sign, kinds[left->kind],
				     kinds[right->kind]);
	return put(c, operator->op, 0, 0, -1);
}

static int parse_binary(struct compiler *c, unsigned int level, struct operand *ret);

/* What is right of @operator at @at, of which @left is there and becomes the result. */
static int parse_right(struct compiler *c, const char *at, const struct operator *operator, struct operand *left)
{
	bool is_equal = operator->op == KRL_COST_EQ || operator->op == KRL_COST_NE;
	bool is_jump = operator->op == KRL_COST_AND || operator->op == KRL_COST_OR;
	enum kind want = is_jump ? CONDITION : NUMBER;
	struct operand right;
	__u32 jump;

	if (!is_equal && check_kind(c, at, operator->sign, left, want))
		return -1;
	if (is_jump && put(c, operator->op, 0, 0, -1))
		return -1;
	jump = last(c);
	if (parse_binary(c, operator->level + 1, &right))
		return -1;
	if (!is_equal && check_kind(c, at, operator->sign, &right, want))
		return -1;
	if (is_jump)
		land(c, jump);
	else if (is_equal ? put_equal(c, at, operator, left, &right) : put(c, operator->op, 0, 0, -1))
		return -1;
	left->kind = is_jump || is_comparison(operator->op) ? CONDITION : NUMBER;
	return 0;
}

static int parse_binary(struct compiler *c, unsigned int level, struct operand *ret)
{
	const struct operator *operator;
	const char *at;

	if (parse_unary(c, ret))
		return -1;
	while ((operator = operator_of(c, level))) {
		at = c->lex.word.at;
		if (next(c) || parse_right(c, at, operator, ret))
			return -1;
	}
	return 0;
}

/* Behind the condition @ret and its question mark at @at. */
static int parse_choice(struct compiler *c, const char *at, struct operand *ret)
{
	struct operand other;
	__u32 unless, jump;

	if (check_kind(c, at, "?", ret, CONDITION) || put(c, KRL_COST_UNLESS, 0, 0, -1))
		return -1;
	unless = last(c);
	if (parse_binary(c, ANY_LEVEL, ret) || take(c, ":") || put(c, KRL_COST_JUMP, 0, 0, 0))
		return -1;
	jump = last(c);
	land(c, unless);
	if (ret->kind == NUMBER || ret->kind == CONDITION)
		c->depth--;
	if (parse_expression(c, &other))
		return -1;
	land(c, jump);
	if (ret->kind != other.kind || (ret->kind != NUMBER && ret->kind != CONDITION))
		return krl_cost_fail(&c->lex, at, "?: wants two numbers or two conditions, found %s and %s", kinds[ret->kind],
				     kinds[other.kind]);
	return 0;
}

static int parse_expression(struct compiler *c, struct operand *ret)
{
	const char *at;

	if (parse_binary(c, ANY_LEVEL, ret))
		return -1;
	at = c->lex.word.at;
	if (!krl_cost_word_is(&c->lex.word, "?"))
		return 0;
	return next(c) ? -1 : parse_choice(c, at, ret);
}

static int parse_whole(struct compiler *c)
{
	const char *at = c->lex.word.at;
	struct operand o;

	if (parse_expression(c, &o))
		return -1;
	if (c->lex.word.kind != KRL_COST_WORD_END)
		return krl_cost_expected(&c->lex, "an operator");
	if (o.kind != NUMBER)
		return krl_cost_fail(&c->lex, at, "expected a number of tokens, found %s", kinds[o.kind]);
	return 0;
}

/* --- the names of the whole ---------------------------------------------------------------------------- */

/* Which of them the text is; -1: none. */
static int named_var(const char *text)
{
	static const char *const names[] = { [KRL_COST_INPUT] = "Input",
					     [KRL_COST_OUTPUT] = "Output",
					     [KRL_COST_TOTAL] = "Total",
					     [KRL_COST_CACHED_INPUT] = "CachedInput" };
	size_t i;

	for (i = 0; i < COUNT(names); i++)
		if (!strcmp(text, names[i]))
			return i;
	return -1;
}

int krl_cost_compile(const char *text, struct krl_cost *ret, struct krl_cost_error *ret_error)
{
	struct krl_cost_error error = { 0 };
	struct krl_cost cost = { 0 };
	struct compiler c = { .cost = &cost };
	int var = named_var(text);
	int err;

	if (var < 0)
		err = krl_cost_lex_begin(&c.lex, text, &error) || parse_whole(&c);
	else
		err = put(&c, KRL_COST_LOAD, var, 0, 1);
	if (err) {
		*ret_error = error;
		return -1;
	}
	*ret = cost;
	return 0;
}
