// SPDX-License-Identifier: Apache-2.0
/* The text of what does not go by rules; that of rules is in rules.c. */
#include "snapshot.h"

#include <stdio.h>

#include <kmesh_rl/abi.h>

#include "internal.h"

int krl_snapshot_read(const char *bpffs, size_t top, struct krl_snapshot *snapshot)
{
	int err = krl_stats_read(bpffs, &snapshot->stats);

	if (!err)
		err = krl_used_read_models(bpffs, &snapshot->stats, &snapshot->used);
	if (!err)
		err = krl_tally_read(bpffs, &snapshot->stats, top, &snapshot->tally);
	if (err)
		krl_snapshot_free(snapshot);
	return err;
}

void krl_snapshot_free(struct krl_snapshot *snapshot)
{
	krl_seen_free(&snapshot->agent.cluster);
	krl_tally_free(&snapshot->tally);
	krl_used_free(&snapshot->used);
	krl_stats_free(&snapshot->stats);
}

static void gauge(struct krl_exposition *e, enum krl_metric metric, size_t value)
{
	krl_exposition_begin(e, metric);
	krl_exposition_count(e, NULL, value);
}

static void write_reasons(const struct krl_stats *stats, struct krl_exposition *e)
{
	static const char *const names[] = {
#define X(id, name, text) name,
		KRL_REASONS(X)
#undef X
	};
	struct krl_metrics_label labels[] = { { "reason", NULL }, { NULL, NULL } };
	size_t i;

	krl_exposition_begin(e, KRL_METRIC_REASONS);
	for (i = 0; i < KRL_REASON_MAX; i++) {
		labels[0].value = names[i];
		krl_exposition_count(e, labels, stats->reasons[i]);
	}
}

static void write_latency(const struct krl_latency *latency, struct krl_exposition *e)
{
	static const char *const bounds[] = {
		"0.000000256", "0.000000512", "0.000001024", "0.000002048", "0.000004096", "0.000008192", "0.000016384",
		"0.000032768", "0.000065536", "0.000131072", "0.000262144", "0.000524288", "0.001048576", "0.002097152",
	};
	uint64_t buckets[KRL_LATENCY_BUCKETS];
	size_t i;

	_Static_assert(sizeof(bounds) / sizeof(*bounds) == KRL_LATENCY_BUCKETS - 1, "a bound for each but the last");
	for (i = 0; i < KRL_LATENCY_BUCKETS; i++)
		buckets[i] = latency->buckets[i];
	krl_exposition_begin(e, KRL_METRIC_DECISION);
	krl_exposition_histogram(e, NULL, bounds, buckets, KRL_LATENCY_BUCKETS, latency->sum_ns);
}

static void write_node(const struct krl_snapshot *s, struct krl_exposition *e)
{
	krl_exposition_begin(e, KRL_METRIC_CONNECTIONS);
	krl_exposition_count(e, (const struct krl_metrics_label[]){ { "direction", "inbound" }, { 0 } }, s->tally.inbound);
	krl_exposition_count(e, (const struct krl_metrics_label[]){ { "direction", "outbound" }, { 0 } }, s->tally.outbound);
	gauge(e, KRL_METRIC_CONNECTIONS_MAX, KRL_MAX_CONNS);
	gauge(e, KRL_METRIC_RULES, s->stats.count);
	gauge(e, KRL_METRIC_RULES_MAX, KRL_MAX_RULES);
	gauge(e, KRL_METRIC_BUCKETS, s->stats.buckets);
	gauge(e, KRL_METRIC_BUCKETS_MAX, KRL_MAX_BUCKETS);
	gauge(e, KRL_METRIC_OVERFLOW_BUCKETS, s->stats.overflowing);
}

static void write_programs(const struct krl_spent *spent, struct krl_exposition *e)
{
	struct krl_metrics_label labels[] = { { "program", NULL }, { NULL, NULL } };
	size_t i;

	if (!spent->measured)
		return;
	krl_exposition_begin(e, KRL_METRIC_PROGRAM_RUN_SECONDS);
	for (i = 0; i < spent->program_count; i++) {
		labels[0].value = spent->programs[i].name;
		krl_exposition_seconds(e, labels, spent->programs[i].run_ns);
	}
	krl_exposition_begin(e, KRL_METRIC_PROGRAM_RUNS);
	for (i = 0; i < spent->program_count; i++) {
		labels[0].value = spent->programs[i].name;
		krl_exposition_count(e, labels, spent->programs[i].runs);
	}
}

