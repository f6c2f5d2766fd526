// SPDX-License-Identifier: Apache-2.0
/* Which kind a document is, and who it is; the kinds' own fields are in decode_rate_limit.c and
 * decode_service.c. */
#include "decode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/base/clock.h"
#include "decode_kinds.h"
#include "yaml_stream.h"

#define MAX_DOCUMENTS 4096

static const struct {
	enum krl_kind kind;
	const char *name;
	const char *api_version;
	void (*read)(struct krl_reader *reader, yaml_node_t *root, struct krl_document *document);
} kinds[] = {
	{ KRL_KIND_RATE_LIMIT, "RateLimit", "kmesh.net/v1alpha1", krl_decode_rate_limit },
	{ KRL_KIND_SERVICE, "Service", "v1", krl_decode_service },
	{ KRL_KIND_SLICE, "EndpointSlice", "discovery.k8s.io/v1", krl_decode_slice },
};

#define KIND_COUNT (sizeof(kinds) / sizeof(*kinds))

/* DNS-1123 subdomain: lower case letters, digits, '-' and '.'. */
static bool is_dns_name(const char *text)
{
	size_t i, len = strlen(text);
	bool edge;

	for (i = 0; i < len; i++) {
		edge = i == 0 || i == len - 1 || text[i - 1] == '.' || text[i + 1] == '.';
		if ((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9'))
			continue;
		if (edge || (text[i] != '-' && text[i] != '.'))
			return false;
	}
	return len > 0;
}

static void read_dns_name(struct krl_reader *reader, yaml_node_t *node, size_t size, char *ret)
{
	const char *text = krl_node_text(node);

	if (!text || strlen(text) >= size || krl_node_is_null(node) || !is_dns_name(text))
		krl_reader_expected(reader, node,
				    "a name of lower case letters, digits, '-' and '.'");
	else
		snprintf(ret, size, "%s", text);
}

static void read_name(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_document *document = out;

	read_dns_name(reader, node, sizeof(document->name), document->name);
}

static void read_namespace(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_document *document = out;

	read_dns_name(reader, node, sizeof(document->ns), document->ns);
}

/* Only for people: what is no time, as the null of `kubectl create --dry-run`, is none. */
static void read_created(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_document *document = out;
	const char *text = krl_node_text(node);

	if (text)
		krl_time_parse(text, &document->created_s);
}

/* What the API server adds to metadata is not ours to judge. */
static const struct krl_field metadata_fields[] = {
	{ "name", read_name },	   { "namespace", read_namespace }, { "labels", NULL },
	{ "annotations", NULL },   { "uid", NULL },		    { "resourceVersion", NULL },
	{ "generation", NULL },	   { "creationTimestamp", read_created }, { "managedFields", NULL },
	{ "ownerReferences", NULL }, { "finalizers", NULL },	    { "deletionTimestamp", NULL },
	{ "generateName", NULL },  { "selfLink", NULL },	    { "deletionGracePeriodSeconds", NULL },
	{ NULL, NULL },
};

void krl_decode_metadata(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_document *document = out;
	size_t before = reader->errors;

	krl_reader_mapping(reader, node, metadata_fields, document);
	if (!*document->name && reader->errors == before)
		krl_reader_error(reader, node, "name is missing");
	/* Half an identity would be another document's. */
	if (reader->errors != before)
		*document->name = '\0';
}

static const char *text_of(struct krl_reader *reader, yaml_node_t *root, const char *key)
{
	yaml_node_t *node = krl_reader_get(reader, root, key);
	const char *text = node ? krl_node_text(node) : NULL;

	return text ? text : "";
}

/* Is @key in the mapping @root more than once? Says so then. */
static bool is_repeated(struct krl_reader *reader, yaml_node_t *root, const char *key)
{
	yaml_node_pair_t *pair;
	bool found = false;
	yaml_node_t *node;

	for (pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top; pair++) {
		node = yaml_document_get_node(reader->document, pair->key);
		if (!krl_node_text(node) || strcmp(krl_node_text(node), key))
			continue;
		if (found) {
			krl_reader_error(reader, node, "%s: given twice", key);
			return true;
		}
		found = true;
	}
	return false;
}

/* Returns the place in kinds, or KIND_COUNT for one that is none of ours. */
static size_t find_kind(struct krl_reader *reader, yaml_node_t *root)
{
	const char *name = text_of(reader, root, "kind");
	const char *api_version = text_of(reader, root, "apiVersion");
	yaml_node_t *node = krl_reader_get(reader, root, "apiVersion");
	size_t i;

	if (root->type != YAML_MAPPING_NODE) {
		krl_reader_expected(reader, root, "a mapping with apiVersion and kind");
		return KIND_COUNT;
	}
	if (is_repeated(reader, root, "kind") || is_repeated(reader, root, "apiVersion"))
		return KIND_COUNT;
	if (!*name || !*api_version) {
		krl_reader_error(reader, root, "%s is missing", *name ? "apiVersion" : "kind");
		return KIND_COUNT;
	}
	for (i = 0; i < KIND_COUNT; i++) {
		if (strcmp(kinds[i].name, name))
			continue;
		if (!strcmp(kinds[i].api_version, api_version))
			return i;
		if (kinds[i].kind == KRL_KIND_RATE_LIMIT)
			krl_reader_error(reader, node, "apiVersion: expected \"%s\", found \"%.80s\"",
					 kinds[i].api_version, api_version);
	}
	/* A slip of the pen must not turn a limit off in silence. */
	if (!strncasecmp(api_version, "kmesh.net/", 10) && !reader->errors)
		krl_reader_error(reader, krl_reader_get(reader, root, "kind"),
				 "kind: expected \"%s\", found \"%.80s\"", kinds[0].name, name);
	return KIND_COUNT;
}

/* Read @root, which is of the kind at @at, for @entry. 0, or -ENOMEM. */
static int decode_kind(struct krl_reader *reader, yaml_node_t *root, size_t at, struct krl_decoded *entry)
{
	struct krl_document *document = calloc(1, sizeof(*document));

	if (!document)
		return -ENOMEM;
	document->kind = kinds[at].kind;
	document->line = reader->object ? 0 : root->start_mark.line + 1;
	snprintf(document->ns, sizeof(document->ns), "default");
	kinds[at].read(reader, root, document);
	if (reader->no_memory) {
		krl_document_free(document);
		return -ENOMEM;
	}
	entry->kind = document->kind;
	entry->named = *document->name != '\0';
	memcpy(entry->ns, document->ns, sizeof(entry->ns));
	memcpy(entry->name, document->name, sizeof(entry->name));
	entry->created_s = document->created_s;
	entry->refused = reader->errors;
	if (reader->errors)
		krl_document_free(document);
	else
		entry->document = document;
	return 0;
}

static int decode_one(struct krl_reader *reader, yaml_node_t *root, struct krl_decoded_file *file)
{
	struct krl_decoded *entry;
	size_t at = find_kind(reader, root);

	if (at == KIND_COUNT && !reader->errors) {
		reader->diags->ignored++;
		return 0;
	}
	if (file->count == MAX_DOCUMENTS) {
		krl_reader_error(reader, root, "more than %d documents in a file", MAX_DOCUMENTS);
		file->cut = true;
		return 0;
	}
	entry = krl_vec_add(&file->documents, &file->count);
	if (!entry)
		return -ENOMEM;
	entry->line = root->start_mark.line + 1;
	entry->refused = true;
	return at == KIND_COUNT ? 0 : decode_kind(reader, root, at, entry);
}

/* A document, or each item of a List as `kubectl get -o yaml` writes it of several objects. */
static int decode_root(struct krl_reader *reader, yaml_node_t *root, struct krl_decoded_file *file)
{
	yaml_node_t *items = krl_reader_get(reader, root, "items");
	yaml_node_item_t *item;
	int err = 0;

	if (strcmp(text_of(reader, root, "kind"), "List") || strcmp(text_of(reader, root, "apiVersion"), "v1") ||
	    !items || items->type != YAML_SEQUENCE_NODE)
		return decode_one(reader, root, file);
	for (item = items->data.sequence.items.start;
	     item < items->data.sequence.items.top && !err && !file->cut; item++) {
		struct krl_reader one = { .file = reader->file, .document = reader->document,
					  .diags = reader->diags };

		err = decode_one(&one, yaml_document_get_node(reader->document, *item), file);
	}
	return err;
}

int krl_decode(const char *file, const char *text, size_t len, struct krl_decoded_file *ret,
	       struct krl_diags *diags)
{
	yaml_document_t document;
	yaml_parser_t parser;
	yaml_node_t *root;
	int err = 0;

	if (len > KRL_MAX_FILE_BYTES) {
		krl_diags_add(diags, file, 0, 0, "larger than %d bytes", KRL_MAX_FILE_BYTES);
		ret->cut = true;
		return 0;
	}
	if (!krl_yaml_check(file, text, len, diags)) {
		ret->cut = true;
		return 0;
	}
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (!err && !ret->cut) {
		struct krl_reader reader = { .file = file, .document = &document, .diags = diags };

		if (!yaml_parser_load(&parser, &document)) {
			krl_yaml_complain(file, text, &parser, diags);
			ret->cut = true;
			break;
		}
		root = yaml_document_get_root_node(&document);
		if (!root) {
			yaml_document_delete(&document);
			break;
		}
		if (root->type != YAML_SCALAR_NODE || root->data.scalar.length) {
			err = decode_root(&reader, root, ret);
		}
		yaml_document_delete(&document);
	}
	yaml_parser_delete(&parser);
	return err;
}

int krl_decode_object(const char *label, enum krl_kind kind, const char *node, struct krl_json_tree *object,
		      struct krl_decoded_file *ret, struct krl_diags *diags)
{
	struct krl_reader reader = { .file = label, .document = &object->document, .diags = diags, .object = true,
				     .node = node };
	struct krl_decoded *entry = krl_vec_add(&ret->documents, &ret->count);
	yaml_node_t *root = yaml_document_get_root_node(&object->document);
	size_t at = 0;

	if (!entry)
		return -ENOMEM;
	entry->kind = kind;
	if (root->type != YAML_MAPPING_NODE) {
		krl_reader_expected(&reader, root, "an object");
		return 0;
	}
	while (kinds[at].kind != kind)
		at++;
	return decode_kind(&reader, root, at, entry);
}

void krl_decoded_file_clear(struct krl_decoded_file *file)
{
	size_t i;

	for (i = 0; i < file->count; i++) {
		krl_document_free(file->documents[i].document);
		krl_document_free(file->documents[i].before);
	}
	free(file->documents);
	*file = (struct krl_decoded_file){ 0 };
}

struct krl_form_spec krl_rule_form_spec(const struct krl_rule_spec *rule, enum krl_header_style style)
{
	return (struct krl_form_spec){
		.rule = rule->name,
		.settings = rule->settings,
		.style = style,
		.response = rule->response,
		.llm = rule->count == KRL_COUNT_LLM_TOKENS,
	};
}

static void free_selectors(struct krl_rule_spec *rule)
{
	size_t i, t;

	for (i = 0; i < rule->selector_count; i++)
		for (t = 0; t < rule->selectors[i].term_count; t++)
			krl_from_unref(rule->selectors[i].terms[t].from);
	free(rule->selectors);
}

void krl_target_clear(struct krl_target *target)
{
	size_t i;

	for (i = 0; i < target->rule_count; i++) {
		free(target->rules[i].llm);
		if (target->rules[i].shares)
			continue;
		free(target->rules[i].response);
		free_selectors(&target->rules[i]);
		krl_schedule_free(target->rules[i].schedule);
	}
	free(target->rules);
	free(target->endpoints);
}

void krl_document_free(struct krl_document *document)
{
	size_t i;

	if (!document)
		return;
	switch (document->kind) {
	case KRL_KIND_RATE_LIMIT:
		for (i = 0; i < document->rate_limit.target_count; i++)
			krl_target_clear(&document->rate_limit.targets[i]);
		krl_from_unref(document->rate_limit.caller);
		free(document->rate_limit.targets);
		break;
	case KRL_KIND_SERVICE:
		free(document->service.ports);
		free(document->service.addrs);
		break;
	case KRL_KIND_SLICE:
		free(document->slice.ports);
		free(document->slice.addrs);
		free(document->slice.away);
		break;
	}
	free(document);
}
