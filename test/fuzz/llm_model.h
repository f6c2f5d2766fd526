/* SPDX-License-Identifier: Apache-2.0 */
/* What a request asks for and what an answer used, as jansson reads them. */
#ifndef KMESH_RL_FUZZ_LLM_MODEL_H
#define KMESH_RL_FUZZ_LLM_MODEL_H

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/lib/llm.h"
#include "bpf/lib/llm_tokens.h"

/* What jansson makes of the text. NULL: it is none to it, or has a NUL, which jansson steps over behind a number. */
static inline json_t *model_load(const char *text, size_t len, size_t flags)
{
	return memchr(text, '\0', len) ? NULL : json_loadb(text, len, JSON_ALLOW_NUL | flags, NULL);
}

#define MODEL_MAX_BYTES 8192

/* Have @check look at what a fuzzer made, as a text of its own: the first two bytes say where it is cut, and in windows of
 * what length it is walked. Returns 0, which is what fuzzers do. */
static inline int model_fuzz(const uint8_t *data, size_t size,
			     void (*check)(const char *text, size_t len, size_t at, size_t window))
{
	char *text;

	if (size < 3 || size > MODEL_MAX_BYTES)
		return 0;
	size -= 2;
	text = malloc(size);
	if (!text)
		abort();
	check(memcpy(text, data + 2, size), size, data[0] * size / 256, 1 + data[1] % 40);
	free(text);
	return 0;
}

/* A number as the limiter takes it. */
struct model_number {
	uint32_t value;
	bool there;
	bool rounded;		/* as a float it may be one off */
	bool unknown;		/* below zero, or too near to it */
};

static inline struct model_number model_number(const json_t *json)
{
	struct model_number n = {};
	double d = json_number_value(json);

	if (!json_is_number(json))
		return n;
	n.rounded = json_is_real(json);
	n.unknown = n.rounded && d == 0 && signbit(d);
	n.there = d >= 0;
	if (d < 0)
		return n;
	if (json_is_integer(json))
		n.value = json_integer_value(json) > UINT32_MAX ? UINT32_MAX : json_integer_value(json);
	else
		n.value = d >= UINT32_MAX ? UINT32_MAX : (uint32_t)d;
	return n;
}

static inline void model_check_number(const json_t *json, bool there, uint32_t value)
{
	struct model_number n = model_number(json);
	uint32_t off = n.value > value ? n.value - value : value - n.value;

	if (n.unknown)
		return;
	if (n.there != there || (there && off > n.rounded))
		abort();
}

/* How many prompts are in the list that there may be for one. */
static inline uint32_t model_prompts(const json_t *prompt)
{
	uint32_t prompts = 0;
	const json_t *one;
	size_t i;

	json_array_foreach(prompt, i, one)
		prompts += json_is_string(one) || json_is_array(one) || json_is_object(one);
	return prompts;
}

/* What a request for answers of @output tokens each reserves, at most @most. */
static inline uint64_t model_reservation(const json_t *root, uint64_t output, uint64_t prompt, uint64_t most)
{
	uint32_t n = model_number(json_object_get(root, "n")).value, of = model_number(json_object_get(root, "best_of")).value;
	uint32_t prompts = model_prompts(json_object_get(root, "prompt"));
	unsigned __int128 tokens = output;

	tokens *= n > of ? n : of;
	if (!n && !of)
		tokens = output;
	tokens = tokens * (prompts ? prompts : 1) + prompt;
	return tokens < most && tokens < KRL_COST_MAX ? tokens : most;
}

/* Whatever the limit that was read is: what is made of that. */
static inline void model_check_reservation(const json_t *root, const struct krl_llm_request *r)
{
	static const struct krl_cost total = { .count = 1, .steps = { { .op = KRL_COST_LOAD, .arg = KRL_COST_TOTAL } } };
	const uint64_t most[] = { 1, 1000, 1ULL << 40, INT64_MAX };
	static struct krl_llm llm;
	uint64_t output = 5, i;

	llm.request = *r;
	llm.charge.prompt = 3;
	if (r->has & (KRL_LLM_HAS(KRL_LLM_MAX_TOKENS) | KRL_LLM_HAS(KRL_LLM_MAX_COMPLETION_TOKENS) |
		      KRL_LLM_HAS(KRL_LLM_MAX_OUTPUT_TOKENS)))
		output = 0;
	for (i = 0; i < 3; i++)
		if (r->has >> (KRL_LLM_MAX_TOKENS + i) & 1 && r->max_tokens[i] > output)
			output = r->max_tokens[i];
	for (i = 0; i < sizeof(most) / sizeof(*most); i++)
		if (krl_llm_reservation(&llm, &total, 5, most[i]) != model_reservation(root, output, 3, most[i]))
			abort();
}

