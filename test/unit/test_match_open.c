// SPDX-License-Identifier: Apache-2.0
/* Which rules count for a request whatever model its body will tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "match_cases.h"
#include "match_walk.h"

enum { SETS = 20000, RULES = 5 };

static const __u64 key[2] = { 0x0123456789abcdefULL, 0xfedcba9876543210ULL };
static const char post[] = "POST /v1 HTTP/1.1\r\nx-user: a\r\n\r\n";
static const char *const models[] = { "", "m", "mm", "x" };

/* A selector: who has this x-user, and asks for this model; NULL: whoever, and for any. */
struct who {
	const char *user, *model;
};

static const struct who nobody = { "b", NULL }, alice = { "a", NULL }, m = { NULL, "m" }, alice_m = { "a", "m" },
			bob_m = { "b", "m" }, each = { "", NULL }, each_model = { NULL, "" };

struct rule {
	unsigned int group;
	bool all;		/* ruleMatch: All */
	const struct who *who[2];	/* none: without selectors */
};

static void add_term(struct krl_selector *s, enum krl_field_kind field, const char *value)
{
	struct krl_term *term = &s->terms[s->term_count];

	if (!value)
		return;
	s->term_count++;
	term->field = field;
	term->kind = *value ? KRL_PREDICATE_EXACT : KRL_PREDICATE_PRESENT;
	term->distinct = !*value;
	strcpy(term->value, value);
	if (field == KRL_FIELD_HEADER)
		strcpy(term->name, "x-user");
}

static void make(const struct rule *rules, size_t count, struct krl_policy *ret)
{
	static const struct krl_model_headers headers = { 0 };
	struct krl_policy_builder *builder = krl_policy_builder_new();
	const char *what;
	size_t i, n;

	assert_non_null(builder);
	krl_policy_models(builder, &headers);
	for (i = 0; i < count; i++) {
		struct krl_selector selectors[2] = { 0 };

		for (n = 0; n < 2 && rules[i].who[n]; n++) {
			add_term(&selectors[n], KRL_FIELD_HEADER, rules[i].who[n]->user);
			add_term(&selectors[n], KRL_FIELD_MODEL, rules[i].who[n]->model);
		}
		assert_int_equal(krl_policy_add(builder, i, rules[i].group, !rules[i].all, selectors, n, &what), 0);
	}
	krl_policy_finish(builder, ret);
	krl_policy_builder_free(builder);
}

/* The request of alice, whose head ended. */
static const struct krl_match *asked(const struct krl_policy *policy)
{
	static struct match_walk walk;

	match_walk_begin(&walk, policy, key, (__u8[16]){ 0 });
	match_walk_on(&walk, post, strlen(post), KRL_HTTP_WINDOW_BYTES);
	assert_int_equal(walk.heads, 1);
	walk.match.open = 1;
	krl_match_end(&walk.match, policy);
	return &walk.match;
}

/* @match, when the body told @model. */
static struct krl_match told(const struct krl_match *match, const struct krl_policy *policy, const char *model)
{
	struct krl_match whole = *match;
	struct krl_match_value v = { .match = &whole, .policy = policy, .bytes = whole.value, .field = policy->model,
				     .len = strlen(model) };

	whole.open = 0;
	memset(whole.value, 0, 16);
	strcpy(whole.value, model);
	if (*model)
		krl_match_ended(&v);
	krl_match_end(&whole, policy);
	return whole;
}

static void what_counts_ahead_counts_with_any_model(void **state)
{
	static const struct who *const whom[] = { &nobody, &alice, &m, &alice_m, &bob_m, &each, &each_model };
	static struct krl_policy policy;
	uint64_t seed = 1;
	size_t i, n, r, found = 0;

	for (i = 0; i < SETS; i++) {
		struct rule rules[RULES] = { 0 };
		const struct krl_match *match;

		for (r = 0; r < RULES; r++) {
			rules[r].group = case_below(&seed, 2);
			rules[r].all = rules[r].group && i % 2;
			for (n = case_below(&seed, 3); n; n--)
				rules[r].who[n - 1] = CASE_PICK(&seed, whom);
		}
		make(rules, RULES, &policy);
		match = asked(&policy);
		for (n = 0; n < sizeof(models) / sizeof(*models); n++) {
			struct krl_match whole = told(match, &policy, models[n]);

			if (match->rules & ~whole.rules)
				fail_msg("set %zu, model %s: %llx ahead, %llx then", i, models[n], match->rules, whole.rules);
			for (r = 0; r < RULES; r++)
				if (match->rules >> r & 1)
					assert_memory_equal(match->descriptors[policy.tier_of[r]],
							    whole.descriptors[policy.tier_of[r]], 16);
		}
		found += !!match->rules;
	}
	assert_true(found > SETS / 4);
}

/* Rule number 2 is the one behind. */
static void a_tier_behind_one_that_may_count_does_not(void **state)
{
	static const struct {
		struct rule rules[3];
		__u64 ahead;
	} cases[] = {
		{ { { 0, false, { &m } }, { 0, false, { &nobody } }, { 0 } }, 0 },
		{ { { 0, true, { &m } }, { 0, true, { &nobody } }, { 0, true, { NULL } } }, 4 },
		{ { { 1, false, { &m } }, { 0, false, { &nobody } }, { 0 } }, 4 },
		{ { { 0, false, { &bob_m } }, { 0, false, { &nobody } }, { 0 } }, 4 },
		{ { { 0, false, { &alice_m } }, { 0, false, { &alice } }, { 0 } }, 0 },
		{ { { 0, false, { &alice } }, { 0, false, { &m } }, { 0 } }, 1 },
		{ { { 0, false, { &alice, &m } }, { 0, false, { &m } }, { 0 } }, 1 },
		{ { { 0, false, { &m, &alice } }, { 0, false, { &m } }, { 0 } }, 0 },
		{ { { 0, false, { &each_model } }, { 0, false, { &each } }, { 0 } }, 0 },
		{ { { 0, false, { &each } }, { 0, false, { &each_model } }, { 0 } }, 1 },
	};
	static struct krl_policy policy;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		make(cases[i].rules, 3, &policy);
		if (asked(&policy)->rules != cases[i].ahead)
			fail_msg("case %zu: %llx", i, asked(&policy)->rules);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_counts_ahead_counts_with_any_model),
		cmocka_unit_test(a_tier_behind_one_that_may_count_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
