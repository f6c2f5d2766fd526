// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/vec.h"
#include "compile_internal.h"
#include "policy.h"
#include "unseen.h"

/* The policy of an endpoint with @count @rules. 0 with *ret NULL when no rule is for some alone, else the caller
 * frees it; -ENOMEM; or -ENOSPC with @ret_excess being the first rule that there is no room for. */
static int build_policy(const struct krl_compiler *c, const __u32 *rules, size_t count, struct krl_policy **ret,
			__u32 *ret_excess, const char **ret_what)
{
	static const struct krl_client_ip peer;
	struct krl_policy_builder *builder = NULL;
	size_t i, wanting = 0;
	int err = 0;

	*ret = NULL;
	for (i = 0; i < count; i++)
		wanting += c->origins[rules[i]].spec->selector_count || c->origins[rules[i]].spec->llm ||
			   krl_compiler_caller(c, &c->documents[c->origins[rules[i]].document].document->rate_limit);
	if (!wanting)
		return 0;
	builder = krl_policy_builder_new();
	if (!builder)
		return -ENOMEM;
	for (i = 0; i < count && !err; i++) {
		const struct krl_rule_origin *origin = &c->origins[rules[i]];
		const struct krl_rate_limit *limit = &c->documents[origin->document].document->rate_limit;

		*ret_excess = rules[i];
		/* Of a connection nothing is read. */
		krl_policy_client(builder, origin->spec->count == KRL_COUNT_CONNECTIONS ? &peer : &limit->client_ip);
		krl_policy_caller(builder, krl_compiler_caller(c, limit));
		krl_policy_redact(builder, limit->redact);
		krl_policy_models(builder, origin->spec->llm ? &limit->models : NULL);
		err = krl_policy_add(builder, i, origin->document, !limit->match_all,
				     origin->spec->selectors, origin->spec->selector_count, ret_what);
	}
	*ret = err ? NULL : malloc(sizeof(**ret));
	if (*ret)
		krl_policy_finish(builder, *ret);
	else if (!err)
		err = -ENOMEM;
	krl_policy_builder_free(builder);
	return err;
}

/* The rules placed on one endpoint, from placement @at on. Returns where the next endpoint begins. */
static size_t rules_at(const struct krl_compiler *c, size_t at, __u32 rules[KRL_MAX_ENDPOINT_RULES],
		       size_t *ret_count)
{
	const struct krl_endpoint_key *key = &c->placements[at].key;
	size_t count = 0;

	for (; at < c->placement_count && !memcmp(&c->placements[at].key, key, sizeof(*key)); at++) {
		if (count && rules[count - 1] == c->placements[at].rule)
			continue;
		if (count < KRL_MAX_ENDPOINT_RULES)
			rules[count++] = c->placements[at].rule;
	}
	*ret_count = count;
	return at;
}

/* How many of the rules @among, a bit for each, may count LLMTokens for one request, by @policy. */
static int charges_of(const struct krl_policy *policy, __u64 among, bool all)
{
	int most = 0, count;
	size_t i;

	for (i = 0; i < policy->tier_count; i++) {
		count = __builtin_popcountll(policy->tiers[i].rules & among);
		if (all)
			most += count;
		else if (count > most)
			most = count;
	}
	return most;
}

/* Refuse what counts more LLMTokens for one request than the kernel keeps until it is answered. */
static void refuse_charges(struct krl_compiler *c, bool *refused, const struct krl_policy *policy, const __u32 *rules,
			   size_t count)
{
	int sum = 0, charges;
	size_t from, to;
	char why[96];

	snprintf(why, sizeof(why), "more than %d rules that count LLMTokens for one request", KRL_CHARGE_KEYS);
	for (from = 0; from < count; from = to) {
		__u32 document = c->origins[rules[from]].document;
		__u64 among = 0;

		for (to = from; to < count && c->origins[rules[to]].document == document; to++)
			among |= (__u64)!!c->origins[rules[to]].spec->llm << to;
		charges = charges_of(policy, among, c->documents[document].document->rate_limit.match_all);
		if (charges && sum + charges > KRL_CHARGE_KEYS)
			krl_compiler_refuse(c, refused, rules[from], why);
		else
			sum += charges;
	}
}

/* Take the rules of refused RateLimits out of @rules. Returns how many are left. */
static size_t drop_refused(const struct krl_compiler *c, const bool *refused, __u32 *rules, size_t count)
{
	size_t i, kept = 0;

	for (i = 0; i < count; i++)
		if (!refused[c->origins[rules[i]].document])
			rules[kept++] = rules[i];
	return kept;
}

int krl_compiler_refuse_selectors(struct krl_compiler *c, bool *refused)
{
	__u32 rules[KRL_MAX_ENDPOINT_RULES], excess;
	struct krl_policy *policy;
	const char *what;
	size_t at, count;
	char why[128];
	int err;

	for (at = 0; at < c->placement_count;) {
		at = rules_at(c, at, rules, &count);
		do {
			count = drop_refused(c, refused, rules, count);
			err = build_policy(c, rules, count, &policy, &excess, &what);
			if (err != -ENOSPC)
				break;
			snprintf(why, sizeof(why), "too many %s on one endpoint", what);
			krl_compiler_refuse(c, refused, excess, why);
		} while (true);
		if (err)
			return err;
		if (policy)
			refuse_charges(c, refused, policy, rules, count);
		free(policy);
	}
	return 0;
}

/* Have @policy in the plan, which owns it then, once. */
static int add_policy(struct krl_plan *plan, struct krl_policy *policy, __u64 *ret_key)
{
	__u64 key = krl_policy_key(policy);
	struct krl_plan_policy *added;
	size_t i;

	*ret_key = key;
	for (i = 0; i < plan->policy_count; i++) {
		if (plan->policies[i].key == key) {
			free(policy);
			return 0;
		}
	}
	added = krl_vec_add(&plan->policies, &plan->policy_count);
	if (!added) {
		free(policy);
		return -ENOMEM;
	}
	added->key = key;
	added->policy = policy;
	return 0;
}

int krl_compiler_add_policies(struct krl_compiler *c)
{
	struct krl_plan_endpoint *endpoint;
	struct krl_policy *policy;
	const char *what;
	__u32 excess;
	size_t i;
	int err;

	for (i = 0; i < c->plan->endpoint_count; i++) {
		endpoint = &c->plan->endpoints[i];
		err = build_policy(c, endpoint->rules, endpoint->rule_count, &policy, &excess, &what);
		if (!err && policy) {
			endpoint->unseen = krl_unseen_rules(policy, endpoint->rule_count);
			err = add_policy(c->plan, policy, &endpoint->policy);
		}
		if (err)
			return err;
	}
	return 0;
}
