// SPDX-License-Identifier: Apache-2.0
/* What rules answer, byte for byte. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/policy/form.h"
#include "agent/policy/limit.h"
#include "agent/policy/model.h"

#define S 1000000000ULL
#define COUNT(list) (sizeof(list) / sizeof(*(list)))

/* Ten a minute, refused 17 s before the fill with 3 tokens left. */
static const struct krl_settings ten_a_minute = { 10, 10, 60 * S };
#define RETRY_AFTER "17"
#define REMAINING "3"
#define RESET "1795253613"
#define RESET_AFTER "17s"

#define START_429 "HTTP/1.1 429 Too Many Requests\r\nContent-Type: "
#define JSON_BODY "{\"error\":\"Rate limit exceeded: 10 per 1 minute\"}"
#define JSON_HEAD START_429 "application/json\r\nContent-Length: 48\r\nRetry-After: 17\r\n"

/* The answer by @form, as a string; also checks that its length is that of its body. */
static const char *filled(const struct krl_form *form, bool close)
{
	static char answer[8192];
	const char *text = form->text, *length;
	size_t len = 0, i, body = 0;

	for (i = 0; i < form->piece_count; i++) {
		memcpy(answer + len, text, form->pieces[i].len);
		len += form->pieces[i].len;
		text += form->pieces[i].len;
		switch (form->pieces[i].gap) {
		case KRL_GAP_LENGTH:
			len += sprintf(answer + len, "%zu",
				       form->body_text + form->body_gaps * strlen(RETRY_AFTER));
			break;
		case KRL_GAP_RETRY_AFTER:
			len += sprintf(answer + len, RETRY_AFTER);
			break;
		case KRL_GAP_REMAINING:
			len += sprintf(answer + len, REMAINING);
			break;
		case KRL_GAP_RESET:
			len += sprintf(answer + len, RESET);
			break;
		case KRL_GAP_RESET_AFTER:
			len += sprintf(answer + len, RESET_AFTER);
			break;
		case KRL_GAP_CONNECTION:
			len += sprintf(answer + len, "%s", close ? "Connection: close\r\n" : "");
			break;
		case KRL_GAP_BODY:
			body = len;
			break;
		}
	}
	answer[len] = '\0';
	assert_true(body > 4 && !memcmp(answer + body - 4, "\r\n\r\n", 4));
	length = strstr(answer, "\r\nContent-Length: ");
	assert_non_null(length);
	assert_int_equal(atoi(length + strlen("\r\nContent-Length: ")), len - body);
	return answer;
}

static const char *answer_of(const struct krl_form_spec *spec)
{
	static struct krl_form form;

	assert_int_equal(krl_form_build(spec, &form), 0);
	return filled(&form, false);
}

/* The line of the answer by @spec that begins with @name, without its end; "" when there is none. */
static const char *field_of(const struct krl_form_spec *spec, const char *name)
{
	const char *at = strstr(answer_of(spec), name);
	static char line[512];

	snprintf(line, sizeof(line), "%.*s", at ? (int)strcspn(at, "\r") : 0, at ? at : "");
	return line;
}

static const char *body_of(const struct krl_form_spec *spec)
{
	return strstr(answer_of(spec), "\r\n\r\n") + 4;
}

/* As the answers were before they could be chosen. */
static void without_a_response(void **state)
{
	struct krl_form_spec spec = { .rule = "r", .settings = ten_a_minute };
	struct krl_response empty = { 0 };
	struct krl_form form;

#define CLASSIC "X-RateLimit-Limit: 10\r\nX-RateLimit-Remaining: 3\r\nX-RateLimit-Reset: 1795253613\r\n"
	assert_string_equal(answer_of(&spec), JSON_HEAD CLASSIC "\r\n" JSON_BODY);
	assert_int_equal(krl_form_build(&spec, &form), 0);
	assert_string_equal(filled(&form, true), JSON_HEAD CLASSIC "Connection: close\r\n\r\n" JSON_BODY);
	spec.response = &empty;
	assert_string_equal(answer_of(&spec), JSON_HEAD CLASSIC "\r\n" JSON_BODY);
}

