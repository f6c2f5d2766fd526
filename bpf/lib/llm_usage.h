/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an answer of a model server says that it used, from its body: one JSON object, or server-sent events of which
 * each has one. A usage object counts where the API puts it: at the top, or in the "response" (OpenAI's streamed responses)
 * or the "message" (Anthropic's message_start) that is there; nowhere deeper, and never inside of a string. Of the
 * events of a stream each count that is told takes the place of what was told before. Events that bring a piece of the
 * answer are counted as well, for an estimate where no usage is told.
 */
#ifndef KMESH_RL_LLM_USAGE_H
#define KMESH_RL_LLM_USAGE_H

#include "llm_alike.h"
#include "llm_tokens.h"
#include "sse.h"

enum krl_llm_form {
	KRL_LLM_UNKNOWN,	/* white space or a byte order mark came, or nothing */
	KRL_LLM_JSON,
	KRL_LLM_EVENTS,
};

/* In which of the objects and arrays that are looked into. */
enum krl_llm_place {
	KRL_LLM_OUTSIDE,
	KRL_LLM_TOP,
	KRL_LLM_NESTED,		/* "response" or "message" */
	KRL_LLM_USAGE,
	KRL_LLM_DETAILS,
	KRL_LLM_CHOICES,
	KRL_LLM_CHOICE,		/* one of them */
	KRL_LLM_DELTA,		/* of a choice */
	KRL_LLM_CALLS,		/* of a delta */
};

/* What the value that comes is. */
enum krl_llm_value {
	KRL_LLM_NOTHING,
	KRL_LLM_A_USAGE,
	KRL_LLM_A_RESPONSE,
	KRL_LLM_A_MESSAGE,
	KRL_LLM_A_COUNT,
	KRL_LLM_SOME_DETAILS,
	KRL_LLM_THE_CHOICES,
	KRL_LLM_A_DELTA,
	KRL_LLM_SOME_CALLS,
	KRL_LLM_CONTENT,	/* a string with a piece of the answer */
	KRL_LLM_TYPE,		/* of an event */
};

/* All zero is the start of a body. */
struct krl_llm_usage {
	union {
		struct {
			struct krl_json json;		/* the whole body, or the event that comes */
			struct krl_llm_counts event;	/* told by it so far */
			__u64 type;			/* the last bytes of an event's type */
			__u32 places;	/* enum krl_llm_place, the innermost in the lowest four bits */
			__u8 value;	/* enum krl_llm_value */
			__u8 count;	/* enum krl_llm_count: of the value, or in the details */
			__u8 nested;	/* KRL_LLM_A_RESPONSE or KRL_LLM_A_MESSAGE, inside of it */
			__u8 told_by;	/* where the event's usage object is: as nested */
			__u8 has_content;
			__u8 pad[7];
		};
		__u64 state[KRL_LLM_EVENT_BYTES / 8];
	};
	struct krl_llm_alike alike;
	struct krl_llm_counts counts;	/* by what ended */
	__u32 content_events;
	struct krl_sse sse;
	__u16 line;			/* data bytes that are to come, with the end of their line */
	__u8 form;
	__u8 has_bad;			/* some JSON was none, or did not end */
	__u8 has_final;		/* counts were told elsewhere than in "message", which begins a stream */
	__u8 pad_usage[3];
};

_Static_assert(sizeof(struct krl_llm_usage) == 728, "kept for a connection");
_Static_assert(__builtin_offsetof(struct krl_llm_usage, alike) == KRL_LLM_EVENT_BYTES, "the state is whole");

static __always_inline int krl_llm_place(const struct krl_llm_usage *u)
{
	return u->places & 15;
}

/* A key whose value is, or may hold, the usage object of @told_by comes: of two with the same key the last counts. */
static __always_inline void krl_llm_usage_again(struct krl_llm_usage *u, __u8 told_by)
{
	if (u->told_by == told_by)
		u->event.seen = 0;
}

static __always_inline int krl_llm_nested_key(struct krl_llm_usage *u)
{
	if (!krl_json_text_is(&u->json, 5, KRL_W('u', 's', 'a', 'g', 'e', 0, 0, 0), 0, 0, 0))
		return KRL_LLM_NOTHING;
	krl_llm_usage_again(u, u->nested);
	return KRL_LLM_A_USAGE;
}

static __always_inline int krl_llm_top_key(struct krl_llm_usage *u)
{
	const struct krl_json *j = &u->json;

	if (krl_json_text_is(j, 4, KRL_W('t', 'y', 'p', 'e', 0, 0, 0, 0), 0, 0, 0)) {
		u->type = 0;
		return KRL_LLM_TYPE;
	}
	if (krl_json_text_is(j, 7, KRL_W('c', 'h', 'o', 'i', 'c', 'e', 's', 0), 0, 0, 0))
		return KRL_LLM_THE_CHOICES;
	if (krl_json_text_is(j, 7, KRL_W('m', 'e', 's', 's', 'a', 'g', 'e', 0), 0, 0, 0)) {
		krl_llm_usage_again(u, KRL_LLM_A_MESSAGE);
		return KRL_LLM_A_MESSAGE;
	}
	if (krl_json_text_is(j, 8, KRL_W('r', 'e', 's', 'p', 'o', 'n', 's', 'e'), 0, 0, 0)) {
		krl_llm_usage_again(u, KRL_LLM_A_RESPONSE);
		return KRL_LLM_A_RESPONSE;
	}
	return krl_llm_nested_key(u);
}

static __always_inline int krl_llm_usage_key(struct krl_llm_usage *u)
{
	__u32 count = krl_llm_count_of(&u->json);
	int value = KRL_LLM_A_COUNT;

	if (count == KRL_LLM_NO_COUNT) {
		count = krl_llm_details_of(&u->json);
		value = KRL_LLM_SOME_DETAILS;
	}
	if (count == KRL_LLM_NO_COUNT)
		return KRL_LLM_NOTHING;
	u->event.seen &= ~(1U << count);
	u->count = count;
	return value;
}

static __always_inline int krl_llm_details_key(struct krl_llm_usage *u)
{
	if (!krl_llm_detail_is(&u->json, u->count))
		return KRL_LLM_NOTHING;
	u->event.seen &= ~(1U << (u->count & 15));
	return KRL_LLM_A_COUNT;
}

/* Keys of a choice whose values are pieces of the answer, or hold them. */
static __always_inline int krl_llm_choice_key(const struct krl_json *j)
{
	if (krl_json_text_is(j, 5, KRL_W('d', 'e', 'l', 't', 'a', 0, 0, 0), 0, 0, 0))
		return KRL_LLM_A_DELTA;
	if (krl_json_text_is(j, 4, KRL_W('t', 'e', 'x', 't', 0, 0, 0, 0), 0, 0, 0))
		return KRL_LLM_CONTENT;
	return KRL_LLM_NOTHING;
}

static __always_inline int krl_llm_delta_key(const struct krl_json *j)
{
	if (krl_json_text_is(j, 10, KRL_W('t', 'o', 'o', 'l', '_', 'c', 'a', 'l'), KRL_W('l', 's', 0, 0, 0, 0, 0, 0), 0,
			     0))
		return KRL_LLM_SOME_CALLS;
	if (krl_json_text_is(j, 7, KRL_W('c', 'o', 'n', 't', 'e', 'n', 't', 0), 0, 0, 0) ||
	    krl_json_text_is(j, 7, KRL_W('r', 'e', 'f', 'u', 's', 'a', 'l', 0), 0, 0, 0) ||
	    krl_json_text_is(j, 9, KRL_W('r', 'e', 'a', 's', 'o', 'n', 'i', 'n'), 'g', 0, 0) ||
	    krl_json_text_is(j, 17, KRL_W('r', 'e', 'a', 's', 'o', 'n', 'i', 'n'),
			     KRL_W('g', '_', 'c', 'o', 'n', 't', 'e', 'n'), 't', 0))
		return KRL_LLM_CONTENT;
	return KRL_LLM_NOTHING;
}

static __always_inline void krl_llm_key(struct krl_llm_usage *u)
{
	int value = KRL_LLM_NOTHING;

	switch (krl_llm_place(u)) {
	case KRL_LLM_TOP:
		value = krl_llm_top_key(u);
		break;
	case KRL_LLM_NESTED:
		value = krl_llm_nested_key(u);
		break;
	case KRL_LLM_USAGE:
		value = krl_llm_usage_key(u);
		break;
	case KRL_LLM_DETAILS:
		value = krl_llm_details_key(u);
		break;
	case KRL_LLM_CHOICE:
		value = krl_llm_choice_key(&u->json);
		break;
	case KRL_LLM_DELTA:
		value = krl_llm_delta_key(&u->json);
		break;
	}
	u->value = value;
	if (value)
		krl_json_take(&u->json);
}

/* The event has a piece of the answer: no more of its choices has to be looked into. @opened: the first object of a
 * call has begun. */
static __always_inline void krl_llm_choices_leave(struct krl_llm_usage *u, int opened)
{
	__u32 levels = opened ? 4 : krl_llm_place(u) == KRL_LLM_DELTA ? 3 : 2;

	u->has_content = 1;
	u->places >>= levels * 4;
	krl_json_leave(&u->json, levels + opened);
}

/* A piece of the answer, or of a piece, the last one where it @ended. */
static __always_inline void krl_llm_content(struct krl_llm_usage *u, int ended)
{
	int escapes = u->json.state == KRL_JSON_ESCAPE;

	if (!u->json.text_len)
		return;
	krl_llm_choices_leave(u, 0);
	if (!ended)
		u->json.state = escapes ? KRL_JSON_PASS_ESCAPE : KRL_JSON_PASS_STRING;
}

/* A string that is taken, or a piece of it. */
static __always_inline void krl_llm_text(struct krl_llm_usage *u, int ended)
{
	__u32 i;

	if (u->value == KRL_LLM_CONTENT)
		krl_llm_content(u, ended);
	if (u->value != KRL_LLM_TYPE)
		return;
	for (i = 0; i < KRL_JSON_TEXT_MAX; i++) {
		if (i >= u->json.text_len)
			break;
		u->type = u->type >> 8 | (__u64)u->json.text[i] << 56;
	}
}

/* The place that an object or array of this value is, KRL_LLM_OUTSIDE where it is not looked into. */
static __always_inline int krl_llm_place_of(struct krl_llm_usage *u, int event)
{
	int array = event == KRL_JSON_ARRAY;

	switch (krl_llm_place(u)) {
	case KRL_LLM_OUTSIDE:
		return array ? KRL_LLM_OUTSIDE : KRL_LLM_TOP;
	case KRL_LLM_CHOICES:
		return array ? KRL_LLM_OUTSIDE : KRL_LLM_CHOICE;
	}
	switch (u->value) {
	case KRL_LLM_THE_CHOICES:
		return array ? KRL_LLM_CHOICES : KRL_LLM_OUTSIDE;
	case KRL_LLM_SOME_CALLS:
		return array ? KRL_LLM_CALLS : KRL_LLM_OUTSIDE;
	}
	if (array)
		return KRL_LLM_OUTSIDE;
	switch (u->value) {
	case KRL_LLM_A_USAGE:
		u->event.seen = 0;
		u->told_by = u->nested;
		return KRL_LLM_USAGE;
	case KRL_LLM_A_RESPONSE:
	case KRL_LLM_A_MESSAGE:
		u->nested = u->value;
		return KRL_LLM_NESTED;
	case KRL_LLM_SOME_DETAILS:
		return KRL_LLM_DETAILS;
	case KRL_LLM_A_DELTA:
		return KRL_LLM_DELTA;
	}
	return KRL_LLM_OUTSIDE;
}

static __always_inline void krl_llm_open(struct krl_llm_usage *u, int event)
{
	int place;

	if (krl_llm_place(u) == KRL_LLM_CALLS) {
		krl_llm_choices_leave(u, 1);
		return;
	}
	place = krl_llm_place_of(u, event);
	u->value = KRL_LLM_NOTHING;
	if (place)
		u->places = u->places << 4 | place;
	else
		krl_json_leave(&u->json, 1);
}

static __always_inline void krl_llm_close(struct krl_llm_usage *u)
{
	if (krl_llm_place(u) == KRL_LLM_NESTED)
		u->nested = 0;
	u->places >>= 4;
}

/* The body broke off: what a JSON told by then counts, once its usage object is whole. */
static __always_inline void krl_llm_broke_off(struct krl_llm_usage *u)
{
	int place = krl_llm_place(u);

	if (u->form == KRL_LLM_JSON && !u->has_bad && u->json.state != KRL_JSON_DONE && place != KRL_LLM_USAGE &&
	    place != KRL_LLM_DETAILS)
		krl_llm_counts_merge(&u->counts, &u->event);
}

/* The JSON ended well: what it told counts. Of OpenAI's responses, and of Anthropic's messages, the type of an event
 * tells whether it brings a piece: "response.output_text.delta", "content_block_delta", but not "message_delta". */
static __always_inline void krl_llm_told(struct krl_llm_usage *u)
{
	krl_llm_counts_merge(&u->counts, &u->event);
	if (u->event.seen && u->told_by != KRL_LLM_A_MESSAGE)
		u->has_final = 1;
	if (u->type >> 24 == KRL_W('d', 'e', 'l', 't', 'a', 0, 0, 0) &&
	    u->type != KRL_W('g', 'e', '_', 'd', 'e', 'l', 't', 'a'))
		u->has_content = 1;
	u->content_events += u->has_content;
}

KRL_GLOBAL int krl_llm_usage_event(struct krl_llm_usage *u, int event)
{
	if (!u)
		return 0;
	switch (event) {
	case KRL_JSON_KEY:
		krl_llm_key(u);
		return 0;
	case KRL_JSON_TEXT:
	case KRL_JSON_TEXT_END:
		krl_llm_text(u, event == KRL_JSON_TEXT_END);
		return 0;
	case KRL_JSON_NUMBER:
		if (u->value == KRL_LLM_A_COUNT)
			krl_llm_count_put(&u->event, &u->json.number, u->count);
		return 0;
	case KRL_JSON_OBJECT:
	case KRL_JSON_ARRAY:
		krl_llm_open(u, event);
		return 0;
	case KRL_JSON_CLOSE:
		krl_llm_close(u);
		return 0;
	case KRL_JSON_END:
		krl_llm_told(u);
		return 0;
	case KRL_JSON_BAD:
		u->has_bad = 1;
		return 0;
	}
	return 0;
}

#endif
