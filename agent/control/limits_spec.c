// SPDX-License-Identifier: Apache-2.0
/* What a RateLimit says, as JSON and in few words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/compile.h"
#include "agent/policy/explain.h"
#include "agent/policy/limit.h"
#include "limits.h"

#define SERVICE_BYTES 256
/* Of what is said in few words. */
#define WORDS_BYTES 200
#define MORE "..."

/* Takes @text, which may be NULL. */
static json_t *taken(char *text)
{
	json_t *value = json_string(text ? text : "");

	free(text);
	return value;
}

static void limit_text(const struct krl_rule_spec *rule, char ret[KRL_LIMIT_TEXT_BYTES])
{
	if (rule->concurrent)
		snprintf(ret, KRL_LIMIT_TEXT_BYTES, "%llu at once", (unsigned long long)rule->settings.max_tokens);
	else
		krl_limit_text(&rule->settings, ret, KRL_LIMIT_TEXT_BYTES);
}

/* Append @word to the list *@text, whose joint is @joint and a space, unless it is in it; to one that is long already only that
 * there is more. 0, or -ENOMEM. */
static int add_word(char **text, char joint, const char *word)
{
	size_t len = strlen(word), before = *text ? strlen(*text) : 0;
	const char *at = *text;

	if (before > WORDS_BYTES)
		return strcmp(*text + before - strlen(MORE), MORE) ? krl_explain_say(text, "%c %s", joint, MORE) : 0;
	while (at && (at = strstr(at, word))) {
		if ((at == *text || (at >= *text + 2 && at[-2] == joint)) && (!at[len] || at[len] == joint))
			return 0;
		at += len;
	}
	return *text ? krl_explain_say(text, "%c %s", joint, word) : krl_explain_say(text, "%s", word);
}

json_t *krl_limits_service(const struct krl_rate_limit *limit)
{
	char service[SERVICE_BYTES], endpoint[KRL_ENDPOINT_BYTES], *text = NULL;
	bool failed = false;
	size_t i, k;

	for (i = 0; !failed && i < limit->target_count; i++) {
		krl_target_text(&limit->targets[i], service, sizeof(service));
		if (*service)
			failed = add_word(&text, ',', service);
		for (k = 0; !failed && k < limit->targets[i].endpoint_count; k++) {
			krl_explain_endpoint(&limit->targets[i].endpoints[k], endpoint);
			failed = add_word(&text, ',', endpoint);
		}
	}
	return taken(text);
}

json_t *krl_limits_limit(const struct krl_rate_limit *limit)
{
	char one[KRL_LIMIT_TEXT_BYTES], *text = NULL;
	bool failed = false;
	size_t i, k;

	for (i = 0; i < limit->target_count; i++) {
		for (k = 0; !failed && k < limit->targets[i].rule_count; k++) {
			limit_text(&limit->targets[i].rules[k], one);
			/* There may be a comma in a limit, before its burst. */
			failed = add_word(&text, ';', one);
		}
	}
	return taken(text);
}

static json_t *selectors_json(const struct krl_rule_spec *rule)
{
	json_t *selectors = json_array();
	char *text = NULL;
	size_t i;

	for (i = 0; i < rule->selector_count; i++) {
		if (krl_explain_selector(&rule->selectors[i], &text))
			break;
		json_array_append_new(selectors, taken(text));
		text = NULL;
	}
	free(text);
	return selectors;
}

static json_t *rule_json(const struct krl_rule_spec *rule, int64_t now_s)
{
	static const char *const counts[] = { [KRL_COUNT_UNSET] = "Requests", [KRL_COUNT_REQUESTS] = "Requests",
					      [KRL_COUNT_CONNECTIONS] = "Connections",
					      [KRL_COUNT_LLM_TOKENS] = "LLMTokens" };
	char limit[KRL_LIMIT_TEXT_BYTES];
	int64_t until_s;

	limit_text(rule, limit);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:o}", "name", rule->name, "limit", limit, "count",
			 counts[rule->count], "scope", rule->cluster ? "Cluster" : "Node", "mode",
			 rule->mode == KRL_MODE_SHADOW ? "Shadow" : "Enforce", "inForce",
			 krl_schedule_at(rule->schedule, now_s, &until_s), "selectors", selectors_json(rule));
}

static json_t *target_json(const struct krl_target *target, int64_t now_s)
{
	json_t *rules = json_array(), *endpoints;
	char text[SERVICE_BYTES];
	size_t i;

	for (i = 0; i < target->rule_count; i++)
		json_array_append_new(rules, rule_json(&target->rules[i], now_s));
	krl_target_text(target, text, sizeof(text));
	if (*text)
		return json_pack("{s:s, s:o}", "service", text, "rules", rules);
	endpoints = json_array();
	for (i = 0; i < target->endpoint_count; i++) {
		krl_explain_endpoint(&target->endpoints[i], text);
		json_array_append_new(endpoints, json_string(text));
	}
	return json_pack("{s:o, s:o}", "endpoints", endpoints, "rules", rules);
}

json_t *krl_limits_spec(const struct krl_rate_limit *limit, int64_t now_s)
{
	json_t *targets = json_array(), *spec;
	size_t i;

	for (i = 0; i < limit->target_count; i++)
		json_array_append_new(targets, target_json(&limit->targets[i], now_s));
	spec = json_pack("{s:s, s:s, s:s}", "direction", limit->outbound ? "Outbound" : "Inbound", "ruleMatch",
			 limit->match_all ? "All" : "First", "failurePolicy", limit->fail_closed ? "Closed" : "Open");
	if (spec && limit->redact)
		json_object_set_new(spec, "redact", json_true());
	if (spec && limit->client_ip.hops)
		json_object_set_new(spec, "clientIP",
				    json_pack("{s:s, s:i}", "header", limit->client_ip.header, "trustedHops",
					      (int)limit->client_ip.hops));
	if (spec)
		json_object_set_new(spec, "targets", targets);
	else
		json_decref(targets);
	return spec;
}
