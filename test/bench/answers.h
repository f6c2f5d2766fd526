/* SPDX-License-Identifier: Apache-2.0 */
/* What a model server answers, and is asked, in the benchmarks: as OpenAI's API has it. */
#ifndef KMESH_RL_BENCH_ANSWERS_H
#define KMESH_RL_BENCH_ANSWERS_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_EVENTS 500	/* of a stream, each about 40 tokens of text */
#define BENCH_ANSWER_BYTES 65536

/* About 200 bytes: 40 tokens of English. */
static const char *const bench_texts[] = {
	" A token bucket holds at most a given number of tokens, and each request takes some of them. When it is empty, "
	"requests wait or are refused, until an interval passes and the bucket is filled again.\\n\\n",
	" So the limit has two sides: how many requests may come at once, which is the size, and how many come in the long "
	"run, which is the rate. The documentation calls the first \\\"burst\\\", and the second one \\\"fill\\\".",
	" For example, `limiter.take(\\\"alice\\\", 12)` returns `true` while there is something left. The first five calls "
	"are admitted; the sixth one isn't, and its answer says in which time it could be: `Retry-After: 60`.",
	" There are others as well: a fixed window counts up to a number and begins anew, which lets twice as much through "
	"at its edges; a sliding log keeps the time of each request \\u2014 exact, but it needs memory for each.",
};

struct bench_text {
	char *bytes;
	size_t len, room;
};

__attribute__((format(printf, 2, 3))) static inline void bench_put(struct bench_text *t, const char *format, ...)
{
	va_list args;
	int len;

	if (t->room - t->len < 4096) {
		t->room = t->room * 2 + 65536;
		t->bytes = realloc(t->bytes, t->room);
		if (!t->bytes)
			abort();
	}
	va_start(args, format);
	len = vsnprintf(t->bytes + t->len, t->room - t->len, format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= t->room - t->len)
		abort();
	t->len += len;
}

/* Event number @i of a stream; that of BENCH_EVENTS brings the usage, the one behind it is the last. */
static inline void bench_event(struct bench_text *t, unsigned int i)
{
	const char *head = "data: {\"id\":\"chatcmpl-9f8e7d6c5b4a39281706f5e4d3c2b1a0\",\"object\":"
			   "\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"Qwen/Qwen3-32B\",\"choices\":[";

	if (i < BENCH_EVENTS)
		bench_put(t, "%s{\"index\":0,\"delta\":{\"content\":\"%s\"},\"logprobs\":null,\"finish_reason\":%s}],"
			     "\"usage\":null}\n\n", head, bench_texts[i % 4], i == BENCH_EVENTS - 1 ? "\"stop\"" : "null");
	else if (i == BENCH_EVENTS)
		bench_put(t, "%s],\"usage\":{\"prompt_tokens\":57,\"total_tokens\":%u,\"completion_tokens\":%u,"
			     "\"prompt_tokens_details\":{\"cached_tokens\":32}}}\n\n", head, 57 + 40 * BENCH_EVENTS,
			  40 * BENCH_EVENTS);
	else
		bench_put(t, "data: [DONE]\n\n");
}

/* A JSON text of @len bytes: an answer, or where @asks a request whose prompt is long. */
static inline void bench_json(struct bench_text *t, size_t len, int asks)
{
	const char *end = asks ? "\"}],\"temperature\":0.7,\"max_tokens\":1024,\"stream\":false}"
			       : "\",\"refusal\":null,\"tool_calls\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
				 "\"usage\":{\"prompt_tokens\":57,\"total_tokens\":13157,\"completion_tokens\":13100,"
				 "\"prompt_tokens_details\":{\"cached_tokens\":32}}}";
	size_t start = t->len;
	unsigned int i;

	if (asks)
		bench_put(t, "{\"model\":\"Qwen/Qwen3-32B\",\"messages\":[{\"role\":\"system\",\"content\":\"You are a "
			     "helpful assistant.\"},{\"role\":\"user\",\"content\":\"");
	else
		bench_put(t, "{\"id\":\"chatcmpl-9f8e7d6c5b4a39281706f5e4d3c2b1a0\",\"object\":\"chat.completion\","
			     "\"created\":1700000000,\"model\":\"Qwen/Qwen3-32B\",\"choices\":[{\"index\":0,\"message\":"
			     "{\"role\":\"assistant\",\"content\":\"");
	for (i = 0; t->len - start + strlen(bench_texts[i % 4]) + strlen(end) <= len; i++)
		bench_put(t, "%s", bench_texts[i % 4]);
	bench_put(t, "%*s%s", (int)(len - (t->len - start) - strlen(end)), "", end);
}

#endif
