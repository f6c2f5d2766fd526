/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a request to a model server asks for, from its body: fields of the JSON object that it is, as OpenAI's chat
 * completions, completions, embeddings and responses and Anthropic's messages have them.
 *
 * Where servers differ, it is said (KRL_LLM_UNSURE): of a key that comes twice most take the last (Python, Go, and so
 * does this), some the first, some refuse it; Go takes "Model" for "model" as well; and Python's pydantic takes "100"
 * for 100. A caller that must be sure takes such a body as one that cannot be read.
 */
#ifndef KMESH_RL_LLM_REQUEST_H
#define KMESH_RL_LLM_REQUEST_H

#include "json.h"

#define KRL_LLM_MODEL_BYTES 64

enum krl_llm_request_key {
	KRL_LLM_NO_KEY,
	KRL_LLM_MODEL,
	KRL_LLM_STREAM,
	KRL_LLM_MAX_TOKENS,
	KRL_LLM_MAX_COMPLETION_TOKENS,
	KRL_LLM_MAX_OUTPUT_TOKENS,
	KRL_LLM_N,
	KRL_LLM_BEST_OF,
	KRL_LLM_STREAM_OPTIONS,
	KRL_LLM_INCLUDE_USAGE,
	KRL_LLM_PROMPTS,
};

/* The values of these keys were there: a bit for each of them. Of true and false, true. */
#define KRL_LLM_HAS(key) (1U << (key))
#define KRL_LLM_UNSURE (1U << 15)

/* All zero is the start of a body. */
struct krl_llm_request {
	struct krl_json json;
	char model[KRL_LLM_MODEL_BYTES + 8];	/* NUL padded */
	__u32 max_tokens[3];	/* from KRL_LLM_MAX_TOKENS on; 2^32-1 where it is more */
	__u32 choices[2];	/* from KRL_LLM_N on, likewise */
	__u32 prompts;		/* in the list that completions may have for one */
	__u16 model_len;	/* as it was sent; of more than KRL_LLM_MODEL_BYTES the first are kept */
	__u16 has;		/* KRL_LLM_HAS() */
	__u16 came;		/* bits of keys that came, whatever their values are; of none, the object */
	__u8 key;		/* enum krl_llm_request_key: of the value that comes */
	__u8 inside;		/* enum krl_llm_request_key: KRL_LLM_STREAM_OPTIONS or KRL_LLM_PROMPTS */
};

_Static_assert(sizeof(struct krl_llm_request) == 160, "kept for a connection");

/* Which key is in the text? */
static __always_inline int krl_llm_request_key_of(const struct krl_json *j, int options)
{
	if (options)
		return krl_json_text_is(j, 13, KRL_W('i', 'n', 'c', 'l', 'u', 'd', 'e', '_'),
					KRL_W('u', 's', 'a', 'g', 'e', 0, 0, 0), 0, 0)
			       ? KRL_LLM_INCLUDE_USAGE
			       : KRL_LLM_NO_KEY;
	if (krl_json_text_is(j, 5, KRL_W('m', 'o', 'd', 'e', 'l', 0, 0, 0), 0, 0, 0))
		return KRL_LLM_MODEL;
	if (krl_json_text_is(j, 6, KRL_W('s', 't', 'r', 'e', 'a', 'm', 0, 0), 0, 0, 0))
		return KRL_LLM_STREAM;
	if (krl_json_text_is(j, 10, KRL_W('m', 'a', 'x', '_', 't', 'o', 'k', 'e'), KRL_W('n', 's', 0, 0, 0, 0, 0, 0),
			     0, 0))
		return KRL_LLM_MAX_TOKENS;
	if (krl_json_text_is(j, 21, KRL_W('m', 'a', 'x', '_', 'c', 'o', 'm', 'p'),
			     KRL_W('l', 'e', 't', 'i', 'o', 'n', '_', 't'), KRL_W('o', 'k', 'e', 'n', 's', 0, 0, 0), 0))
		return KRL_LLM_MAX_COMPLETION_TOKENS;
	if (krl_json_text_is(j, 17, KRL_W('m', 'a', 'x', '_', 'o', 'u', 't', 'p'),
			     KRL_W('u', 't', '_', 't', 'o', 'k', 'e', 'n'), 's', 0))
		return KRL_LLM_MAX_OUTPUT_TOKENS;
	if (krl_json_text_is(j, 14, KRL_W('s', 't', 'r', 'e', 'a', 'm', '_', 'o'),
			     KRL_W('p', 't', 'i', 'o', 'n', 's', 0, 0), 0, 0))
		return KRL_LLM_STREAM_OPTIONS;
	if (krl_json_text_is(j, 1, 'n', 0, 0, 0))
		return KRL_LLM_N;
	if (krl_json_text_is(j, 7, KRL_W('b', 'e', 's', 't', '_', 'o', 'f', 0), 0, 0, 0))
		return KRL_LLM_BEST_OF;
	if (krl_json_text_is(j, 6, KRL_W('p', 'r', 'o', 'm', 'p', 't', 0, 0), 0, 0, 0))
		return KRL_LLM_PROMPTS;
	return KRL_LLM_NO_KEY;
}

