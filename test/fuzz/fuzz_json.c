// SPDX-License-Identifier: Apache-2.0
/* What is told of a JSON text must not depend on how it is cut, which the first two bytes of the input say; and where
 * jansson takes the text, it is what jansson has. */
#include <stddef.h>
#include <stdint.h>

#include "llm_model.h"
#include "test/unit/json_trace.h"
#include "test/unit/usage_walk.h"

static struct json_trace whole, cut, model;

static void model_trace(const json_t *json, unsigned int depth);

static void trace_object(json_t *json, unsigned int depth)
{
	const char *key;
	json_t *value;

	json_object_foreach(json, key, value) {
		trace_key(&model, key, strlen(key));
		if (key[0] == '+' && depth < KRL_JSON_DEPTH_MAX && (json_is_object(value) || json_is_array(value)))
			trace_word(&model, json_is_object(value) ? "{" : "[");
		else if (key[0] != '-')
			model_trace(value, depth);
	}
}

/* The trace of what jansson read, @depth objects and arrays deep. */
static void model_trace(const json_t *json, unsigned int depth)
{
	json_int_t number = json_integer_value(json);
	size_t i;

	switch (json_typeof(json)) {
	case JSON_OBJECT:
	case JSON_ARRAY:
		if (depth >= KRL_JSON_DEPTH_MAX)
			return;
		trace_word(&model, json_is_object(json) ? "{" : "[");
		if (json_is_object(json))
			trace_object((json_t *)json, depth + 1);
		for (i = 0; i < json_array_size(json); i++)
			model_trace(json_array_get(json, i), depth + 1);
		trace_word(&model, depth ? "}" : "end");
		return;
	case JSON_STRING:
		trace_put(&model, "'", 1);
		trace_put(&model, json_string_value(json), json_string_length(json));
		trace_put(&model, "' ", 2);
		return;
	case JSON_INTEGER:
		trace_number(&model, number < 0, number < 0 ? -(uint64_t)number : (uint64_t)number);
		return;
	case JSON_REAL:
		trace_word(&model, "real");
		return;
	case JSON_TRUE:
		trace_word(&model, "true");
		return;
	case JSON_FALSE:
		trace_word(&model, "false");
		return;
	case JSON_NULL:
		trace_word(&model, "null");
		return;
	}
}

static void check_trace(const char *text, size_t len, size_t at, size_t window)
{
	json_t *root;

	trace_begin(&whole);
	body_walk(trace_step, &whole, text, len, 512);
	trace_begin(&cut);
	body_walk_cut(trace_step, &cut, text, len, at, window);
	if (whole.len != cut.len || memcmp(whole.text, cut.text, cut.len))
		abort();
	root = model_load(text, len, JSON_REJECT_DUPLICATES);
	if (!root)
		return;
	trace_begin(&model);
	model_trace(root, 0);
	json_decref(root);
	if (whole.len != model.len || memcmp(whole.text, model.text, model.len))
		abort();
}

static uint32_t request_step(void *state, const struct krl_http_window *w, uint32_t at, uint32_t end)
{
	return krl_llm_request_step(state, w, at, end) % KRL_BODY_EVENT;
}

static void check_request(const char *text, size_t len, size_t at, size_t window)
{
	struct krl_llm_request all = {}, some = {};
	json_t *root;

	body_walk(request_step, &all, text, len, 512);
	body_walk_cut(request_step, &some, text, len, at, window);
	if (memcmp(all.model, some.model, sizeof(all) - offsetof(struct krl_llm_request, model)))
		abort();
	root = model_load(text, len, 0);
	if (root)
		model_check_request(root, &all);
	json_decref(root);
}

static void check_usage(const char *text, size_t len)
{
	struct model_counts counts = {};
	struct krl_llm_usage u = {};

	body_walk(usage_step, &u, text, len, 512);
	if (u.form == KRL_LLM_JSON && model_text(&counts, text, len, 0))
		model_check_counts(&counts, &u.counts);
	model_clear(&counts);
}

static void check(const char *text, size_t len, size_t at, size_t window)
{
	check_trace(text, len, at, window);
	check_request(text, len, at, window);
	check_usage(text, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return model_fuzz(data, size, check);
}
