/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the policy builder alone: tiers in policy.c, the terms of their entries in policy_terms.c. */
#ifndef KMESH_RL_POLICY_INTERNAL_H
#define KMESH_RL_POLICY_INTERNAL_H

#include "policy.h"

/* Rules with the same selectors: a tier as people have it. Of rules that count LLMTokens an entry says more than the
 * selector does, so there may be two tiers of one. */
struct krl_policy_level {
	unsigned int group;		/* as the caller numbers them */
	unsigned int from;		/* of an adopted one: the number of its first tier where it is from */
	bool first;
	bool last;			/* without selectors */
	size_t count;
	struct krl_entry entries[KRL_MAX_RULE_ENTRIES];	/* what the selectors say; none of an adopted one */
};

/* Everything in the order in which it came; predicates name their field, and a tier the rules in it. */
struct krl_policy_builder {
	struct krl_policy policy;
	__u8 field_of[KRL_MAX_PREDICATES];
	size_t values_len;
	struct krl_policy_level levels[KRL_MAX_TIERS];
	size_t level_count;
	size_t level_of[KRL_MAX_TIERS];	/* of each tier */
	struct krl_client_ip client;	/* of the sources that are added */
	const struct krl_from *caller;	/* of the rules that are added; NULL: everybody */
	bool redact;			/* of the rules that are added */
	const struct krl_model_headers *models;	/* of the rules that are added; NULL: they count no LLMTokens */
};

/* Have @entry, zero at first, hold only where @term holds too. 0, or -ENOSPC with @ret_what set to what there is too much
 * of. */
int krl_policy_add_term(struct krl_policy_builder *builder, const struct krl_term *term, struct krl_entry *entry,
			const char **ret_what);

/* Have @builder have the fields that LLMTokens need, and the headers of @models name them. As krl_policy_add_term(). */
int krl_policy_add_models(struct krl_policy_builder *builder, const struct krl_model_headers *models,
			  const char **ret_what);

/* The same, as @from has it, which may have none. */
int krl_policy_adopt_models(struct krl_policy_builder *builder, const struct krl_policy *from, const char **ret_what);

/* The number that @only of a tier of @from has in @builder. As krl_policy_add_term(). */
int krl_policy_adopt_only(struct krl_policy_builder *builder, const struct krl_policy *from, __u16 only, __u16 *ret,
			  const char **ret_what);

/* Have @ret, zero at first, hold where @entry of @from does. As krl_policy_add_term(). */
int krl_policy_adopt_entry(struct krl_policy_builder *builder, const struct krl_policy *from,
			   const struct krl_entry *entry, struct krl_entry *ret, const char **ret_what);

#endif
