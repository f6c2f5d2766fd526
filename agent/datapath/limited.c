// SPDX-License-Identifier: Apache-2.0
/* How many requests each rule refused, without a look at its buckets: cheap enough to be asked all the time. */
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "internal.h"

void krl_datapath_limited(const struct krl_datapath *dp, krl_datapath_limited_fn fn, void *arg)
{
	int fd = bpf_map__fd(dp->skel->maps.krl_rule_stats), cpus = libbpf_num_possible_cpus(), i;
	struct krl_rule_stats *of_cpu = cpus > 0 ? calloc(cpus, sizeof(*of_cpu)) : NULL;
	uint64_t limited;
	__u32 slot;

	for (slot = 0; of_cpu && slot < KRL_MAX_RULES; slot++) {
		if (!dp->rules[slot].id || bpf_map_lookup_elem(fd, &slot, of_cpu))
			continue;
		for (limited = 0, i = 0; i < cpus; i++)
			limited += of_cpu[i].limited;
		fn(arg, dp->infos[slot].ns, dp->infos[slot].name, limited);
	}
	free(of_cpu);
}

void krl_datapath_counted(const struct krl_datapath *dp, krl_datapath_counted_fn fn, void *arg)
{
	int fd = bpf_map__fd(dp->skel->maps.krl_rule_stats), cpus = libbpf_num_possible_cpus(), i;
	struct krl_rule_stats *of_cpu = cpus > 0 ? calloc(cpus, sizeof(*of_cpu)) : NULL, sum;
	__u32 slot;

	for (slot = 0; of_cpu && slot < KRL_MAX_RULES; slot++) {
		if (!dp->rules[slot].id || !(dp->rules[slot].flags & KRL_RULE_CLUSTER) || bpf_map_lookup_elem(fd, &slot, of_cpu))
			continue;
		sum = (struct krl_rule_stats){ 0 };
		for (i = 0; i < cpus; i++) {
			sum.allowed += of_cpu[i].allowed;
			sum.limited += of_cpu[i].limited;
			sum.shadow_limited += of_cpu[i].shadow_limited;
		}
		fn(arg, &dp->infos[slot], &sum);
	}
	free(of_cpu);
}
