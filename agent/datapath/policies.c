// SPDX-License-Identifier: Apache-2.0
/* The selectors of the endpoints in krl_policies, which are there as the forms are. */
#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/policy/policy.h"
#include "known.h"
#include "pass.h"

int krl_pass_policy(struct krl_pass *p, __u64 key, const struct krl_policy *policy)
{
	if (bpf_map_update_elem(bpf_map__fd(p->dp->skel->maps.krl_policies), &key, policy, BPF_NOEXIST))
		return errno == EEXIST ? 0 : -errno;
	p->result.values_hidden |= krl_pass_hides(policy);
	return 0;
}

/* The policy under @key, which the caller frees. NULL: it is not there, or there is no memory. */
static struct krl_policy *read_policy(const struct krl_pass *p, __u64 key)
{
	struct krl_policy *policy = malloc(sizeof(*policy));

	if (policy && bpf_map_lookup_elem(bpf_map__fd(p->dp->skel->maps.krl_policies), &key, policy)) {
		free(policy);
		return NULL;
	}
	return policy;
}

static int adopt(struct krl_pass *p, struct krl_policy_builder *builder, __u32 rule, const struct krl_origin *origin,
		 unsigned int group)
{
	struct krl_policy *from = origin->policy ? read_policy(p, origin->policy) : NULL;
	const char *what;
	int err;

	if (from)
		err = krl_policy_adopt(builder, rule, group, from, origin->rule, &what);
	else
		err = krl_policy_add(builder, rule, group, true, NULL, 0, &what);
	free(from);
	return err;
}

int krl_pass_join_policies(struct krl_pass *p, const struct krl_origin *origins, __u32 count, __u64 *ret_key)
{
	struct krl_policy_builder *builder = krl_policy_builder_new();
	struct krl_policy *policy = malloc(sizeof(*policy));
	int err = builder && policy ? 0 : -ENOMEM;
	__u32 i, k;

	for (i = 0; i < count && !err; i++) {
		/* Rules of one policy keep their groups; one of no policy is a group of its own. */
		for (k = 0; origins[i].policy && origins[k].policy != origins[i].policy;)
			k++;
		err = adopt(p, builder, i, &origins[i], (origins[i].policy ? k : i) * KRL_MAX_TIERS);
	}
	if (!err) {
		krl_policy_finish(builder, policy);
		*ret_key = krl_policy_key(policy);
		err = krl_pass_policy(p, *ret_key, policy);
	}
	krl_policy_builder_free(builder);
	free(policy);
	return err;
}

bool krl_pass_asks_model(struct krl_pass *p, __u64 key)
{
	struct krl_policy *policy = read_policy(p, key);
	bool asks = policy && krl_policy_asks_model(policy);

	free(policy);
	return asks;
}

void krl_pass_drop_policies(struct krl_pass *p)
{
	const struct krl_datapath *dp = p->dp;
	__u64 *used = calloc(dp->known_count + 1, sizeof(*used));
	size_t count = 0, i;

	if (!used)
		return;
	for (i = 0; i < dp->known_count; i++)
		if (dp->known[i].policy)
			used[count++] = dp->known[i].policy;
	krl_contents_drop(bpf_map__fd(p->dp->skel->maps.krl_policies), used, count, &p->dp->stale_policies);
	free(used);
}
