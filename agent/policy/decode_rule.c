// SPDX-License-Identifier: Apache-2.0
/* The rules of a RateLimit; their limits are in decode_limit.c, what they answer in decode_response.c,
 * whom they are for in decode_selector.c, when in decode_schedule.c, what they count in decode_count.c, whether all nodes
 * count together in decode_cluster.c, and what else those say that count LLMTokens in decode_llm.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "decode_kinds.h"
#include "limit.h"

/* The rules of one target while they are read. */
struct rules_reader {
	struct krl_target *target;
	const struct krl_rate_limit *limit;
	size_t count;			/* in the text */
	struct {
		size_t rule, limit;	/* in the text; limits of one string count from 1 */
	} places[KRL_MAX_ENDPOINT_RULES];	/* of the rules of target */
};

/* A rule while it is read. */
struct rule_reader {
	struct krl_rule_spec *rule;
	bool max_tokens, tokens_per_fill, fill_interval, limit;
	bool llm;			/* it counts LLMTokens */
	struct krl_settings limits[KRL_MAX_ENDPOINT_RULES + 1];
	size_t limit_count;
	uint64_t max_connections;	/* 0: not given. It is the last of limits */
};

static void read_rule_name(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct rule_reader *r = out;

	krl_reader_string(reader, node, sizeof(r->rule->name), r->rule->name);
}

static void read_max_tokens(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct rule_reader *r = out;
	uint64_t value;

	r->max_tokens = true;
	if (krl_reader_integer(reader, node, 1, KRL_NUMBER_MAX, &value))
		r->rule->settings.max_tokens = value;
}

static void read_tokens_per_fill(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct rule_reader *r = out;
	uint64_t value;

	r->tokens_per_fill = true;
	if (krl_reader_integer(reader, node, 1, KRL_NUMBER_MAX, &value))
		r->rule->settings.tokens_per_fill = value;
}

static void read_fill_interval(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct rule_reader *r = out;
	const char *text = krl_node_text(node);
	uint64_t value;
	__u64 ns;

	r->fill_interval = true;
	if (krl_node_integer(node, 1, KRL_NUMBER_MAX, &value))
		r->rule->settings.fill_interval_ns = value;
	else if (text && !krl_duration_parse(text, &ns))
		r->rule->settings.fill_interval_ns = ns;
	else
		krl_reader_expected(reader, node,
				    "an integer from 1 to 9223372036854775807 (nanoseconds) or a duration "
				    "such as 500ms, 1s or 1h30m");
}

static void read_limit(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct rule_reader *r = out;

	r->limit = true;
	r->limit_count = krl_decode_limit(reader, node, r->llm, r->limits);
	if (r->limit_count)
		r->rule->settings = r->limits[0];
}

static void read_max_connections(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct rule_reader *r = out;
	uint64_t value;

	if (krl_reader_integer(reader, node, 1, KRL_NUMBER_MAX, &value))
		r->max_connections = value;
}

static void read_count(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	((struct rule_reader *)out)->rule->count = krl_decode_count(reader, node);
}

static void read_rule_mode(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	((struct rule_reader *)out)->rule->mode = krl_decode_mode(reader, node);
}

static void read_rule_response(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	((struct rule_reader *)out)->rule->response = krl_decode_response(reader, node);
}

static void read_schedule(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	((struct rule_reader *)out)->rule->schedule = krl_decode_schedule(reader, node);
}

static void read_selectors(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	krl_decode_selectors(reader, node, ((struct rule_reader *)out)->rule);
}

static const struct krl_field rule_fields[] = {
	{ "name", read_rule_name },
	{ "maxTokens", read_max_tokens },
	{ "tokensPerFill", read_tokens_per_fill },
	{ "fillInterval", read_fill_interval },
	{ "limit", read_limit },
	{ "maxConnections", read_max_connections },
	{ "count", read_count },
	{ "mode", read_rule_mode },
	{ "clientSelectors", read_selectors },
	{ "schedule", read_schedule },
	{ "response", read_rule_response },
	/* Read when its limits are. */
	{ "scope", NULL },
	{ "initialCredit", NULL },
	{ "whenUnavailable", NULL },
	/* Read when it is known what the rule counts. */
	{ "tokens", NULL },
	{ "reserve", NULL },
	{ "reserveDefault", NULL },
	{ "reserveFraction", NULL },
	{ "requireUsage", NULL },
	{ "onExhausted", NULL },
	{ NULL, NULL },
};

static void check_rule(struct krl_reader *reader, yaml_node_t *node, const struct rule_reader *r)
{
	bool parameters = r->max_tokens || r->tokens_per_fill || r->fill_interval;

	if (r->limit && parameters)
		krl_reader_error(reader, node,
				 "limit stands alone: not with maxTokens, tokensPerFill or fillInterval");
	else if (!r->limit && !parameters && !r->max_connections)
		krl_reader_error(reader, node,
				 "limit is missing (or maxTokens, tokensPerFill and fillInterval)");
	else if (parameters)
		krl_reader_missing(reader, node,
				   (const char *[]){ r->max_tokens ? NULL : "maxTokens",
						     r->tokens_per_fill ? NULL : "tokensPerFill",
						     r->fill_interval ? NULL : "fillInterval" },
				   3);
}

/* Does the answer of @rule fit what the kernel writes answers from? Only `response` can make it too long. */
static void check_answer(struct krl_reader *reader, yaml_node_t *node, const struct krl_rule_spec *rule,
			 enum krl_header_style style)
{
	struct krl_form_spec spec = krl_rule_form_spec(rule, style);
	yaml_node_t *response = krl_reader_get(reader, node, "response");
	struct krl_form form;
	int err = krl_form_build(&spec, &form);
	size_t len;

