// SPDX-License-Identifier: Apache-2.0
/* What a request to a model server asks for, from its body. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/policy/cost.h"
#include "body_walk.h"
#include "bpf/lib/llm.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

/* A value that was not there. */
#define NONE -1

struct request_case {
	const char *name;
	const char *body;
	const char *model;
	int64_t max_tokens;
	int64_t max_completion_tokens;
	int64_t max_output_tokens;
	int streams;
	int includes_usage;
	int is_unsure;
};

static uint32_t request_step(void *state, const struct krl_http_window *w, uint32_t at, uint32_t end)
{
	return krl_llm_request_step(state, w, at, end) % KRL_BODY_EVENT;
}

static int64_t limit_of(const struct krl_llm_request *r, int key)
{
	return r->has & KRL_LLM_HAS(key) ? (int64_t)r->max_tokens[key - KRL_LLM_MAX_TOKENS] : NONE;
}

static void check_request(const struct krl_llm_request *r, const struct request_case *c, size_t cut)
{
	const char *model = r->has & KRL_LLM_HAS(KRL_LLM_MODEL) ? r->model : NULL;

	if (!model != !c->model || (model && strcmp(model, c->model)))
		fail_msg("%s, cut at %zu: model %s", c->name, cut, model ? model : "none");
	if (limit_of(r, KRL_LLM_MAX_TOKENS) != c->max_tokens ||
	    limit_of(r, KRL_LLM_MAX_COMPLETION_TOKENS) != c->max_completion_tokens ||
	    limit_of(r, KRL_LLM_MAX_OUTPUT_TOKENS) != c->max_output_tokens)
		fail_msg("%s, cut at %zu: limits %u %u %u of %#x", c->name, cut, r->max_tokens[0], r->max_tokens[1],
			 r->max_tokens[2], r->has);
	if (!(r->has & KRL_LLM_HAS(KRL_LLM_STREAM)) != !c->streams ||
	    !(r->has & KRL_LLM_HAS(KRL_LLM_INCLUDE_USAGE)) != !c->includes_usage ||
	    !(r->has & KRL_LLM_UNSURE) != !c->is_unsure)
		fail_msg("%s, cut at %zu: %#x", c->name, cut, r->has);
	if (!krl_llm_request_is_read(r))
		fail_msg("%s, cut at %zu: not read", c->name, cut);
}

static void check_cases(const struct request_case *cases, size_t count)
{
	static const size_t windows[] = { 1, 8, 13, 512 };
	struct krl_llm_request r;
	size_t i, k, cut, len;

	for (i = 0; i < count; i++) {
		len = strlen(cases[i].body);
		for (k = 0; k < COUNT(windows); k++) {
			for (cut = 0; cut <= len; cut++) {
				memset(&r, 0, sizeof(r));
				body_walk_cut(request_step, &r, cases[i].body, len, cut, windows[k]);
				check_request(&r, &cases[i], cut);
			}
		}
	}
}

static void fields_are_found_wherever_they_stand(void **state)
{
	static const struct request_case cases[] = {
		{ "none", "{}", NULL, NONE, NONE, NONE, 0, 0, 0 },
		{ "the model alone", "{\"model\":\"gpt-4\"}", "gpt-4", NONE, NONE, NONE, 0, 0, 0 },
		{ "the model last",
		  "{\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"temperature\":0.7,\"model\":\"qwen3\"}",
		  "qwen3", NONE, NONE, NONE, 0, 0, 0 },
		{ "chat completions",
		  "{\"model\": \"gpt-4\", \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"stream\": true, "
		  "\"stream_options\": {\"x\": [1], \"include_usage\": true}, \"max_tokens\": 100, "
		  "\"max_completion_tokens\": 200}",
		  "gpt-4", 100, 200, NONE, 1, 1, 0 },
		{ "responses", "{\"input\":\"hi\",\"max_output_tokens\":300,\"stream\":false,\"model\":\"o3\"}", "o3",
		  NONE, NONE, 300, 0, 0, 0 },
		{ "null", "{\"model\":null,\"max_tokens\":null,\"stream\":null,\"stream_options\":null}", NULL, NONE, NONE,
		  NONE, 0, 0, 0 },
		{ "an empty model", "{\"model\":\"\"}", "", NONE, NONE, NONE, 0, 0, 0 },
		{ "floats", "{\"max_tokens\":100.0,\"max_output_tokens\":1e2}", NULL, 100, NONE, 100, 0, 0, 0 },
		{ "large ones", "{\"max_tokens\":4294967295,\"max_output_tokens\":99999999999999999999}", NULL,
		  4294967295, NONE, 4294967295, 0, 0, 0 },
		{ "below zero", "{\"max_tokens\":-1,\"max_output_tokens\":-0}", NULL, NONE, NONE, 0, 0, 0, 0 },
		{ "usage that is not asked for", "{\"stream_options\":{\"include_usage\":false},\"stream\":true}", NULL,
		  NONE, NONE, NONE, 1, 0, 0 },
	};

	check_cases(cases, COUNT(cases));
}

