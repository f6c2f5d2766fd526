/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bytes of a body as they are in the connection's window, for what reads bodies step by step. */
#ifndef KMESH_RL_BODY_H
#define KMESH_RL_BODY_H

#include "http1.h"

/* A step is over bytes of the window from @at on, before @end, which is at most KRL_HTTP_WINDOW_BYTES. It says how many
 * it went over, and an event times this. */
#define KRL_BODY_EVENT 0x10000

/* The word at @at, below KRL_HTTP_WINDOW_BYTES. A mask and no comparison: of what each comparison tells, the verifier
 * would make another path through the loops here. */
static __always_inline __u64 krl_body_word(const struct krl_http_window *w, __u32 at)
{
	return krl_load_word(w->bytes + KRL_MASKED(at, KRL_HTTP_WINDOW_BYTES));
}

/* Words that are looked at together: a loop over one at a time spends more on the loop than on the word. */
#define KRL_BODY_WORDS 4

/* The first of so many words, as krl_body_word(). */
static __always_inline const char *krl_body_words(const struct krl_http_window *w, __u32 at)
{
	return w->bytes + KRL_MASKED(at, KRL_HTTP_WINDOW_BYTES);
}

#endif
