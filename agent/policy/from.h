/* SPDX-License-Identifier: Apache-2.0 */
/* `from` of a selector: which pods it is about. No I/O. */
#ifndef KMESH_RL_FROM_H
#define KMESH_RL_FROM_H

#include <linux/types.h>

#include "labels.h"

#define KRL_FROM_ACCOUNTS 16
#define KRL_MAX_FROM 1024	/* different ones in force at once */

/* A service account by its name, and perhaps its namespace. */
struct krl_from_account {
	char ns[64];		/* "": that of the selector */
	char name[254];
};

/* Shared by what refers to it: krl_from_ref() and krl_from_unref(). */
struct krl_from {
	unsigned int refs;
	__u64 key;		/* a hash of what it says, never 0 */
	char ns[64];		/* of the RateLimit: whose pods it is about, unless selects_namespaces */
	bool selects_namespaces;
	bool of_callers;	/* it is about clients on this node, by their network namespaces */
	struct krl_label_selector namespaces;
	struct krl_label_selector pods;
	struct krl_from_account *accounts;	/* one of these, where there are any */
	size_t account_count;
};

/* What is known of a pod. */
struct krl_pod_facts {
	const char *ns, *account;
	const struct krl_label *labels;
	size_t label_count;
	const struct krl_label *ns_labels;
	size_t ns_label_count;
	bool ns_known;		/* its namespace's labels are */
};

/* NULL without memory. */
struct krl_from *krl_from_new(void);
struct krl_from *krl_from_ref(struct krl_from *from);
/* Accepts NULL. */
void krl_from_unref(struct krl_from *from);

/* It is whole, and of a RateLimit in @ns: give it its key. */
void krl_from_settle(struct krl_from *from, const char *ns);

/* Do both say the same? */
bool krl_from_same(const struct krl_from *a, const struct krl_from *b);

bool krl_from_meets(const struct krl_from *from, const struct krl_pod_facts *pod);

/* Do the labels of namespaces matter to it? */
bool krl_from_asks_namespaces(const struct krl_from *from);

#endif