static void nothing_else_is_a_field(void **state)
{
	static const struct request_case cases[] = {
		{ "nested", "{\"metadata\":{\"model\":\"b\",\"stream\":true},\"model\":\"a\"}", "a", NONE, NONE, NONE, 0, 0, 0 },
		{ "nested in stream_options", "{\"stream_options\":{\"model\":\"b\",\"max_tokens\":1},\"model\":\"a\"}", "a",
		  NONE, NONE, NONE, 0, 0, 0 },
		{ "deeper", "{\"stream_options\":{\"a\":{\"include_usage\":true}},\"model\":\"a\"}", "a", NONE, NONE, NONE,
		  0, 0, 0 },
		{ "at the top, not in stream_options", "{\"include_usage\":true,\"model\":\"a\"}", "a", NONE, NONE, NONE, 0,
		  0, 0 },
		{ "in an array", "{\"a\":[{\"model\":\"b\"}],\"model\":\"a\"}", "a", NONE, NONE, NONE, 0, 0, 0 },
		{ "in a string", "{\"prompt\":\"\\\",\\\"model\\\":\\\"b\\\",\\\"\",\"model\":\"a\"}", "a", NONE, NONE,
		  NONE, 0, 0, 0 },
		{ "behind a backslash", "{\"prompt\":\"\\\\\",\"model\":\"a\",\"x\":\"\\\\\\\"model\\\\\"}", "a", NONE, NONE,
		  NONE, 0, 0, 0 },
		{ "a value", "{\"a\":\"model\",\"b\":\"x\",\"model\":\"a\"}", "a", NONE, NONE, NONE, 0, 0, 0 },
		{ "alike", "{\"model_\":\"b\",\"mode\":\"b\",\" model\":\"b\",\"model \":\"b\",\"model\\u0000\":\"b\"}", NULL,
		  NONE, NONE, NONE, 0, 0, 0 },
		{ "after the end", "{\"model\":\"a\"}{\"model\":\"b\"}", "a", NONE, NONE, NONE, 0, 0, 0 },
	};

	check_cases(cases, COUNT(cases));
}

static void escapes_are_no_way_round(void **state)
{
	static const struct request_case cases[] = {
		{ "in the key", "{\"mod\\u0065l\":\"gpt-4\"}", "gpt-4", NONE, NONE, NONE, 0, 0, 0 },
		{ "all of the key", "{\"\\u006D\\u006f\\u0064\\u0065\\u006c\":\"gpt-4\"}", "gpt-4", NONE, NONE, NONE, 0, 0, 0 },
		{ "in the value", "{\"model\":\"gpt\\u002d4\"}", "gpt-4", NONE, NONE, NONE, 0, 0, 0 },
		{ "a slash", "{\"model\":\"Qwen\\/Qwen3-8B\"}", "Qwen/Qwen3-8B", NONE, NONE, NONE, 0, 0, 0 },
		{ "in a longer key", "{\"max\\u005ftoken\\u0073\":7,\"stream\\u005foptions\":{\"include_usag\\u0065\":true}}",
		  NULL, 7, NONE, NONE, 0, 1, 0 },
		{ "in nested JSON", "{\"a\":\"{\\\"model\\\":\\\"b\\\\\\\"}\\\"\",\"model\":\"a\"}", "a", NONE, NONE, NONE, 0, 0,
		  0 },
	};

	check_cases(cases, COUNT(cases));
}

