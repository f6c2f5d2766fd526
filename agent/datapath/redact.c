// SPDX-License-Identifier: Apache-2.0
/* Values in krl_values that were kept before a RateLimit said that they are not to be. */
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/policy/secret.h"
#include "pass.h"

bool krl_pass_hides(const struct krl_policy *policy)
{
	unsigned int i;

	for (i = 0; i < policy->field_count; i++)
		if (policy->fields[i].distinct & KRL_DISTINCT_HIDDEN && !krl_header_is_secret(policy->fields[i].name))
			return true;
	return false;
}

static bool has_policy(const struct krl_plan *plan, __u64 key)
{
	size_t i;

	for (i = 0; i < plan->policy_count; i++)
		if (plan->policies[i].key == key)
			return true;
	return false;
}

/* Is some policy that hides values not of the plan before? The kernel may still have it, from one before that. */
static bool hides_more(const struct krl_pass *p)
{
	const struct krl_plan *before = p->plan->before;
	size_t i;

	for (i = 0; before && before->policy_count && i < p->plan->policy_count; i++)
		if (krl_pass_hides(p->plan->policies[i].policy) && !has_policy(before, p->plan->policies[i].key))
			return true;
	return false;
}

static bool is_hidden_by(const struct krl_policy *policy, const struct krl_kept_value *value)
{
	unsigned int i;

	for (i = 0; i < policy->field_count; i++)
		if (policy->fields[i].distinct & KRL_DISTINCT_HIDDEN && policy->fields[i].kind == value->field &&
		    !memcmp(policy->fields[i].name, value->name, sizeof(value->name)))
			return true;
	return false;
}

/* Of a field that is hidden somewhere. */
static bool is_to_go(const struct krl_pass *p, const struct krl_kept *kept)
{
	size_t i;
	__u32 k;

	for (k = 0; k < kept->count && k < KRL_KEPT_VALUES; k++)
		for (i = 0; kept->values[k].how == KRL_KEPT_TEXT && i < p->plan->policy_count; i++)
			if (is_hidden_by(p->plan->policies[i].policy, &kept->values[k]))
				return true;
	return false;
}

void krl_pass_redact(struct krl_pass *p)
{
	int fd = bpf_map__fd(p->dp->skel->maps.krl_values);
	__u64 key[2], next[2];
	struct krl_kept kept;
	bool have;

	p->result.values_hidden |= hides_more(p);
	if (!p->result.values_hidden)
		return;
	have = !bpf_map_get_next_key(fd, NULL, next);
	while (have) {
		memcpy(key, next, sizeof(key));
		have = !bpf_map_get_next_key(fd, key, next);
		if (!bpf_map_lookup_elem(fd, key, &kept) && is_to_go(p, &kept))
			bpf_map_delete_elem(fd, key);
	}
}
