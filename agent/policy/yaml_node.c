// SPDX-License-Identifier: Apache-2.0
#include "yaml_node.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/nearest.h"

#define MAX_FIELDS 64

/* The last line of the complaints goes before those of the reader that are about what comes later. */
static void put_in_order(struct krl_reader *reader, yaml_mark_t mark)
{
	char **line = &reader->diags->lines[reader->diags->count - 1], *last = *line;
	size_t i = reader->said++;

	for (; i && reader->marks[i - 1].index > mark.index; i--, line--) {
		reader->marks[i] = reader->marks[i - 1];
		*line = line[-1];
	}
	reader->marks[i] = mark;
	*line = last;
}

void krl_reader_error(struct krl_reader *reader, const yaml_node_t *node, const char *fmt, ...)
{
	size_t before = reader->diags->count, line = reader->object ? 0 : node->start_mark.line + 1;
	char text[768];
	va_list args;

	/* What is missing without memory is no mistake of the document. */
	if (reader->no_memory || reader->errors++ >= KRL_MAX_DOCUMENT_DIAGS)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	krl_diags_add(reader->diags, reader->file, line, node->start_mark.column + 1, "%s%s%s", reader->path, *reader->path ? ": " : "", text);
	if (reader->diags->count > before)
		put_in_order(reader, node->start_mark);
}

void krl_reader_missing(struct krl_reader *reader, const yaml_node_t *node, const char *const *names,
			size_t count)
{
	size_t i, left = 0, len = 0, found;
	char text[128] = "";

	for (i = 0; i < count; i++)
		left += !!names[i];
	found = left;
	for (i = 0; i < count && len < sizeof(text); i++)
		if (names[i])
			len += snprintf(text + len, sizeof(text) - len, "%s%s", names[i],
					--left > 1 ? ", " : left ? " and " : "");
	if (found)
		krl_reader_error(reader, node, "%s %s missing", text, found > 1 ? "are" : "is");
}

const char *krl_node_text(const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;

	return node->type == YAML_SCALAR_NODE && strlen(text) == node->data.scalar.length ? text : NULL;
}

bool krl_node_is_null(const yaml_node_t *node)
{
	const char *text = krl_node_text(node);

	return text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*text || !strcmp(text, "~") || !strcmp(text, "null") || !strcmp(text, "Null") ||
		!strcmp(text, "NULL"));
}

void krl_reader_expected(struct krl_reader *reader, const yaml_node_t *node, const char *what)
{
	const char *text = krl_node_text(node);

	if (node->type == YAML_MAPPING_NODE)
		krl_reader_error(reader, node, "expected %s, found a mapping", what);
	else if (node->type == YAML_SEQUENCE_NODE)
		krl_reader_error(reader, node, "expected %s, found a list", what);
	else if (!text)
		krl_reader_error(reader, node, "expected %s, found text with a zero byte", what);
	else if (!*text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		krl_reader_error(reader, node, "expected %s, found nothing", what);
	else
		krl_reader_error(reader, node, "expected %s, found \"%.80s\"%s", what, text,
				 strlen(text) > 80 ? "..." : "");
}

static const char *nearest_field(const char *name, const struct krl_field *fields)
{
	const struct krl_field *f;
	const char *nearest = NULL;

	for (f = fields; f->name; f++)
		nearest = krl_nearer(name, nearest, f->name);
	return nearest;
}

static void unknown_field(struct krl_reader *reader, yaml_node_t *key, const char *name,
			  const struct krl_field *fields)
{
	const char *nearest = nearest_field(name, fields);

	if (nearest)
		krl_reader_error(reader, key, "unknown field, did you mean %s?", nearest);
	else
		krl_reader_error(reader, key, "unknown field");
}

size_t krl_reader_enter(struct krl_reader *reader, const char *fmt, ...)
{
	size_t len = strlen(reader->path);
	va_list args;

	va_start(args, fmt);
	vsnprintf(reader->path + len, sizeof(reader->path) - len, fmt, args);
	va_end(args);
	return len;
}

void krl_reader_leave(struct krl_reader *reader, size_t len)
{
	reader->path[len] = '\0';
}

static size_t enter_field(struct krl_reader *reader, const char *name)
{
	return krl_reader_enter(reader, "%s%.60s", *reader->path ? "." : "", name);
}

/* Keys that are no text come last. */
static int compare_keys(const void *a, const void *b)
{
	const yaml_node_t *x = *(yaml_node_t *const *)a, *y = *(yaml_node_t *const *)b;
	const char *left = krl_node_text(x), *right = krl_node_text(y);
	int order = left && right ? strcmp(left, right) : !left - !right;

	if (order)
		return order;
	return (x->start_mark.index > y->start_mark.index) - (x->start_mark.index < y->start_mark.index);
}

/* Complain about the keys of the mapping @node that are there already. */
static void check_keys(struct krl_reader *reader, yaml_node_t *node)
{
	size_t count = node->data.mapping.pairs.top - node->data.mapping.pairs.start, i, len;
	yaml_node_t **keys = reader->object ? NULL : calloc(count + 1, sizeof(*keys));
	const char *name, *last = NULL;

	if (reader->object)
		return;
	if (!keys) {
		reader->no_memory = true;
		return;
	}
	for (i = 0; i < count; i++)
		keys[i] = yaml_document_get_node(reader->document, node->data.mapping.pairs.start[i].key);
	qsort(keys, count, sizeof(*keys), compare_keys);
	for (i = 0; i < count; i++, last = name) {
		name = krl_node_text(keys[i]);
		if (!name || !last || strcmp(name, last))
			continue;
		len = enter_field(reader, name);
		krl_reader_error(reader, keys[i], "given twice");
		krl_reader_leave(reader, len);
	}
	free(keys);
}

void krl_reader_unique(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	yaml_node_pair_t *pair;
	const char *name;
	size_t len;

	if (reader->object)
		return;
	if (node->type == YAML_SEQUENCE_NODE)
		krl_reader_sequence(reader, node, krl_reader_unique, NULL);
	if (node->type != YAML_MAPPING_NODE)
		return;
	check_keys(reader, node);
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		name = krl_node_text(yaml_document_get_node(reader->document, pair->key));
		len = enter_field(reader, name ? name : "?");
		krl_reader_unique(reader, yaml_document_get_node(reader->document, pair->value), NULL);
		krl_reader_leave(reader, len);
	}
}