	if (!err || !response)
		return;
	len = krl_reader_enter(reader, ".response");
	if (err == -ENOSPC)
		krl_reader_error(reader, response, "{retry_after} stands too often in body");
	else
		krl_reader_error(reader, response, "the answer is longer than %d bytes with all its headers",
				 KRL_FORM_TEXT_BYTES);
	krl_reader_leave(reader, len);
}

#define WHICH_BYTES 32

/* Which limit of its rule, where it is not the first. */
static void which_limit(size_t limit, const char *before, const char *after, char ret[WHICH_BYTES])
{
	*ret = '\0';
	if (limit > 1)
		snprintf(ret, WHICH_BYTES, "%slimit %zu%s", before, limit, after);
}

static void check_name(struct krl_reader *reader, yaml_node_t *node, const struct rules_reader *rules, size_t at)
{
	const struct krl_rule_spec *all = rules->target->rules;
	char own[WHICH_BYTES], other[WHICH_BYTES];
	size_t i;

	for (i = 0; i < at; i++) {
		if (strcmp(all[i].name, all[at].name))
			continue;
		which_limit(rules->places[at].limit, " of ", "", own);
		which_limit(rules->places[i].limit, "", " of ", other);
		krl_reader_error(reader, node, "the name %s%s is given to %srules[%zu] as well", all[at].name, own,
				 other, rules->places[i].rule);
	}
}

/* NULL: no room. */
static struct krl_rule_spec *add_rule(struct krl_reader *reader, yaml_node_t *node, struct rules_reader *rules,
				      size_t limit)
{
	struct krl_target *target = rules->target;

	if (target->rule_count == KRL_MAX_ENDPOINT_RULES) {
		krl_reader_error(reader, node, "more than %d rules on one endpoint", KRL_MAX_ENDPOINT_RULES);
		return NULL;
	}
	rules->places[target->rule_count].rule = rules->count - 1;
	rules->places[target->rule_count].limit = limit;
	return krl_reader_add(reader, &target->rules, &target->rule_count);
}

/* What may be open at once is a limit behind those in time. */
static void add_max_connections(struct rule_reader *r)
{
	size_t at = r->limit_count;

	if (!r->max_connections)
		return;
	if (!at && r->max_tokens)
		at = 1;
	r->limits[at] = (struct krl_settings){ .max_tokens = r->max_connections, .tokens_per_fill = 1,
					       .fill_interval_ns = KRL_NUMBER_MAX };
	r->limit_count = at + 1;
	if (at)
		return;
	r->rule->settings = r->limits[0];
	r->rule->concurrent = true;
}

/* The limits behind the first are rules of their own, which have all else from the rule @at. */
static void add_more(struct krl_reader *reader, yaml_node_t *node, struct rules_reader *rules, size_t at,
		     const struct rule_reader *r)
{
	struct krl_target *target = rules->target;
	size_t before = reader->errors, i, len;
	struct krl_rule_spec *rule;

	for (i = 2; i <= r->limit_count && reader->errors == before; i++) {
		rule = add_rule(reader, node, rules, i);
		if (!rule)
			return;
		*rule = target->rules[at];
		rule->shares = true;
		rule->llm = NULL;
		rule->settings = r->limits[i - 1];
		if (r->llm)
			krl_decode_llm(reader, node, rule);
		rule->concurrent = r->max_connections && i == r->limit_count;
		len = strlen(rule->name);
		if (snprintf(rule->name + len, sizeof(rule->name) - len, "-%zu", i) >=
		    (int)(sizeof(rule->name) - len))
			krl_reader_error(reader, node, "the name %s-%zu of limit %zu is longer than %zu bytes",
					 target->rules[at].name, i, i, sizeof(rule->name) - 1);
		else
			check_name(reader, node, rules, target->rule_count - 1);
		if (reader->errors == before)
			check_answer(reader, node, rule, rules->limit->style);
	}
}

static void read_rule(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct rules_reader *rules = out;
	size_t before = reader->errors, at = rules->target->rule_count;
	yaml_node_t *count = krl_reader_get(reader, node, "count");
	struct rule_reader r = { 0 };

	rules->count++;
	r.llm = count && krl_node_text(count) && !strcmp(krl_node_text(count), "LLMTokens");
	r.rule = add_rule(reader, node, rules, 1);
	if (!r.rule)
		return;
	krl_reader_mapping(reader, node, rule_fields, &r);
	if (reader->errors == before)
		check_rule(reader, node, &r);
	if (reader->errors == before)
		krl_decode_check_count(reader, node, rules->limit, r.rule, r.max_connections);
	if (reader->errors == before)
		krl_decode_cluster(reader, node, r.limits, r.limit_count, r.rule);
	if (reader->errors == before)
		add_max_connections(&r);
	if (r.llm && reader->errors == before)
		krl_decode_llm(reader, node, r.rule);
	if (!*r.rule->name)
		snprintf(r.rule->name, sizeof(r.rule->name), "rule-%zu", rules->count - 1);
	if (reader->errors == before)
		check_answer(reader, node, r.rule, rules->limit->style);
	check_name(reader, node, rules, at);
	if (reader->errors == before)
		add_more(reader, node, rules, at, &r);
}

void krl_decode_rules(struct krl_reader *reader, yaml_node_t *node, const struct krl_rate_limit *limit,
		      struct krl_target *target)
{
	struct rules_reader rules = { .target = target, .limit = limit };

	krl_reader_sequence(reader, node, read_rule, &rules);
	if (node->type == YAML_SEQUENCE_NODE && !target->rule_count)
		krl_reader_error(reader, node, "expected at least one rule");
}
