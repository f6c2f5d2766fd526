// SPDX-License-Identifier: Apache-2.0
/* Server-sent events: data and events are those that a plain reader of the whole has; what an answer used does not
 * depend on how it is cut, which the first two bytes of the input say; and where jansson takes the data of each event,
 * it is what jansson has of them. */
#include <stddef.h>
#include <stdint.h>

#include "llm_model.h"
#include "test/unit/sse_walk.h"
#include "test/unit/usage_walk.h"

static struct sse_walk whole, cut, model;

/* A line without its end, which is there or not. Returns whether the line was an event's last. */
static void model_line(const char *line, size_t len, bool ended)
{
	size_t from = len > 5 && line[5] == ' ' ? 6 : 5, i;

	if (!len && ended) {
		if (model.sse.has_data)
			sse_walk_put(&model, '|');
		model.sse.has_data = 0;
	} else if (len >= 5 && !memcmp(line, "data:", 5)) {
		model.sse.has_data = 1;
		for (i = from; i < len; i++)
			sse_walk_put(&model, line[i]);
		if (ended)
			sse_walk_put(&model, '\n');
	} else if (len == 4 && !memcmp(line, "data", 4)) {
		model.sse.has_data = 1;
	}
}

static void model_lines(const char *text, size_t len)
{
	size_t at = 0, end;

	sse_walk_begin(&model);
	while (at < len) {
		for (end = at; end < len && text[end] != '\r' && text[end] != '\n'; end++)
			;
		model_line(text + at, end - at, end < len);
		at = end + 1;
		if (end + 1 < len && text[end] == '\r' && text[end + 1] == '\n')
			at++;
	}
}

static void check_data(const char *text, size_t len, size_t at, size_t window)
{
	sse_walk_begin(&whole);
	body_walk(sse_walk_step, &whole, text, len, 512);
	sse_walk_begin(&cut);
	body_walk_cut(sse_walk_step, &cut, text, len, at, window);
	model_lines(text, len);
	if (whole.len != model.len || memcmp(whole.data, model.data, model.len) || cut.len != model.len ||
	    memcmp(cut.data, model.data, model.len))
		abort();
}

/* Is there nothing in it, or what OpenAI ends its streams with? */
static bool is_empty(const char *data, size_t len)
{
	size_t i;

	if (len == 7 && !memcmp(data, "[DONE]\n", 7))
		return true;
	for (i = 0; i < len; i++)
		if (data[i] != '\n' && data[i] != ' ')
			return false;
	return true;
}

/* The data of all events, which model_lines() put together; false where jansson does not take all of it. */
static bool model_events(struct model_counts *counts)
{
	size_t from = 0, i;

	/* It would end an event. */
	for (i = 0; i < model.len; i++) {
		if (model.data[i] != '|')
			continue;
		if (i && model.data[i - 1] != '\n')
			return false;
		if (!is_empty(model.data + from, i - from) && !model_text(counts, model.data + from, i - from, 0))
			return false;
		from = i + 1;
	}
	return is_empty(model.data + from, i - from) || model_text(counts, model.data + from, i - from, 0);
}

static void check_usage(const char *text, size_t len, size_t at, size_t window)
{
	struct krl_llm_usage all = {}, some = {};
	struct model_counts counts = {};

	body_walk(usage_step, &all, text, len, 512);
	body_walk_cut(usage_step, &some, text, len, at, window);
	if (memcmp(&all.counts, &some.counts, sizeof(all.counts)) || all.content_events != some.content_events ||
	    all.has_bad != some.has_bad || all.has_final != some.has_final || all.form != some.form)
		abort();
	while (len && memchr(" \t\r\n\xef\xbb\xbf", *text, 7)) {
		text++;
		len--;
	}
	model_lines(text, len);
	if (all.form == KRL_LLM_EVENTS && model_events(&counts))
		model_check_counts(&counts, &all.counts);
	model_clear(&counts);
}

static void check(const char *text, size_t len, size_t at, size_t window)
{
	check_data(text, len, at, window);
	check_usage(text, len, at, window);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return model_fuzz(data, size, check);
}
