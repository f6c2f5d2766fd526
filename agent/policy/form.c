// SPDX-License-Identifier: Apache-2.0
#include "form.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "limit.h"

#define NS_PER_S 1000000000ULL
#define SF_INTEGER_MAX 999999999999999ULL	/* RFC 9651, 3.3.1 */

/* A form while it is written. */
struct writer {
	struct krl_form *form;
	size_t len;	/* of its text */
	size_t begin;	/* of the text that no gap follows yet */
	int err;
};

static void put_byte(struct writer *w, char byte)
{
	if (w->len == KRL_FORM_TEXT_BYTES)
		w->err = -E2BIG;
	else
		w->form->text[w->len++] = byte;
}

static void put(struct writer *w, const char *text)
{
	while (*text)
		put_byte(w, *text++);
}

static void put_number(struct writer *w, __u64 n)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	put(w, digits);
}

static void put_gap(struct writer *w, enum krl_gap gap)
{
	if (w->form->piece_count == KRL_FORM_PIECES) {
		w->err = w->err ? w->err : -ENOSPC;
		return;
	}
	w->form->pieces[w->form->piece_count++] = (struct krl_piece){ .len = w->len - w->begin, .gap = gap };
	w->begin = w->len;
}

/* Between the quotes of a JSON string (RFC 8259, 7). */
static void put_json(struct writer *w, const char *text)
{
	char escape[8];

	for (; *text; text++) {
		if ((unsigned char)*text < 0x20) {
			snprintf(escape, sizeof(escape), "\\u%04x", *text);
			put(w, escape);
			continue;
		}
		if (*text == '"' || *text == '\\')
			put_byte(w, '\\');
		put_byte(w, *text);
	}
}

/* A String of RFC 9651, 3.3.3, which has printable ASCII alone. */
static void put_sf_string(struct writer *w, const char *text)
{
	put_byte(w, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			put_byte(w, '\\');
		put_byte(w, *text < ' ' || *text > '~' ? '?' : *text);
	}
	put_byte(w, '"');
}

/* RFC 9110, 15.5 and 15.6, and RFC 6585. A status of neither has no phrase, which is allowed (RFC 9112, 4). */
static const struct {
	__u32 status;
	const char *phrase;
} phrases[] = {
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 402, "Payment Required" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 407, "Proxy Authentication Required" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 426, "Upgrade Required" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 511, "Network Authentication Required" },
};

static void put_status_line(struct writer *w, __u32 status)
{
	size_t i;

	put(w, "HTTP/1.1 ");
	put_number(w, status);
	put_byte(w, ' ');
	for (i = 0; i < sizeof(phrases) / sizeof(*phrases); i++)
		if (phrases[i].status == status)
			put(w, phrases[i].phrase);
	put(w, "\r\n");
}

/* "Q;w=W", W being whole seconds. An interval of a fraction of a second is stated by the next whole one, and
 * as many tokens as its fills give in that time, rounded down: 10 in 500ms are 20 in 1 s, 1 in 1500ms is 1 in
 * 2 s. So a client that keeps to what it reads is not refused. What a fill adds over what the bucket holds
 * is lost and not stated. */
static void put_quota(struct writer *w, const char *before, const struct krl_settings *s)
{
	__u64 tokens = s->tokens_per_fill < s->max_tokens ? s->tokens_per_fill : s->max_tokens;
	__u64 seconds = s->fill_interval_ns / NS_PER_S + !!(s->fill_interval_ns % NS_PER_S);
	/* Under 2^63 ns and a second more, times under 2^63. */
	unsigned __int128 quota = (unsigned __int128)seconds * NS_PER_S * tokens / s->fill_interval_ns;

	put(w, before);
	put_number(w, quota < SF_INTEGER_MAX ? (__u64)quota : SF_INTEGER_MAX);
	put(w, ";w=");
	put_number(w, seconds);
	put(w, "\r\n");
}

static enum krl_response_format format_of(const struct krl_form_spec *spec)
{
	if (spec->response && spec->response->format != KRL_FORMAT_USUAL)
		return spec->response->format;
	return spec->llm ? KRL_FORMAT_OPENAI : KRL_FORMAT_JSON;
}

