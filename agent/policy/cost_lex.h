/* SPDX-License-Identifier: Apache-2.0 */
/* The words of an expression, as the Common Expression Language cuts them:
 * https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax */
#ifndef KMESH_RL_COST_LEX_H
#define KMESH_RL_COST_LEX_H

#include <stdbool.h>
#include <stddef.h>

#include "cost.h"

enum krl_cost_word_kind {
	KRL_COST_WORD_END,
	KRL_COST_WORD_NUMBER,
	KRL_COST_WORD_TEXT,
	KRL_COST_WORD_NAME,
	KRL_COST_WORD_SIGN,
};

struct krl_cost_word {
	enum krl_cost_word_kind kind;
	const char *at;			/* into the expression */
	size_t len;
	__s64 number;			/* of KRL_COST_WORD_NUMBER */
	char text[KRL_MODEL_BYTES];	/* of KRL_COST_WORD_TEXT: what it stands for, in UTF-8, NUL padded */
	size_t text_len;
};

struct krl_cost_lex {
	const char *begin;
	struct krl_cost_word word;		/* the one that is looked at */
	struct krl_cost_error *error;
};

/* Look at the first word of @text. 0, or -1 and @error. */
int krl_cost_lex_begin(struct krl_cost_lex *lex, const char *text, struct krl_cost_error *error);

/* Look at the next word. Likewise. */
int krl_cost_lex_next(struct krl_cost_lex *lex);

/* Is the word @text? No string is. */
bool krl_cost_word_is(const struct krl_cost_word *word, const char *text);

/* Say what is wrong at @at. Returns -1. */
__attribute__((format(printf, 3, 4))) int krl_cost_fail(struct krl_cost_lex *lex, const char *at, const char *format,
							 ...);

/* "expected @what, found ..." at the word. Returns -1. */
int krl_cost_expected(struct krl_cost_lex *lex, const char *what);

#endif
