/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a rule's answers, with the gaps that the kernel fills. */
#ifndef KMESH_RL_FORM_H
#define KMESH_RL_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include <kmesh_rl/abi.h>

#define KRL_BODY_BYTES 1024	/* of a body as given, before anything is filled in */
#define KRL_RESPONSE_HEADERS 16
#define KRL_DEFAULT_STATUS 429

/* The fields that tell of the limit, beside Retry-After, which every answer has. */
enum krl_header_style {
	KRL_STYLE_CLASSIC,	/* X-RateLimit-*, the reset as unix time: as GitHub and slowapi */
	KRL_STYLE_ENVOY,	/* X-RateLimit-*, the reset in seconds: draft-polli-ratelimit-headers-03 */
	KRL_STYLE_DRAFT,	/* RateLimit and RateLimit-Policy: draft-ietf-httpapi-ratelimit-headers-11 */
	KRL_STYLE_NONE,
};

enum krl_response_format {
	KRL_FORMAT_USUAL,	/* Json; of a rule that counts LLMTokens, OpenAI */
	KRL_FORMAT_JSON,	/* {"error":"..."} */
	KRL_FORMAT_PROBLEM,	/* RFC 9457, of type quota-exceeded */
	KRL_FORMAT_OPENAI,	/* the error object of OpenAI's API */
	KRL_FORMAT_BODY,	/* as given */
};

/* What `response` of a rule says; all zero is the answer without it. */
struct krl_response {
	enum krl_response_format format;
	__u32 status;				/* 0: KRL_DEFAULT_STATUS */
	char content_type[128];			/* of KRL_FORMAT_BODY; "": plain text */
	char body[KRL_BODY_BYTES + 1];		/* {limit}, {retry_after} and {rule} are filled in */
	struct {
		char name[64];
		char value[256];
	} headers[KRL_RESPONSE_HEADERS];
	size_t header_count;
};

struct krl_form_spec {
	const char *rule;			/* its name */
	struct krl_settings settings;
	enum krl_header_style style;
	const struct krl_response *response;	/* NULL: as all zero */
	bool llm;				/* it counts LLMTokens */
};

/* Returns 0; -E2BIG when the answer has more text than KRL_FORM_TEXT_BYTES, -ENOSPC when it has more
 * gaps than KRL_FORM_PIECES leaves room for. */
int krl_form_build(const struct krl_form_spec *spec, struct krl_form *ret);

/* The header fields that tell of the limit alone, for the server's answers. As krl_form_build(), which has them
 * too. */
int krl_form_build_headers(const struct krl_form_spec *spec, struct krl_form *ret);

/* The status of the answers of @response, which may be NULL. */
__u32 krl_form_status(const struct krl_response *response);

/* The key of @form: FNV-1a over its bytes, never 0. */
__u64 krl_form_key(const struct krl_form *form);

/* A hash of @len bytes, never 0. */
__u64 krl_content_key(const void *content, size_t len);

#endif
