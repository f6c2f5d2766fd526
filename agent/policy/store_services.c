// SPDX-License-Identifier: Apache-2.0
/* Which Services and EndpointSlices of an API server count: those of services that RateLimits refer to. Of the others
 * there are too many to have them decoded; what is needed to do so is kept as text, so that a RateLimit that refers to
 * one needs nothing of the API server. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/vec.h"
#include "store_internal.h"

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

bool krl_store_is_referred(const struct krl_store *store, uint64_t service)
{
	return service && store->service_count &&
	       bsearch(&service, store->services, store->service_count, sizeof(service), compare_services);
}

bool krl_store_is_wanted(const struct krl_store *store, const struct krl_store_file *file)
{
	if (!file->object || file->kind == KRL_KIND_RATE_LIMIT)
		return true;
	/* Which ports of a slice are meant is known with its Service alone. */
	return !store->kinds[KRL_KIND_SERVICE].awaited && file->referred;
}

/* Services that RateLimits refer to, in any order. */
struct services {
	uint64_t *list;
	size_t count;
};

/* Append the services of @document, which may be NULL. */
static int add_services(struct services *services, const struct krl_document *document)
{
	uint64_t *added;
	size_t i;

	if (!document || document->kind != KRL_KIND_RATE_LIMIT)
		return 0;
	for (i = 0; i < document->rate_limit.target_count; i++) {
		if (!*document->rate_limit.targets[i].service)
			continue;
		added = krl_vec_add(&services->list, &services->count);
		if (!added)
			return -ENOMEM;
		*added = krl_store_service(document->ns, document->rate_limit.targets[i].service);
	}
	return 0;
}

static int add_all_services(const struct krl_store *store, struct services *services)
{
	const struct krl_decoded_file *decoded;
	size_t i, d;
	int err = 0;

	for (i = 0; !err && i < store->count; i++) {
		decoded = &store->files[i]->decoded;
		if (store->files[i]->kind != KRL_KIND_RATE_LIMIT)
			continue;
		for (d = 0; !err && d < decoded->count; d++) {
			err = add_services(services, decoded->documents[d].document);
			if (!err)
				err = add_services(services, decoded->documents[d].before);
		}
	}
	return err;
}

static int wake(struct krl_store *store, struct krl_store_file *file)
{
	json_t *object = json_loads(file->text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	int err;

	if (!object)
		return -ENOMEM;
	err = krl_store_decode(store, file, object);
	json_decref(object);
	if (!err) {
		free(file->text);
		file->text = NULL;
	}
	return err;
}

/* Have those be decoded that are referred to now. */
static int wake_referred(struct krl_store *store)
{
	struct krl_store_file *file;
	int err = 0;
	size_t i;

	for (i = 0; !err && i < store->count; i++) {
		file = store->files[i];
		file->referred = krl_store_is_referred(store, file->service);
		if (file->referred && file->text)
			err = wake(store, file);
	}
	return err;
}

int krl_store_find_services(struct krl_store *store)
{
	struct services now = { 0 };
	int err;

	if (store->services_known)
		return 0;
	err = add_all_services(store, &now);
	if (err) {
		free(now.list);
		return err;
	}
	if (now.count)
		qsort(now.list, now.count, sizeof(*now.list), compare_services);
	store->services_known = true;
	if (now.count == store->service_count &&
	    (!now.count || !memcmp(now.list, store->services, now.count * sizeof(*now.list)))) {
		free(now.list);
		return 0;
	}
	free(store->services);
	store->services = now.list;
	store->service_count = now.count;
	err = wake_referred(store);
	store->services_known = !err;
	return err;
}

int krl_store_sleep(struct krl_store_file *file, const json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_ENCODE_ANY);

	if (!text)
		return -ENOMEM;
	krl_decoded_file_clear(&file->decoded);
	krl_diags_clear(&file->errors);
	free(file->text);
	file->text = text;
	file->digest = 0;
	return 0;
}
