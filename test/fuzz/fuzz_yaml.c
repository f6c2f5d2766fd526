// SPDX-License-Identifier: Apache-2.0
/* Two versions of one file, and the first one in a second file: decoded, stored, compiled. What is
 * compiled must fit the maps, and a version that is refused must not take away what was in force. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/store.h"

#define SEPARATOR "\n...\n%%\n"

static void check_plan(const struct krl_plan *plan)
{
	size_t e, r;

	if (plan->rule_count > KRL_MAX_RULES || plan->endpoint_count > KRL_MAX_ENDPOINTS)
		abort();
	for (r = 0; r < plan->rule_count; r++) {
		const struct krl_settings *s = &plan->rules[r].settings;

		if (!s->max_tokens || !s->tokens_per_fill || !s->fill_interval_ns ||
		    (__s64)s->max_tokens < 0 || (__s64)s->tokens_per_fill < 0 ||
		    (__s64)s->fill_interval_ns < 0 || !*plan->rules[r].name || !*plan->rules[r].limit)
			abort();
	}
	for (e = 0; e < plan->endpoint_count; e++) {
		const struct krl_plan_endpoint *endpoint = &plan->endpoints[e];
		size_t rules = (size_t)endpoint->rule_count + endpoint->outside_count;

		if (!endpoint->key.port || !rules || rules > KRL_MAX_ENDPOINT_RULES)
			abort();
		for (r = 0; r < rules; r++)
			if (endpoint->rules[r] >= plan->rule_count ||
			    plan->rules[endpoint->rules[r]].outside != (r >= endpoint->rule_count))
				abort();
	}
}

/* Offer @text as a.yaml, and @other as b.yaml when there is one. Returns the rules in force. */
static size_t reading(struct krl_store *store, const void *text, size_t len, const void *other,
		      size_t other_len)
{
	struct krl_diags errors = { 0 }, notes = { 0 };
	struct krl_plan plan = { 0 };
	size_t rules, i;

	krl_store_begin(store);
	krl_store_file(store, "a.yaml", text, len, &errors);
	if (other)
		krl_store_file(store, "b.yaml", other, other_len, &errors);
	krl_store_commit(store);
	if (krl_store_compile(store, 0, &plan, &errors, &notes))
		abort();
	check_plan(&plan);
	for (i = 0; i < errors.count; i++)
		if (strpbrk(errors.lines[i], "\n\r\033"))
			abort();
	rules = plan.rule_count;
	krl_plan_clear(&plan);
	krl_diags_clear(&errors);
	krl_diags_clear(&notes);
	return rules;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *split = memmem(data, size, SEPARATOR, sizeof(SEPARATOR) - 1);
	size_t first = split ? (size_t)(split - data) : size / 2;
	const uint8_t *second = split ? split + sizeof(SEPARATOR) - 1 : data + first;
	size_t second_len = size - (size_t)(second - data), rules;
	struct krl_store *store = krl_store_new();

	if (!store)
		return 0;
	rules = reading(store, data, split ? first : size, NULL, 0);
	/* A syntax error takes nothing away. */
	if (reading(store, "]", 1, NULL, 0) != rules)
		abort();
	reading(store, second, second_len, data, first);
	reading(store, second, second_len, NULL, 0);
	krl_store_free(store);
	return 0;
}
