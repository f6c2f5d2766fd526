// SPDX-License-Identifier: Apache-2.0
/* What the rules of a plan ask of pods. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/vec.h"
#include "compile_internal.h"

/* Calls fn for each `from` of rule @at, as long as that returns 0, and for whose clients it is where it is about what goes
 * out; returns what it did last. */
static int each_from(const struct krl_compiler *c, size_t at, int (*fn)(void *ctx, const struct krl_term *term), void *ctx)
{
	const struct krl_rate_limit *limit = &c->documents[c->origins[at].document].document->rate_limit;
	struct krl_term caller = { .field = KRL_FIELD_PEER, .kind = KRL_PREDICATE_PEER, .from = limit->caller };
	const struct krl_rule_spec *rule = c->origins[at].spec;
	int err = krl_compiler_caller(c, limit) ? fn(ctx, &caller) : 0;
	size_t i, t;

	for (i = 0; i < rule->selector_count && !err; i++)
		for (t = 0; t < rule->selectors[i].term_count && !err; t++)
			if (rule->selectors[i].terms[t].field == KRL_FIELD_PEER)
				err = fn(ctx, &rule->selectors[i].terms[t]);
	return err;
}

static int add_from(void *ctx, const struct krl_term *term)
{
	struct krl_plan *plan = ctx;
	struct krl_from **added;
	size_t i;

	plan->tells_peers |= term->distinct;
	plan->asks_peers |= !term->from->of_callers;
	plan->asks_callers |= term->from->of_callers;
	if (term->kind != KRL_PREDICATE_PEER)
		return 0;
	for (i = 0; i < plan->from_count; i++)
		if (plan->from[i]->key == term->from->key)
			return krl_from_same(plan->from[i], term->from) ? 0 : -EEXIST;
	if (i == KRL_MAX_FROM)
		return -ENOSPC;
	added = krl_vec_add(&plan->from, &plan->from_count);
	if (!added)
		return -ENOMEM;
	*added = krl_from_ref(term->from);
	return 0;
}

static int find_any(void *ctx, const struct krl_term *term)
{
	return 1;
}

const struct krl_from *krl_compiler_caller(const struct krl_compiler *c, const struct krl_rate_limit *limit)
{
	return c->plan->pods == KRL_PODS_KNOWN ? limit->caller : NULL;
}

static void clear(struct krl_plan *plan)
{
	while (plan->from_count)
		krl_from_unref(plan->from[--plan->from_count]);
	free(plan->from);
	plan->from = NULL;
	plan->tells_peers = plan->asks_peers = plan->asks_callers = false;
}

void krl_plan_clear_from(struct krl_plan *plan)
{
	clear(plan);
}

/* Which rules count on some endpoint here. The caller frees it; NULL without memory. */
static bool *placed(const struct krl_compiler *c)
{
	bool *ret = calloc(c->plan->rule_count + 1, sizeof(*ret));
	size_t i;

	for (i = 0; ret && i < c->placement_count; i++)
		ret[c->placements[i].rule] = true;
	return ret;
}

int krl_compiler_refuse_from(struct krl_compiler *c, bool *refused)
{
	bool *here = placed(c);
	char why[128];
	size_t i;
	int err = here ? 0 : -ENOMEM;

	for (i = 0; i < c->plan->rule_count && !err; i++) {
		const struct krl_rate_limit *limit = &c->documents[c->origins[i].document].document->rate_limit;
		bool asks = each_from(c, i, find_any, NULL);

		if (refused[c->origins[i].document] || (!asks && !limit->selects_callers))
			continue;
		if (c->plan->pods == KRL_PODS_NONE) {
			snprintf(why, sizeof(why), "%s asks for pods, of which the API server alone tells (--source kubernetes)",
				 asks ? "from" : "clientSelector");
			krl_compiler_refuse(c, refused, i, why);
			continue;
		}
		err = here[i] ? each_from(c, i, add_from, c->plan) : 0;
		if (err == -ENOMEM)
			break;
		snprintf(why, sizeof(why), "more than %d different from on one node", KRL_MAX_FROM);
		if (err)
			krl_compiler_refuse(c, refused, i, err == -ENOSPC ? why : "from has the hash of another one: "
										  "write it in another way");
		err = 0;
	}
	free(here);
	clear(c->plan);
	return err;
}

int krl_compiler_add_from(struct krl_compiler *c)
{
	bool *here = placed(c);
	size_t i;
	int err = here ? 0 : -ENOMEM;

	for (i = 0; i < c->plan->rule_count && !err; i++)
		if (here[i] && !c->plan->rules[i].outside) {
			c->plan->rules[i].asks_pods = each_from(c, i, find_any, NULL);
			err = each_from(c, i, add_from, c->plan);
		}
	free(here);
	return err;
}
