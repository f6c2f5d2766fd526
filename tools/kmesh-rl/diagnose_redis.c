// SPDX-License-Identifier: Apache-2.0
/* The check of Redis, by what the agent says of it and by the rules that need it. */
#include "diagnose.h"

/* How many rules of the cluster say what, for the time without Redis. */
struct needs {
	size_t local, open, closed;
};

static struct needs needs_of(const struct krl_stats *stats)
{
	struct needs n = { 0 };
	size_t i;

	for (i = 0; i < stats->count; i++) {
		if (!(stats->rows[i].flags & KRL_RULE_CLUSTER))
			continue;
		n.open += !!(stats->rows[i].flags & KRL_RULE_AWAY_OPEN);
		n.closed += !!(stats->rows[i].flags & KRL_RULE_AWAY_CLOSED);
		n.local += !(stats->rows[i].flags & (KRL_RULE_AWAY_OPEN | KRL_RULE_AWAY_CLOSED));
	}
	return n;
}

/* What follows for the rules. */
static void add_needs(const struct needs *n, struct krl_finding *finding)
{
	const char *before = ": ";
	const struct {
		size_t count;
		const char *one, *more;
	} parts[] = {
		{ n->local, "rule is kept by each node for itself (whenUnavailable: Local)",
		  "rules are kept by each node for itself (whenUnavailable: Local)" },
		{ n->open, "rule lets all through (Open)", "rules let all through (Open)" },
		{ n->closed, "rule refuses all (Closed)", "rules refuse all (Closed)" },
	};
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		if (!parts[i].count)
			continue;
		krl_finding_add(finding, KRL_FINDING_WARN, "%s%zu %s", before, parts[i].count,
				parts[i].count == 1 ? parts[i].one : parts[i].more);
		before = ", ";
	}
}

bool krl_check_redis(const struct krl_facts *f, struct krl_finding *finding)
{
	const json_t *redis = json_object_get(f->about, "cluster");
	const char *at = json_string_value(json_object_get(redis, "at")), *why = json_string_value(json_object_get(redis, "why"));
	const char *since = json_string_value(json_object_get(redis, "since"));
	bool up = json_is_true(json_object_get(redis, "up"));
	unsigned long long judged;
	struct needs needs;

	if (f->pins || f->stats_read)
		return false;
	needs = needs_of(&f->stats);
	if (!redis && !needs.local && !needs.open && !needs.closed)
		return false;
	judged = f->stats.reasons[KRL_REASON_CLUSTER_AWAY];
	if (up)
		krl_finding_set(finding, KRL_FINDING_OK, "%s", at ? at : "there");
	else if (!redis)
		krl_finding_set(finding, KRL_FINDING_OK, "no agent asks it");
	else
		krl_finding_set(finding, KRL_FINDING_OK, "away since %s (%s), and asked again and again", since ? since : "the start",
				why ? why : "not reached yet");
	if (!up)
		add_needs(&needs, finding);
	if (judged)
		krl_finding_add(finding, KRL_FINDING_OK, "; cluster_away %llu: requests that rules judged by whenUnavailable so far", judged);
	return true;
}
