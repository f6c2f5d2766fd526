// SPDX-License-Identifier: Apache-2.0
/* `response` of a rule: what it answers. Nothing in it can end the head early or change how long the answer
 * is: names are tokens, and values have no line breaks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "decode_kinds.h"

#define STATUS_MIN 400
#define STATUS_MAX 599

/* A response while it is read. */
struct response_reader {
	struct krl_response *response;
	bool format, content_type, body;
};

/* What the answer has of its own, what frames it, and what RFC 9110, 7.6.1 has belong to the connection. */
static const char *const own_headers[] = {
	"Connection", "Content-Length", "Content-Type", "Date", "Keep-Alive", "Proxy-Connection",
	"RateLimit", "RateLimit-Policy", "Retry-After", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
	"X-RateLimit-Limit", "X-RateLimit-Limit-Requests", "X-RateLimit-Limit-Tokens",
	"X-RateLimit-Remaining", "X-RateLimit-Remaining-Requests", "X-RateLimit-Remaining-Tokens",
	"X-RateLimit-Reset", "X-RateLimit-Reset-Requests", "X-RateLimit-Reset-Tokens",
};

size_t krl_token_len(const char *text)
{
	return strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

/* A field value: visible ASCII, space and tab (RFC 9110, 5.5, without obs-text). */
static bool is_value(const char *text)
{
	while (*text == '\t' || (*text >= ' ' && *text <= '~'))
		text++;
	return !*text;
}

/* "type/subtype", and parameters perhaps (RFC 9110, 8.3.1). */
static bool is_media_type(const char *text)
{
	size_t type = krl_token_len(text), subtype;

	if (!type || text[type] != '/')
		return false;
	subtype = krl_token_len(text + type + 1);
	text += type + 1 + subtype;
	return subtype && is_value(text) && (!*text || text[strspn(text, " \t")] == ';');
}

static void read_format(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	static const char *const names[] = {
		[KRL_FORMAT_JSON] = "Json",
		[KRL_FORMAT_PROBLEM] = "Problem",
		[KRL_FORMAT_OPENAI] = "OpenAI",
	};
	const char *text = krl_node_text(node);
	struct response_reader *r = out;
	size_t i;

	r->format = true;
	for (i = KRL_FORMAT_JSON; i < sizeof(names) / sizeof(*names); i++) {
		if (text && !strcmp(text, names[i])) {
			r->response->format = i;
			return;
		}
	}
	krl_reader_expected(reader, node, "Json, Problem or OpenAI");
}

static void read_status(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct response_reader *r = out;
	uint64_t value;

	if (krl_reader_integer(reader, node, STATUS_MIN, STATUS_MAX, &value))
		r->response->status = value;
}

static void read_content_type(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct response_reader *r = out;
	const char *text = krl_node_text(node);

	r->content_type = true;
	if (!text || strlen(text) >= sizeof(r->response->content_type) || !is_media_type(text))
		krl_reader_expected(reader, node, "a media type such as text/plain, at most 127 bytes");
	else
		snprintf(r->response->content_type, sizeof(r->response->content_type), "%s", text);
}

static void read_body(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct response_reader *r = out;

	r->body = true;
	r->response->format = KRL_FORMAT_BODY;
	krl_reader_string(reader, node, sizeof(r->response->body), r->response->body);
}

/* May @name stand in @response, too? */
static bool check_name(struct krl_reader *reader, yaml_node_t *node, const char *name,
		       const struct krl_response *response)
{
	size_t i;

	if (!*name || name[krl_token_len(name)] || strlen(name) >= sizeof(response->headers->name)) {
		krl_reader_expected(reader, node, "the name of a header, at most 63 bytes");
		return false;
	}
	for (i = 0; i < sizeof(own_headers) / sizeof(*own_headers); i++) {
		if (!strcasecmp(name, own_headers[i])) {
			krl_reader_error(reader, node, "belongs to the answer itself and may not be given");
			return false;
		}
	}
	for (i = 0; i < response->header_count; i++) {
		if (!strcasecmp(name, response->headers[i].name)) {
			krl_reader_error(reader, node, "given twice");
			return false;
		}
	}
	if (response->header_count == KRL_RESPONSE_HEADERS) {
		krl_reader_error(reader, node, "more than %d headers", KRL_RESPONSE_HEADERS);
		return false;
	}
	return true;
}

static void read_header(struct krl_reader *reader, yaml_node_t *key, yaml_node_t *node,
			struct krl_response *response)
{
	const char *name = krl_node_text(key), *text = krl_node_text(node);
	size_t at = response->header_count;

	if (!check_name(reader, key, name, response))
		return;
	if (!text || !*text || krl_node_is_null(node) || strlen(text) >= sizeof(response->headers->value) ||
	    !is_value(text)) {
		krl_reader_expected(reader, node, "1 to 255 bytes of visible ASCII, space and tab");
		return;
	}
	snprintf(response->headers[at].name, sizeof(response->headers->name), "%s", name);
	snprintf(response->headers[at].value, sizeof(response->headers->value), "%s", text);
	response->header_count++;
}

static void read_headers(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct response_reader *r = out;
	yaml_node_pair_t *pair;
	yaml_node_t *key;
	size_t len;

	if (node->type != YAML_MAPPING_NODE) {
		krl_reader_expected(reader, node, "a mapping of names and values");
		return;
	}
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		key = yaml_document_get_node(reader->document, pair->key);
		if (!krl_node_text(key)) {
			krl_reader_error(reader, key, "expected the name of a header");
			continue;
		}
		len = krl_reader_enter(reader, ".%.60s", krl_node_text(key));
		read_header(reader, key, yaml_document_get_node(reader->document, pair->value), r->response);
		krl_reader_leave(reader, len);
	}
}

static const struct krl_field response_fields[] = {
	{ "format", read_format },
	{ "status", read_status },
	{ "contentType", read_content_type },
	{ "body", read_body },
	{ "headers", read_headers },
	{ NULL, NULL },
};

struct krl_response *krl_decode_response(struct krl_reader *reader, yaml_node_t *node)
{
	struct response_reader r = { .response = calloc(1, sizeof(*r.response)) };
	size_t before = reader->errors;

	if (!r.response) {
		reader->no_memory = true;
		return NULL;
	}
	krl_reader_mapping(reader, node, response_fields, &r);
	if (reader->errors != before)
		return r.response;
	if (r.format && (r.body || r.content_type))
		krl_reader_error(reader, node, "format stands alone: not with contentType or body");
	else if (r.content_type && !r.body)
		krl_reader_error(reader, node, "body is missing");
	return r.response;
}
