// SPDX-License-Identifier: Apache-2.0
#include "internal.h"

#define NS_PER_MS 1000000ULL

static void write_count(struct krl_exposition *e, enum krl_metric metric, uint64_t value)
{
	krl_exposition_begin(e, metric);
	krl_exposition_count(e, NULL, value);
}

/* Of each rule that exchanged. */
static void write_rules(const struct krl_snapshot *s, enum krl_metric metric, struct krl_exposition *e)
{
	const struct krl_seen_rule *rule;
	size_t i;

	krl_exposition_begin(e, metric);
	for (i = 0; i < s->stats.count; i++) {
		const struct krl_rule_info *info = &s->stats.rows[i].info;
		const struct krl_metrics_label labels[] = { { "namespace", info->ns }, { "name", info->name },
							    { "rule", info->rule }, { "service", info->service }, { 0 } };

		rule = krl_seen_rule(&s->agent.cluster, s->stats.rows[i].id);
		if (rule)
			krl_exposition_number(e, labels, metric == KRL_METRIC_CLUSTER_LEFT ? rule->left : (int64_t)rule->leased);
	}
}

void krl_metrics_write_cluster(const struct krl_snapshot *s, struct krl_exposition *e)
{
	const struct krl_seen *seen = &s->agent.cluster;

	if (!seen->asked)
		return;
	write_count(e, KRL_METRIC_CLUSTER_UP, seen->up);
	write_rules(s, KRL_METRIC_CLUSTER_LEASED, e);
	write_rules(s, KRL_METRIC_CLUSTER_LEFT, e);
	write_count(e, KRL_METRIC_CLUSTER_EXCHANGES, seen->exchanges);
	write_count(e, KRL_METRIC_CLUSTER_FAILURES, seen->failures);
	if (!seen->last_ms)
		return;
	krl_exposition_begin(e, KRL_METRIC_CLUSTER_LAST);
	krl_exposition_seconds(e, NULL, (uint64_t)seen->last_ms * NS_PER_MS);
}
