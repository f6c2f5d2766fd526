// SPDX-License-Identifier: Apache-2.0
/* What statistics tell of the cluster. */
#include <time.h>

#include "agent/base/clock.h"
#include "methods.h"

#define NS_PER_MS 1000000ULL
#define TIME_BYTES 32

static const char *away(const struct krl_stats_row *row)
{
	if (row->flags & KRL_RULE_AWAY_OPEN)
		return "Open";
	return row->flags & KRL_RULE_AWAY_CLOSED ? "Closed" : "Local";
}

static int add_to_row(json_t *item, const struct krl_stats_row *row, const struct krl_seen *seen)
{
	const struct krl_seen_rule *rule = krl_seen_rule(seen, row->id);
	uint64_t age_ms;
	int err;

	if (!(row->flags & KRL_RULE_CLUSTER))
		return json_object_set_new(item, "scope", json_string("Node"));
	err = json_object_set_new(item, "scope", json_string("Cluster")) ||
	      json_object_set_new(item, "whenUnavailable", json_string(away(row)));
	if (err || !rule)
		return err;
	age_ms = (krl_boot_ns() - rule->at_ns) / NS_PER_MS;
	return json_object_set_new(item, "leasedTokens", json_integer((json_int_t)rule->leased)) ||
	       json_object_set_new(item, "clusterTokens", json_integer((json_int_t)rule->left)) ||
	       json_object_set_new(item, "lastExchangeAge", json_integer((json_int_t)(age_ms * NS_PER_MS)));
}

static json_t *time_json(int64_t time_s)
{
	char text[TIME_BYTES];
	time_t time = time_s;
	struct tm tm;

	gmtime_r(&time, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

json_t *krl_cluster_json(const struct krl_seen *seen)
{
	return json_pack("{s:b, s:o, s:o*, s:o*, s:o, s:I, s:I}", "up", seen->up, "since", time_json(seen->since_s),
			 "at", *seen->where ? json_string(seen->where) : NULL,
			 "why", *seen->why ? json_string(seen->why) : NULL,
			 "exchangesPerSecond", json_real(seen->per_s), "exchanges", (json_int_t)seen->exchanges,
			 "failures", (json_int_t)seen->failures);
}

int krl_stats_add_cluster(json_t *value, const struct krl_stats *stats, const struct krl_seen *seen)
{
	json_t *items = json_object_get(value, "items");
	int err = 0;
	size_t i;

	for (i = 0; !err && i < stats->count; i++)
		err = add_to_row(json_array_get(items, i), &stats->rows[i], seen);
	if (!err && seen->asked)
		err = json_object_set_new(value, "cluster", krl_cluster_json(seen));
	return err;
}
