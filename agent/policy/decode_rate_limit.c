// SPDX-License-Identifier: Apache-2.0
/* RateLimit, both forms of the Kmesh document included: spec.service with spec.rules, and
 * spec.services[] each with rules. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode_kinds.h"

#define PORT_MAX 65535

/* A target while it is read: spec itself, or an item of spec.services. */
struct target_reader {
	struct krl_document *document;
	struct krl_target *target;
	bool service, services, endpoints, port, rules;
	enum krl_mode mode;	/* of spec */
};

void krl_decode_unsupported(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	krl_reader_error(reader, node, "not supported yet");
}

void krl_decode_only(struct krl_reader *reader, yaml_node_t *node, const char *value)
{
	const char *text = krl_node_text(node);

	if (!text || strcmp(text, value))
		krl_reader_error(reader, node, "only %s is supported yet, found \"%.80s\"", value,
				 text ? text : "");
}

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
	((struct target_reader *)out)->mode = krl_decode_mode(reader, node);
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
	struct target_reader *t = out;

	t->document->rate_limit.eperm = is_text(node, "EPERM");
	if (!is_text(node, "EPERM") && !is_text(node, "ECONNREFUSED"))
		krl_reader_expected(reader, node, "ECONNREFUSED or EPERM");
}

/* The style is only looked at: style_of() takes what is said of it, before any rule is read. */
static void read_response_headers(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct target_reader *t = out;

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

static void read_rules(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct target_reader *t = out;

	t->rules = true;
	krl_decode_rules(reader, node, &t->document->rate_limit, t->target);
}

static void read_service_name(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct target_reader *t = out;

	t->service = true;
	krl_reader_string(reader, node, sizeof(t->target->service), t->target->service);
}

static void read_port(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct target_reader *t = out;
	uint64_t value;

	t->port = true;
	if (krl_reader_integer(reader, node, 1, PORT_MAX, &value))
		t->target->port = value;
}

static void read_endpoint_ip(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_endpoint_key *key = out;
	const char *text = krl_node_text(node);

	if (!text || krl_address_parse(text, key->addr))
		krl_reader_expected(reader, node, "an IPv4 or IPv6 address");
}

static void read_endpoint_port(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_endpoint_key *key = out;
	uint64_t value;

	if (krl_reader_integer(reader, node, 1, PORT_MAX, &value))
		key->port = value;
}

static const struct krl_field endpoint_fields[] = {
	{ "ip", read_endpoint_ip },
	{ "port", read_endpoint_port },
	{ NULL, NULL },
};

static void read_endpoint(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct target_reader *t = out;
	struct krl_endpoint_key *key;
	size_t before = reader->errors;

	key = krl_reader_add(reader, &t->target->endpoints, &t->target->endpoint_count);
	if (!key)
		return;
	krl_reader_mapping(reader, node, endpoint_fields, key);
	if (reader->errors != before)
		return;
	krl_reader_missing(reader, node,
			   (const char *[]){ krl_reader_get(reader, node, "ip") ? NULL : "ip",
					     key->port ? NULL : "port" },
			   2);
}

static void read_endpoints(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct target_reader *t = out;

	t->endpoints = true;
	krl_reader_sequence(reader, node, read_endpoint, t);
	if (node->type == YAML_SEQUENCE_NODE && !t->target->endpoint_count)
		krl_reader_error(reader, node, "expected at least one endpoint");
}

static struct krl_target *add_target(struct krl_reader *reader, struct krl_document *document)
{
	return krl_reader_add(reader, &document->rate_limit.targets, &document->rate_limit.target_count);
}

/* One service may come once with each port, and once without. */
static void check_repeated(struct krl_reader *reader, yaml_node_t *node, const struct krl_rate_limit *limit)
{
	const struct krl_target *last = &limit->targets[limit->target_count - 1], *t;
	char port[24] = "";

	for (t = limit->targets; t < last; t++)
		if (t->port == last->port && !strcmp(t->service, last->service))
			break;
	if (t == last)
		return;
	if (t->port)
		snprintf(port, sizeof(port), " with port %u", t->port);
	krl_reader_error(reader, node, "the service %s%s is in services[%td] already", t->service, port,
			 t - limit->targets);
}

static const struct krl_field service_fields[] = {
	{ "name", read_service_name },
	{ "port", read_port },
	{ "rules", read_rules },
	{ NULL, NULL },
};

static void read_service(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct target_reader *spec = out, t = { .document = spec->document };
	size_t before = reader->errors;

	t.target = add_target(reader, spec->document);
	if (!t.target)
		return;
	krl_reader_mapping(reader, node, service_fields, &t);
	if (reader->errors == before)
		krl_reader_missing(reader, node,
				   (const char *[]){ t.service ? NULL : "name",
						     t.rules ? NULL : "rules" },
				   2);
	if (reader->errors == before)
		check_repeated(reader, node, &spec->document->rate_limit);
}

static void read_services(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct target_reader *t = out;

	t->services = true;
	krl_reader_sequence(reader, node, read_service, t);
	if (node->type == YAML_SEQUENCE_NODE && !t->document->rate_limit.target_count)
		krl_reader_error(reader, node, "expected at least one service");
}

static void read_failure_policy(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct target_reader *t = out;
	const char *text = krl_node_text(node);

	if (text && !strcmp(text, "Closed"))
		t->document->rate_limit.fail_closed = true;
	else if (!text || strcmp(text, "Open"))
		krl_reader_expected(reader, node, "Open or Closed");
}

static void read_rule_match(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct target_reader *t = out;

	t->document->rate_limit.match_all = is_text(node, "All");
	if (!is_text(node, "All") && !is_text(node, "First"))
		krl_reader_expected(reader, node, "First or All");
}

static void read_client_ip(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct target_reader *t = out;

	krl_decode_client_ip(reader, node, &t->document->rate_limit.client_ip);
}

static void read_model_headers(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct target_reader *t = out;

	krl_decode_model_headers(reader, node, &t->document->rate_limit.models);
}

static void read_drop_coding(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct target_reader *t = out;

	krl_reader_boolean(reader, node, &t->document->rate_limit.no_coding);
}

static const struct krl_field spec_fields[] = {
	{ "service", read_service_name },
	{ "port", read_port },
	{ "services", read_services },
	{ "endpoints", read_endpoints },
	{ "rules", read_rules },
	{ "failurePolicy", read_failure_policy },
	{ "mode", read_spec_mode },
	{ "direction", read_direction },
	{ "onLimit", read_on_limit },
	{ "targetRefs", krl_decode_unsupported },
	{ "ruleMatch", read_rule_match },
	{ "clientIP", read_client_ip },
	{ "responseHeaders", read_response_headers },
	{ "headerStyle", read_header_style },
	{ "modelHeaders", read_model_headers },
	{ "dropAcceptEncoding", read_drop_coding },
	{ NULL, NULL },
};

static void check_spec(struct krl_reader *reader, yaml_node_t *node, const struct target_reader *t)
{
	if (t->service + t->services + t->endpoints == 0)
		krl_reader_error(reader, node, "one of service, services and endpoints is missing");
	else if (t->service + t->services + t->endpoints > 1)
		krl_reader_error(reader, node, "only one of service, services and endpoints may be given");
	else if (t->services && (t->rules || t->port))
		krl_reader_error(reader, node, "%s belongs into each of services",
				 t->rules ? "rules" : "port");
	else if (t->endpoints && t->port)
		krl_reader_error(reader, node, "port belongs into each of endpoints");
	else if (!t->services && !t->rules)
		krl_reader_error(reader, node, "rules is missing");
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
	struct krl_target single = { 0 }, *added;
	struct target_reader t = { .document = document, .target = &single };
	size_t before = reader->errors;

	krl_decode_usual_models(&document->rate_limit.models);
	document->rate_limit.style = style_of(reader, node);
	document->rate_limit.outbound = is_text(krl_reader_get(reader, node, "direction"), "Outbound");
	krl_reader_mapping(reader, node, spec_fields, &t);
	if (reader->errors == before)
		check_spec(reader, node, &t);
	if (reader->errors == before)
		krl_decode_check_direction(reader, node, &document->rate_limit);
	added = t.services ? NULL : add_target(reader, document);
	if (added)
		*added = single;
	else
		krl_target_clear(&single);
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
