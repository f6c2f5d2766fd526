/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#define KRL_DEFINE_MAPS
#include "maps.h"

/* Not read by any program: whose a rule is, for the tools. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KRL_MAX_RULES);
	__type(key, __u32);
	__type(value, struct krl_rule_info);
} krl_rule_info SEC(".maps");

/* The cgroup whose sockets are covered; the agent sets it. */
const volatile __u64 krl_cgroup_id = 0;

char _license[] SEC("license") = "Dual BSD/GPL";