void krl_reader_mapping(struct krl_reader *reader, yaml_node_t *node, const struct krl_field *fields,
			void *out)
{
	bool seen[MAX_FIELDS] = { false };
	const struct krl_field *f;
	yaml_node_pair_t *pair;
	yaml_node_t *key, *value;
	const char *name;
	size_t len;

	if (node->type != YAML_MAPPING_NODE) {
		krl_reader_expected(reader, node, "a mapping");
		return;
	}
	check_keys(reader, node);
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		key = yaml_document_get_node(reader->document, pair->key);
		value = yaml_document_get_node(reader->document, pair->value);
		name = krl_node_text(key);
		if (!name) {
			krl_reader_error(reader, key, "expected a field name");
			continue;
		}
		for (f = fields; f->name && strcmp(f->name, name); f++)
			;
		if (f->name && seen[f - fields])
			continue;
		seen[f - fields] = true;
		len = enter_field(reader, name);
		if (f->read)
			f->read(reader, value, out);
		else if (f->name)
			krl_reader_unique(reader, value, NULL);
		else
			unknown_field(reader, key, name, fields);
		krl_reader_leave(reader, len);
	}
}

void krl_reader_sequence(struct krl_reader *reader, yaml_node_t *node, krl_field_fn read, void *out)
{
	yaml_node_item_t *item;
	size_t len;

	if (node->type != YAML_SEQUENCE_NODE) {
		krl_reader_expected(reader, node, "a list");
		return;
	}
	for (item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
		len = krl_reader_enter(reader, "[%td]", item - node->data.sequence.items.start);
		read(reader, yaml_document_get_node(reader->document, *item), out);
		krl_reader_leave(reader, len);
	}
}

yaml_node_t *krl_reader_get(struct krl_reader *reader, yaml_node_t *node, const char *key)
{
	yaml_node_pair_t *pair;
	const char *name;

	if (!node || node->type != YAML_MAPPING_NODE)
		return NULL;
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		name = krl_node_text(yaml_document_get_node(reader->document, pair->key));
		if (name && !strcmp(name, key))
			return yaml_document_get_node(reader->document, pair->value);
	}
	return NULL;
}

bool krl_reader_lacks(struct krl_reader *reader, yaml_node_t *node, const struct krl_field *fields,
		      const char *key)
{
	const struct krl_field *f;
	yaml_node_pair_t *pair;
	const char *name, *nearest;

	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		name = krl_node_text(yaml_document_get_node(reader->document, pair->key));
		if (!name)
			continue;
		for (f = fields; f->name && strcmp(f->name, name); f++)
			;
		nearest = f->name ? f->name : nearest_field(name, fields);
		if (nearest && !strcmp(nearest, key))
			return false;
	}
	return true;
}

bool krl_node_integer(const yaml_node_t *node, uint64_t min, uint64_t max, uint64_t *ret)
{
	const char *text = krl_node_text(node);
	uint64_t value = 0;
	char *end = NULL;

	errno = 0;
	/* A leading zero would make it octal in YAML 1.1. */
	if (text && *text >= '0' && *text <= '9' && (*text != '0' || !text[1]) &&
	    node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		value = strtoull(text, &end, 10);
	if (!end || *end || errno || value < min || value > max)
		return false;
	*ret = value;
	return true;
}

bool krl_reader_integer(struct krl_reader *reader, yaml_node_t *node, uint64_t min, uint64_t max,
			uint64_t *ret)
{
	char what[80];

	if (krl_node_integer(node, min, max, ret))
		return true;
	snprintf(what, sizeof(what), "an integer from %llu to %llu", (unsigned long long)min,
		 (unsigned long long)max);
	krl_reader_expected(reader, node, what);
	return false;
}

bool krl_reader_boolean(struct krl_reader *reader, yaml_node_t *node, bool *ret)
{
	const char *text = krl_node_text(node);

	if (text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    (!strcmp(text, "true") || !strcmp(text, "false"))) {
		*ret = *text == 't';
		return true;
	}
	krl_reader_expected(reader, node, "true or false");
	return false;
}

bool krl_reader_string(struct krl_reader *reader, yaml_node_t *node, size_t size, char *ret)
{
	const char *text = krl_node_text(node);
	char what[80];

	if (!text || !*text || krl_node_is_null(node) || strlen(text) >= size) {
		snprintf(what, sizeof(what), "a string of 1 to %zu bytes", size - 1);
		krl_reader_expected(reader, node, what);
		return false;
	}
	snprintf(ret, size, "%s", text);
	return true;
}
