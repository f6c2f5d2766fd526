// SPDX-License-Identifier: Apache-2.0
/* Objects of an API server, each in the place of a file with one document. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/vec.h"
#include "store_internal.h"

/* "EndpointSlice NAMESPACE/NAME" */
#define LABEL_BYTES 400

static const char *const kind_names[KRL_KINDS] = { "RateLimit", "Service", "EndpointSlice" };

uint64_t krl_store_service(const char *ns, const char *name)
{
	const char *parts[] = { ns, "/", name };
	uint64_t hash = 14695981039346656037u;
	const char *at;
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		for (at = parts[i]; *at; at++)
			hash = (hash ^ (unsigned char)*at) * 1099511628211u;
	return hash ? hash : 1;
}

static int compare_services(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool is_referred(const struct krl_store *store, uint64_t service)
{
	return service && store->service_count &&
	       bsearch(&service, store->services, store->service_count, sizeof(service), compare_services);
}

bool krl_store_is_wanted(const struct krl_store *store, const struct krl_store_file *file)
{
	if (!file->object || file->kind == KRL_KIND_RATE_LIMIT)
		return true;
	/* Which ports of a slice are meant is known with its Service alone. */
	return !store->kinds[KRL_KIND_SERVICE].awaited && is_referred(store, file->service);
}

/* Append the services of @document, which may be NULL. */
static int add_services(struct krl_store *store, const struct krl_document *document)
{
	uint64_t *added;
	size_t i;

	for (i = 0; document && i < document->rate_limit.target_count; i++) {
		if (!*document->rate_limit.targets[i].service)
			continue;
		added = krl_vec_add(&store->services, &store->service_count);
		if (!added)
			return -ENOMEM;
		*added = krl_store_service(document->ns, document->rate_limit.targets[i].service);
	}
	return 0;
}

int krl_store_find_services(struct krl_store *store)
{
	const struct krl_decoded_file *decoded;
	size_t i, d;
	int err = 0;

	if (store->services_known)
		return 0;
	store->service_count = 0;
	for (i = 0; !err && i < store->count; i++) {
		decoded = &store->files[i]->decoded;
		if (store->files[i]->kind != KRL_KIND_RATE_LIMIT)
			continue;
		for (d = 0; !err && d < decoded->count; d++) {
			err = add_services(store, decoded->documents[d].document);
			if (!err)
				err = add_services(store, decoded->documents[d].before);
		}
	}
	if (err)
		return err;
	if (store->service_count)
		qsort(store->services, store->service_count, sizeof(*store->services), compare_services);
	store->services_known = true;
	return 0;
}

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
	store->changed |= is_referred(store, file->service);
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

static uint64_t service_of(const struct krl_document *document)
{
	if (!document || document->kind == KRL_KIND_RATE_LIMIT)
		return 0;
	return krl_store_service(document->ns, document->kind == KRL_KIND_SERVICE ? document->name
										  : document->slice.service);
}

/* @object, which is not what @file was before. */
static int replace(struct krl_store *store, struct krl_store_file *file, struct krl_json_tree *object)
{
	struct krl_decoded_file decoded = { 0 };
	struct krl_diags errors = { 0 };
	int err;

	/* A slice may have gone from one service to another. */
	err = note_change(store, file);
	if (!err)
		err = krl_decode_object(file->name, file->kind, store->node, object, &decoded, &errors);
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
	file->service = service_of(file->decoded.documents[0].document);
	return note_change(store, file);
}

int krl_store_put(struct krl_store *store, enum krl_kind kind, const json_t *object)
{
	struct krl_json_tree tree;
	struct krl_store_file *file;
	char label[LABEL_BYTES];
	bool is_new;
	int err;

	label_of(kind, object, label);
	is_new = !krl_store_look(store, label);
	file = krl_store_find(store, label);
	if (!file)
		return -ENOMEM;
	file->offered = true;
	file->object = true;
	file->kind = kind;
	if (is_new)
		file->known = store->kinds[kind].listed;
	err = krl_json_tree_build(object, &tree);
	if (err == -E2BIG) {
		krl_diags_clear(&file->errors);
		krl_diags_add(&file->errors, label, 0, 0, "nested too deeply");
		return 0;
	}
	if (err)
		return err;
	if (is_new || file->digest != tree.digest)
		err = replace(store, file, &tree);
	krl_json_tree_clear(&tree);
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

void krl_store_complain(const struct krl_store *store, struct krl_diags *errors)
{
	size_t i, k;

	for (i = 0; i < store->count; i++)
		for (k = 0; k < store->files[i]->errors.count; k++)
			if (krl_store_is_wanted(store, store->files[i]))
				krl_diags_add_line(errors, store->files[i]->errors.lines[k]);
}
