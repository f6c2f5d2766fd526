// SPDX-License-Identifier: Apache-2.0
#include "json_tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/vec.h"
#include "yaml_stream.h"

#define FIRST_NODES 256

static const char *const passed_over[] = { "status", NULL };
static const char *const passed_over_in_metadata[] = { "annotations", "generation", "managedFields",
						       "resourceVersion", NULL };

static bool is_among(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

/* FNV-1a. */
static void digest(struct krl_json_tree *t, const void *bytes, size_t len)
{
	const unsigned char *byte = bytes;

	for (; len; len--)
		t->digest = (t->digest ^ *byte++) * 1099511628211u;
}

/* Returns its number, from 1 on, by which the tree refers to it; 0 without memory. */
static int add_node(struct krl_json_tree *t, yaml_node_type_t type)
{
	size_t room = t->document.nodes.end - t->document.nodes.start;
	yaml_node_t *nodes = t->document.nodes.start;

	if (t->node_count == room) {
		room = room ? 2 * room : FIRST_NODES;
		nodes = reallocarray(nodes, room, sizeof(*nodes));
		if (!nodes)
			return 0;
		t->document.nodes.start = nodes;
		t->document.nodes.end = nodes + room;
	}
	nodes[t->node_count] = (yaml_node_t){ .type = type };
	t->document.nodes.top = nodes + ++t->node_count;
	digest(t, &type, sizeof(type));
	return t->node_count;
}

static yaml_node_t *node_at(struct krl_json_tree *t, int number)
{
	return t->document.nodes.start + number - 1;
}

static int add_scalar(struct krl_json_tree *t, const char *text, size_t len, yaml_scalar_style_t style)
{
	int number = add_node(t, YAML_SCALAR_NODE);

	if (!number)
		return -ENOMEM;
	node_at(t, number)->data.scalar.value = (yaml_char_t *)text;
	node_at(t, number)->data.scalar.length = len;
	node_at(t, number)->data.scalar.style = style;
	digest(t, &style, sizeof(style));
	digest(t, text, len + 1);
	return number;
}

static int add_number(struct krl_json_tree *t, const json_t *value)
{
	char **text = krl_vec_add(&t->texts, &t->text_count);
	int len;

	if (!text)
		return -ENOMEM;
	len = json_is_integer(value) ? asprintf(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value))
				     : asprintf(text, "%.17g", json_real_value(value));
	if (len < 0) {
		*text = NULL;
		return -ENOMEM;
	}
	return add_scalar(t, *text, len, YAML_PLAIN_SCALAR_STYLE);
}

static int add(struct krl_json_tree *t, const json_t *value, unsigned int depth, const char *const *without);

static int add_list(struct krl_json_tree *t, const json_t *list, unsigned int depth)
{
	int number = add_node(t, YAML_SEQUENCE_NODE), item;
	yaml_node_item_t *items;
	size_t i;

	if (!number)
		return -ENOMEM;
	items = calloc(json_array_size(list) + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	node_at(t, number)->data.sequence.items.start = items;
	node_at(t, number)->data.sequence.items.top = items + json_array_size(list);
	for (i = 0; i < json_array_size(list); i++) {
		item = add(t, json_array_get(list, i), depth + 1, NULL);
		if (item < 0)
			return item;
		items[i] = item;
	}
	digest(t, "]", 1);
	return number;
}

static int add_mapping(struct krl_json_tree *t, const json_t *object, unsigned int depth, const char *const *without)
{
	int number = add_node(t, YAML_MAPPING_NODE), value_number;
	yaml_node_pair_t *pair;
	const char *key;
	json_t *value;

	if (!number)
		return -ENOMEM;
	pair = calloc(json_object_size(object) + 1, sizeof(*pair));
	if (!pair)
		return -ENOMEM;
	node_at(t, number)->data.mapping.pairs.start = pair;
	node_at(t, number)->data.mapping.pairs.top = pair;
	json_object_foreach((json_t *)object, key, value) {
		if (is_among(without, key))
			continue;
		pair->key = add_scalar(t, key, strlen(key), YAML_DOUBLE_QUOTED_SCALAR_STYLE);
		if (pair->key < 0)
			return pair->key;
		value_number = add(t, value, depth + 1,
				   !depth && !strcmp(key, "metadata") ? passed_over_in_metadata : NULL);
		if (value_number < 0)
			return value_number;
		pair->value = value_number;
		node_at(t, number)->data.mapping.pairs.top = ++pair;
	}
	digest(t, "}", 1);
	return number;
}

static int add(struct krl_json_tree *t, const json_t *value, unsigned int depth, const char *const *without)
{
	if (depth > KRL_YAML_MAX_DEPTH)
		return -E2BIG;
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return add_mapping(t, value, depth, without);
	case JSON_ARRAY:
		return add_list(t, value, depth);
	case JSON_STRING:
		return add_scalar(t, json_string_value(value), json_string_length(value),
				  YAML_DOUBLE_QUOTED_SCALAR_STYLE);
	case JSON_TRUE:
		return add_scalar(t, "true", 4, YAML_PLAIN_SCALAR_STYLE);
	case JSON_FALSE:
		return add_scalar(t, "false", 5, YAML_PLAIN_SCALAR_STYLE);
	case JSON_NULL:
		return add_scalar(t, "null", 4, YAML_PLAIN_SCALAR_STYLE);
	default:
		return add_number(t, value);
	}
}

int krl_json_tree_build(const json_t *object, struct krl_json_tree *ret)
{
	struct krl_json_tree t = { .digest = 14695981039346656037u };
	int root = add(&t, object, 0, passed_over);

	if (root < 0) {
		krl_json_tree_clear(&t);
		return root;
	}
	*ret = t;
	return 0;
}

void krl_json_tree_clear(struct krl_json_tree *t)
{
	yaml_node_t *node = t->document.nodes.start;
	size_t i;

	for (i = 0; i < t->node_count; i++, node++) {
		if (node->type == YAML_MAPPING_NODE)
			free(node->data.mapping.pairs.start);
		else if (node->type == YAML_SEQUENCE_NODE)
			free(node->data.sequence.items.start);
	}
	for (i = 0; i < t->text_count; i++)
		free(t->texts[i]);
	free(t->texts);
	free(t->document.nodes.start);
	*t = (struct krl_json_tree){ 0 };
}