static void every_style_of_headers(void **state)
{
	struct krl_form_spec spec = { .rule = "default", .settings = ten_a_minute };

	spec.style = KRL_STYLE_ENVOY;
	assert_string_equal(answer_of(&spec),
			    JSON_HEAD "X-RateLimit-Limit: 10, 10;w=60\r\nX-RateLimit-Remaining: 3\r\n"
				      "X-RateLimit-Reset: 17\r\n\r\n" JSON_BODY);
	spec.style = KRL_STYLE_DRAFT;
	assert_string_equal(answer_of(&spec),
			    JSON_HEAD "RateLimit-Policy: \"default\";q=10;w=60\r\n"
				      "RateLimit: \"default\";r=3;t=17\r\n\r\n" JSON_BODY);
	spec.style = KRL_STYLE_NONE;
	assert_string_equal(answer_of(&spec), JSON_HEAD "\r\n" JSON_BODY);
}

/* What is stated is never more than what is given. */
static void the_quota_of_a_window(void **state)
{
	static const struct {
		struct krl_settings settings;
		const char *envoy, *draft;
	} cases[] = {
		{ { 10, 10, S }, "10, 10;w=1", "q=10;w=1" },
		/* a bucket of another size than a fill */
		{ { 20, 10, 60 * S }, "20, 10;w=60", "q=10;w=60" },
		{ { 5, 10, 60 * S }, "5, 5;w=60", "q=5;w=60" },
		/* no whole seconds */
		{ { 10, 10, S / 2 }, "10, 20;w=1", "q=20;w=1" },
		{ { 1, 1, 300000000 }, "1, 3;w=1", "q=3;w=1" },
		{ { 1, 1, 3 * S / 2 }, "1, 1;w=2", "q=1;w=2" },
		{ { 3, 3, S + 1 }, "3, 5;w=2", "q=5;w=2" },
		{ { 1, 1, 1 }, "1, 1000000000;w=1", "q=1000000000;w=1" },
		/* the longest: an Integer of RFC 9651 has 15 digits */
		{ { INT64_MAX, INT64_MAX, INT64_MAX },
		  "9223372036854775807, 999999999999999;w=9223372037", "q=999999999999999;w=9223372037" },
		{ { INT64_MAX, INT64_MAX, 1 }, "9223372036854775807, 999999999999999;w=1",
		  "q=999999999999999;w=1" },
	};
	char expected[128];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		struct krl_form_spec spec = { .rule = "r", .settings = cases[i].settings };

		spec.style = KRL_STYLE_ENVOY;
		snprintf(expected, sizeof(expected), "X-RateLimit-Limit: %s", cases[i].envoy);
		assert_string_equal(field_of(&spec, "X-RateLimit-Limit"), expected);
		spec.style = KRL_STYLE_DRAFT;
		snprintf(expected, sizeof(expected), "RateLimit-Policy: \"r\";%s", cases[i].draft);
		assert_string_equal(field_of(&spec, "RateLimit-Policy"), expected);
	}
}

static void names_are_escaped(void **state)
{
	static const struct krl_response problem = { .format = KRL_FORMAT_PROBLEM };
	struct krl_form_spec spec = { .rule = "a\"b\\c\r\nd\xc3\xa9\x7f~ ", .settings = ten_a_minute,
				      .style = KRL_STYLE_DRAFT, .response = &problem };

	assert_string_equal(field_of(&spec, "RateLimit-Policy"),
			    "RateLimit-Policy: \"a\\\"b\\\\c??d???~ \";q=10;w=60");
	assert_string_equal(field_of(&spec, "RateLimit:"),
			    "RateLimit: \"a\\\"b\\\\c??d???~ \";r=3;t=17");
	assert_non_null(strstr(body_of(&spec),
			       "\"violated-policies\":[\"a\\\"b\\\\c\\u000d\\u000ad\xc3\xa9\x7f~ \"]}"));
}

static void the_format_problem(void **state)
{
	static const struct krl_response response = { .format = KRL_FORMAT_PROBLEM, .status = 503 };
	struct krl_form_spec spec = { .rule = "daily", .settings = ten_a_minute, .style = KRL_STYLE_NONE,
				      .response = &response };

	assert_string_equal(
		answer_of(&spec),
		"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
		"Content-Length: 190\r\nRetry-After: 17\r\n\r\n"
		"{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\","
		"\"title\":\"Request cannot be satisfied as assigned quota has been exceeded\",\"status\":503,"
		"\"violated-policies\":[\"daily\"]}");
}

