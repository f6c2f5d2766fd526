// SPDX-License-Identifier: Apache-2.0
/* Which format a text is in, and what comes of it. */
#include "convert.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "agent/policy/decode.h"
#include "agent/policy/yaml_stream.h"
#include "conversion.h"
#include "tools/kmesh-rl/cli.h"

static const struct {
	const char *kind;
	const char *group; /* with the slash; NULL: any */
	void (*convert)(struct krl_conversion *c, yaml_node_t *root);
} kinds[] = {
	{ "BackendTrafficPolicy", "gateway.envoyproxy.io/", krl_convert_traffic_policy },
	{ "RateLimitFilter", NULL, krl_convert_filter },
	{ "EnvoyFilter", "networking.istio.io/", krl_convert_envoy_filter },
};

#define KIND_COUNT (sizeof(kinds) / sizeof(*kinds))

static bool is_group(yaml_node_t *api_version, const char *group)
{
	const char *text = api_version ? krl_node_text(api_version) : NULL;

	return !group || !api_version || (text && !strncmp(text, group, strlen(group)));
}

/* The items of a list of documents, or NULL when @root is none. */
static yaml_node_t *items_of(struct krl_conversion *c, yaml_node_t *root)
{
	yaml_node_t *kind = krl_convert_get(c, root, "kind"),
		    *items = krl_convert_get(c, root, "items");
	const char *name = kind ? krl_node_text(kind) : NULL;
	size_t len = name ? strlen(name) : 0;

	return len >= 4 && !strcmp(name + len - 4, "List") && items &&
			       items->type == YAML_SEQUENCE_NODE
		       ? items
		       : NULL;
}

static void convert_document(struct krl_conversion *c, yaml_node_t *root);

static void convert_items(struct krl_conversion *c, yaml_node_t *items)
{
	size_t i, len, count = krl_convert_count(c, items);

	for (i = 0; i < count; i++) {
		len = krl_convert_enter(c, "items");
		krl_convert_enter_item(c, i);
		convert_document(c, krl_convert_item(c, items, i));
		krl_convert_leave(c, len);
	}
}

static void convert_document(struct krl_conversion *c, yaml_node_t *root)
{
	yaml_node_t *items = items_of(c, root), *kind = krl_convert_get(c, root, "kind");
	size_t i;

	c->left_out = "it is left out";
	json_object_clear(c->said);
	json_object_clear(c->headers);
	if (items) {
		convert_items(c, items);
		return;
	}
	if (!kind &&
	    (krl_convert_get(c, root, "domain") || krl_convert_get(c, root, "descriptors"))) {
		krl_convert_domain(c, root);
		return;
	}
	for (i = 0; i < KIND_COUNT; i++) {
		if (!krl_convert_is(kind, kinds[i].kind) ||
		    !is_group(krl_convert_get(c, root, "apiVersion"), kinds[i].group))
			continue;
		kinds[i].convert(c, root);
		return;
	}
	if (kind && krl_node_text(kind))
		krl_convert_note(c, kind, "no rate limit of a %.80s is known here, it is left out",
				 krl_node_text(kind));
	else
		krl_convert_note(c, root,
				 "expected a mapping with kind, or with domain and descriptors");
}

/* Is the first thing in @text a mapping or a list? Text that is no YAML at all is none. */
static bool is_tree(const char *text, size_t len)
{
	bool found = false, end = false;
	yaml_parser_t parser;
	yaml_event_t event;

	if (!yaml_parser_initialize(&parser))
		return true;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (!end && yaml_parser_parse(&parser, &event)) {
		found = event.type == YAML_MAPPING_START_EVENT ||
			event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_ALIAS_EVENT;
		end = found || event.type == YAML_SCALAR_EVENT ||
		      event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return found;
}

static void convert_stream(struct krl_conversion *c, const char *text, size_t len)
{
	yaml_document_t document;
	yaml_parser_t parser;
	yaml_node_t *root;
	bool end = false;

	if (!krl_yaml_check(c->at.file, text, len, c->at.diags))
		return;
	if (!yaml_parser_initialize(&parser)) {
		c->no_memory = true;
		return;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (!end && !c->no_memory) {
		if (!yaml_parser_load(&parser, &document)) {
			krl_yaml_complain(c->at.file, text, &parser, c->at.diags);
			break;
		}
		c->at.document = &document;
		root = yaml_document_get_root_node(&document);
		end = !root;
		/* A document that is empty, as before or after a separator, is none. */
		if (root && (root->type != YAML_SCALAR_NODE || root->data.scalar.length))
			convert_document(c, root);
		yaml_document_delete(&document);
	}
	yaml_parser_delete(&parser);
}

static int write_limits(const struct krl_conversion *c, FILE *out)
{
	json_t *limit;
	size_t i;
	int err;

	json_array_foreach(c->limits, i, limit)
	{
		if (i)
			fputs("---\n", out);
		err = krl_cli_write(limit, KRL_CLI_YAML, out);
		if (err)
			return err;
	}
	return i ? 0 : -ENOENT;
}

int krl_convert(const char *text, size_t len, const char *name, FILE *out, FILE *err)
{
	struct krl_diags notes = {};
	struct krl_conversion c = {
		.at = { .file = name, .diags = &notes },
		.limits = json_array(),
		.names = json_object(),
		.said = json_object(),
		.headers = json_object(),
	};
	size_t i;
	int ret;

	if (len > KRL_MAX_FILE_BYTES)
		krl_diags_add(&notes, name, 0, 0, "larger than %d bytes", KRL_MAX_FILE_BYTES);
	else if (is_tree(text, len))
		convert_stream(&c, text, len);
	else
		krl_convert_strings(&c, text, len);
	if (!notes.count && !json_array_size(c.limits))
		krl_diags_add(&notes, name, 0, 0, "there is nothing to convert");
	for (i = 0; i < notes.count; i++)
		fprintf(err, "%s\n", notes.lines[i]);
	ret = c.no_memory || !c.limits ? -ENOMEM : write_limits(&c, out);
	krl_diags_clear(&notes);
	json_decref(c.limits);
	json_decref(c.names);
	json_decref(c.said);
	json_decref(c.headers);
	return ret;
}
