// SPDX-License-Identifier: Apache-2.0
/* What a rule counts, and in which direction: what else it may say depends on that. */
#include <string.h>

#include "decode_kinds.h"

enum krl_count krl_decode_count(struct krl_reader *reader, yaml_node_t *node)
{
	const char *text = krl_node_text(node);

	if (text && !strcmp(text, "Connections"))
		return KRL_COUNT_CONNECTIONS;
	if (text && !strcmp(text, "LLMTokens"))
		return KRL_COUNT_LLM_TOKENS;
	if (!text || strcmp(text, "Requests"))
		krl_reader_expected(reader, node, "Requests, Connections or LLMTokens");
	return KRL_COUNT_REQUESTS;
}

void krl_decode_refuse(struct krl_reader *reader, yaml_node_t *node, const char *name, const char *why)
{
	yaml_node_t *field = krl_reader_get(reader, node, name);
	size_t len;

	if (!field)
		return;
	len = krl_reader_enter(reader, "%s%s", *reader->path ? "." : "", name);
	krl_reader_error(reader, field, "%s", why);
	krl_reader_leave(reader, len);
}

static bool reads_heads(const struct krl_rule_spec *rule)
{
	size_t i, t;

	for (i = 0; i < rule->selector_count; i++)
		for (t = 0; t < rule->selectors[i].term_count; t++)
			if (rule->selectors[i].terms[t].field != KRL_FIELD_SOURCE &&
			    rule->selectors[i].terms[t].field != KRL_FIELD_PEER)
				return true;
	return false;
}

static bool asks_peers(const struct krl_rule_spec *rule)
{
	size_t i, t;

	for (i = 0; i < rule->selector_count; i++)
		for (t = 0; t < rule->selectors[i].term_count; t++)
			if (rule->selectors[i].terms[t].field == KRL_FIELD_PEER)
				return true;
	return false;
}

/* Is there room for that a request is POST, where the selector does not say which method it is for? */
static void check_conditions(struct krl_reader *reader, yaml_node_t *node, const struct krl_rule_spec *rule)
{
	size_t i;

	for (i = 0; i < rule->selector_count; i++)
		if (rule->selectors[i].term_count == KRL_MAX_ENTRY_PREDICATES && !krl_selector_names_methods(&rule->selectors[i]))
			break;
	if (i < rule->selector_count)
		krl_decode_refuse(reader, node, "clientSelectors",
			     "more than 7 conditions in one selector that names no methods: POST is one");
}

void krl_decode_check_count(struct krl_reader *reader, yaml_node_t *node, const struct krl_rate_limit *limit,
			    struct krl_rule_spec *rule, bool max_connections)
{
	size_t before = reader->errors;

	if (max_connections && rule->count != KRL_COUNT_CONNECTIONS && rule->count != KRL_COUNT_UNSET)
		krl_decode_refuse(reader, node, "maxConnections", "belongs to a rule that counts Connections");
	if (rule->count == KRL_COUNT_UNSET)
		rule->count = max_connections ? KRL_COUNT_CONNECTIONS : KRL_COUNT_REQUESTS;
	if (limit->outbound && asks_peers(rule))
		krl_decode_refuse(reader, node, "clientSelectors", "from is about who connects: not with direction: Outbound");
	if (rule->count == KRL_COUNT_LLM_TOKENS) {
		if (limit->outbound)
			krl_decode_refuse(reader, node, "count", "LLMTokens is not possible with direction: Outbound");
		check_conditions(reader, node, rule);
		return;
	}
	krl_decode_refuse_llm(reader, node);
	if (rule->count != KRL_COUNT_CONNECTIONS || reader->errors != before)
		return;
	krl_decode_refuse(reader, node, "response", "a connection that is refused is not answered");
	if (limit->outbound)
		krl_decode_refuse(reader, node, "clientSelectors",
			     "connections that go out are not told apart: each network namespace has a bucket");
	else if (reads_heads(rule))
		krl_decode_refuse(reader, node, "clientSelectors",
			     "of a connection only sourceCIDR or sourceIP and from are known");
}

void krl_decode_check_direction(struct krl_reader *reader, yaml_node_t *spec, const struct krl_rate_limit *limit)
{
	if (!limit->outbound) {
		krl_decode_refuse(reader, spec, "onLimit", "belongs to direction: Outbound");
		krl_decode_refuse(reader, spec, "clientSelector", "belongs to direction: Outbound");
		return;
	}
	if (limit->headers_always)
		krl_decode_refuse(reader, spec, "responseHeaders", "Always is not possible with direction: Outbound");
	krl_decode_refuse(reader, spec, "clientIP", "with direction: Outbound the client is on this node");
}

void krl_decode_check_models(struct krl_reader *reader, yaml_node_t *spec, const struct krl_rate_limit *limit)
{
	size_t i, r;

	for (i = 0; i < limit->target_count; i++)
		for (r = 0; r < limit->targets[i].rule_count; r++)
			if (limit->targets[i].rules[r].count == KRL_COUNT_LLM_TOKENS)
				return;
	krl_decode_refuse(reader, spec, "modelHeaders", "belongs to rules that count LLMTokens");
	krl_decode_refuse(reader, spec, "dropAcceptEncoding", "belongs to rules that count LLMTokens");
}