static void the_format_openai(void **state)
{
	static const struct krl_response response = { .format = KRL_FORMAT_OPENAI };
	struct krl_form_spec spec = { .rule = "r", .settings = ten_a_minute, .style = KRL_STYLE_NONE,
				      .response = &response };

	assert_string_equal(answer_of(&spec),
			    START_429
			    "application/json\r\nContent-Length: 169\r\nRetry-After: 17\r\n\r\n"
			    "{\"error\":{\"message\":\"Rate limit reached for r on requests: limit 10 per 1 minute. "
			    "Please try again in 17s.\","
			    "\"type\":\"requests\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}");
}

/* A rule that counts LLMTokens answers so without a word, unless it says otherwise. */
static void tokens_are_told_as_openai_does(void **state)
{
	static const struct krl_response status = { .status = 503 }, json = { .format = KRL_FORMAT_JSON };
	struct krl_form_spec spec = { .rule = "a \"b\"", .settings = ten_a_minute, .llm = true };

	assert_string_equal(answer_of(&spec),
			    START_429
			    "application/json\r\nContent-Length: 171\r\nRetry-After: 17\r\n"
			    "x-ratelimit-limit-tokens: 10\r\nx-ratelimit-remaining-tokens: 3\r\n"
			    "x-ratelimit-reset-tokens: 17s\r\n"
			    "X-RateLimit-Limit: 10\r\nX-RateLimit-Remaining: 3\r\nX-RateLimit-Reset: " RESET "\r\n\r\n"
			    "{\"error\":{\"message\":\"Rate limit reached for a \\\"b\\\" on tokens: limit 10 per 1 minute. "
			    "Please try again in 17s.\","
			    "\"type\":\"tokens\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}");
	spec.response = &status;
	assert_non_null(strstr(answer_of(&spec), "\"type\":\"tokens\""));
	assert_non_null(strstr(answer_of(&spec), "HTTP/1.1 503 "));
	spec.response = &json;
	assert_non_null(strstr(answer_of(&spec), "{\"error\":\"Rate limit exceeded: 10 per 1 minute\"}"));
	assert_null(strstr(answer_of(&spec), "-tokens"));
	spec.response = NULL;
	spec.style = KRL_STYLE_NONE;
	assert_null(strstr(answer_of(&spec), "-tokens"));
}

static void requests_are_told_as_openai_does(void **state)
{
	static const struct krl_response response = { .format = KRL_FORMAT_OPENAI };
	struct krl_form_spec spec = { .rule = "r", .settings = ten_a_minute, .style = KRL_STYLE_DRAFT,
				      .response = &response };

	assert_non_null(strstr(answer_of(&spec), "x-ratelimit-limit-requests: 10\r\nx-ratelimit-remaining-requests: 3\r\n"
						 "x-ratelimit-reset-requests: 17s\r\nRateLimit-Policy: \"r\""));
}

static void a_body_as_given_with_headers(void **state)
{
	static const struct krl_response response = {
		.format = KRL_FORMAT_BODY,
		.status = 499,
		.body = "{limit}, {rule}: in {retry_after} s or {retry_after}",
		.headers = { { "X-A", "b c" }, { "Cache-Control", "no-store" } },
		.header_count = 2,
	};
	struct krl_form_spec spec = { .rule = "\"r\"", .settings = ten_a_minute, .response = &response };

	assert_string_equal(answer_of(&spec),
			    "HTTP/1.1 499 \r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 35\r\n"
			    "Retry-After: 17\r\n" CLASSIC "X-A: b c\r\nCache-Control: no-store\r\n\r\n"
			    "10 per 1 minute, \"r\": in 17 s or 17");
}

