// SPDX-License-Identifier: Apache-2.0
/* What the endpoints refer to: the rules of the plan, and what stays without it. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/base/vec.h"
#include "known.h"
#include "pass.h"

static bool is_named(const struct krl_rule_info *info, const char *ns, const char *name)
{
	return !strcmp(info->ns, ns) && !strcmp(info->name, name);
}

static bool is_refused(const struct krl_plan *plan, const struct krl_rule_info *info)
{
	size_t i;

	for (i = 0; i < plan->retain_count; i++)
		if (is_named(info, plan->retain[i].ns, plan->retain[i].name))
			return true;
	return false;
}

/* Is the RateLimit of @info in the plan, or was it in the one before? Then it was read. */
static bool is_read(const struct krl_plan *plan, const struct krl_rule_info *info)
{
	size_t i;

	for (; plan; plan = plan->before)
		for (i = 0; i < plan->rule_count; i++)
			if (is_named(info, plan->rules[i].ns, plan->rules[i].name))
				return true;
	return false;
}

/* Rows of documents that are refused now stay as they are. What could not even be named may be any RateLimit
 * of before this agent. */
bool krl_pass_is_retained(const struct krl_pass *p, __u32 row)
{
	const struct krl_rule_info *info = &p->dp->infos[row];

	return is_refused(p->plan, info) || (p->plan->retain_all && !is_read(p->plan, info));
}

/* What could not even be named may be a Service or an EndpointSlice of any RateLimit, too. */
static void mark_retained(struct krl_pass *p)
{
	const struct krl_rule_info *info;
	__u32 row;

	for (row = 0; row < KRL_MAX_RULES; row++) {
		if (!p->dp->rules[row].id)
			continue;
		info = &p->dp->infos[row];
		if (p->keep[row])
			p->partial[row] = p->plan->retain_all && *info->service;
		else
			p->retained[row] = krl_pass_is_retained(p, row);
		p->keep[row] |= p->retained[row];
		p->retaining |= p->retained[row] || p->partial[row];
	}
}

static int compare_keys(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct krl_endpoint_key));
}

static const struct krl_plan_endpoint *find_endpoint(const struct krl_plan *plan,
						     const struct krl_endpoint_key *key)
{
	_Static_assert(!offsetof(struct krl_plan_endpoint, key), "compare_keys");

	if (!plan || !plan->endpoint_count)
		return NULL;
	return bsearch(key, plan->endpoints, plan->endpoint_count, sizeof(*plan->endpoints), compare_keys);
}

/* Did this agent itself put the row @slot on the endpoint @key, by the plan before? */
static bool was_planned(const struct krl_pass *p, const struct krl_endpoint_key *key, __u32 slot)
{
	const struct krl_plan *before = p->plan->before;
	const struct krl_plan_endpoint *endpoint = find_endpoint(before, key);
	__u32 i;

	for (i = 0; endpoint && i < endpoint->rule_count; i++)
		if (krl_pass_is_rule(&p->dp->infos[slot], &before->rules[endpoint->rules[i]]))
			return true;
	return false;
}

static bool refers_to(const struct krl_endpoint *value, __u32 slot)
{
	__u32 i;

	for (i = 0; i < value->rule_count; i++)
		if (value->rules[i].slot == slot)
			return true;
	return false;
}

/* Does @ref, which is on the endpoint @key, stay without the plan? */
static bool stays(const struct krl_pass *p, const struct krl_endpoint_key *key, const struct krl_rule_ref *ref)
{
	__u32 slot = ref->slot % KRL_MAX_RULES;

	/* A row that was given to another rule is not what is referred to. */
	if (ref->id != p->dp->rules[slot].id)
		return false;
	return p->retained[slot] || (p->partial[slot] && !was_planned(p, key, slot));
}

/* An endpoint while it is put together. */
struct draft {
	struct krl_endpoint value;
	struct krl_origin origins[KRL_MAX_ENDPOINT_RULES];
	bool joined;		/* some rule is from another row */
};

