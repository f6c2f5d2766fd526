// SPDX-License-Identifier: Apache-2.0
/* Objects of an API server, each in the place of a file with one document. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_pick.h"
#include "store_internal.h"

/* "EndpointSlice NAMESPACE/NAME" */
#define LABEL_BYTES 400

static const char *const kind_names[KRL_KINDS] = { "RateLimit", "Service", "EndpointSlice" };

#define SERVICE_NAME "kubernetes.io/service-name"

/* What decode_service.c reads. */
static const struct krl_json_pick picks_of_metadata[] = {
	{ "name", NULL },
	{ "namespace", NULL },
	{ "labels", (const struct krl_json_pick[]){ { SERVICE_NAME, NULL }, { NULL, NULL } } },
	{ NULL, NULL },
};

static const struct krl_json_pick picks_of_ports[] = {
	{ "name", NULL }, { "port", NULL }, { "protocol", NULL }, { "targetPort", NULL }, { NULL, NULL },
};

static const struct krl_json_pick picks_of_spec[] = {
	{ "clusterIP", NULL }, { "clusterIPs", NULL }, { "ports", picks_of_ports }, { NULL, NULL },
};

static const struct krl_json_pick picks_of_endpoints[] = {
	{ "addresses", NULL },
	{ "nodeName", NULL },
	{ "topology", (const struct krl_json_pick[]){ { "kubernetes.io/hostname", NULL }, { NULL, NULL } } },
	{ NULL, NULL },
};

/* NULL: all of it. */
static const struct krl_json_pick *const picks[KRL_KINDS] = {
	[KRL_KIND_SERVICE] = (const struct krl_json_pick[]){
		{ "metadata", picks_of_metadata }, { "spec", picks_of_spec }, { NULL, NULL },
	},
	[KRL_KIND_SLICE] = (const struct krl_json_pick[]){
		{ "metadata", picks_of_metadata }, { "addressType", NULL }, { "ports", picks_of_ports },
		{ "endpoints", picks_of_endpoints }, { NULL, NULL },
	},
};

/* Something is another than before, of @file: does it matter? */
static int note_change(struct krl_store *store, const struct krl_store_file *file)
{
	if (file->kind == KRL_KIND_RATE_LIMIT) {
		store->services_known = false;
		store->changed = true;
		return 0;
	}
	if (krl_store_find_services(store))
		return -ENOMEM;
	store->changed |= file->referred;
	return 0;
}

int krl_store_set_node(struct krl_store *store, const char *name)
{
	store->node = strdup(name);
	return store->node ? 0 : -ENOMEM;
}

void krl_store_expect(struct krl_store *store, enum krl_kind kind)
{
	store->kinds[kind].awaited = true;
}

void krl_store_list(struct krl_store *store, enum krl_kind kind)
{
	size_t i;

	for (i = 0; i < store->count; i++)
		if (store->files[i]->kind == kind)
			store->files[i]->offered = false;
}

static void label_of(enum krl_kind kind, const json_t *object, char ret[LABEL_BYTES])
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *ns = json_string_value(json_object_get(metadata, "namespace"));
	const char *name = json_string_value(json_object_get(metadata, "name"));

	snprintf(ret, LABEL_BYTES, "%s %s/%s", kind_names[kind], ns ? ns : "?", name ? name : "?");
}

/* Which service @object is, or is a slice of. */
static uint64_t service_of(enum krl_kind kind, const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *ns = json_string_value(json_object_get(metadata, "namespace"));
	const char *name = json_string_value(json_object_get(metadata, "name"));

	if (kind == KRL_KIND_RATE_LIMIT)
		return 0;
	if (kind == KRL_KIND_SLICE)
		name = json_string_value(json_object_get(json_object_get(metadata, "labels"), SERVICE_NAME));
	return name && *name ? krl_store_service(ns ? ns : "default", name) : 0;
}