static void only_the_three_are_filled_in(void **state)
{
	static const struct {
		const char *type, *given, *body;
	} cases[] = {
		{ "text/plain", "{rule}{rule}", "a\"ba\"b" },
		{ "text/plain", "{Rule} {rule {limits} { rule} {{rule}} %s {",
		  "{Rule} {rule {limits} { rule} {a\"b} %s {" },
		{ "text/plain", "{retry_after", "{retry_after" },
		{ "text/html", "{retry_after}{retry_after}", "1717" },
		/* into JSON what is filled in goes escaped */
		{ "application/json", "{\"a\":\"{rule}\"}", "{\"a\":\"a\\\"b\"}" },
		{ "Application/JSON; charset=utf-8", "{rule}", "a\\\"b" },
		{ "application/vnd.api+json;v=1", "{rule}", "a\\\"b" },
		{ "application/jsonx", "{rule}", "a\"b" },
		{ "text/plain; x=+json", "{rule}", "a\"b" },
	};
	struct krl_response response = { .format = KRL_FORMAT_BODY };
	struct krl_form_spec spec = { .rule = "a\"b", .settings = ten_a_minute, .response = &response };
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		strcpy(response.content_type, cases[i].type);
		strcpy(response.body, cases[i].given);
		assert_string_equal(body_of(&spec), cases[i].body);
	}
}

static void a_status_has_the_phrase_of_its_rfc_or_none(void **state)
{
	static const struct {
		__u32 status;
		const char *line;
	} cases[] = {
		{ 0, "HTTP/1.1 429 Too Many Requests" },
		{ 400, "HTTP/1.1 400 Bad Request" },
		{ 403, "HTTP/1.1 403 Forbidden" },
		{ 418, "HTTP/1.1 418 " },
		{ 431, "HTTP/1.1 431 Request Header Fields Too Large" },
		{ 511, "HTTP/1.1 511 Network Authentication Required" },
		{ 599, "HTTP/1.1 599 " },
	};
	struct krl_response response = { 0 };
	struct krl_form_spec spec = { .rule = "r", .settings = ten_a_minute, .response = &response };
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		response.status = cases[i].status;
		assert_string_equal(field_of(&spec, "HTTP/1.1"), cases[i].line);
	}
}

/* Add bytes to the body until the text has @bytes. */
static void pad(struct krl_response *response, const struct krl_form_spec *spec, size_t bytes)
{
	struct krl_form form;
	size_t len = 0, i;

	assert_int_equal(krl_form_build(spec, &form), 0);
	for (i = 0; i < form.piece_count; i++)
		len += form.pieces[i].len;
	assert_in_range(strlen(response->body) + bytes - len, 1, KRL_BODY_BYTES);
	memset(response->body + strlen(response->body), 'x', bytes - len);
}

static void text_up_to_the_limit(void **state)
{
	struct krl_response response = { .format = KRL_FORMAT_BODY, .header_count = 4 };
	struct krl_form_spec spec = { .rule = "r", .settings = ten_a_minute, .response = &response };
	struct krl_form form, untouched;
	size_t i;

	for (i = 0; i < response.header_count; i++) {
		snprintf(response.headers[i].name, sizeof(response.headers[i].name), "X-%zu", i);
		memset(response.headers[i].value, 'v', sizeof(response.headers[i].value) - 1);
	}
	memset(response.body, 'x', 500);
	pad(&response, &spec, KRL_FORM_TEXT_BYTES);
	assert_int_equal(krl_form_build(&spec, &form), 0);
	filled(&form, true);
	strcat(response.body, "x");
	memset(&form, 0xa5, sizeof(form));
	untouched = form;
	assert_int_equal(krl_form_build(&spec, &form), -E2BIG);
	assert_memory_equal(&form, &untouched, sizeof(form));
}

static void gaps_up_to_the_limit(void **state)
{
	struct krl_response response = { .format = KRL_FORMAT_BODY };
	struct krl_form_spec spec = { .rule = "r", .settings = ten_a_minute, .response = &response };
	struct krl_form form;
	int i;

	/* Six are in the head. */
	for (i = 0; i < KRL_FORM_PIECES - 6; i++)
		strcat(response.body, " {retry_after}");
	assert_int_equal(krl_form_build(&spec, &form), 0);
	assert_int_equal(form.piece_count, KRL_FORM_PIECES);
	assert_int_equal(form.body_gaps, KRL_FORM_PIECES - 6);
	filled(&form, false);
	strcat(response.body, ".");
	assert_int_equal(krl_form_build(&spec, &form), -ENOSPC);
}

