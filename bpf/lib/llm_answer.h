/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The body of a model server's answer, step by step: JSON, or events, whose lines have it. */
#ifndef KMESH_RL_LLM_ANSWER_H
#define KMESH_RL_LLM_ANSWER_H

#include "llm_usage.h"

/* Steps over JSON in one over the body. */
#define KRL_LLM_STEPS 4

/* An event of the stream ended, and another may come. */
static __always_inline void krl_llm_next(struct krl_llm_usage *u)
{
	if (u->json.state != KRL_JSON_DONE && u->json.state != KRL_JSON_START)
		u->has_bad = 1;
	__builtin_memset(u->state, 0, sizeof(u->state));
}

/* An escape of two bytes, at the start of @word. */
static __always_inline int krl_llm_escapes(__u64 word)
{
	__u8 c = word >> 8;

	return c == 'n' || c == '"' || c == '\\' || c == '/' || c == 't' || c == 'r' || c == 'b' || c == 'f';
}

/* Tops of the bytes of @word that a plain text ends at, or has its escapes at. */
static __always_inline __u64 krl_llm_stops(__u64 word)
{
	return krl_word_quoted(word) | krl_word_of(word, '\\');
}

/* The quote that ends the text from @at to @end of @w. 0: it is not there, or the text is no plain one. */
static __always_inline __u32 krl_llm_quote(const struct krl_http_window *w, __u32 at, __u32 end)
{
	const char *words;
	__u64 found;
	__u32 i, k;
	__u8 c;

	for (i = 0; i < KRL_HTTP_WINDOW_BYTES / 8; i++) {
		if (at >= end)
			break;
		words = krl_body_words(w, at);
		found = 0;
		for (k = 0; k < KRL_BODY_WORDS && !found; k++) {
			found = krl_llm_stops(krl_load_word(words + k * 8));
			at += krl_word_before(found);
		}
		if (!found)
			continue;
		if (at >= end)
			break;
		c = *krl_body_words(w, at);
		if (c == '"')
			return at;
		if (c != '\\')
			break;
		at += 2;
	}
	return 0;
}

/* An event began as the one before, and brings a piece of the answer: its text is at @at of @w. Where it ends as the one
 * before did as well, it is read. Returns how many bytes are stepped over, with the end of the event if that is there; 0: it
 * is read by the steps. */
KRL_GLOBAL int krl_llm_piece(struct krl_llm_usage *u, const struct krl_http_window *w, __u32 at, __u32 end)
{
	__u32 quote, n;
	__u64 text;

	if (!u || !w || u->event.seen || (__u8)krl_body_word(w, at) != '"')
		return 0;
	/* Of a text that is taken, the first bytes are looked at. */
	text = krl_body_word(w, at + 1);
	if ((__u8)text == '\\' && !krl_llm_escapes(text))
		return 0;
	quote = krl_llm_quote(w, at + 1, end);
	/* Behind no text, another one may be the piece. */
	if (quote <= at + 1)
		return 0;
	if (!krl_llm_alike_ends(&u->alike, w, quote, end)) {
		u->alike.pieces = u->content_events;
		u->alike.had_bad = u->has_bad;
		return 0;
	}
	u->json.state = KRL_JSON_DONE;
	u->has_content = 1;
	krl_llm_told(u);
	u->sse.state = KRL_SSE_LINE;
	u->sse.name_len = 0;
	n = quote + u->alike.end_len - at;
	if (at + n < end && (__u8)krl_body_word(w, at + n) == '\n') {
		u->sse.has_data = 0;
		krl_llm_next(u);
		n++;
	}
	return n;
}

/* The line ended in which krl_llm_alike_ends() kept what comes behind a text. Does the event end there, and tell nothing
 * but its piece? */
static __always_inline void krl_llm_piece_ended(struct krl_llm_usage *u)
{
	struct krl_llm_alike *a = &u->alike;

	if (u->sse.state == KRL_SSE_LINE && u->json.state == KRL_JSON_DONE && !u->event.seen && u->has_bad == a->had_bad &&
	    u->content_events == a->pieces + 1)
		a->end_len = a->end_maybe;
	if (u->sse.state != KRL_SSE_DATA)
		a->end_maybe = 0;
}