/* Append the reference @i of @from, unless @draft refers to its row. */
static void append(struct draft *draft, const struct krl_endpoint *from, __u32 i, enum krl_scope scope)
{
	struct krl_endpoint *value = &draft->value;
	struct krl_rule_ref ref = from->rules[i];

	if (refers_to(value, ref.slot) || value->rule_count == KRL_MAX_ENDPOINT_RULES)
		return;
	ref.scope = scope;
	draft->origins[value->rule_count] = (struct krl_origin){ .policy = from->policy, .rule = i };
	draft->joined = true;
	value->rules[value->rule_count++] = ref;
	value->flags |= from->flags;
}

/* The selectors of what is together now. */
static int join_policies(struct krl_pass *p, struct draft *draft)
{
	__u32 i;

	if (!draft->joined)
		return 0;
	draft->value.policy = 0;
	for (i = 0; i < draft->value.rule_count; i++)
		if (draft->origins[i].policy)
			return krl_pass_join_policies(p, draft->origins, draft->value.rule_count,
						      &draft->value.policy);
	return 0;
}

static __u32 flags_of(const struct krl_rule *rule)
{
	return (rule->headers ? KRL_ENDPOINT_HEADERS : 0) |
	       (rule->flags & KRL_RULE_CONCURRENT ? KRL_ENDPOINT_CONCURRENT : 0) |
	       (rule->flags & KRL_RULE_LLM ? KRL_ENDPOINT_LLM : 0) |
	       (rule->flags & (KRL_RULE_RESERVE | KRL_RULE_REQUIRE_USAGE) ? KRL_ENDPOINT_BODIES : 0);
}

/* What is together now has selectors, and what some rule of it has: header fields on answers or LLMTokens, which
 * those of @old did maybe not, maxConnections, or what LLMTokens need. */
static int join(struct krl_pass *p, const struct krl_endpoint *old, struct draft *draft)
{
	struct krl_endpoint *value = &draft->value;
	__u32 i;
	int err = join_policies(p, draft);

	if (err)
		return err;
	value->flags &= KRL_ENDPOINT_FAIL_CLOSED | KRL_ENDPOINT_NO_CODING;
	for (i = 0; i < value->rule_count; i++)
		value->flags |= flags_of(&p->dp->rules[value->rules[i].slot]);
	if (!(value->flags & KRL_ENDPOINT_LLM))
		value->flags &= ~KRL_ENDPOINT_NO_CODING;
	else if (krl_pass_asks_model(p, value->policy))
		value->flags |= KRL_ENDPOINT_BODIES;
	p->enlists |= value->flags & KRL_ENDPOINT_FOLLOWED && !(old->flags & KRL_ENDPOINT_FOLLOWED);
	return 0;
}

static void append_retained(const struct krl_pass *p, const struct krl_endpoint_key *key,
			    const struct krl_endpoint *old, struct draft *draft)
{
	__u32 i;

	for (i = 0; i < old->rule_count; i++)
		if (stays(p, key, &old->rules[i]))
			append(draft, old, i, old->rules[i].scope);
}

/* Append what counts on the wildcards that cover @key, as the plan has it spread already, for an endpoint or
 * a wildcard that the plan does not have. A wildcard of the plan is written before what it covers, since it
 * sorts before it; any other holds what stays, maybe among what goes. */
static void append_covering(const struct krl_pass *p, const struct krl_endpoint_key *key, struct draft *draft)
{
	int fd = bpf_map__fd(p->dp->skel->maps.krl_endpoints);
	struct krl_endpoint_key wide;
	struct krl_endpoint covering;
	enum krl_scope scope;
	bool planned;
	__u32 i;

	for (scope = KRL_SCOPE_ANY_IPV4; scope <= KRL_SCOPE_ANY; scope++) {
		if (!krl_plan_widen(key, scope, &wide) || bpf_map_lookup_elem(fd, &wide, &covering))
			continue;
		planned = find_endpoint(p->plan, &wide);
		for (i = 0; i < covering.rule_count; i++)
			if (covering.rules[i].scope == KRL_SCOPE_EXACT &&
			    (planned || stays(p, &wide, &covering.rules[i])))
				append(draft, &covering, i, scope);
	}
}

