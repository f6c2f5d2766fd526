// SPDX-License-Identifier: Apache-2.0
/* What a RateLimit protects: a service, several of them, references to Services, or addresses. */
#include <stdio.h>
#include <string.h>

#include "decode_kinds.h"

#define PORT_MAX 65535
/* ":NAME" of a port behind it has to fit the ABI as well. */
#define SERVICE_WITH_NAME_BYTES 192

void krl_decode_target_rules(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;

	t->rules = true;
	krl_decode_rules(reader, node, &t->document->rate_limit, t->target);
}

void krl_decode_service_name(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;

	t->service = true;
	if (!krl_reader_string(reader, node, sizeof(t->target->service), t->target->service))
		return;
	/* No Service is called so, and a limit on it would limit nobody. */
	if (strchr(t->target->service, ':'))
		krl_reader_error(reader, node, "a service has no : in its name, port says which of its ports");
}

/* A DNS label (RFC 1123, 2.1), which names of ports are (kubernetes.io, "Service", Port definitions). */
static bool is_label(const char *text)
{
	size_t len = strlen(text);

	return len && len < KRL_PORT_NAME_BYTES && *text != '-' && text[len - 1] != '-' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

void krl_decode_target_port(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;
	const char *text = krl_node_text(node);
	uint64_t value;

	t->port = true;
	if (krl_node_integer(node, 1, PORT_MAX, &value))
		t->target->port = value;
	else if (text && is_label(text) && strpbrk(text, "abcdefghijklmnopqrstuvwxyz") && !krl_node_is_null(node))
		snprintf(t->target->port_name, sizeof(t->target->port_name), "%s", text);
	else
		krl_reader_expected(reader, node, "an integer from 1 to 65535 or the name of a port");
}

void krl_decode_check_port(struct krl_reader *reader, yaml_node_t *node, const struct krl_target *target)
{
	if (*target->port_name && strlen(target->service) >= SERVICE_WITH_NAME_BYTES)
		krl_reader_error(reader, node, "with the name of a port, a service has 1 to %d bytes",
				 SERVICE_WITH_NAME_BYTES - 1);
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
	struct krl_target_reader *t = out;
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

void krl_decode_endpoints(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;

	t->endpoints = true;
	krl_reader_sequence(reader, node, read_endpoint, t);
	if (node->type == YAML_SEQUENCE_NODE && !t->target->endpoint_count)
		krl_reader_error(reader, node, "expected at least one endpoint");
}

static struct krl_target *add_target(struct krl_reader *reader, struct krl_document *document)
{
	return krl_reader_add(reader, &document->rate_limit.targets, &document->rate_limit.target_count);
}

/* One service may come once with each port, and once without, in the list of the field @list. */
static void check_repeated(struct krl_reader *reader, yaml_node_t *node, const struct krl_rate_limit *limit,
			   const char *list)
{
	const struct krl_target *last = &limit->targets[limit->target_count - 1], *t;
	char port[16 + KRL_PORT_NAME_BYTES] = "";

	for (t = limit->targets; t < last; t++)
		if (t->port == last->port && !strcmp(t->port_name, last->port_name) &&
		    !strcmp(t->service, last->service))
			break;
	if (t == last)
		return;
	if (t->port)
		snprintf(port, sizeof(port), " with port %u", t->port);
	else if (*t->port_name)
		snprintf(port, sizeof(port), " with port %s", t->port_name);
	krl_reader_error(reader, node, "the service %s%s is in %s[%td] already", t->service, port, list,
			 t - limit->targets);
}

static const struct krl_field service_fields[] = {
	{ "name", krl_decode_service_name },
	{ "port", krl_decode_target_port },
	{ "rules", krl_decode_target_rules },
	{ NULL, NULL },
};

static void read_service(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *spec = out, t = { .document = spec->document };
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
		krl_decode_check_port(reader, node, t.target);
	if (reader->errors == before)
		check_repeated(reader, node, &spec->document->rate_limit, "services");
}

void krl_decode_services(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;

	t->services = true;
	krl_reader_sequence(reader, node, read_service, t);
	if (node->type == YAML_SEQUENCE_NODE && !t->document->rate_limit.target_count)
		krl_reader_error(reader, node, "expected at least one service");
}

static bool ends_in(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && !strcmp(text + len - end_len, end);
}

/* What is limited are requests at the sockets that serve them, which only a Service leads to. */
static void read_ref_kind(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	const char *text = krl_node_text(node);

	if (text && ends_in(text, "Route"))
		krl_reader_error(reader, node, "%.80s has no endpoints: refer to the Services in its backendRefs", text);
	else if (text && !strcmp(text, "Gateway"))
		krl_reader_error(reader, node, "Gateway has no endpoints: refer to the Services in the backendRefs of its "
					       "routes, or to the one that is in front of it");
	else if (!text || strcmp(text, "Service"))
		krl_reader_expected(reader, node, "Service");
}

/* Said once: what another kind is of, its own complaint tells. */
static void check_group(struct krl_reader *reader, yaml_node_t *ref)
{
	yaml_node_t *group = krl_reader_get(reader, ref, "group");
	size_t len;

	if (!group || (krl_node_text(group) && !*krl_node_text(group) && !krl_node_is_null(group)))
		return;
	len = krl_reader_enter(reader, ".group");
	krl_reader_expected(reader, group, "\"\", the group of Services");
	krl_reader_leave(reader, len);
}

static void read_label(struct krl_reader *reader, yaml_node_t *node, const char *what, char ret[KRL_PORT_NAME_BYTES])
{
	const char *text = krl_node_text(node);

	if (text && is_label(text) && !krl_node_is_null(node))
		snprintf(ret, KRL_PORT_NAME_BYTES, "%s", text);
	else
		krl_reader_expected(reader, node, what);
}

static void read_ref_name(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	read_label(reader, node, "the name of a Service", ((struct krl_target *)out)->service);
}

static void read_ref_namespace(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	krl_reader_error(reader, node, "references are within the RateLimit's own namespace");
}

static void read_ref_section(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	read_label(reader, node, "the name of a port of the Service", ((struct krl_target *)out)->port_name);
}

static const struct krl_field ref_fields[] = {
	{ "group", NULL },
	{ "kind", read_ref_kind },
	{ "name", read_ref_name },
	{ "namespace", read_ref_namespace },
	{ "sectionName", read_ref_section },
	{ NULL, NULL },
};

static void read_ref(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;
	struct krl_target *target = add_target(reader, t->document);
	size_t before = reader->errors;

	if (!target)
		return;
	krl_reader_mapping(reader, node, ref_fields, target);
	if (reader->errors == before)
		krl_reader_missing(reader, node,
				   (const char *[]){ krl_reader_get(reader, node, "kind") ? NULL : "kind",
						     *target->service ? NULL : "name" },
				   2);
	if (reader->errors == before)
		check_group(reader, node);
	if (reader->errors == before)
		check_repeated(reader, node, &t->document->rate_limit, "targetRefs");
}

void krl_decode_target_refs(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_target_reader *t = out;

	t->refs = true;
	krl_reader_sequence(reader, node, read_ref, t);
	if (node->type == YAML_SEQUENCE_NODE && !t->document->rate_limit.target_count)
		krl_reader_error(reader, node, "expected at least one reference");
}

void krl_decode_add_single(struct krl_reader *reader, yaml_node_t *spec, struct krl_target_reader *t)
{
	struct krl_rate_limit *limit = &t->document->rate_limit;
	struct krl_target *added = t->services || t->refs ? NULL : add_target(reader, t->document);
	size_t i;

	if (added) {
		*added = *t->target;
		return;
	}
	krl_target_clear(t->target);
	/* They were read once without a complaint. */
	for (i = 0; t->refs && i < limit->target_count && !reader->errors; i++)
		krl_decode_rules(reader, krl_reader_get(reader, spec, "rules"), limit, &limit->targets[i]);
}
