/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the store alone: files and objects in store.c and store_objects.c, those that count in store_services.c, by
 * name in store_files.c, what is in force in store_compile.c. */
#ifndef KMESH_RL_STORE_INTERNAL_H
#define KMESH_RL_STORE_INTERNAL_H

#include "decode.h"
#include "store.h"

/* A file of a directory, or an object of an API server, which is one document. */
struct krl_store_file {
	char *name;
	struct krl_store_file *next;	/* in its place of the index */
	size_t at;			/* in files */
	struct krl_decoded_file decoded;	/* the documents, and who was refused */
	bool offered;
	bool known;		/* nothing of before us is in it unread: it was read whole once, or came later */
	/* Of an object: */
	bool object;
	enum krl_kind kind;
	uint64_t digest;	/* of what it said last */
	uint64_t service;	/* krl_store_service() of the Service that it is, or is a slice of; 0: neither */
	bool referred;		/* to that, by a RateLimit */
	char *text;		/* JSON of what is to be decoded when it is; NULL: it is decoded */
	struct krl_diags errors;	/* why it is refused */
};

/* Objects of a kind. */
struct krl_store_kind {
	bool awaited;		/* a list of them is to come */
	bool listed;		/* one has come to its end */
};

struct krl_store {
	struct krl_store_file **files;
	size_t count;
	struct krl_store_file **index;	/* chains by the hash of the name */
	size_t places;			/* in it, a power of two, or 0 */
	bool committed;			/* the first reading is over */
	char *node;			/* of objects; NULL: not known */
	struct krl_store_kind kinds[KRL_KINDS];
	/* What krl_store_service() is of the services that RateLimits refer to, sorted. */
	uint64_t *services;
	size_t service_count;
	bool services_known;		/* not so after a change of a RateLimit */
	bool changed;			/* since krl_store_take_changed() */
	enum krl_plan_pods pods;	/* what is known of them */
	bool no_cluster;		/* there is no Redis */
};

/* The file @name, made when it is missing. NULL without memory. */
struct krl_store_file *krl_store_find(struct krl_store *store, const char *name);

/* The same, NULL when it is missing. */
struct krl_store_file *krl_store_look(const struct krl_store *store, const char *name);

/* Forget @file, which is freed: the last of files takes its place. */
void krl_store_drop(struct krl_store *store, struct krl_store_file *file);

/* Have @file be @decoded now, but for what is refused of it and was good; frees what it was. 0, or -ENOMEM, @file is as
 * before then. @decoded is taken over in any case. */
int krl_store_replace(struct krl_store_file *file, struct krl_decoded_file *decoded);

/* Is something in @file that could not even be named? */
bool krl_store_has_unnamed(const struct krl_decoded_file *file);

/* What @entry is that is in force: of one that goes past a bound, what it was before. */
const struct krl_document *krl_store_in_force(const struct krl_decoded *entry);

/* A number for the Service @ns/@name; that of two may be the same, though hardly. Never 0. */
uint64_t krl_store_service(const char *ns, const char *name);

/* Have services be those that RateLimits of objects refer to now, and their objects decoded. 0, or -ENOMEM. */
int krl_store_find_services(struct krl_store *store);

/* Does a RateLimit refer to @service? As of krl_store_find_services(). */
bool krl_store_is_referred(const struct krl_store *store, uint64_t service);

/* Is @file, where it is a Service or an EndpointSlice of an API server, of a service that a RateLimit refers to? All else
 * is wanted. */
bool krl_store_is_wanted(const struct krl_store *store, const struct krl_store_file *file);

/* @file is @object, of which nothing but what is decoded is needed. 0, or -ENOMEM. */
int krl_store_decode(struct krl_store *store, struct krl_store_file *file, const json_t *object);

/* The same, to be decoded when a RateLimit refers to it. */
int krl_store_sleep(struct krl_store_file *file, const json_t *object);

#endif