/* As OpenAI's API has them beside its errors; the reset is a duration. */
static void put_openai_fields(struct writer *w, const struct krl_form_spec *spec)
{
	const char *end = spec->llm ? "-tokens: " : "-requests: ";

	put(w, "x-ratelimit-limit");
	put(w, end);
	put_number(w, spec->settings.max_tokens);
	put(w, "\r\nx-ratelimit-remaining");
	put(w, end);
	put_gap(w, KRL_GAP_REMAINING);
	put(w, "\r\nx-ratelimit-reset");
	put(w, end);
	put_gap(w, KRL_GAP_RESET_AFTER);
	put(w, "\r\n");
}

static void put_rate_limit_fields(struct writer *w, const struct krl_form_spec *spec)
{
	if (format_of(spec) == KRL_FORMAT_OPENAI && spec->style != KRL_STYLE_NONE)
		put_openai_fields(w, spec);
	switch (spec->style) {
	case KRL_STYLE_CLASSIC:
	case KRL_STYLE_ENVOY:
		put(w, "X-RateLimit-Limit: ");
		put_number(w, spec->settings.max_tokens);
		if (spec->style == KRL_STYLE_ENVOY)
			put_quota(w, ", ", &spec->settings);
		else
			put(w, "\r\n");
		put(w, "X-RateLimit-Remaining: ");
		put_gap(w, KRL_GAP_REMAINING);
		put(w, "\r\nX-RateLimit-Reset: ");
		put_gap(w, spec->style == KRL_STYLE_ENVOY ? KRL_GAP_RETRY_AFTER : KRL_GAP_RESET);
		put(w, "\r\n");
		break;
	case KRL_STYLE_DRAFT:
		put(w, "RateLimit-Policy: ");
		put_sf_string(w, spec->rule);
		put_quota(w, ";q=", &spec->settings);
		put(w, "RateLimit: ");
		put_sf_string(w, spec->rule);
		put(w, ";r=");
		put_gap(w, KRL_GAP_REMAINING);
		put(w, ";t=");
		put_gap(w, KRL_GAP_RETRY_AFTER);
		put(w, "\r\n");
		break;
	case KRL_STYLE_NONE:
		break;
	}
}

/* application/json, or what ends in +json (RFC 6839). */
static bool is_json(const char *content_type)
{
	size_t len = strcspn(content_type, "; \t");

	return (len == 16 && !strncasecmp(content_type, "application/json", 16)) ||
	       (len > 5 && !strncasecmp(content_type + len - 5, "+json", 5));
}

static const char *content_type_of(const struct krl_form_spec *spec, const struct krl_response *response)
{
	switch (format_of(spec)) {
	case KRL_FORMAT_PROBLEM:
		return "application/problem+json";
	case KRL_FORMAT_BODY:
		return *response->content_type ? response->content_type : "text/plain; charset=utf-8";
	case KRL_FORMAT_USUAL:
	case KRL_FORMAT_JSON:
	case KRL_FORMAT_OPENAI:
		break;
	}
	return "application/json";
}

/* If @prefix is at *@text, move behind it. */
static bool skip(const char **text, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(*text, prefix, len))
		return false;
	*text += len;
	return true;
}

/* The body as given; what is filled into JSON is escaped, since it stands in a string there. */
static void put_given_body(struct writer *w, const struct krl_response *response, const char *limit,
			   const char *rule)
{
	void (*fill)(struct writer *, const char *) = is_json(response->content_type) ? put_json : put;
	const char *at = response->body;

	while (*at) {
		if (skip(&at, "{limit}"))
			fill(w, limit);
		else if (skip(&at, "{rule}"))
			fill(w, rule);
		else if (skip(&at, "{retry_after}"))
			put_gap(w, KRL_GAP_RETRY_AFTER);
		else
			put_byte(w, *at++);
	}
}