static void write_maps(const struct krl_spent *spent, struct krl_exposition *e)
{
	struct krl_metrics_label labels[] = { { "map", NULL }, { NULL, NULL } };
	size_t i;

	krl_exposition_begin(e, KRL_METRIC_MAP_MEMORY);
	for (i = 0; i < spent->map_count; i++) {
		labels[0].value = spent->maps[i].name;
		krl_exposition_count(e, labels, spent->maps[i].bytes);
	}
}

static void write_overhead(const struct krl_overhead *overhead, struct krl_exposition *e)
{
	/* Not known before the second sample. */
	if (!overhead->last.at_ns || overhead->agent < 0)
		return;
	krl_exposition_begin(e, KRL_METRIC_CPU_OVERHEAD);
	krl_exposition_ratio(e, (const struct krl_metrics_label[]){ { "part", "agent" }, { 0 } }, overhead->agent);
	if (overhead->programs >= 0)
		krl_exposition_ratio(e, (const struct krl_metrics_label[]){ { "part", "programs" }, { 0 } }, overhead->programs);
}

static void write_watches(const struct krl_metrics_agent *agent, struct krl_exposition *e)
{
	struct krl_metrics_label labels[] = { { "resource", NULL }, { NULL, NULL } };
	size_t i;

	krl_exposition_begin(e, KRL_METRIC_WATCH_UP);
	for (i = 0; i < agent->watch_count; i++) {
		labels[0].value = agent->watches[i].resource;
		krl_exposition_count(e, labels, agent->watches[i].up);
	}
}

static void write_time(struct krl_exposition *e, enum krl_metric metric, int64_t ms)
{
	if (!ms)
		return;
	krl_exposition_begin(e, metric);
	krl_exposition_seconds(e, NULL, (uint64_t)ms * 1000000);
}

static void write_agent(const struct krl_metrics_agent *agent, struct krl_exposition *e)
{
	char abi[16];

	write_overhead(&agent->overhead, e);
	krl_exposition_begin(e, KRL_METRIC_RECONCILE);
	krl_exposition_histogram(e, NULL, krl_timing_bounds, agent->reconciles.buckets, KRL_TIMING_BUCKETS,
				 agent->reconciles.sum_ns);
	gauge(e, KRL_METRIC_RECONCILE_FAILURES, agent->reconcile_failures);
	gauge(e, KRL_METRIC_READY, agent->ready);
	write_watches(agent, e);
	write_time(e, KRL_METRIC_LAST_SYNC, agent->last_sync_ms);
	gauge(e, KRL_METRIC_REFUSED, agent->refused);
	snprintf(abi, sizeof(abi), "%d", KRL_ABI_VERSION);
	krl_exposition_begin(e, KRL_METRIC_BUILD);
	krl_exposition_count(e, (const struct krl_metrics_label[]){ { "version", KRL_VERSION }, { "abi", abi }, { 0 } }, 1);
	krl_exposition_begin(e, KRL_METRIC_PROCESS_CPU);
	krl_exposition_seconds(e, NULL, agent->process.cpu_ns);
	gauge(e, KRL_METRIC_PROCESS_MEMORY, agent->process.resident_bytes);
	write_time(e, KRL_METRIC_PROCESS_START, agent->process.start_ms);
}

void krl_snapshot_write(const struct krl_snapshot *s, struct krl_exposition *e)
{
	krl_metrics_write_rules(s, e);
	krl_metrics_write_usage(s, e);
	write_reasons(&s->stats, e);
	write_latency(&s->tally.latency, e);
	write_node(s, e);
	krl_metrics_write_cluster(s, e);
	write_programs(&s->agent.spent, e);
	write_maps(&s->agent.spent, e);
	write_agent(&s->agent, e);
	krl_exposition_end(e);
}
