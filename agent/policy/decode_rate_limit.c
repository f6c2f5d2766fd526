// SPDX-License-Identifier: Apache-2.0
/* RateLimit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode_kinds.h"

enum krl_mode krl_decode_mode(struct krl_reader *reader, yaml_node_t *node)
{
	const char *text = krl_node_text(node);

	if (text && !strcmp(text, "Shadow"))
		return KRL_MODE_SHADOW;
	if (!text || strcmp(text, "Enforce"))
		krl_reader_expected(reader, node, "Enforce or Shadow");
	return KRL_MODE_ENFORCE;
}

static void read_spec_mode(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	((struct krl_target_reader *)out)->mode = krl_decode_mode(reader, node);
}

static bool is_text(yaml_node_t *node, const char *value)
{
	const char *text = node ? krl_node_text(node) : NULL;

	return text && !strcmp(text, value);
}

/* It is only looked at: read_spec() takes it before any rule is read. */
static void read_direction(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	if (!is_text(node, "Inbound") && !is_text(node, "Outbound"))
		krl_reader_expected(reader, node, "Inbound or Outbound");
}

static void read_on_limit(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;

	t->document->rate_limit.eperm = is_text(node, "EPERM");
	if (!is_text(node, "EPERM") && !is_text(node, "ECONNREFUSED"))
		krl_reader_expected(reader, node, "ECONNREFUSED or EPERM");
}

/* The style is only looked at: style_of() takes what is said of it, before any rule is read. */
static void read_response_headers(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;

	t->document->rate_limit.headers_always = is_text(node, "Always");
	if (!is_text(node, "Always") && !is_text(node, "Limited") && !is_text(node, "Never"))
		krl_reader_expected(reader, node, "Limited, Always or Never");
}

static void read_header_style(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	if (!is_text(node, "Classic") && !is_text(node, "Envoy") && !is_text(node, "Draft"))
		krl_reader_expected(reader, node, "Classic, Envoy or Draft");
}

static enum krl_header_style style_of(struct krl_reader *reader, yaml_node_t *spec)
{
	yaml_node_t *style = krl_reader_get(reader, spec, "headerStyle");

	if (is_text(krl_reader_get(reader, spec, "responseHeaders"), "Never"))
		return KRL_STYLE_NONE;
	if (is_text(style, "Envoy"))
		return KRL_STYLE_ENVOY;
	return is_text(style, "Draft") ? KRL_STYLE_DRAFT : KRL_STYLE_CLASSIC;
}

static void read_failure_policy(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;
	const char *text = krl_node_text(node);

	if (text && !strcmp(text, "Closed"))
		t->document->rate_limit.fail_closed = true;
	else if (!text || strcmp(text, "Open"))
		krl_reader_expected(reader, node, "Open or Closed");
}

static void read_rule_match(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;

	t->document->rate_limit.match_all = is_text(node, "All");
	if (!is_text(node, "All") && !is_text(node, "First"))
		krl_reader_expected(reader, node, "First or All");
}

static void read_client_ip(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;

	krl_decode_client_ip(reader, node, &t->document->rate_limit.client_ip);
}

static void read_model_headers(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;

	krl_decode_model_headers(reader, node, &t->document->rate_limit.models);
}

static void read_drop_coding(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;

	krl_reader_boolean(reader, node, &t->document->rate_limit.no_coding);
}

static void read_redact(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;

	krl_reader_boolean(reader, node, &t->document->rate_limit.redact);
}

/* read_spec() makes what it is read into. */
static void read_client_selector(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_rate_limit *limit = &((struct krl_target_reader *)out)->document->rate_limit;

	limit->selects_callers = true;
	if (limit->caller)
		krl_decode_label_selector(reader, node, &limit->caller->pods);
}

