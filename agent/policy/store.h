/* SPDX-License-Identifier: Apache-2.0 */
/* The documents that are in force, by file: the last good version of each. No I/O. */
#ifndef KMESH_RL_STORE_H
#define KMESH_RL_STORE_H

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

/* Documents in force, and those that the last reading refused. */
void krl_store_count(const struct krl_store *store, size_t *ret_valid, size_t *ret_refused);

/* krl_compile() over what is in force, with retain and retain_all filled in. */
int krl_store_compile(const struct krl_store *store, int64_t now_s, struct krl_plan *ret, struct krl_diags *errors,
		      struct krl_diags *notes);

/* The target that @rule of such a plan is from, with its RateLimit. Valid until the next reading. NULL: @rule
 * is of no plan of this reading. */
const struct krl_target *krl_store_target(const struct krl_store *store, const struct krl_plan_rule *rule,
					  const struct krl_rate_limit **ret_limit);

#endif
