// SPDX-License-Identifier: Apache-2.0
/* The rules of a RateLimit while it is made: what they are called, and which of them count. */
#include <stdlib.h>
#include <string.h>

#include <kmesh_rl/abi.h>

#include "agent/base/vec.h"
#include "conversion.h"

bool krl_convert_rate(struct krl_conversion *c, const yaml_node_t *parent, yaml_node_t *requests,
		      yaml_node_t *unit, struct krl_settings *ret)
{
	const char *text = unit ? krl_node_text(unit) : NULL;
	uint64_t count = 0;
	__u64 ns;

	if (requests && !krl_convert_number(c, requests, &count))
		return false;
	if (!count)
		return krl_convert_drop(
			c, requests ? requests : parent,
			"0 requests have no counterpart: a limit lets at least 1 through");
	if (!text || krl_unit_parse(text, &ns))
		return krl_convert_drop(c, unit ? unit : parent,
					"expected a unit from Second to Year");
	*ret = (struct krl_settings){ .max_tokens = count,
				      .tokens_per_fill = count,
				      .fill_interval_ns = ns };
	return true;
}

/* Copy what fits of @text into the @size bytes at @ret, whole characters. */
static void copy_cut(char *ret, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	memcpy(ret, text, len);
	ret[len] = '\0';
}

static bool has_rule(const struct krl_convert_limit *limit, const char *name)
{
	size_t i;

	for (i = 0; i < limit->count; i++)
		if (!strcmp(limit->rules[i].name, name))
			return true;
	return false;
}

struct krl_convert_rule *krl_convert_rule_add(struct krl_conversion *c, const yaml_node_t *node,
					      struct krl_convert_limit *limit, const char *name)
{
	char unique[sizeof(((struct krl_convert_rule *)NULL)->name)];
	size_t number = limit->count, len;
	struct krl_convert_rule *rule;

	if (limit->count == KRL_MAX_ENDPOINT_RULES) {
		krl_convert_drop(c, node, "an endpoint can have %d rules", KRL_MAX_ENDPOINT_RULES);
		return NULL;
	}
	copy_cut(unique, sizeof(unique), *name ? name : "rule");
	while (has_rule(limit, unique)) {
		copy_cut(unique, sizeof(unique) - 8, name);
		len = strlen(unique);
		snprintf(unique + len, sizeof(unique) - len, "-%zu", number++);
	}
	rule = krl_vec_add(&limit->rules, &limit->count);
	if (!rule) {
		c->no_memory = true;
		return NULL;
	}
	memcpy(rule->name, unique, sizeof(unique));
	rule->order = limit->count;
	return rule;
}

/* By tokens per second, the fewest first; rules without selectors last. */
static int compare_rates(const void *a, const void *b)
{
	const struct krl_convert_rule *x = a, *y = b;
	unsigned __int128 left =
		(unsigned __int128)x->settings.tokens_per_fill * y->settings.fill_interval_ns;
	unsigned __int128 right =
		(unsigned __int128)y->settings.tokens_per_fill * x->settings.fill_interval_ns;

	if (!x->selectors != !y->selectors)
		return !x->selectors - !y->selectors;
	if (left != right)
		return left > right ? 1 : -1;
	return (x->order > y->order) - (x->order < y->order);
}

/* How many of the rules have selectors, and whether two of those have different ones. */
static size_t count_selecting(const struct krl_convert_limit *limit, bool *ret_different)
{
	const struct krl_convert_rule *first = NULL;
	size_t i, selecting = 0;

	*ret_different = false;
	for (i = 0; i < limit->count; i++) {
		if (!limit->rules[i].selectors)
			continue;
		selecting++;
		if (!first)
			first = &limit->rules[i];
		*ret_different |= !json_equal(first->selectors, limit->rules[i].selectors);
	}
	return selecting;
}

void krl_convert_every(struct krl_convert_limit *limit)
{
	bool different;

	if (limit->count > 1 && count_selecting(limit, &different))
		limit->rule_match = "All";
}

void krl_convert_strictest(struct krl_conversion *c, const yaml_node_t *node,
			   struct krl_convert_limit *limit)
{
	bool different;
	size_t selecting = count_selecting(limit, &different);

	if (!selecting || selecting == limit->count) {
		krl_convert_every(limit);
		return;
	}
	limit->rule_match = "First";
	qsort(limit->rules, limit->count, sizeof(*limit->rules), compare_rates);
	if (different)
		krl_convert_note(
			c, node,
			"a request that several rules select counts in the strictest of them "
			"alone, or the rule without selectors would count it too");
}
