// SPDX-License-Identifier: Apache-2.0
/* What answers of model servers cost, in krl_costs, where a row is as those of krl_forms are. */
#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/policy/form.h"
#include "pass.h"

int krl_pass_cost(struct krl_pass *p, const struct krl_cost *cost, __u64 *ret_key)
{
	__u64 key = krl_content_key(cost, sizeof(*cost));

	if (bpf_map_update_elem(bpf_map__fd(p->dp->skel->maps.krl_costs), &key, cost, BPF_NOEXIST) && errno != EEXIST)
		return -errno;
	*ret_key = key;
	return 0;
}

void krl_pass_drop_costs(struct krl_pass *p)
{
	__u64 *used = calloc(KRL_MAX_RULES, sizeof(*used));
	size_t i;

	for (i = 0; used && i < KRL_MAX_RULES; i++)
		used[i] = p->dp->rules[i].cost;
	if (used)
		krl_contents_drop(bpf_map__fd(p->dp->skel->maps.krl_costs), used, KRL_MAX_RULES, &p->dp->stale_costs);
	free(used);
}