/* The worst that a rule without a response can do. */
static void the_usual_answer_always_fits(void **state)
{
	static const enum krl_response_format formats[] = { KRL_FORMAT_JSON, KRL_FORMAT_PROBLEM,
							    KRL_FORMAT_OPENAI };
	struct krl_settings longest = { INT64_MAX - 1, INT64_MAX, INT64_MAX };
	enum krl_header_style style;
	char rule[64] = "";
	size_t i;

	memset(rule, '\1', sizeof(rule) - 1);
	for (style = KRL_STYLE_CLASSIC; style <= KRL_STYLE_NONE; style++) {
		for (i = 0; i < COUNT(formats); i++) {
			struct krl_response response = { .format = formats[i] };
			struct krl_form_spec spec = { rule, longest, style, &response, false };

			assert_non_null(answer_of(&spec));
			spec.llm = true;
			assert_non_null(answer_of(&spec));
		}
	}
}

/* How long the fields by @form are with the longest numbers. */
static size_t longest(const struct krl_form *form)
{
	static const char *const numbers[] = {
		[KRL_GAP_RETRY_AFTER] = "9223372037", [KRL_GAP_REMAINING] = "9223372036854775807",
		[KRL_GAP_RESET] = "11018626057", [KRL_GAP_RESET_AFTER] = "2562047h47m17s",
	};
	size_t len = 0, i;

	for (i = 0; i < form->piece_count; i++) {
		len += form->pieces[i].len;
		if (form->pieces[i].gap == KRL_GAP_NONE)
			continue;
		assert_true(form->pieces[i].gap < COUNT(numbers) && numbers[form->pieces[i].gap]);
		len += strlen(numbers[form->pieces[i].gap]);
	}
	return len;
}

/* ... of which the kernel puts no longer ones on an answer of the server's. */
static void fields_on_answers_always_fit(void **state)
{
	static const struct krl_response formats[] = { { .format = KRL_FORMAT_JSON }, { .format = KRL_FORMAT_OPENAI } };
	struct krl_form_spec spec = { .settings = { KRL_NUMBER_MAX, KRL_NUMBER_MAX, KRL_NUMBER_MAX } };
	char name[sizeof(((struct krl_rule_spec *)0)->name)];
	size_t i, most = 0, len;
	struct krl_form form;

	memset(name, '"', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	spec.rule = name;
	for (spec.style = 0; spec.style <= KRL_STYLE_NONE; spec.style++) {
		for (i = 0; i < 2 * COUNT(formats); i++) {
			spec.response = &formats[i / 2];
			spec.llm = i % 2;
			assert_int_equal(krl_form_build_headers(&spec, &form), 0);
			len = longest(&form);
			most = len > most ? len : most;
		}
	}
	assert_in_range(most, 500, KRL_HEADERS_BYTES);
}

static void equal_answers_have_one_key(void **state)
{
	struct krl_form_spec spec = { .rule = "a", .settings = ten_a_minute };
	struct krl_form a, b;

	memset(&a, 0x11, sizeof(a));
	memset(&b, 0x22, sizeof(b));
	assert_int_equal(krl_form_build(&spec, &a), 0);
	spec.rule = "b";	/* which the classic style does not say */
	assert_int_equal(krl_form_build(&spec, &b), 0);
	assert_true(krl_form_key(&a) == krl_form_key(&b));
	spec.style = KRL_STYLE_ENVOY;
	assert_int_equal(krl_form_build(&spec, &b), 0);
	assert_true(krl_form_key(&a) != krl_form_key(&b));
	b = a;
	b.pieces[0].gap = KRL_GAP_RESET;
	assert_true(krl_form_key(&a) != krl_form_key(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_response),
		cmocka_unit_test(every_style_of_headers),
		cmocka_unit_test(the_quota_of_a_window),
		cmocka_unit_test(names_are_escaped),
		cmocka_unit_test(the_format_problem),
		cmocka_unit_test(the_format_openai),
		cmocka_unit_test(tokens_are_told_as_openai_does),
		cmocka_unit_test(requests_are_told_as_openai_does),
		cmocka_unit_test(a_body_as_given_with_headers),
		cmocka_unit_test(only_the_three_are_filled_in),
		cmocka_unit_test(a_status_has_the_phrase_of_its_rfc_or_none),
		cmocka_unit_test(text_up_to_the_limit),
		cmocka_unit_test(gaps_up_to_the_limit),
		cmocka_unit_test(the_usual_answer_always_fits),
		cmocka_unit_test(fields_on_answers_always_fit),
		cmocka_unit_test(equal_answers_have_one_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
