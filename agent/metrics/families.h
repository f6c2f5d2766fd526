/* SPDX-License-Identifier: Apache-2.0 */
/* Every metric: one list, from which come the lines of /metrics that describe it; docs/metrics.md has the same. */
#ifndef KMESH_RL_METRICS_FAMILIES_H
#define KMESH_RL_METRICS_FAMILIES_H

/* X(ID, type, unit, name, help), in the order in which they are told. The name of a counter ends in _total, with a unit
 * before that; where there is no unit, "". */
#define KRL_METRICS(X)                                                                                                    \
	X(REQUESTS, COUNTER, "", "kmesh_ratelimit_requests_total",                                                       \
	  "Requests, or connections, that a rule judged, by what became of them.")                                       \
	X(AVAILABLE_TOKENS, GAUGE, "", "kmesh_ratelimit_available_tokens",                                               \
	  "Tokens in the emptiest bucket of a rule; below zero in debt.")                                                \
	X(MAX_TOKENS, GAUGE, "", "kmesh_ratelimit_max_tokens", "Tokens that a bucket of a rule holds at most.")          \
	X(RULE_BUCKETS, GAUGE, "", "kmesh_ratelimit_rule_buckets", "Buckets of a rule that are not known to be full.")   \
	X(RULE_ENDPOINTS, GAUGE, "", "kmesh_ratelimit_rule_endpoints", "Endpoints on this node where a rule counts.")    \
	X(LIMITED, COUNTER, "", "kmesh_ratelimit_limited_requests_total",                                                \
	  "Requests that a rule refused, of those who were refused most.")                                               \
	X(LLM_USER_TOKENS, COUNTER, "", "kmesh_ratelimit_llm_user_tokens_total",                                         \
	  "Tokens of the answers to those who were refused most, of rules that count tokens.")                           \
	X(LLM_TOKENS, COUNTER, "", "kmesh_ratelimit_llm_tokens_total",                                                   \
	  "Tokens that the answers to a rule's requests used, by their type and the model.")                             \
	X(LLM_DEBITED, COUNTER, "", "kmesh_ratelimit_llm_debited_tokens_total",                                          \
	  "Tokens that were taken from a rule's buckets for answers.")                                                   \
	X(LLM_ANSWERS, COUNTER, "", "kmesh_ratelimit_llm_answers_total",                                                 \
	  "Answers to a rule's requests, by how much is known of what they used.")                                       \
	X(TOKEN_USAGE, HISTOGRAM, "token", "gen_ai_client_token_usage_token",                                            \
	  "Tokens that a request to a model server used.")                                                               \
	X(REASONS, COUNTER, "", "kmesh_ratelimit_reasons_total",                                                         \
	  "Requests and connections that ended otherwise than allowed or limited by a rule, by the reason.")             \
	X(DECISION, HISTOGRAM, "seconds", "kmesh_ratelimit_decision_duration_seconds",                                   \
	  "Time that the kernel took for a decision, of one in 64.")                                                     \
	X(CONNECTIONS, GAUGE, "", "kmesh_ratelimit_connections", "Connections whose requests are judged, open now.")     \
	X(CONNECTIONS_MAX, GAUGE, "", "kmesh_ratelimit_connections_max", "Connections that there is room for.")          \
	X(RULES, GAUGE, "", "kmesh_ratelimit_rules", "Rules in force.")                                                  \
	X(RULES_MAX, GAUGE, "", "kmesh_ratelimit_rules_max", "Rules that there is room for.")                            \
	X(BUCKETS, GAUGE, "", "kmesh_ratelimit_buckets", "Buckets in use.")                                              \
	X(BUCKETS_MAX, GAUGE, "", "kmesh_ratelimit_buckets_max", "Buckets that there is room for.")                      \
	X(OVERFLOW_BUCKETS, GAUGE, "", "kmesh_ratelimit_overflow_buckets",                                               \
	  "Rules whose overflow bucket, which newcomers share without room for more, is not full.")                      \
	X(CLUSTER_UP, GAUGE, "", "kmesh_ratelimit_cluster_up", "Whether Redis is there.")                                \
	X(CLUSTER_LEASED, GAUGE, "", "kmesh_ratelimit_cluster_leased_tokens",                                            \
	  "Tokens that this node has leased for a rule of the cluster, in all of its buckets.")                          \
	X(CLUSTER_LEFT, GAUGE, "", "kmesh_ratelimit_cluster_left_tokens",                                                \
	  "Tokens left to all nodes in the emptiest bucket of a rule that this node leases of; below zero in debt.")     \
	X(CLUSTER_EXCHANGES, COUNTER, "", "kmesh_ratelimit_cluster_exchanges_total", "Exchanges that Redis answered.")   \
	X(CLUSTER_FAILURES, COUNTER, "", "kmesh_ratelimit_cluster_failures_total",                                       \
	  "Exchanges of which nobody knows what came of them.")                                                          \
	X(CLUSTER_LAST, GAUGE, "seconds", "kmesh_ratelimit_cluster_last_exchange_timestamp_seconds",                     \
	  "When Redis answered last.")                                                                                   \
	X(PROGRAM_RUN_SECONDS, COUNTER, "seconds", "kmesh_ratelimit_program_run_seconds_total",                          \
	  "CPU time of a BPF program of this agent, where the kernel measures it.")                                      \
	X(PROGRAM_RUNS, COUNTER, "", "kmesh_ratelimit_program_runs_total",                                               \
	  "Runs of a BPF program of this agent, where the kernel measures it.")                                          \
	X(MAP_MEMORY, GAUGE, "bytes", "kmesh_ratelimit_map_memory_bytes",                                                \
	  "Memory of a BPF map; before Linux 6.4 the most that it may become.")                                          \
	X(CPU_OVERHEAD, GAUGE, "ratio", "kmesh_ratelimit_cpu_overhead_ratio",                                            \
	  "CPU time of the last ten seconds, as a share of all CPUs.")                                                   \
	X(RECONCILE, HISTOGRAM, "seconds", "kmesh_ratelimit_agent_reconcile_duration_seconds",                           \
	  "Time that the agent took to bring the kernel to what its source says.")                                       \
	X(RECONCILE_FAILURES, COUNTER, "", "kmesh_ratelimit_agent_reconcile_failures_total",                             \
	  "Attempts at that which failed.")                                                                              \
	X(READY, GAUGE, "", "kmesh_ratelimit_agent_ready", "Whether /readyz says so.")                                   \
	X(WATCH_UP, GAUGE, "", "kmesh_ratelimit_agent_watch_up",                                                         \
	  "Whether what is known of a resource of the source is all of it, and current.")                                \
	X(LAST_SYNC, GAUGE, "seconds", "kmesh_ratelimit_agent_last_sync_timestamp_seconds",                              \
	  "When the limits in force were last known to be those of the source.")                                         \
	X(REFUSED, GAUGE, "", "kmesh_ratelimit_agent_refused",                                                           \
	  "Complaints about documents and about the source, as of the last reading.")                                    \
	X(BUILD, INFO, "", "kmesh_ratelimit_build_info", "The version of the agent, and of the maps that it writes.")    \
	X(PROCESS_CPU, COUNTER, "seconds", "process_cpu_seconds_total", "CPU time of the agent.")                        \
	X(PROCESS_MEMORY, GAUGE, "bytes", "process_resident_memory_bytes", "Resident memory of the agent.")              \
	X(PROCESS_START, GAUGE, "seconds", "process_start_time_seconds", "When the agent was started.")

enum krl_metric {
#define X(id, type, unit, name, help) KRL_METRIC_##id,
	KRL_METRICS(X)
#undef X
	KRL_METRIC_COUNT
};

enum krl_metric_type { KRL_METRIC_COUNTER, KRL_METRIC_GAUGE, KRL_METRIC_HISTOGRAM, KRL_METRIC_INFO };

struct krl_metric_family {
	enum krl_metric_type type;
	const char *unit, *name, *help;
};

extern const struct krl_metric_family krl_metric_families[KRL_METRIC_COUNT];

#endif
