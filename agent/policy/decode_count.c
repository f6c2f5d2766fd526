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
		krl_reader_error(reader, node, "LLMTokens is not supported yet");
	else if (!text || strcmp(text, "Requests"))
		krl_reader_expected(reader, node, "Requests or Connections");
	return KRL_COUNT_REQUESTS;
}

/* The complaint "PATH.NAME: @why" about the field @name of @node, if it is there. */
static void refuse_field(struct krl_reader *reader, yaml_node_t *node, const char *name, const char *why)
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
			if (rule->selectors[i].terms[t].field != KRL_FIELD_SOURCE)
				return true;
	return false;
}

void krl_decode_check_count(struct krl_reader *reader, yaml_node_t *node, const struct krl_rate_limit *limit,
			    struct krl_rule_spec *rule, bool max_connections)
{
	if (max_connections && rule->count == KRL_COUNT_REQUESTS)
		refuse_field(reader, node, "maxConnections", "belongs to a rule that counts Connections");
	if (rule->count == KRL_COUNT_UNSET)
		rule->count = max_connections ? KRL_COUNT_CONNECTIONS : KRL_COUNT_REQUESTS;
	if (rule->count != KRL_COUNT_CONNECTIONS)
		return;
	refuse_field(reader, node, "response", "a connection that is refused is not answered");
	if (limit->outbound)
		refuse_field(reader, node, "clientSelectors",
			     "connections that go out are not told apart: each network namespace has a bucket");
	else if (reads_heads(rule))
		refuse_field(reader, node, "clientSelectors",
			     "of a connection only sourceCIDR or sourceIP is known");
}

void krl_decode_check_direction(struct krl_reader *reader, yaml_node_t *spec, const struct krl_rate_limit *limit)
{
	if (!limit->outbound) {
		refuse_field(reader, spec, "onLimit", "belongs to direction: Outbound");
		return;
	}
	if (limit->headers_always)
		refuse_field(reader, spec, "responseHeaders", "Always is not possible with direction: Outbound");
	refuse_field(reader, spec, "clientIP", "with direction: Outbound the client is on this node");
}