/* @object, which is not what @file was before. */
static int replace(struct krl_store *store, struct krl_store_file *file, struct krl_json_tree *object)
{
	struct krl_decoded_file decoded = { 0 };
	struct krl_diags errors = { 0 };
	int err = krl_decode_object(file->name, file->kind, store->node, object, &decoded, &errors);

	if (err) {
		krl_decoded_file_clear(&decoded);
		krl_diags_clear(&errors);
		return err;
	}
	krl_diags_clear(&file->errors);
	file->errors = errors;
	err = krl_store_replace(file, &decoded);
	if (err)
		return err;
	file->digest = object->digest;
	return note_change(store, file);
}

int krl_store_decode(struct krl_store *store, struct krl_store_file *file, const json_t *object)
{
	struct krl_json_tree tree;
	int err = krl_json_tree_build(object, &tree);

	if (err == -E2BIG) {
		krl_diags_clear(&file->errors);
		krl_diags_add(&file->errors, file->name, 0, 0, "nested too deeply");
		return 0;
	}
	if (err)
		return err;
	if (file->digest != tree.digest)
		err = replace(store, file, &tree);
	krl_json_tree_clear(&tree);
	return err;
}

/* @object is like this, of which all is picked that is decoded. */
static int put(struct krl_store *store, struct krl_store_file *file, const json_t *object)
{
	uint64_t service = service_of(file->kind, object);
	int err = file->kind == KRL_KIND_RATE_LIMIT ? 0 : krl_store_find_services(store);

	if (err)
		return err;
	/* A slice may have gone from one service to another. */
	if (service != file->service) {
		err = note_change(store, file);
		file->service = service;
		file->referred = krl_store_is_referred(store, service);
	}
	if (err)
		return err;
	if (file->kind != KRL_KIND_RATE_LIMIT && !file->referred)
		return krl_store_sleep(file, object);
	free(file->text);
	file->text = NULL;
	return krl_store_decode(store, file, object);
}

int krl_store_put(struct krl_store *store, enum krl_kind kind, const json_t *object)
{
	struct krl_store_file *file;
	char label[LABEL_BYTES];
	json_t *picked;
	int err;

	label_of(kind, object, label);
	file = krl_store_look(store, label);
	if (!file) {
		file = krl_store_find(store, label);
		if (!file)
			return -ENOMEM;
		file->known = store->kinds[kind].listed;
	}
	file->offered = true;
	file->object = true;
	file->kind = kind;
	picked = krl_json_pick(object, picks[kind]);
	if (!picked)
		return -ENOMEM;
	err = put(store, file, picked);
	json_decref(picked);
	return err;
}

void krl_store_remove(struct krl_store *store, enum krl_kind kind, const json_t *object)
{
	struct krl_store_file *file;
	char label[LABEL_BYTES];

	label_of(kind, object, label);
	file = krl_store_look(store, label);
	if (!file)
		return;
	/* Without memory it may matter. */
	store->changed |= note_change(store, file) != 0;
	krl_store_drop(store, file);
}

void krl_store_listed(struct krl_store *store, enum krl_kind kind)
{
	size_t i;

	for (i = store->count; i-- > 0;) {
		struct krl_store_file *file = store->files[i];

		if (file->kind != kind || file->offered)
			continue;
		store->changed |= note_change(store, file) != 0;
		krl_store_drop(store, file);
	}
	store->changed |= !store->kinds[kind].listed || store->kinds[kind].awaited;
	store->kinds[kind] = (struct krl_store_kind){ .listed = true };
}

void krl_store_forget(struct krl_store *store, enum krl_kind kind)
{
	krl_store_list(store, kind);
	krl_store_listed(store, kind);
	store->kinds[kind] = (struct krl_store_kind){ 0 };
}

bool krl_store_take_changed(struct krl_store *store)
{
	bool changed = store->changed;

	store->changed = false;
	return changed;
}

bool krl_store_needs_services(struct krl_store *store)
{
	krl_store_find_services(store);
	return store->service_count;
}

void krl_store_complain(struct krl_store *store, struct krl_diags *errors)
{
	size_t i, k;

	/* Without memory, it is about what was referred to before. */
	krl_store_find_services(store);
	for (i = 0; i < store->count; i++)
		for (k = 0; k < store->files[i]->errors.count; k++)
			if (krl_store_is_wanted(store, store->files[i]))
				krl_diags_add_line(errors, store->files[i]->errors.lines[k]);
}
