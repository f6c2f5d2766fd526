/* SPDX-License-Identifier: Apache-2.0 */
/* What the JSON scanner tells of a text, as a text that can be compared: objects, arrays, keys and values, one blank
 * behind each. Values of keys that begin with '-' are passed over, and objects and arrays of those that begin with '+'
 * are left. */
#ifndef KMESH_RL_TEST_JSON_TRACE_H
#define KMESH_RL_TEST_JSON_TRACE_H

#include <stdbool.h>
#include <stdio.h>

#include "body_walk.h"
#include "bpf/lib/json.h"

enum { TRACE_BYTES = 65536 };

struct json_trace {
	struct krl_json json;
	char text[TRACE_BYTES];
	size_t len;
	bool in_text;
	bool leaves;
};

static inline void trace_put(struct json_trace *t, const void *bytes, size_t len)
{
	if (len > sizeof(t->text) - 1 - t->len)
		abort();
	memcpy(t->text + t->len, bytes, len);
	t->len += len;
	t->text[t->len] = '\0';
}

static inline void trace_word(struct json_trace *t, const char *word)
{
	trace_put(t, word, strlen(word));
	trace_put(t, " ", 1);
}

/* A key of @len bytes; longer ones are all alike. */
static inline void trace_key(struct json_trace *t, const void *key, size_t len)
{
	if (len > KRL_JSON_TEXT_MAX) {
		trace_word(t, "long:");
		return;
	}
	trace_put(t, key, len);
	trace_put(t, ": ", 2);
}

static inline void trace_number(struct json_trace *t, bool negative, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%s%llu", negative ? "-" : "", (unsigned long long)value);
	trace_word(t, text);
}

static inline void trace_text(struct json_trace *t, bool ended)
{
	if (!t->in_text)
		trace_put(t, "'", 1);
	trace_put(t, t->json.text, t->json.text_len);
	t->in_text = !ended;
	if (ended)
		trace_put(t, "' ", 2);
}

static inline void trace_event(struct json_trace *t, int event)
{
	static const char *const words[] = {
		[KRL_JSON_TRUE] = "true", [KRL_JSON_FALSE] = "false", [KRL_JSON_NULL] = "null",
		[KRL_JSON_OTHER] = "other", [KRL_JSON_OBJECT] = "{", [KRL_JSON_ARRAY] = "[",
		[KRL_JSON_CLOSE] = "}", [KRL_JSON_END] = "end", [KRL_JSON_BAD] = "bad",
	};
	const struct krl_json_number *n = &t->json.number;
	bool leaves = t->leaves;

	t->leaves = false;
	switch (event) {
	case KRL_JSON_KEY:
		trace_key(t, t->json.text, t->json.text_len);
		t->leaves = t->json.text[0] == '+';
		if (t->json.text[0] != '-')
			krl_json_take(&t->json);
		return;
	case KRL_JSON_TEXT:
	case KRL_JSON_TEXT_END:
		trace_text(t, event == KRL_JSON_TEXT_END);
		return;
	case KRL_JSON_NUMBER:
		if (n->part == KRL_JSON_WHOLE)
			trace_number(t, n->negative && n->digits, krl_json_number_value(n));
		else
			trace_word(t, "real");
		return;
	}
	trace_word(t, words[event]);
	if (leaves && (event == KRL_JSON_OBJECT || event == KRL_JSON_ARRAY))
		krl_json_leave(&t->json, 1);
}

static inline uint32_t trace_step(void *state, const struct krl_http_window *w, uint32_t at, uint32_t end)
{
	struct json_trace *t = state;
	uint32_t did = krl_json_step(&t->json, w, at, end);

	if (did >= KRL_BODY_EVENT)
		trace_event(t, did / KRL_BODY_EVENT);
	else if (!did)
		abort();
	return did % KRL_BODY_EVENT;
}

static inline void trace_begin(struct json_trace *t)
{
	memset(&t->json, 0, sizeof(t->json));
	t->text[0] = '\0';
	t->len = 0;
	t->in_text = false;
	t->leaves = false;
}

#endif
