// SPDX-License-Identifier: Apache-2.0
#include "pod_file.h"

#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* The first object of @kind, called @name unless that is NULL, that @root is or has among its items. */
static const json_t *find(const json_t *root, const char *kind, const char *name)
{
	const json_t *metadata = json_object_get(root, "metadata"), *found;
	json_t *item;
	size_t i;

	if (!strcmp(text_of(root, "kind"), kind) && (!name || !strcmp(text_of(metadata, "name"), name)))
		return root;
	json_array_foreach(json_object_get(root, "items"), i, item) {
		found = find(item, kind, name);
		if (found)
			return found;
	}
	return NULL;
}

enum krl_cli_exit krl_cli_read_pod(const char *path, struct krl_cli_pod *ret)
{
	json_error_t error;
	json_t *root = json_load_file(path, 0, &error);
	const json_t *pod = find(root, "Pod", NULL), *ns;

	if (!root)
		return krl_cli_fail("--pod %s:%d: %s", path, error.line, error.text);
	if (!pod || krl_pod_read(pod, &ret->is)) {
		json_decref(root);
		return krl_cli_fail("--pod %s: expected a Pod with its name and namespace, as kubectl get pod NAME -o json "
				    "writes it", path);
	}
	ns = find(root, "Namespace", ret->is.facts.ns);
	if (ns)
		ret->ns_labels = krl_labels_read(ns, &ret->is.facts.ns_label_count);
	ret->is.facts.ns_labels = ret->ns_labels;
	ret->is.facts.ns_known = ret->ns_labels;
	json_decref(root);
	return KRL_CLI_GOOD;
}

void krl_cli_clear_pod(struct krl_cli_pod *pod)
{
	krl_pod_clear(&pod->is);
	free(pod->ns_labels);
	pod->ns_labels = NULL;
}
