// SPDX-License-Identifier: Apache-2.0
/* The files of a store by name. */
#include <stdlib.h>
#include <string.h>

#include "agent/base/vec.h"
#include "store_internal.h"

#define FIRST_PLACES 64

struct krl_store *krl_store_new(void)
{
	return calloc(1, sizeof(struct krl_store));
}

static void file_free(struct krl_store_file *file)
{
	krl_decoded_file_clear(&file->decoded);
	krl_diags_clear(&file->errors);
	free(file->text);
	free(file->name);
	free(file);
}

void krl_store_free(struct krl_store *store)
{
	size_t i;

	if (!store)
		return;
	for (i = 0; i < store->count; i++)
		file_free(store->files[i]);
	free(store->files);
	free(store->index);
	free(store->services);
	free(store->node);
	free(store);
}

static struct krl_store_file **place_of(const struct krl_store *store, const char *name)
{
	size_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return &store->index[(hash ^ hash >> 15) & (store->places - 1)];
}

static void link_file(struct krl_store *store, struct krl_store_file *file)
{
	struct krl_store_file **place = place_of(store, file->name);

	file->next = *place;
	*place = file;
}

static void unlink_file(struct krl_store *store, struct krl_store_file *file)
{
	struct krl_store_file **link = place_of(store, file->name);

	while (*link != file)
		link = &(*link)->next;
	*link = file->next;
}

/* Have the index as many places as there are files. False without memory, when there is none at all. */
static bool make_room(struct krl_store *store)
{
	size_t places = store->places ? 2 * store->places : FIRST_PLACES, i;
	struct krl_store_file **index;

	if (store->count < store->places)
		return true;
	index = calloc(places, sizeof(*index));
	if (!index)
		return store->places;
	free(store->index);
	store->index = index;
	store->places = places;
	for (i = 0; i < store->count; i++)
		link_file(store, store->files[i]);
	return true;
}

struct krl_store_file *krl_store_look(const struct krl_store *store, const char *name)
{
	struct krl_store_file *file;

	if (!store->places)
		return NULL;
	for (file = *place_of(store, name); file && strcmp(file->name, name); file = file->next)
		;
	return file;
}

struct krl_store_file *krl_store_find(struct krl_store *store, const char *name)
{
	struct krl_store_file *file = krl_store_look(store, name), **added = NULL;

	if (file)
		return file;
	file = calloc(1, sizeof(*file));
	if (file)
		file->name = strdup(name);
	if (file && file->name && make_room(store))
		added = krl_vec_add(&store->files, &store->count);
	if (!added) {
		if (file)
			file_free(file);
		return NULL;
	}
	*added = file;
	file->at = store->count - 1;
	file->known = store->committed;
	link_file(store, file);
	return file;
}

void krl_store_drop(struct krl_store *store, struct krl_store_file *file)
{
	struct krl_store_file *last = store->files[--store->count];

	store->files[file->at] = last;
	last->at = file->at;
	unlink_file(store, file);
	file_free(file);
}