static inline void model_check_choices(const json_t *root, const struct krl_llm_request *r)
{
	static const char *const choices[] = { "n", "best_of" };
	struct model_number number;
	bool exact = true;
	size_t i;

	for (i = 0; i < 2; i++) {
		number = model_number(json_object_get(root, choices[i]));
		model_check_number(json_object_get(root, choices[i]), r->has >> (KRL_LLM_N + i) & 1, r->choices[i]);
		exact &= !number.rounded && !number.unknown;
	}
	if (r->prompts != model_prompts(json_object_get(root, "prompt")))
		abort();
	if (exact)
		model_check_reservation(root, r);
}

static inline void model_check_request(const json_t *root, const struct krl_llm_request *r)
{
	static const char *const limits[] = { "max_tokens", "max_completion_tokens", "max_output_tokens" };
	const json_t *model = json_object_get(root, "model"), *options = json_object_get(root, "stream_options");
	size_t i, len = json_string_length(model), kept = len < KRL_LLM_MODEL_BYTES ? len : KRL_LLM_MODEL_BYTES;

	if (krl_llm_request_is_read(r) != json_is_object(root))
		abort();
	if (!json_is_object(root))
		return;
	if (!(r->has & KRL_LLM_HAS(KRL_LLM_MODEL)) != !json_is_string(model))
		abort();
	if (json_is_string(model) && (r->model_len != len || memcmp(r->model, json_string_value(model), kept)))
		abort();
	if (!(r->has & KRL_LLM_HAS(KRL_LLM_STREAM)) != !json_is_true(json_object_get(root, "stream")) ||
	    !(r->has & KRL_LLM_HAS(KRL_LLM_INCLUDE_USAGE)) != !json_is_true(json_object_get(options, "include_usage")))
		abort();
	for (i = 0; i < 3; i++)
		model_check_number(json_object_get(root, limits[i]), r->has >> (KRL_LLM_MAX_TOKENS + i) & 1,
				   r->max_tokens[i]);
	model_check_choices(root, r);
}

/* The numbers of a usage object, as JSON. */
struct model_counts {
	json_t *count[KRL_LLM_COUNTS];	/* owned, or NULL */
};

static inline void model_clear(struct model_counts *c)
{
	size_t i;

	for (i = 0; i < KRL_LLM_COUNTS; i++) {
		json_decref(c->count[i]);
		c->count[i] = NULL;
	}
}

/* A number of an event takes the place of the one before. */
static inline void model_put(struct model_counts *c, int count, json_t *json)
{
	if (!json_is_number(json) || !model_number(json).there)
		return;
	json_decref(c->count[count]);
	c->count[count] = json_incref(json);
}

/* Where usage objects are; returns how many, the last of them as @ret. */
static inline unsigned int model_find(const json_t *root, json_t **ret)
{
	json_t *places[] = { json_object_get(root, "usage"), json_object_get(json_object_get(root, "response"), "usage"),
			     json_object_get(json_object_get(root, "message"), "usage") };
	unsigned int found = 0;
	size_t i;

	for (i = 0; i < 3; i++) {
		if (!json_is_object(places[i]))
			continue;
		*ret = places[i];
		found++;
	}
	return found;
}

static inline void model_add(struct model_counts *c, const json_t *usage)
{
	static const char *const names[] = { "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens",
					     "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens" };
	static const char *const details[][2] = {
		{ "prompt_tokens_details", "cached_tokens" }, { "input_tokens_details", "cached_tokens" },
		{ "completion_tokens_details", "reasoning_tokens" }, { "output_tokens_details", "reasoning_tokens" },
	};
	size_t i;

	for (i = 0; i < KRL_LLM_PROMPT_CACHED; i++)
		model_put(c, i, json_object_get(usage, names[i]));
	for (i = 0; i < 4; i++)
		model_put(c, KRL_LLM_PROMPT_CACHED + i, json_object_get(json_object_get(usage, details[i][0]), details[i][1]));
}

/* May the text have a key twice where usage objects may be? Then which of two counts is not modelled. */
static inline bool model_is_unclear(const char *text, size_t len)
{
	json_t *root = model_load(text, len, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK);

	if (root) {
		json_decref(root);
		return false;
	}
	return memchr(text, '\\', len) || memmem(text, len, "response", 8) || memmem(text, len, "message", 7);
}

/* Add what @text of @len bytes says. Returns false where that is not modelled. */
static inline bool model_text(struct model_counts *c, const char *text, size_t len, size_t flags)
{
	json_t *root = model_load(text, len, flags), *usage = NULL;
	unsigned int found;
	bool clear;

	if (!root)
		return false;
	found = model_find(root, &usage);
	clear = found <= 1 && !model_is_unclear(text, len);
	if (clear && found)
		model_add(c, usage);
	json_decref(root);
	return clear;
}

static inline void model_check_counts(const struct model_counts *c, const struct krl_llm_counts *counts)
{
	size_t i;

	for (i = 0; i < KRL_LLM_COUNTS; i++)
		model_check_number(c->count[i], counts->seen >> i & 1, counts->count[i]);
}

#endif
