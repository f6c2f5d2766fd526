// SPDX-License-Identifier: Apache-2.0
/* What a refused client is told. */
#include <stdlib.h>
#include <string.h>

#include "conversion.h"

/* envoy.type.v3.StatusCode, as far as a refusal may have it. */
static const struct {
	const char *name;
	int code;
} statuses[] = {
	{ "BadRequest", 400 },
	{ "Unauthorized", 401 },
	{ "PaymentRequired", 402 },
	{ "Forbidden", 403 },
	{ "NotFound", 404 },
	{ "MethodNotAllowed", 405 },
	{ "NotAcceptable", 406 },
	{ "ProxyAuthenticationRequired", 407 },
	{ "RequestTimeout", 408 },
	{ "Conflict", 409 },
	{ "Gone", 410 },
	{ "LengthRequired", 411 },
	{ "PreconditionFailed", 412 },
	{ "PayloadTooLarge", 413 },
	{ "URITooLong", 414 },
	{ "UnsupportedMediaType", 415 },
	{ "RangeNotSatisfiable", 416 },
	{ "ExpectationFailed", 417 },
	{ "MisdirectedRequest", 421 },
	{ "UnprocessableEntity", 422 },
	{ "Locked", 423 },
	{ "FailedDependency", 424 },
	{ "UpgradeRequired", 426 },
	{ "PreconditionRequired", 428 },
	{ "TooManyRequests", 429 },
	{ "RequestHeaderFieldsTooLarge", 431 },
	{ "InternalServerError", 500 },
	{ "NotImplemented", 501 },
	{ "BadGateway", 502 },
	{ "ServiceUnavailable", 503 },
	{ "GatewayTimeout", 504 },
	{ "HTTPVersionNotSupported", 505 },
	{ "VariantAlsoNegotiates", 506 },
	{ "InsufficientStorage", 507 },
	{ "LoopDetected", 508 },
	{ "NotExtended", 510 },
	{ "NetworkAuthenticationRequired", 511 },
};

/* Any other code below 400 is 429 to the filter as well. */
static void read_status(struct krl_conversion *c, yaml_node_t *node, json_t *response)
{
	yaml_node_t *code = krl_convert_get(c, node, "code");
	const char *text = code ? krl_node_text(code) : NULL;
	char number[16];
	size_t i;

	for (i = 0; text && i < sizeof(statuses) / sizeof(*statuses); i++) {
		snprintf(number, sizeof(number), "%d", statuses[i].code);
		if (strcmp(text, statuses[i].name) && strcmp(text, number))
			continue;
		if (statuses[i].code != 429)
			krl_convert_put(c, response, "status", json_integer(statuses[i].code));
		return;
	}
	krl_convert_note(c, code ? code : node, "no status of a refusal, which is 429");
}

/* Bytes of the headers that are added, with their line ends: the agent has room for more beside the longest of what
 * else is in an answer. */
#define MAX_HEADERS_BYTES 1024

static size_t headers_bytes(json_t *headers)
{
	size_t bytes = 0;
	const char *name;
	json_t *value;

	json_object_foreach(headers, name, value)
		bytes += strlen(name) + json_string_length(value) + sizeof(": \r\n") - 1;
	return bytes;
}

/* A header to add, unless the agent would refuse it. */
static void read_header(struct krl_conversion *c, yaml_node_t *node, json_t *response)
{
	yaml_node_t *header = krl_convert_get(c, node, "header");
	yaml_node_t *v[] = { krl_convert_get(c, header, "key"), krl_convert_get(c, header, "value") };
	const char *name = v[0] ? krl_node_text(v[0]) : NULL;
	const char *value = v[1] ? krl_node_text(v[1]) : NULL;
	json_t *headers = json_object_get(response, "headers"), *tried;

	if (!name || !value) {
		krl_convert_drop(c, node, "header has no key and value");
		return;
	}
	if (strchr(value, '%')) {
		krl_convert_drop(c, v[1], "%% commands have no counterpart");
		return;
	}
	if (json_object_get(headers, name)) {
		krl_convert_drop(c, v[0], "given twice");
		return;
	}
	tried = headers ? json_copy(headers) : json_object();
	krl_convert_put(c, tried, name, json_string(value));
	if (headers_bytes(tried) > MAX_HEADERS_BYTES)
		krl_convert_drop(c, node, "headers of more than %d bytes", MAX_HEADERS_BYTES);
	else if (krl_convert_is_read(c, node, "response", json_pack("{s:O}", "headers", tried),
				     "response.headers"))
		krl_convert_put(c, response, "headers", json_incref(tried));
	json_decref(tried);
}

json_t *krl_convert_response(struct krl_conversion *c, yaml_node_t *status, yaml_node_t *headers)
{
	json_t *response = json_object();
	size_t i, len, item;

	if (status) {
		len = krl_convert_enter(c, "status");
		read_status(c, status, response);
		krl_convert_leave(c, len);
	}
	len = krl_convert_enter(c, "response_headers_to_add");
	for (i = 0; i < krl_convert_count(c, headers); i++) {
		item = krl_convert_enter_item(c, i);
		read_header(c, krl_convert_item(c, headers, i), response);
		krl_convert_leave(c, item);
	}
	krl_convert_leave(c, len);
	if (json_object_size(response))
		return response;
	json_decref(response);
	return NULL;
}