/* Is the text, which is no key, one that Go takes for it (encoding/json, foldName)? That is letters in capitals, and
 * U+017F for s and U+212A for k, of which the first bytes are enough here: no key has others. */
static __always_inline int krl_llm_request_folds(struct krl_json *j, int options)
{
	char *text = (char *)j->text;
	__u64 word, others = 0;
	__u32 i;

	for (i = 0; i < 24; i += 8) {
		word = krl_load_word(text + i);
		others |= krl_word_of(word, 0xc5) | krl_word_of(word, 0xe2);
		krl_store_word(text + i, krl_word_lower(word));
	}
	return others || krl_llm_request_key_of(j, options);
}

/* A key. */
static __always_inline void krl_llm_request_key(struct krl_llm_request *r)
{
	struct krl_json *j = &r->json;
	int options = r->inside == KRL_LLM_STREAM_OPTIONS;
	__u32 key = krl_llm_request_key_of(j, options);

	r->key = KRL_LLM_NO_KEY;
	if (!key) {
		if (krl_llm_request_folds(j, options))
			r->has |= KRL_LLM_UNSURE;
		return;
	}
	if (r->came & KRL_LLM_HAS(key))
		r->has |= KRL_LLM_UNSURE;
	r->came |= KRL_LLM_HAS(key);
	r->has &= ~KRL_LLM_HAS(key);
	if (key == KRL_LLM_MODEL)
		r->model_len = 0;
	if (key == KRL_LLM_STREAM_OPTIONS) {
		r->has &= ~KRL_LLM_HAS(KRL_LLM_INCLUDE_USAGE);
		r->came &= ~KRL_LLM_HAS(KRL_LLM_INCLUDE_USAGE);
	}
	if (key == KRL_LLM_PROMPTS)
		r->prompts = 0;
	r->key = key;
	krl_json_take(j);
}

/* A piece of the model's name. */
static __always_inline void krl_llm_request_model(struct krl_llm_request *r)
{
	__u32 at = r->model_len, len = r->json.text_len, i;

	if (!at)
		__builtin_memset(r->model, 0, sizeof(r->model));
	for (i = 0; i < KRL_JSON_TEXT_MAX; i += 8) {
		if (i >= len || at + i >= KRL_LLM_MODEL_BYTES)
			break;
		krl_store_word(r->model + KRL_MASKED(at + i, KRL_LLM_MODEL_BYTES),
			       krl_load_word((char *)r->json.text + i));
	}
	krl_store_word(r->model + KRL_LLM_MODEL_BYTES, 0);
	at += len;
	r->model_len = at > 0xffff ? 0xffff : at;
}

static __always_inline void krl_llm_request_text(struct krl_llm_request *r, int ended)
{
	if (r->key == KRL_LLM_PROMPTS) {
		r->prompts += ended && r->inside;
		return;
	}
	if (r->key != KRL_LLM_MODEL) {
		r->has |= KRL_LLM_UNSURE;
		return;
	}
	krl_llm_request_model(r);
	if (ended)
		r->has |= KRL_LLM_HAS(KRL_LLM_MODEL);
}

