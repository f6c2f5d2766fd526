/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that requests over HTTP/2 pass by, since the head of those is not read. No I/O. */
#ifndef KMESH_RL_UNSEEN_H
#define KMESH_RL_UNSEEN_H

#include "compile.h"

/* Did such a request come to the endpoint @key lately? */
typedef bool (*krl_unseen_test)(void *ctx, const struct krl_endpoint_key *key);

/* @rule was passed by at the endpoint @key. */
typedef void (*krl_unseen_fn)(void *arg, const struct krl_plan_rule *rule, const struct krl_endpoint_key *key);

/* Calls @fn for each. */
typedef void (*krl_unseen_walk)(void *ctx, krl_unseen_fn fn, void *arg);

/* A bit for each of the first @count rules by @policy that look at the head, be it in one of several selectors, or count
 * LLMTokens. */
__u64 krl_unseen_rules(const struct krl_policy *policy, size_t count);

/* Call @fn with each rule of @plan that was passed by, by @test, which is asked once for each endpoint that has any such. */
void krl_plan_unseen(const struct krl_plan *plan, krl_unseen_test test, void *ctx, krl_unseen_fn fn, void *arg);

#define KRL_UNSEEN_BYTES 512

/* Add to @text, which is "" at first, that @rule was passed by at @key, once for each that is said; where it is long already,
 * that there is more. */
void krl_unseen_say(char text[KRL_UNSEEN_BYTES], const struct krl_plan_rule *rule, const struct krl_endpoint_key *key);

#endif
