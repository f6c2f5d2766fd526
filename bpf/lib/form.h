/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writing a form: an answer, or the fields on one. */
#ifndef KMESH_RL_FORM_H
#define KMESH_RL_FORM_H

#include "../maps.h"
#include "answer.h"

struct krl_writing {
	struct krl_answer_text *text;
	const struct krl_form *form;
	const struct krl_answer *answer;
};

static long krl_write_piece(__u32 i, void *ctx)
{
	struct krl_writing *w = ctx;

	return krl_answer_piece(w->text, w->form, w->answer, i);
}

/* Append @form to @t, with the numbers of @answer. */
static __always_inline void krl_append_form(struct krl_answer_text *t, const struct krl_form *form,
					    const struct krl_answer *answer)
{
	struct krl_writing writing = { .text = t, .form = form, .answer = answer };

	t->at = 0;
	bpf_loop(form->piece_count, krl_write_piece, &writing, 0);
}

/* Write @form into @t. */
static __always_inline void krl_write_form(struct krl_answer_text *t, const struct krl_form *form,
					   const struct krl_answer *answer)
{
	t->len = 0;
	krl_append_form(t, form, answer);
}

#endif
