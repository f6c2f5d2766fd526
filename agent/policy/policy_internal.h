/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the policy builder alone: tiers in policy.c, the terms of their entries in policy_terms.c. */
#ifndef KMESH_RL_POLICY_INTERNAL_H
#define KMESH_RL_POLICY_INTERNAL_H

#include "policy.h"

/* Everything in the order in which it came; predicates name their field, and a tier the rules in it. */
struct krl_policy_builder {
	struct krl_policy policy;
	__u8 field_of[KRL_MAX_PREDICATES];
	size_t values_len;
	unsigned int group_of[KRL_MAX_TIERS];	/* as the caller numbers them */
	struct krl_client_ip client;	/* of the sources that are added */
};

/* Have @entry, zero at first, hold only where @term holds too. 0, or -ENOSPC with @ret_what set to what there is too much
 * of. */
int krl_policy_add_term(struct krl_policy_builder *builder, const struct krl_term *term, struct krl_entry *entry,
			const char **ret_what);

/* Have @ret, zero at first, hold where @entry of @from does. As krl_policy_add_term(). */
int krl_policy_adopt_entry(struct krl_policy_builder *builder, const struct krl_policy *from,
			   const struct krl_entry *entry, struct krl_entry *ret, const char **ret_what);

#endif
