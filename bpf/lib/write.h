/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writing the whole answer to a refused request. */
#ifndef KMESH_RL_WRITE_H
#define KMESH_RL_WRITE_H

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

/* Write conn->answer into @t: as the compact one when its rule was changed and the form is gone. */
static __noinline int krl_write_answer(struct krl_answer_text *t, struct krl_conn *conn)
{
	struct krl_writing writing = { .text = t, .answer = &conn->answer };
	__u64 key = conn->answer.form;

	t->len = 0;
	t->at = 0;
	if (conn->answer.kind == KRL_ANSWER_BAD_REQUEST) {
		krl_answer_bad_request(t, &conn->answer);
		return 0;
	}
	writing.form = bpf_map_lookup_elem(&krl_forms, &key);
	if (writing.form) {
		bpf_loop(writing.form->piece_count, krl_write_piece, &writing, 0);
		return 0;
	}
	krl_answer_write_compact(&t->number, &conn->answer, KRL_TEXT_BYTES);
	krl_answer_append(t, t->number.bytes, t->number.len & (KRL_TEXT_BYTES - 1));
	krl_answer_str(t, "\r\n\r\n");
	krl_count(KRL_REASON_ANSWER_COMPACT);
	return 0;
}

#endif
