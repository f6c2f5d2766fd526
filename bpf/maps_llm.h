/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps for requests to model servers; of maps.h, which includes this. */
#ifndef KMESH_RL_MAPS_LLM_H
#define KMESH_RL_MAPS_LLM_H

/* What requests to model servers cost. A row never changes, as with krl_forms. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_COSTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct krl_cost);
} krl_costs SEC(".maps");

/* Connections to model servers, by socket cookie, and their requests whose answers are not done. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_CONNS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct krl_llm);
} krl_llms SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_CHARGES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct krl_charge_key);
	__type(value, struct krl_charge);
} krl_charges SEC(".maps");

/* What was used: by rule, by rule and model, by rule and the values that pick a bucket. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KRL_MAX_RULES);
	__type(key, __u32);
	__type(value, struct krl_llm_stats);
} krl_llm_stats SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KRL_MAX_USED);
	__type(key, struct krl_llm_model_key);
	__type(value, struct krl_llm_stats);
} krl_llm_models SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KRL_MAX_USED);
	__type(key, struct krl_llm_user_key);
	__type(value, struct krl_llm_stats);
} krl_llm_users SEC(".maps");

/* How many tokens requests used, by operation and model. A row for all others is there from the start, for each
 * operation. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_USAGES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct krl_llm_model_key);
	__type(value, struct krl_usage);
} krl_llm_usages SEC(".maps");

#endif
