/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writing the whole answer to a refused request. */
#ifndef KMESH_RL_WRITE_H
#define KMESH_RL_WRITE_H

#include "form.h"

/* Write conn->answer into @t: as the compact one when its rule was changed and the form is gone. */
static __noinline int krl_write_answer(struct krl_answer_text *t, struct krl_conn *conn)
{
	const struct krl_form *form;
	__u64 key = conn->answer.form;

	t->len = 0;
	if (conn->answer.kind == KRL_ANSWER_BAD_REQUEST) {
		krl_answer_bad_request(t, &conn->answer);
		return 0;
	}
	if (conn->answer.kind == KRL_ANSWER_USAGE_MISSING) {
		krl_answer_usage_missing(t, &conn->answer);
		return 0;
	}
	form = bpf_map_lookup_elem(&krl_forms, &key);
	if (form) {
		krl_write_form(t, form, &conn->answer);
		return 0;
	}
	krl_answer_write_compact(&t->number, &conn->answer, KRL_TEXT_BYTES);
	krl_answer_append(t, t->number.bytes, t->number.len & (KRL_TEXT_BYTES - 1));
	krl_answer_str(t, "\r\n\r\n");
	krl_count(KRL_REASON_ANSWER_COMPACT);
	return 0;
}

#endif