static const struct krl_field spec_fields[] = {
	{ "service", krl_decode_service_name },
	{ "port", krl_decode_target_port },
	{ "services", krl_decode_services },
	{ "targetRefs", krl_decode_target_refs },
	{ "endpoints", krl_decode_endpoints },
	{ "rules", krl_decode_target_rules },
	{ "failurePolicy", read_failure_policy },
	{ "mode", read_spec_mode },
	{ "direction", read_direction },
	{ "onLimit", read_on_limit },
	{ "clientSelector", read_client_selector },
	{ "ruleMatch", read_rule_match },
	{ "clientIP", read_client_ip },
	{ "responseHeaders", read_response_headers },
	{ "headerStyle", read_header_style },
	{ "modelHeaders", read_model_headers },
	{ "dropAcceptEncoding", read_drop_coding },
	{ "redact", read_redact },
	{ NULL, NULL },
};

static void check_spec(struct krl_reader *reader, yaml_node_t *node, const struct krl_target_reader *t)
{
	int given = t->service + t->services + t->refs + t->endpoints;

	if (!given)
		krl_reader_error(reader, node, "one of service, services, targetRefs and endpoints is missing");
	else if (given > 1)
		krl_reader_error(reader, node, "only one of service, services, targetRefs and endpoints may be given");
	else if (t->services && (t->rules || t->port))
		krl_reader_error(reader, node, "%s belongs into each of services",
				 t->rules ? "rules" : "port");
	else if (t->refs && t->port)
		krl_reader_error(reader, node, "port belongs into each of targetRefs, as sectionName");
	else if (t->endpoints && t->port)
		krl_reader_error(reader, node, "port belongs into each of endpoints");
	else if (!t->services && !t->rules)
		krl_reader_error(reader, node, "rules is missing");
	else
		krl_decode_check_port(reader, node, t->target);
}

/* Rules that say nothing of their mode have that of the resource. */
static void default_mode(struct krl_rate_limit *limit, enum krl_mode mode)
{
	size_t i, r;

	if (mode == KRL_MODE_UNSET)
		mode = KRL_MODE_ENFORCE;
	for (i = 0; i < limit->target_count; i++)
		for (r = 0; r < limit->targets[i].rule_count; r++)
			if (limit->targets[i].rules[r].mode == KRL_MODE_UNSET)
				limit->targets[i].rules[r].mode = mode;
}

static void read_spec(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_document *document = out;
	struct krl_target single = { 0 };
	struct krl_target_reader t = { .document = document, .target = &single };
	size_t before = reader->errors;

	krl_decode_usual_models(&document->rate_limit.models);
	document->rate_limit.style = style_of(reader, node);
	document->rate_limit.outbound = is_text(krl_reader_get(reader, node, "direction"), "Outbound");
	if (document->rate_limit.outbound) {
		document->rate_limit.caller = krl_from_new();
		if (document->rate_limit.caller)
			document->rate_limit.caller->of_callers = true;
		else
			reader->no_memory = true;
	}
	krl_reader_mapping(reader, node, spec_fields, &t);
	if (reader->errors == before)
		check_spec(reader, node, &t);
	if (reader->errors == before)
		krl_decode_check_direction(reader, node, &document->rate_limit);
	krl_decode_add_single(reader, node, &t);
	if (reader->errors == before)
		krl_decode_check_models(reader, node, &document->rate_limit);
	default_mode(&document->rate_limit, t.mode);
}

static const struct krl_field fields[] = {
	{ "apiVersion", NULL }, { "kind", NULL }, { "metadata", krl_decode_metadata },
	{ "spec", read_spec },	{ "status", NULL }, { NULL, NULL },
};

void krl_decode_rate_limit(struct krl_reader *reader, yaml_node_t *root, struct krl_document *document)
{
	bool metadata = !krl_reader_lacks(reader, root, fields, "metadata");
	bool spec = !krl_reader_lacks(reader, root, fields, "spec");

	krl_reader_mapping(reader, root, fields, document);
	krl_decode_settle_from(document);
	krl_reader_missing(reader, root,
			   (const char *[]){ metadata ? NULL : "metadata", spec ? NULL : "spec" }, 2);
}