/* What comes first: an object, or else the lines of events. */
static __always_inline __u32 krl_llm_form_of(struct krl_llm_usage *u, __u8 c)
{
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0xef || c == 0xbb || c == 0xbf)
		return 1;
	u->form = c == '{' || c == '[' ? KRL_LLM_JSON : KRL_LLM_EVENTS;
	return 0;
}

/* Lines of events, up to data. Returns how many bytes. */
static __always_inline __u32 krl_llm_lines(struct krl_llm_usage *u, const struct krl_http_window *w, __u32 at, __u32 end)
{
	__u32 did = krl_sse_step(&u->sse, w, at, end);

	if (did / KRL_BODY_EVENT == KRL_SSE_END)
		krl_llm_next(u);
	if (did / KRL_BODY_EVENT != KRL_SSE_IS_DATA)
		return did;
	u->line = did;
	return 0;
}

/* Does an event's data begin at the next byte, or perhaps the line that has them? They are read faster if the window has
 * all of them. */
static __always_inline int krl_llm_usage_begins(const struct krl_llm_usage *u)
{
	return u->form == KRL_LLM_EVENTS && !u->line && u->json.state == KRL_JSON_START &&
	       (u->sse.state == KRL_SSE_DATA || u->sse.state <= KRL_SSE_CR);
}

/* The data of an event begin at @at of @w. Returns how many bytes of them are known from the event before, or 0. */
static __always_inline __u32 krl_llm_known(struct krl_llm_usage *u, const struct krl_http_window *w, __u32 at, __u32 end)
{
	__u32 did = krl_llm_alike_begin(&u->alike, &u->state, w, at, end);

	if (did && u->value == KRL_LLM_CONTENT && u->json.state == KRL_JSON_VALUE)
		did += krl_llm_piece(u, w, at + did, end);
	return did;
}

/* One step over bytes of the body, in @w from @at on, before @end, of which there are some. Returns how many, which may
 * be none. */
KRL_GLOBAL int krl_llm_usage_step(struct krl_llm_usage *u, const struct krl_http_window *w, __u32 at, __u32 end)
{
	__u32 did, n = 0, ahead = 0, i;

	if (!u || !w || at >= end)
		return 0;
	if (u->form == KRL_LLM_UNKNOWN && krl_llm_form_of(u, krl_body_word(w, at)))
		return 1;
	if (u->form == KRL_LLM_EVENTS && !u->line) {
		ahead = krl_sse_data(&u->sse, w, at, end);
		at += ahead;
		if (at >= end)
			return ahead;
		if (u->sse.state == KRL_SSE_DATA && u->json.state == KRL_JSON_START) {
			did = krl_llm_known(u, w, at, end);
			if (did)
				return ahead + did;
		}
		did = krl_llm_lines(u, w, at, end) & 0xffff;
		if (!u->line)
			return ahead + did;
	}
	if (u->form == KRL_LLM_EVENTS && end - at > u->line)
		end = at + u->line;
	for (i = 0; i < KRL_LLM_STEPS; i++) {
		if (at + n >= end)
			break;
		did = krl_json_step(&u->json, w, at + n, end);
		if (did >= KRL_BODY_EVENT)
			krl_llm_usage_event(u, did / KRL_BODY_EVENT);
		n += did & 0xffff;
		if (u->json.state >= KRL_JSON_DONE)
			n = end - at;
		/* Behind the text krl_llm_piece() goes on. */
		krl_llm_alike_keep(&u->alike, &u->state, did & 0xffff, at + n < end && !u->has_content);
	}
	u->line -= u->form == KRL_LLM_EVENTS ? n : 0;
	if (u->alike.end_maybe && !u->line)
		krl_llm_piece_ended(u);
	return ahead + n;
}

#endif
