// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "agent/base/vec.h"
#include "store_internal.h"

void krl_store_begin(struct krl_store *store)
{
	size_t i;

	for (i = 0; i < store->count; i++)
		store->files[i]->offered = false;
}

static bool is_whole(const struct krl_decoded_file *decoded)
{
	size_t i;

	for (i = 0; i < decoded->count; i++)
		if (!decoded->documents[i].document)
			return false;
	return !decoded->cut;
}

static struct krl_decoded *find_document(struct krl_decoded_file *file, const struct krl_document *document)
{
	size_t i;

	for (i = 0; i < file->count; i++)
		if (file->documents[i].named && file->documents[i].kind == document->kind &&
		    !strcmp(file->documents[i].ns, document->ns) &&
		    !strcmp(file->documents[i].name, document->name))
			return &file->documents[i];
	return NULL;
}

/* Have the RateLimits of @new remember what they were in @old when they went past no bound. */
static void remember(struct krl_decoded_file *old, struct krl_decoded_file *new)
{
	struct krl_document *document;
	size_t i, k;

	for (i = 0; i < new->count; i++) {
		document = new->documents[i].document;
		for (k = 0; document && document->kind == KRL_KIND_RATE_LIMIT && k < old->count; k++) {
			struct krl_decoded *entry = &old->documents[k];
			struct krl_document **kept = entry->over ? &entry->before : &entry->document;

			if (!*kept || (*kept)->kind != document->kind || strcmp((*kept)->ns, document->ns) ||
			    strcmp((*kept)->name, document->name))
				continue;
			new->documents[i].before = *kept;
			*kept = NULL;
			break;
		}
	}
}

bool krl_store_has_unnamed(const struct krl_decoded_file *file)
{
	size_t i;

	for (i = 0; i < file->count; i++)
		if (!file->documents[i].document && !file->documents[i].named)
			return true;
	return file->cut;
}

/* Bring the good documents of @old that are refused in @new, or that may be among what could not be
 * read of it, over to @new. */
static int keep_previous(struct krl_decoded_file *old, struct krl_decoded_file *new)
{
	bool unnamed = krl_store_has_unnamed(new);
	struct krl_decoded *entry;
	size_t i;

	for (i = 0; i < old->count; i++) {
		struct krl_document *document = old->documents[i].document;

		if (!document)
			continue;
		entry = find_document(new, document);
		if (entry && entry->document)
			continue;
		if (!entry) {
			if (!unnamed)
				continue;
			entry = krl_vec_add(&new->documents, &new->count);
			if (!entry)
				return -ENOMEM;
			*entry = old->documents[i];
			entry->refused = true;
		}
		entry->document = document;
		entry->before = old->documents[i].before;
		old->documents[i].document = NULL;
		old->documents[i].before = NULL;
	}
	return 0;
}

int krl_store_replace(struct krl_store_file *file, struct krl_decoded_file *decoded)
{
	bool whole = is_whole(decoded);

	if (!whole && keep_previous(&file->decoded, decoded)) {
		krl_decoded_file_clear(decoded);
		return -ENOMEM;
	}
	remember(&file->decoded, decoded);
	krl_decoded_file_clear(&file->decoded);
	file->decoded = *decoded;
	file->known |= whole;
	return 0;
}

int krl_store_file(struct krl_store *store, const char *name, const char *text, size_t len,
		   struct krl_diags *errors)
{
	struct krl_decoded_file decoded = { 0 };
	struct krl_store_file *file = krl_store_find(store, name);

	if (!file)
		return -ENOMEM;
	file->offered = true;
	if (krl_decode(name, text, len, &decoded, errors)) {
		krl_decoded_file_clear(&decoded);
		return -ENOMEM;
	}
	return krl_store_replace(file, &decoded);
}

int krl_store_unreadable(struct krl_store *store, const char *name)
{
	struct krl_store_file *file = krl_store_find(store, name);

	if (!file)
		return -ENOMEM;
	file->offered = true;
	file->decoded.cut = true;
	return 0;
}

void krl_store_commit(struct krl_store *store)
{
	size_t i;

	/* What takes the place of one that goes was looked at already. */
	for (i = store->count; i-- > 0;)
		if (!store->files[i]->offered)
			krl_store_drop(store, store->files[i]);
	store->committed = true;
}

void krl_store_count(const struct krl_store *store, size_t *ret_valid, size_t *ret_refused)
{
	size_t i, d, valid = 0, refused = 0;

	for (i = 0; i < store->count; i++) {
		for (d = 0; d < store->files[i]->decoded.count; d++) {
			if (store->files[i]->decoded.documents[d].document)
				valid++;
			else
				refused++;
		}
		refused += store->files[i]->decoded.cut;
	}
	*ret_valid = valid;
	*ret_refused = refused;
}

void krl_store_set_pods(struct krl_store *store, enum krl_plan_pods pods)
{
	store->pods = pods;
}

void krl_store_set_cluster(struct krl_store *store, bool cluster)
{
	store->no_cluster = !cluster;
}