/* A limit below zero is none: some servers take it for that, the others refuse it. */
static __always_inline void krl_llm_request_number(struct krl_llm_request *r)
{
	__u32 key = r->key, n;

	if (key == KRL_LLM_PROMPTS)
		return;
	if (key < KRL_LLM_MAX_TOKENS || key > KRL_LLM_BEST_OF) {
		r->has |= KRL_LLM_UNSURE;
		return;
	}
	if (krl_json_number_negative(&r->json.number))
		return;
	n = krl_json_number_u32(&r->json.number);
	if (key >= KRL_LLM_N)
		r->choices[(key - KRL_LLM_N) & 1] = n;
	else
		r->max_tokens[key - KRL_LLM_MAX_TOKENS] = n;
	r->has |= KRL_LLM_HAS(r->key & 15);
}

static __always_inline void krl_llm_request_bool(struct krl_llm_request *r, int is_true)
{
	if (r->key == KRL_LLM_PROMPTS)
		return;
	if (r->key != KRL_LLM_STREAM && r->key != KRL_LLM_INCLUDE_USAGE)
		r->has |= KRL_LLM_UNSURE;
	else if (is_true)
		r->has |= KRL_LLM_HAS(r->key & 15);
}

/* An object or array: only the whole, stream_options and a list of prompts are looked into. */
static __always_inline void krl_llm_request_open(struct krl_llm_request *r, int event)
{
	if (r->json.depth == 1 && event == KRL_JSON_OBJECT) {
		r->came = KRL_LLM_HAS(KRL_LLM_NO_KEY);
		return;
	}
	if (!r->inside && ((r->key == KRL_LLM_STREAM_OPTIONS && event == KRL_JSON_OBJECT) ||
			   (r->key == KRL_LLM_PROMPTS && event == KRL_JSON_ARRAY))) {
		r->inside = r->key;
		return;
	}
	/* A prompt may be a list of the numbers of its tokens. */
	if (r->key == KRL_LLM_PROMPTS)
		r->prompts += !!r->inside;
	else if (r->key)
		r->has |= KRL_LLM_UNSURE;
	krl_json_leave(&r->json, 1);
}

KRL_GLOBAL int krl_llm_request_event(struct krl_llm_request *r, int event)
{
	if (!r)
		return 0;
	switch (event) {
	case KRL_JSON_KEY:
		krl_llm_request_key(r);
		return 0;
	case KRL_JSON_TEXT:
	case KRL_JSON_TEXT_END:
		krl_llm_request_text(r, event == KRL_JSON_TEXT_END);
		return 0;
	case KRL_JSON_NUMBER:
		krl_llm_request_number(r);
		return 0;
	case KRL_JSON_TRUE:
	case KRL_JSON_FALSE:
		krl_llm_request_bool(r, event == KRL_JSON_TRUE);
		return 0;
	case KRL_JSON_OTHER:
		if (r->key != KRL_LLM_PROMPTS)
			r->has |= KRL_LLM_UNSURE;
		return 0;
	case KRL_JSON_OBJECT:
	case KRL_JSON_ARRAY:
		krl_llm_request_open(r, event);
		return 0;
	case KRL_JSON_CLOSE:
		r->inside = 0;
		return 0;
	}
	return 0;
}

/* One step over bytes of the body, in @w from @at on, before @end. Returns how many, below KRL_BODY_EVENT, with a bit
 * above where something was told; 0: the byte at @at is wanted, and @w does not hold it. */
static __always_inline int krl_llm_request_step(struct krl_llm_request *r, const struct krl_http_window *w, __u32 at,
						__u32 end)
{
	__u32 did = krl_json_step(&r->json, w, at, end);

	if (did >= KRL_BODY_EVENT)
		krl_llm_request_event(r, did / KRL_BODY_EVENT);
	return did;
}

/* All of the body was there. Is it an object that could be read, to its end? */
static __always_inline int krl_llm_request_is_read(const struct krl_llm_request *r)
{
	return r->json.state == KRL_JSON_DONE && r->came;
}

#endif
