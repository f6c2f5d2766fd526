/* SPDX-License-Identifier: Apache-2.0 */
/* The documents that are in force, by file, or by object of an API server: the last good version of each. No I/O. */
#ifndef KMESH_RL_STORE_H
#define KMESH_RL_STORE_H

#include <jansson.h>

#include "compile.h"
#include "diag.h"

struct krl_store;

struct krl_store *krl_store_new(void);
void krl_store_free(struct krl_store *store);

/* A reading of the whole source: begin, offer each file, commit. Files that were not offered in
 * between are gone with the commit. */
void krl_store_begin(struct krl_store *store);

/* Decode @text. A document that is refused now stays as it was when it was good; complaints go to
 * @errors. 0, or -ENOMEM. */
int krl_store_file(struct krl_store *store, const char *file, const char *text, size_t len,
		   struct krl_diags *errors);

/* @file exists and could not be read: what it held stays. */
int krl_store_unreadable(struct krl_store *store, const char *file);

void krl_store_commit(struct krl_store *store);

/* Objects, one by one, in a store that has no files. Those of @kind are a list first: krl_store_list(), each with
 * krl_store_put(), krl_store_listed(), with which those that were not put in between are gone; then changes of it, by
 * krl_store_put() and krl_store_remove(); then a list again where changes were missed. A Service and an EndpointSlice
 * counts as far as a RateLimit refers to it. */
void krl_store_list(struct krl_store *store, enum krl_kind kind);
void krl_store_listed(struct krl_store *store, enum krl_kind kind);

/* @object is like this. One that is refused stays as it was when it was good. 0, or -ENOMEM. */
int krl_store_put(struct krl_store *store, enum krl_kind kind, const json_t *object);
void krl_store_remove(struct krl_store *store, enum krl_kind kind, const json_t *object);

/* There is to be a list of @kind: until it is there, what is in force of before us stays as far as it may depend on it. */
void krl_store_expect(struct krl_store *store, enum krl_kind kind);

/* There are no objects of @kind any more, and none are expected. */
void krl_store_forget(struct krl_store *store, enum krl_kind kind);

/* Endpoints on other nodes than @name are none of ours, but where clients here dial them; without it, all are. Once,
 * before there are objects. 0, or -ENOMEM. */
int krl_store_set_node(struct krl_store *store, const char *name);

/* What is known of pods. */
void krl_store_set_pods(struct krl_store *store, enum krl_plan_pods pods);

/* Is there a Redis for rules with scope: Cluster? Where not, they are refused; while nobody says, they are not. */
void krl_store_set_cluster(struct krl_store *store, bool cluster);

/* Has something been put or removed that matters, since this was asked last? */
bool krl_store_take_changed(struct krl_store *store);

/* Does a RateLimit refer to a service? */
bool krl_store_needs_services(struct krl_store *store);

/* Why objects are refused: lines to @errors. */
void krl_store_complain(struct krl_store *store, struct krl_diags *errors);

/* Documents in force, and those that the last reading refused. */
void krl_store_count(const struct krl_store *store, size_t *ret_valid, size_t *ret_refused);

/* A RateLimit that was read. Strings and the document are the store's, until the next reading. */
struct krl_store_limit {
	const char *ns, *name;
	const char *file;	/* NULL: it is an object of an API server */
	size_t line, end_line;	/* where it begins in the file, and where another document does after it */
	int64_t created_s;	/* as in krl_document */
	bool refused;		/* what it says now; document is what it was before */
	bool over;		/* ... since it goes past a bound beside the others */
	const struct krl_document *document;	/* in force; NULL: nothing of it is */
};

/* All that have a name, sorted by namespace and name; of several of one name that which counts. */
struct krl_store_limits {
	struct krl_store_limit *list;
	size_t count;
	const struct krl_store_limit **placed;	/* those of files, sorted by place */
	size_t placed_count;
};

/* 0, and krl_store_limits_clear() releases @ret; or -ENOMEM. */
int krl_store_limits(const struct krl_store *store, struct krl_store_limits *ret);
void krl_store_limits_clear(struct krl_store_limits *limits);

/* Which of @limits @line, one of the errors or notes of the store or the compiler, is about, and what it says: with its
 * place, where it is of a file. NULL: it is about something else. */
const struct krl_store_limit *krl_store_about(const struct krl_store_limits *limits, const char *line,
					      const char **ret_said);

/* krl_compile() over what is in force, with retain and retain_all filled in. */
int krl_store_compile(struct krl_store *store, int64_t now_s, struct krl_plan *ret, struct krl_diags *errors,
		      struct krl_diags *notes);

/* The target that @rule of such a plan is from, with its RateLimit. Valid until the next reading. NULL: @rule
 * is of no plan of this reading. */
const struct krl_target *krl_store_target(const struct krl_store *store, const struct krl_plan_rule *rule,
					  const struct krl_rate_limit **ret_limit);

#endif
