// SPDX-License-Identifier: Apache-2.0
/* Whether each node counts a rule for itself, or all of them together. */
#include <string.h>

#include "decode_kinds.h"
#include "limit.h"

#define NS_PER_US 1000

/* Redis counts in doubles, which hold every integer up to this one (Lua 5.1, lua_Number). */
#define DOUBLE_MAX 9007199254740991ULL

/* The field @name of @node, if it is there, read with the complaints about it in its place. */
static void read_field(struct krl_reader *reader, yaml_node_t *node, const char *name,
		       void (*fn)(struct krl_reader *reader, yaml_node_t *field, struct krl_rule_spec *rule),
		       struct krl_rule_spec *rule)
{
	yaml_node_t *field = krl_reader_get(reader, node, name);
	size_t len;

	if (!field)
		return;
	len = krl_reader_enter(reader, ".%s", name);
	fn(reader, field, rule);
	krl_reader_leave(reader, len);
}

static void read_scope(struct krl_reader *reader, yaml_node_t *node, struct krl_rule_spec *rule)
{
	const char *text = krl_node_text(node);

	if (text && !strcmp(text, "Cluster"))
		rule->cluster = true;
	else if (!text || strcmp(text, "Node"))
		krl_reader_expected(reader, node, "Node or Cluster");
}

static void read_credit(struct krl_reader *reader, yaml_node_t *node, struct krl_rule_spec *rule)
{
	uint64_t value;

	if (krl_reader_integer(reader, node, 0, KRL_NUMBER_MAX, &value))
		rule->credit = value;
}

static void read_away(struct krl_reader *reader, yaml_node_t *node, struct krl_rule_spec *rule)
{
	const char *text = krl_node_text(node);

	if (text && !strcmp(text, "Open"))
		rule->away = KRL_AWAY_OPEN;
	else if (text && !strcmp(text, "Closed"))
		rule->away = KRL_AWAY_CLOSED;
	else if (!text || strcmp(text, "Local"))
		krl_reader_expected(reader, node, "Local, Open or Closed");
}

/* Can all nodes together keep @limit? */
static void check_limit(struct krl_reader *reader, yaml_node_t *node, const struct krl_settings *limit,
			const struct krl_rule_spec *rule)
{
	bool parameters = krl_reader_get(reader, node, "maxTokens");

	if (limit->max_tokens > DOUBLE_MAX)
		krl_decode_refuse(reader, node, parameters ? "maxTokens" : "limit",
				  "with scope: Cluster a bucket holds at most 9007199254740991 tokens");
	if (limit->fill_interval_ns % NS_PER_US)
		krl_decode_refuse(reader, node, parameters ? "fillInterval" : "limit",
				  "with scope: Cluster the interval is a whole number of microseconds");
	else if (limit->fill_interval_ns / NS_PER_US > DOUBLE_MAX)
		krl_decode_refuse(reader, node, parameters ? "fillInterval" : "limit",
				  "with scope: Cluster the interval is at most 9007199254740991 microseconds");
	if (rule->credit > limit->max_tokens)
		krl_decode_refuse(reader, node, "initialCredit", "more than the bucket holds");
}

void krl_decode_cluster(struct krl_reader *reader, yaml_node_t *node, const struct krl_settings *limits, size_t count,
			struct krl_rule_spec *rule)
{
	size_t before = reader->errors, i;

	read_field(reader, node, "scope", read_scope, rule);
	if (reader->errors != before)
		return;
	if (!rule->cluster) {
		krl_decode_refuse(reader, node, "initialCredit", "belongs to scope: Cluster");
		krl_decode_refuse(reader, node, "whenUnavailable", "belongs to scope: Cluster");
		return;
	}
	krl_decode_refuse(reader, node, "maxConnections", "what is open is counted on each node: not with scope: Cluster");
	rule->credit = 1;
	read_field(reader, node, "initialCredit", read_credit, rule);
	read_field(reader, node, "whenUnavailable", read_away, rule);
	if (reader->errors != before)
		return;
	if (!count)
		check_limit(reader, node, &rule->settings, rule);
	for (i = 0; i < count && reader->errors == before; i++)
		check_limit(reader, node, &limits[i], rule);
}
