// SPDX-License-Identifier: Apache-2.0
/* Reading what others wrote. Nothing of it is passed over in silence, and nothing is refused
 * whole. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conversion.h"

static void say(struct krl_conversion *c, const yaml_node_t *node, const char *text)
{
	struct krl_diags *diags = c->at.diags;
	const char *path = c->at.path;

	krl_diags_add(diags, c->at.file, node->start_mark.line + 1, node->start_mark.column + 1,
		      "%s%s%s", path, *path ? ": " : "", text);
	/* What several rules share is met with each of them. */
	if (diags->count > 1 &&
	    !strcmp(diags->lines[diags->count - 1], diags->lines[diags->count - 2]))
		free(diags->lines[--diags->count]);
}

void krl_convert_note(struct krl_conversion *c, const yaml_node_t *node, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	say(c, node, text);
}

bool krl_convert_drop(struct krl_conversion *c, const yaml_node_t *node, const char *fmt, ...)
{
	char text[512], all[640];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	snprintf(all, sizeof(all), "%s, %s", text, c->left_out);
	say(c, node, all);
	return false;
}

bool krl_convert_first(struct krl_conversion *c, const char *key)
{
	if (json_object_get(c->said, key))
		return false;
	krl_convert_put(c, c->said, key, json_true());
	return true;
}

size_t krl_convert_enter(struct krl_conversion *c, const char *field)
{
	return krl_reader_enter(&c->at, "%s%.60s", *c->at.path ? "." : "", field);
}

size_t krl_convert_enter_item(struct krl_conversion *c, size_t i)
{
	return krl_reader_enter(&c->at, "[%zu]", i);
}

static bool is_null(const yaml_node_t *node)
{
	const char *text = krl_node_text(node);

	return text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*text || !strcasecmp(text, "null") || !strcmp(text, "~"));
}

static bool is_same_name(const char *a, const char *b)
{
	for (;; a++, b++) {
		a += *a == '_';
		b += *b == '_';
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (!*a)
			return true;
	}
}

/* The next field of the mapping @node from @pair on that is not null. */
static bool next_field(struct krl_conversion *c, yaml_node_t *node, yaml_node_pair_t **pair,
		       yaml_node_t **ret_key, yaml_node_t **ret_value)
{
	for (; *pair < node->data.mapping.pairs.top; (*pair)++) {
		*ret_key = yaml_document_get_node(c->at.document, (*pair)->key);
		*ret_value = yaml_document_get_node(c->at.document, (*pair)->value);
		if (!is_null(*ret_value)) {
			(*pair)++;
			return true;
		}
	}
	return false;
}

/* A field that has no place in @ret_values, or has been there before. */
static bool odd_field(struct krl_conversion *c, const yaml_node_t *key, const char *what,
		      bool strict)
{
	const char *name = krl_node_text(key);
	size_t len = krl_convert_enter(c, name ? name : "?");

	if (strict)
		krl_convert_drop(c, key, "%s", what);
	else
		krl_convert_note(c, key, "%s", what);
	krl_convert_leave(c, len);
	return !strict;
}

bool krl_convert_fields(struct krl_conversion *c, yaml_node_t *node, const char *const *names,
			bool strict, yaml_node_t **ret_values)
{
	yaml_node_t *key, *value;
	yaml_node_pair_t *pair;
	const char *name;
	bool good = true;
	size_t i;

	for (i = 0; names[i]; i++)
		ret_values[i] = NULL;
	if (node->type != YAML_MAPPING_NODE)
		return krl_convert_drop(c, node, "expected a mapping");
	for (pair = node->data.mapping.pairs.start; next_field(c, node, &pair, &key, &value);) {
		name = krl_node_text(key);
		for (i = 0; names[i] && (!name || !is_same_name(names[i], name)); i++)
			;
		if (!names[i])
			good &= odd_field(c, key, "has no counterpart", strict);
		else if (ret_values[i])
			good &= odd_field(c, key, "is given twice", true);
		else
			ret_values[i] = value;
	}
	return good;
}

yaml_node_t *krl_convert_get(struct krl_conversion *c, yaml_node_t *node, const char *name)
{
	yaml_node_t *key, *value;
	yaml_node_pair_t *pair;

	if (!node || node->type != YAML_MAPPING_NODE)
		return NULL;
	for (pair = node->data.mapping.pairs.start; next_field(c, node, &pair, &key, &value);)
		if (krl_node_text(key) && is_same_name(name, krl_node_text(key)))
			return value;
	return NULL;
}

size_t krl_convert_count(struct krl_conversion *c, const yaml_node_t *node)
{
	if (!node)
		return 0;
	if (node->type != YAML_SEQUENCE_NODE) {
		krl_convert_note(c, node, "expected a list");
		return 0;
	}
	return (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
}

yaml_node_t *krl_convert_item(struct krl_conversion *c, const yaml_node_t *node, size_t i)
{
	return yaml_document_get_node(c->at.document, node->data.sequence.items.start[i]);
}

const char *krl_convert_text(struct krl_conversion *c, const yaml_node_t *node)
{
	const char *text = krl_node_text(node);

	if (!text)
		krl_convert_note(c, node, "expected text");
	return text;
}

bool krl_convert_number(struct krl_conversion *c, const yaml_node_t *node, uint64_t *ret)
{
	const char *text = krl_node_text(node);
	uint64_t value;

	/* A leading zero would make it octal in YAML 1.1. */
	if (!text || !*text || strspn(text, "0123456789") != strlen(text) ||
	    (*text == '0' && text[1]))
		return krl_convert_drop(c, node, "expected a whole number, found \"%.80s\"",
					text ? text : "");
	errno = 0;
	value = strtoull(text, NULL, 10);
	if (errno || value > KRL_NUMBER_MAX)
		return krl_convert_drop(c, node, "%.80s is more than a limit can say", text);
	*ret = value;
	return true;
}

bool krl_convert_is(const yaml_node_t *node, const char *text)
{
	const char *found = node ? krl_node_text(node) : NULL;

	return found && !strcmp(found, text);
}

bool krl_convert_is_true(const yaml_node_t *node)
{
	const char *text = node ? krl_node_text(node) : NULL;

	return text && !strcasecmp(text, "true");
}