static void where_servers_differ_it_is_said(void **state)
{
	static const struct request_case cases[] = {
		{ "twice", "{\"model\":\"a\",\"model\":\"b\"}", "b", NONE, NONE, NONE, 0, 0, 1 },
		{ "twice, a long one first", "{\"model\":\"0123456789\",\"model\":\"b\"}", "b", NONE, NONE, NONE, 0, 0, 1 },
		{ "twice, the last of no use", "{\"model\":\"a\",\"model\":null}", NULL, NONE, NONE, NONE, 0, 0, 1 },
		{ "a limit twice", "{\"max_tokens\":1,\"max_tokens\":2}", NULL, 2, NONE, NONE, 0, 0, 1 },
		{ "an object twice", "{\"stream_options\":{\"include_usage\":true},\"stream_options\":{}}", NULL, NONE, NONE,
		  NONE, 0, 0, 1 },
		{ "in capitals, for Go", "{\"model\":\"a\",\"Model\":\"b\"}", "a", NONE, NONE, NONE, 0, 0, 1 },
		{ "a limit in capitals", "{\"MAX_Tokens\":1}", NULL, NONE, NONE, NONE, 0, 0, 1 },
		{ "other letters, for Go", "{\"max_to\xe2\x84\xaa""ens\":1}", NULL, NONE, NONE, NONE, 0, 0, 1 },
		{ "other letters escaped", "{\"\\u017ftream\":true}", NULL, NONE, NONE, NONE, 0, 0, 1 },
		{ "escaped capitals", "{\"\\u004dODEL\":\"b\"}", NULL, NONE, NONE, NONE, 0, 0, 1 },
		{ "a number in a string", "{\"max_tokens\":\"100\"}", NULL, NONE, NONE, NONE, 0, 0, 1 },
		{ "a number for true", "{\"stream\":1}", NULL, NONE, NONE, NONE, 0, 0, 1 },
		{ "a model that is an array", "{\"model\":[\"a\",{\"model\":\"b\"}]}", NULL, NONE, NONE, NONE, 0, 0, 1 },
		{ "a model that is an object", "{\"model\":{\"model\":\"b\"}}", NULL, NONE, NONE, NONE, 0, 0, 1 },
		{ "a model that is a number", "{\"model\":4}", NULL, NONE, NONE, NONE, 0, 0, 1 },
		{ "no number", "{\"max_tokens\":NaN}", NULL, NONE, NONE, NONE, 0, 0, 1 },
	};

	check_cases(cases, COUNT(cases));
}

static void a_long_model_is_kept_in_part(void **state)
{
	char body[400], model[301];
	struct krl_llm_request r;
	size_t len, window, n;

	memset(model, 'm', sizeof(model));
	for (len = 60; len < sizeof(model); len++) {
		n = snprintf(body, sizeof(body), "{\"model\":\"%.*s\",\"max_tokens\":5}", (int)len, model);
		for (window = 1; window < 40; window++) {
			memset(&r, 0, sizeof(r));
			body_walk(request_step, &r, body, n, window);
			assert_int_equal(r.model_len, len);
			assert_memory_equal(r.model, model, len < KRL_LLM_MODEL_BYTES ? len : KRL_LLM_MODEL_BYTES);
			assert_int_equal(r.model[len < KRL_LLM_MODEL_BYTES ? len : KRL_LLM_MODEL_BYTES], 0);
			assert_int_equal(r.max_tokens[0], 5);
		}
	}
}

static void what_is_no_json_or_does_not_end_is_not_read(void **state)
{
	static const char *const bodies[] = {
		"", " ", "{", "{\"model\":\"a\"", "{\"model\":\"a", "{\"model\":\"a\",}", "model=a", "{'model':'a'}",
		"{\"model\":\"\\x41\"}", "{\"a\":\"\\\"}", "[\"model\",\"a\"]",
		"[{\"model\":\"a\"}]", "4", "--boundary\r\nContent-Disposition: form-data; name=\"model\"",
	};
	struct krl_llm_request r;
	size_t i;

	for (i = 0; i < COUNT(bodies); i++) {
		memset(&r, 0, sizeof(r));
		body_walk(request_step, &r, bodies[i], strlen(bodies[i]), 512);
		if (krl_llm_request_is_read(&r))
			fail_msg("%s", bodies[i]);
	}
}

