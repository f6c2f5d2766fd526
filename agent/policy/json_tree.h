/* SPDX-License-Identifier: Apache-2.0 */
/* An object of the API server as the tree that the decoders read. No I/O. */
#ifndef KMESH_RL_JSON_TREE_H
#define KMESH_RL_JSON_TREE_H

#include <stdint.h>

#include <jansson.h>
#include <yaml.h>

struct krl_json_tree {
	yaml_document_t document;	/* its nodes have no places, and its strings are those of the JSON value */
	size_t node_count;
	char **texts;			/* of numbers */
	size_t text_count;
	uint64_t digest;		/* of what is in it: equal for equal objects */
};

/* Without what says nothing of the object itself: status, and of its metadata what changes without it
 * (resourceVersion, generation), annotations and managedFields. Valid as long as @object; the caller clears it. 0;
 * -E2BIG, nested deeper than KRL_YAML_MAX_DEPTH; or -ENOMEM. */
int krl_json_tree_build(const json_t *object, struct krl_json_tree *ret);

void krl_json_tree_clear(struct krl_json_tree *tree);

#endif
