// SPDX-License-Identifier: Apache-2.0
#include "unseen.h"

#include <stdio.h>
#include <string.h>

#include "explain.h"

#define SAID "requests over HTTP/2, of which the head is not read, are not matched by"
#define MORE ", and more"

__u64 krl_unseen_rules(const struct krl_policy *policy, size_t count)
{
	const struct krl_tier *tier;
	__u64 rules = 0;
	size_t i, k;

	for (i = 0; i < count; i++) {
		tier = &policy->tiers[policy->tier_of[i]];
		for (k = 0; k < tier->entry_count; k++)
			rules |= (__u64)policy->entries[tier->first + k].of_head << i;
	}
	return rules;
}

void krl_plan_unseen(const struct krl_plan *plan, krl_unseen_test test, void *ctx, krl_unseen_fn fn, void *arg)
{
	const struct krl_plan_endpoint *endpoint;
	size_t i, k;

	for (i = 0; i < plan->endpoint_count; i++) {
		endpoint = &plan->endpoints[i];
		if (!endpoint->unseen || endpoint->key.hook != KRL_HOOK_STREAM || !test(ctx, &endpoint->key))
			continue;
		for (k = 0; k < endpoint->rule_count; k++)
			if (endpoint->unseen >> k & 1)
				fn(arg, &plan->rules[endpoint->rules[k]], &endpoint->key);
	}
}

/* Is @item in the list that @text ends in? */
static bool has_item(const char *text, const char *item)
{
	size_t len = strlen(item);
	const char *at = text;

	while ((at = strstr(at, item))) {
		if (!at[len] || at[len] == ',')
			return true;
		at++;
	}
	return false;
}

void krl_unseen_say(char text[KRL_UNSEEN_BYTES], const struct krl_plan_rule *rule, const struct krl_endpoint_key *key)
{
	char endpoint[KRL_ENDPOINT_BYTES], item[sizeof(rule->rule) + KRL_ENDPOINT_BYTES + 16];
	size_t len = strlen(text);

	krl_explain_endpoint(key, endpoint);
	snprintf(item, sizeof(item), " rule %s at %s", rule->rule, endpoint);
	if (has_item(text, item) || (len >= strlen(MORE) && !strcmp(text + len - strlen(MORE), MORE)))
		return;
	if (len + 1 + strlen(item) + strlen(MORE) >= KRL_UNSEEN_BYTES)
		snprintf(text + len, KRL_UNSEEN_BYTES - len, MORE);
	else
		snprintf(text + len, KRL_UNSEEN_BYTES - len, "%s%s", len ? "," : SAID, item);
}