/* A request as it is judged when its body was read, or was not. */
static struct krl_llm *judged(const char *body, bool unread)
{
	static struct krl_llm llm;

	memset(&llm, 0, sizeof(llm));
	body_walk(request_step, &llm.request, body, strlen(body), 512);
	assert_true(krl_llm_request_is_read(&llm.request));
	llm.charge.prompt = 10;
	llm.unread = unread;
	return &llm;
}

static void each_choice_for_each_prompt_is_an_answer(void **state)
{
	static const struct {
		const char *body;
		uint64_t answers;
	} cases[] = {
		{ "{}", 1 },
		{ "{\"n\":4}", 4 },
		{ "{\"n\":4.9}", 4 },
		{ "{\"n\":0}", 1 },
		{ "{\"n\":-3}", 1 },
		{ "{\"n\":null}", 1 },
		{ "{\"n\":\"4\"}", 1 },
		{ "{\"n\":1e99}", 4294967295 },
		{ "{\"best_of\":5,\"n\":2}", 5 },
		{ "{\"best_of\":1,\"n\":3}", 3 },
		{ "{\"n\":2,\"n\":3}", 3 },
		{ "{\"x\":{\"n\":9},\"n\":2}", 2 },
		{ "{\"prompt\":\"a\"}", 1 },
		{ "{\"prompt\":[]}", 1 },
		{ "{\"prompt\":[\"a\"]}", 1 },
		{ "{\"prompt\":[\"a\",\"b\",\"c\"]}", 3 },
		{ "{\"prompt\":[1,2,3]}", 1 },
		{ "{\"prompt\":[[1,2],[3]]}", 2 },
		{ "{\"prompt\":[[[\"a\",\"b\"],[\"c\"]],{\"d\":[\"e\",\"f\"]}]}", 2 },
		{ "{\"prompt\":{\"prompt\":[\"a\",\"b\"]}}", 1 },
		{ "{\"prompt\":[\"a\",\"b\"],\"prompt\":[\"a\",\"b\",\"c\"]}", 3 },
		{ "{\"prompt\":[\"a\",\"b\"],\"n\":2,\"best_of\":3}", 6 },
		{ "{\"messages\":[\"a\",\"b\"],\"input\":[\"a\",\"b\"],\"n\":2}", 2 },
	};
	uint64_t answers;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		answers = krl_llm_choices(judged(cases[i].body, false));
		if (answers != cases[i].answers)
			fail_msg("%s asks for %llu answers", cases[i].body, (unsigned long long)answers);
		assert_int_equal(krl_llm_choices(judged(cases[i].body, true)), 1);
	}
}

/* What @body reserves, of a prompt of 10 tokens, where @tokens says what a request costs. */
static uint64_t reserved(const char *tokens, const char *body, uint64_t by_default, uint64_t most)
{
	struct krl_llm *llm = judged(body, false);
	struct krl_cost_error error;
	struct krl_cost cost;

	assert_int_equal(krl_cost_compile(tokens, &cost, &error), 0);
	llm->charge.model.len = 1;
	llm->charge.model.model[0] = 'm';
	return krl_llm_reservation(llm, &cost, by_default, most);
}

