/* SPDX-License-Identifier: Apache-2.0 */
/* From the selectors of an endpoint's rules to what the kernel evaluates. No I/O. */
#ifndef KMESH_RL_AGENT_POLICY_H
#define KMESH_RL_AGENT_POLICY_H

#include <kmesh_rl/policy.h>

#include "model.h"
#include "selector.h"

struct krl_policy_builder;

/* NULL without memory. The caller frees it with krl_policy_builder_free(), which accepts NULL. */
struct krl_policy_builder *krl_policy_builder_new(void);
void krl_policy_builder_free(struct krl_policy_builder *builder);

/* Who the client is to the rules that are added from now on; without it, the peer. */
void krl_policy_client(struct krl_policy_builder *builder, const struct krl_client_ip *client);

/* The rules that are added from now on count LLMTokens, for models that @models name, which must stay: they are for POST
 * where a selector does not name methods. NULL, and without it: they count something else. */
void krl_policy_models(struct krl_policy_builder *builder, const struct krl_model_headers *models);

/* The rules that are added from now on are for the clients alone that @from, which must stay, means. NULL, and without it:
 * for all. */
void krl_policy_caller(struct krl_policy_builder *builder, const struct krl_from *from);

/* Of the rules that are added from now on, are the values of headers and paths that pick buckets hidden? Of a field that
 * several rules look at they are where one of those wants it. Without it: where the header may carry secrets. */
void krl_policy_redact(struct krl_policy_builder *builder, bool redact);

/* Hide too what @other hides of the fields that were added. */
void krl_policy_hide_as(struct krl_policy_builder *builder, const struct krl_policy *other);

/* Rule number @rule of the endpoint, 0 to KRL_MAX_ENDPOINT_RULES - 1, is for whom one of @selectors says;
 * without any, for all. Of the rules of one @group, a number that the caller chooses, and with @first, only
 * those of the first tier that matches count. 0, or -ENOSPC with @ret_what set to what there is too much of;
 * then the rule is not added. */
int krl_policy_add(struct krl_policy_builder *builder, unsigned int rule, unsigned int group, bool first,
		   const struct krl_selector *selectors, size_t count, const char **ret_what);

/* The same for the rule that is number @from_rule in @from. Its group is that of @from, counted from @group
 * on; there are at most KRL_MAX_TIERS. */
int krl_policy_adopt(struct krl_policy_builder *builder, unsigned int rule, unsigned int group,
		     const struct krl_policy *from, unsigned int from_rule, const char **ret_what);

/* Is there any selector? Without, no policy is needed. */
bool krl_policy_selects(const struct krl_policy_builder *builder);

/* Does some selector look at the model? */
bool krl_policy_asks_model(const struct krl_policy *policy);

/* The key of @policy in krl_policies: a hash of its content, never 0. */
__u64 krl_policy_key(const struct krl_policy *policy);

/* What was added, rules without selectors last in their group. @ret is zeroed first. */
void krl_policy_finish(const struct krl_policy_builder *builder, struct krl_policy *ret);

#endif