/* Remember that @key holds @value, which it holds already where that is no other than @before. */
static int write_value(struct krl_pass *p, const struct krl_endpoint_key *key, const struct krl_known_endpoint *before,
		       const struct krl_endpoint *value)
{
	struct krl_known_endpoint *known = krl_vec_add(&p->known, &p->known_count);

	if (!known)
		return -ENOMEM;
	*known = krl_known_of(key, value);
	if (before && before->digest == known->digest)
		return 0;
	p->recounts |= (value->flags | (before ? before->flags : 0)) & KRL_ENDPOINT_CONCURRENT;
	if (before)
		p->result.endpoints_changed++;
	else
		p->result.endpoints_added++;
	return bpf_map_update_elem(bpf_map__fd(p->dp->skel->maps.krl_endpoints), key, value, BPF_ANY);
}

static int write_endpoint(struct krl_pass *p, const struct krl_plan_endpoint *endpoint)
{
	const struct krl_known_endpoint *before = krl_known_find(p->dp, &endpoint->key);
	struct draft draft = { .value = { .flags = endpoint->flags, .policy = endpoint->policy } };
	struct krl_endpoint old = { .flags = before ? before->flags : 0 };
	__u32 i;
	int err;

	if (before && p->retaining &&
	    bpf_map_lookup_elem(bpf_map__fd(p->dp->skel->maps.krl_endpoints), &endpoint->key, &old))
		return -errno;

	for (i = 0; i < endpoint->rule_count; i++) {
		__u32 slot = p->slots[endpoint->rules[i]];

		draft.origins[i] = (struct krl_origin){ .policy = endpoint->policy, .rule = i };
		draft.value.rules[draft.value.rule_count++] =
			(struct krl_rule_ref){ .slot = slot, .scope = endpoint->scopes[i],
					       .id = p->dp->rules[slot].id };
	}
	append_retained(p, &endpoint->key, &old, &draft);
	if (p->retaining)
		append_covering(p, &endpoint->key, &draft);
	err = join(p, &old, &draft);
	return err ? err : write_value(p, &endpoint->key, before, &draft.value);
}

/* An endpoint that the plan no longer has keeps what is retained, or goes. */
static int drop_endpoint(struct krl_pass *p, const struct krl_known_endpoint *known)
{
	int fd = bpf_map__fd(p->dp->skel->maps.krl_endpoints);
	const struct krl_endpoint_key *key = &known->key;
	struct krl_endpoint old = {};
	struct draft draft = {};
	int err;

	if (p->retaining && bpf_map_lookup_elem(fd, key, &old))
		return 0;
	append_retained(p, key, &old, &draft);
	if (!draft.value.rule_count) {
		p->recounts |= known->flags & KRL_ENDPOINT_CONCURRENT;
		p->result.endpoints_removed++;
		return bpf_map_delete_elem(fd, key);
	}
	append_covering(p, key, &draft);
	err = join(p, &old, &draft);
	return err ? err : write_value(p, key, known, &draft.value);
}

static int drop_endpoints(struct krl_pass *p)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < p->dp->known_count; i++)
		if (!find_endpoint(p->plan, &p->dp->known[i].key))
			err = drop_endpoint(p, &p->dp->known[i]);
	return err;
}

static int write_all(struct krl_pass *p)
{
	int err = 0;
	size_t i;

	for (i = 0; !err && i < p->plan->policy_count; i++)
		err = krl_pass_policy(p, p->plan->policies[i].key, p->plan->policies[i].policy);
	for (i = 0; !err && i < p->plan->endpoint_count; i++)
		err = write_endpoint(p, &p->plan->endpoints[i]);
	return err ? err : drop_endpoints(p);
}

int krl_pass_endpoints(struct krl_pass *p)
{
	int err = krl_known_read(p->dp);

	if (err)
		return err;
	mark_retained(p);
	err = write_all(p);
	if (!err) {
		krl_known_replace(p->dp, p->known, p->known_count);
		return 0;
	}
	/* Half of it may be written. */
	free(p->known);
	krl_known_doubt(p->dp);
	return err;
}