static void what_a_request_reserves(void **state)
{
	static const struct {
		const char *body;
		uint64_t by_default, most, tokens;
	} cases[] = {
		{ "{\"max_tokens\":100}", 0, 1000, 110 },
		{ "{\"max_tokens\":100,\"max_completion_tokens\":300,\"max_output_tokens\":200}", 0, 1000, 310 },
		{ "{\"max_tokens\":100}", 7, 1000, 110 },
		{ "{\"max_tokens\":-1}", 7, 1000, 17 },
		{ "{\"max_tokens\":0}", 7, 1000, 10 },
		{ "{}", 7, 1000, 17 },
		{ "{}", 0, 1000, 1000 },
		{ "{}", 0, INT64_MAX, INT64_MAX },
		/* The prompt is there once. */
		{ "{\"max_tokens\":100,\"n\":4}", 0, 1000, 410 },
		{ "{\"n\":4,\"prompt\":[\"a\",\"b\",\"c\"]}", 7, 1000, 94 },
		/* At the most, and above it. */
		{ "{\"max_tokens\":99,\"n\":10}", 0, 1000, 1000 },
		{ "{\"max_tokens\":100,\"n\":10}", 0, 1000, 1000 },
		{ "{\"max_tokens\":4294967296,\"n\":4294967296,\"prompt\":[\"a\",\"b\"]}", 0, INT64_MAX,
		  INT64_MAX },
		{ "{\"max_tokens\":1,\"n\":2000}", 0, 1000, 1000 },
		{ "{\"max_tokens\":0,\"n\":2000}", 0, 1000, 10 },
	};
	struct krl_cost_error error;
	struct krl_cost total;
	struct krl_llm *llm;
	uint64_t tokens;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		tokens = reserved("Total", cases[i].body, cases[i].by_default, cases[i].most);
		if (tokens != cases[i].tokens)
			fail_msg("%s reserves %llu", cases[i].body, (unsigned long long)tokens);
	}
	/* Whose body was not read names no limit. */
	assert_int_equal(krl_cost_compile("Total", &total, &error), 0);
	llm = judged("{\"max_tokens\":100,\"n\":4}", true);
	assert_int_equal(krl_llm_reservation(llm, &total, 7, 1000), 17);
	assert_int_equal(krl_llm_reservation(llm, &total, 0, 1000), 1000);
}

static void what_it_may_use_is_reserved_by_what_it_costs(void **state)
{
	static const char limited[] = "{\"max_tokens\":100,\"n\":2}";
	static const struct {
		const char *tokens, *body;
		uint64_t by_default, reserved;
	} cases[] = {
		{ "input_tokens + 3 * output_tokens", limited, 0, 610 },
		{ "input_tokens + 3 * output_tokens", "{\"n\":2}", 7, 52 },
		{ "input_tokens + 3 * output_tokens", "{}", 0, 1000 },
		{ "10 * output_tokens", limited, 0, 1000 },
		{ "Output", limited, 0, 200 },
		{ "Input", limited, 0, 10 },
		/* Without a limit, what does not depend on the output is not held by it. */
		{ "Input", "{}", 0, 10 },
		{ "total_tokens - output_tokens", "{}", 0, 10 },
		{ "output_tokens / 1000", "{}", 0, 1000 },
		{ "output_tokens / 1000", limited, 0, 1 },
		{ "total_tokens / 2", "{\"max_tokens\":1500}", 0, 755 },
		/* Of the prompt nothing is known to be cached. */
		{ "CachedInput", limited, 0, 1 },
		{ "(input_tokens - cached_input_tokens) + cached_input_tokens / 4 + output_tokens", limited, 0, 210 },
		{ "has(cached_input_tokens) ? 1 : 2", limited, 0, 2 },
		{ "has(input_tokens) && has(output_tokens) && has(total_tokens) ? 3 : 4", "{}", 0, 3 },
		{ "model == 'm' ? 4 * total_tokens : total_tokens", limited, 0, 840 },
		{ "model == 'n' ? 4 * total_tokens : total_tokens", limited, 0, 210 },
	};
	uint64_t tokens;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		tokens = reserved(cases[i].tokens, cases[i].body, cases[i].by_default, 1000);
		if (tokens != cases[i].reserved)
			fail_msg("%s reserves %llu by %s", cases[i].body, (unsigned long long)tokens, cases[i].tokens);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_found_wherever_they_stand),
		cmocka_unit_test(nothing_else_is_a_field),
		cmocka_unit_test(escapes_are_no_way_round),
		cmocka_unit_test(where_servers_differ_it_is_said),
		cmocka_unit_test(a_long_model_is_kept_in_part),
		cmocka_unit_test(what_is_no_json_or_does_not_end_is_not_read),
		cmocka_unit_test(each_choice_for_each_prompt_is_an_answer),
		cmocka_unit_test(what_a_request_reserves),
		cmocka_unit_test(what_it_may_use_is_reserved_by_what_it_costs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