static void put_body(struct writer *w, const struct krl_form_spec *spec, const struct krl_response *response)
{
	const char *unit = spec->llm ? "tokens" : "requests";
	char limit[KRL_LIMIT_TEXT_BYTES];

	krl_limit_text(&spec->settings, limit, sizeof(limit));
	switch (format_of(spec)) {
	case KRL_FORMAT_USUAL:
	case KRL_FORMAT_JSON:
		put(w, "{\"error\":\"Rate limit exceeded: ");
		put(w, limit);
		put(w, "\"}");
		break;
	case KRL_FORMAT_PROBLEM:
		put(w, "{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\","
		       "\"title\":\"Request cannot be satisfied as assigned quota has been exceeded\","
		       "\"status\":");
		put_number(w, krl_form_status(response));
		put(w, ",\"violated-policies\":[\"");
		put_json(w, spec->rule);
		put(w, "\"]}");
		break;
	case KRL_FORMAT_OPENAI:
		put(w, "{\"error\":{\"message\":\"Rate limit reached for ");
		put_json(w, spec->rule);
		put(w, " on ");
		put(w, unit);
		put(w, ": limit ");
		put(w, limit);
		put(w, ". Please try again in ");
		put_gap(w, KRL_GAP_RETRY_AFTER);
		put(w, "s.\",\"type\":\"");
		put(w, unit);
		put(w, "\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}");
		break;
	case KRL_FORMAT_BODY:
		put_given_body(w, response, limit, spec->rule);
		break;
	}
	if (w->len > w->begin)
		put_gap(w, KRL_GAP_NONE);
}

/* Append @body, which was written on its own: its length stands before it. */
static void put_written_body(struct writer *w, const struct krl_form *body)
{
	const char *text = body->text;
	__u32 i, n;

	for (i = 0; i < body->piece_count; i++) {
		for (n = 0; n < body->pieces[i].len; n++)
			put_byte(w, *text++);
		put_gap(w, body->pieces[i].gap);
	}
}

int krl_form_build(const struct krl_form_spec *spec, struct krl_form *ret)
{
	static const struct krl_response usual;
	const struct krl_response *response = spec->response ? spec->response : &usual;
	struct krl_form body = { 0 }, form = { 0 };
	struct writer b = { .form = &body }, w = { .form = &form };
	size_t i;

	put_body(&b, spec, response);
	form.body_text = b.len;
	for (i = 0; i < body.piece_count; i++)
		form.body_gaps += body.pieces[i].gap != KRL_GAP_NONE;
	put_status_line(&w, krl_form_status(response));
	put(&w, "Content-Type: ");
	put(&w, content_type_of(spec, response));
	put(&w, "\r\nContent-Length: ");
	if (form.body_gaps)
		put_gap(&w, KRL_GAP_LENGTH);
	else
		put_number(&w, form.body_text);
	put(&w, "\r\nRetry-After: ");
	put_gap(&w, KRL_GAP_RETRY_AFTER);
	put(&w, "\r\n");
	put_rate_limit_fields(&w, spec);
	for (i = 0; i < response->header_count; i++) {
		put(&w, response->headers[i].name);
		put(&w, ": ");
		put(&w, response->headers[i].value);
		put(&w, "\r\n");
	}
	put_gap(&w, KRL_GAP_CONNECTION);
	put(&w, "\r\n");
	put_gap(&w, KRL_GAP_BODY);
	put_written_body(&w, &body);
	if (b.err || w.err)
		return b.err ? b.err : w.err;
	*ret = form;
	return 0;
}

int krl_form_build_headers(const struct krl_form_spec *spec, struct krl_form *ret)
{
	struct krl_form form = { 0 };
	struct writer w = { .form = &form };

	put_rate_limit_fields(&w, spec);
	put_gap(&w, KRL_GAP_NONE);
	if (w.err)
		return w.err;
	*ret = form;
	return 0;
}

__u32 krl_form_status(const struct krl_response *response)
{
	return response && response->status ? response->status : KRL_DEFAULT_STATUS;
}

__u64 krl_content_key(const void *content, size_t len)
{
	const unsigned char *bytes = content;
	__u64 hash = 0xcbf29ce484222325ULL;
	size_t i;

	for (i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	return hash ? hash : 1;
}

__u64 krl_form_key(const struct krl_form *form)
{
	return krl_content_key(form, sizeof(*form));
}
