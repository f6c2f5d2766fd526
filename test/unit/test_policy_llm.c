// SPDX-License-Identifier: Apache-2.0
/* Rules that count LLMTokens: how they are read, where they are placed, and what their policies say. */
#include "decoded.h"

#include "agent/policy/compile.h"
#include "agent/policy/cost.h"
#include "agent/policy/policy.h"

#define MAX_DOCUMENTS 4
#define LLM RULE "count: LLMTokens\n      "
#define ONE LLM "limit: 50/hour\n      "
#define AT_ENDPOINT(name) "---\napiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nmetadata: {name: " name "}\nspec:\n"        \
	"  endpoints: [{ip: 10.0.0.1, port: 80}]\n"
#define A_LLM(more) "{limit: 50/hour, count: LLMTokens" more "}"
#define GPT4 ", clientSelectors: [{model: {value: gpt-4}}]"
#define ALICE ", clientSelectors: [{headers: [{name: x-user, value: alice}]}]"

static struct krl_plan plan;

static int teardown_plan(void **state)
{
	krl_plan_clear(&plan);
	return teardown(state);
}

/* Compile @text; what is refused is the one line @says, NULL: nothing. */
static void compile(const char *text, int64_t now_s, const char *says)
{
	struct krl_diags errors = { 0 }, notes = { 0 };
	struct krl_source_document documents[MAX_DOCUMENTS];
	size_t i;

	krl_plan_clear(&plan);
	decode(text);
	assert_in_range(file.count, 1, MAX_DOCUMENTS);
	for (i = 0; i < file.count; i++)
		documents[i] = (struct krl_source_document){ .file = "f.yaml", .document = file.documents[i].document };
	assert_int_equal(krl_compile(documents, file.count, now_s, &plan, &errors, &notes), 0);
	assert_int_equal(errors.count, !!says);
	if (says)
		assert_string_equal(errors.lines[0], says);
	assert_int_equal(notes.count, 0);
	krl_diags_clear(&errors);
}

static const struct krl_llm_spec *llm_of(const char *text)
{
	decode(text);
	assert_non_null(only_target()->rules->llm);
	return only_target()->rules->llm;
}

static const struct krl_policy *policy_of(const struct krl_plan_endpoint *endpoint)
{
	size_t i;

	for (i = 0; i < plan.policy_count; i++)
		if (plan.policies[i].key == endpoint->policy)
			return plan.policies[i].policy;
	return NULL;
}

/* How a rule is read */

static void a_rule_says_how_tokens_are_counted(void **state)
{
	const struct krl_llm_spec *llm;
	struct krl_cost_error error;
	struct krl_cost cost;

	llm = llm_of(ONE);
	assert_int_equal(krl_cost_compile("Total", &cost, &error), 0);
	assert_memory_equal(&llm->cost, &cost, sizeof(cost));
	assert_false(llm->reserves || llm->require_usage || llm->cut);
	llm = llm_of(ONE "tokens: input_tokens + 3 * output_tokens\n      requireUsage: true\n      onExhausted: Cut\n");
	assert_int_equal(krl_cost_compile("input_tokens + 3 * output_tokens", &cost, &error), 0);
	assert_memory_equal(&llm->cost, &cost, sizeof(cost));
	assert_true(llm->require_usage && llm->cut);
	llm = llm_of(ONE "tokens: Output\n      requireUsage: false\n      onExhausted: Finish\n");
	assert_false(llm->require_usage || llm->cut);
	decode(RULE "limit: 50/hour\n");
	assert_null(only_target()->rules->llm);
}

static void a_mapping_of_tokens_is_a_limit(void **state)
{
	llm_of(LLM "limit: {tokens: 1000, unit: Hour, burst: 2000}\n");
	assert_int_equal(only_target()->rules->settings.tokens_per_fill, 1000);
	assert_int_equal(only_target()->rules->settings.max_tokens, 2000);
	llm_of(LLM "limit: {tokens: 1000, unit: Hour}\n");
	assert_int_equal(only_target()->rules->settings.max_tokens, 1000);
}

static void a_request_holds_a_part_of_the_bucket(void **state)
{
	static const struct {
		const char *text;
		__u64 reserve_max, reserve_default;
	} cases[] = {
		{ "", 50, 0 },
		{ "reserveFraction: 1", 50, 0 },
		{ "reserveFraction: 1.0", 50, 0 },
		{ "reserveFraction: 0.25", 12, 0 },
		{ "reserveFraction: .5", 25, 0 },
		{ "reserveFraction: 0.019", 1, 0 },
		{ "reserveFraction: 0.000000001", 1, 0 },
		{ "reserveFraction: 0.999999999", 49, 0 },
		{ "reserveDefault: 7", 50, 7 },
		{ "reserveDefault: 70\n      reserveFraction: 0.5", 25, 70 },
	};
	const struct krl_llm_spec *llm;
	char text[512];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), ONE "reserve: MaxTokens\n      %s\n", cases[i].text);
		llm = llm_of(text);
		assert_true(llm->reserves);
		assert_int_equal(llm->reserve_max, cases[i].reserve_max);
		assert_int_equal(llm->reserve_default, cases[i].reserve_default);
	}
	llm = llm_of(LLM "maxTokens: 9223372036854775807\n      tokensPerFill: 1\n      fillInterval: 1s\n"
			 "      reserve: MaxTokens\n      reserveFraction: 0.5\n");
	assert_int_equal(llm->reserve_max, INT64_MAX / 2);
}

static void each_limit_of_a_string_has_its_own_share(void **state)
{
	const struct krl_rule_spec *rules;

	llm_of(LLM "limit: 50/hour;400/day\n      reserve: MaxTokens\n      reserveFraction: 0.5\n");
	rules = only_target()->rules;
	assert_int_equal(only_target()->rule_count, 2);
	assert_int_equal(rules[0].llm->reserve_max, 25);
	assert_int_equal(rules[1].llm->reserve_max, 200);
	assert_int_equal(rules[1].count, KRL_COUNT_LLM_TOKENS);
}

static void models_are_named_by_headers(void **state)
{
	const struct krl_rate_limit *limit;

	decode(ONE);
	limit = &only(KRL_KIND_RATE_LIMIT)->rate_limit;
	assert_int_equal(limit->models.count, 2);
	assert_string_equal(limit->models.names[0], "x-ai-eg-model");
	assert_string_equal(limit->models.names[1], "x-ai-gateway-llm-model-name");
	assert_false(limit->no_coding);
	decode(ONE "\n  modelHeaders: [X-Model]\n  dropAcceptEncoding: true\n");
	limit = &only(KRL_KIND_RATE_LIMIT)->rate_limit;
	assert_int_equal(limit->models.count, 1);
	assert_string_equal(limit->models.names[0], "x-model");
	assert_true(limit->no_coding);
	decode(ONE "\n  modelHeaders: []\n");
	assert_int_equal(only(KRL_KIND_RATE_LIMIT)->rate_limit.models.count, 0);
}

static void a_selector_looks_at_the_model(void **state)
{
	const struct krl_term *terms;

	decode(ONE "clientSelectors: [{model: {value: gpt-4}}, {model: {type: Prefix, value: gpt}}, {model: {type: Distinct}}]\n");
	terms = only_target()->rules->selectors[0].terms;
	assert_int_equal(terms->field, KRL_FIELD_MODEL);
	assert_int_equal(terms->kind, KRL_PREDICATE_EXACT);
	assert_string_equal(terms->value, "gpt-4");
	assert_int_equal(only_target()->rules->selectors[1].terms->kind, KRL_PREDICATE_PREFIX);
	assert_true(only_target()->rules->selectors[2].terms->distinct);
}

#define BELONGS "belongs to a rule that counts LLMTokens"
#define NO_COST "expected Total, Input, Output, CachedInput or an expression over input_tokens, output_tokens, total_tokens, "     \
	"cached_input_tokens and model, found "

static void what_cannot_be_done_is_refused(void **state)
{
	static const struct refusal cases[] = {
		{ RULE "limit: 1/day\n      tokens: Total\n", "8:15: spec.rules[0].tokens: " BELONGS },
		{ RULE "limit: 1/day\n      reserve: MaxTokens\n", "8:16: spec.rules[0].reserve: " BELONGS },
		{ RULE "limit: 1/day\n      onExhausted: Cut\n", "8:20: spec.rules[0].onExhausted: " BELONGS },
		{ RULE "limit: 1/day\n      requireUsage: true\n      count: Connections\n",
		  "8:21: spec.rules[0].requireUsage: " BELONGS },
		{ RULE "limit: 1/day\n      clientSelectors: [{methods: [GET]}, {model: {value: m}}]\n",
		  "8:51: spec.rules[0].clientSelectors[1].model: " BELONGS },
		{ RULE "limit: {tokens: 5, unit: Day}\n", "7:23: spec.rules[0].limit.tokens: " BELONGS },
		{ LLM "limit: {requests: 5, unit: Day}\n",
		  "8:25: spec.rules[0].limit.requests: it is tokens in a rule that counts LLMTokens" },
		{ LLM "limit: {unit: Day}\n", "8:14: spec.rules[0].limit: tokens is missing" },
		{ LLM "maxConnections: 5\n",
		  "8:23: spec.rules[0].maxConnections: belongs to a rule that counts Connections" },
		{ ONE "reserve: All\n", "9:16: spec.rules[0].reserve: expected MaxTokens, found \"All\"" },
		{ ONE "reserveDefault: 5\n", "9:23: spec.rules[0].reserveDefault: belongs to reserve: MaxTokens" },
		{ ONE "reserveFraction: 0.5\n", "9:24: spec.rules[0].reserveFraction: belongs to reserve: MaxTokens" },
		{ ONE "reserve: MaxTokens\n      reserveDefault: 0\n",
		  "10:23: spec.rules[0].reserveDefault: expected an integer from 1 to 9223372036854775807, found \"0\"" },
		{ ONE "requireUsage: \"true\"\n", "9:21: spec.rules[0].requireUsage: expected true or false, found \"true\"" },
		{ ONE "onExhausted: cut\n", "9:20: spec.rules[0].onExhausted: expected Finish or Cut, found \"cut\"" },
		{ ONE "tokens:\n", "9:14: spec.rules[0].tokens: " NO_COST "nothing" },
		{ ONE "tokens: ''\n", "9:15: spec.rules[0].tokens: " NO_COST "\"\"" },
		{ ONE "tokens: [Total]\n", "9:15: spec.rules[0].tokens: " NO_COST "a list" },
		{ HEAD "spec:\n  service: a\n  direction: Outbound\n  rules: [" A_LLM("") "]\n",
		  "7:35: spec.rules[0].count: LLMTokens is not possible with direction: Outbound" },
		{ RULE "limit: 1/day\n  modelHeaders: [x-model]\n",
		  "8:17: spec.modelHeaders: belongs to rules that count LLMTokens" },
		{ RULE "limit: 1/day\n  dropAcceptEncoding: false\n",
		  "8:23: spec.dropAcceptEncoding: belongs to rules that count LLMTokens" },
		{ ONE "\n  modelHeaders: [a, b, A]\n", "10:24: spec.modelHeaders[2]: given twice" },
		{ ONE "\n  modelHeaders: [a, b, c, d, e]\n", "10:30: spec.modelHeaders[4]: more than 4 headers" },
		{ ONE "\n  modelHeaders: [a b]\n", "10:18: spec.modelHeaders[0]: expected the name of a header, found \"a b\"" },
		{ ONE "\n  dropAcceptEncoding: 1\n", "10:23: spec.dropAcceptEncoding: expected true or false, found \"1\"" },
		{ ONE "clientSelectors: [{model: {type: Suffix, value: m}}]\n",
		  "9:40: spec.rules[0].clientSelectors[0].model.type: expected Exact, Prefix or Distinct, found \"Suffix\"" },
		{ ONE "clientSelectors: [{model: {}}]\n", "9:33: spec.rules[0].clientSelectors[0].model: value is missing" },
		{ ONE "clientSelectors: [{model: {type: Distinct, value: m}}]\n",
		  "9:57: spec.rules[0].clientSelectors[0].model.value: Distinct has no value" },
		{ ONE "clientSelectors: [{model: {value: \"\"}}]\n",
		  "9:41: spec.rules[0].clientSelectors[0].model.value: expected a string of 1 to 64 bytes, found \"\"" },
		{ ONE "clientSelectors: [{model: {value: m}, path: {value: /}, headers: [{name: a, value: a}, "
		      "{name: b, value: b}, {name: c, value: c}, {name: d, value: d}, {name: e, value: e}, "
		      "{name: f, value: f}]}]\n",
		  "9:24: spec.rules[0].clientSelectors: more than 7 conditions in one selector that names no methods: "
		  "POST is one" },
	};

	check(cases, COUNT(cases));
}

static void fractions_that_are_none(void **state)
{
	static const char *const texts[] = { "0", "0.0", "1.1", "1.000000001", "2", "00.5", "10", "0.", ".", "-0.5", "5e-1",
					     "0.1234567891", "\"0.5\"", "0.5 0", "half" };
	char text[512], says[256], shown[32];
	struct refusal refusal = { text, says };
	size_t i;

	for (i = 0; i < COUNT(texts); i++) {
		snprintf(text, sizeof(text), ONE "reserve: MaxTokens\n      reserveFraction: %s\n", texts[i]);
		snprintf(shown, sizeof(shown), *texts[i] == '"' ? "%s" : "\"%s\"", texts[i]);
		snprintf(says, sizeof(says), "10:24: spec.rules[0].reserveFraction: expected a decimal number above 0 and up to "
			 "1, such as 0.25, found %s", shown);
		check(&refusal, 1);
	}
}

/* The 'z' is what no expression knows: where it stands is said, where that can be. */
static void a_mistake_in_an_expression_is_at_its_place(void **state)
{
	static const struct {
		const char *text;
		int column;
	} cases[] = {
		{ "1 + z", 15 + 4 },
		{ "'1 + z'", 16 + 4 },
		{ "\"1 + z\"", 16 + 4 },
		{ "\"model == 'ä' ? 1 : z\"", 16 + 19 },
		{ "'model == ''it'' && model == ''is'' ? 1 : z'", 16 + 37 + 4 },
		/* An escape, or more than one line. */
		{ "\"model == 'it\\x73' ? 1 : z\"", 15 },
		{ "1 +\n        z", 15 },
		{ "|\n        1 + z", 15 },
		{ ">\n        1 + z", 15 },
	};
	char text[512], says[256];
	struct refusal refusal = { text, says };
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), ONE "tokens: %s\n", cases[i].text);
		snprintf(says, sizeof(says), "9:%d: spec.rules[0].tokens: unknown name \"z\": expected input_tokens, output_tokens, "
			 "total_tokens, cached_input_tokens or model", cases[i].column);
		check(&refusal, 1);
	}
}

/* Where it is placed */

static void the_endpoint_says_what_the_kernel_has_to_do(void **state)
{
	static const struct {
		const char *rules, *more;
		__u32 flags;
	} cases[] = {
		{ "{limit: 1/day}", "", 0 },
		{ A_LLM(""), "", KRL_ENDPOINT_LLM },
		{ A_LLM("") ", {limit: 1/day}", "dropAcceptEncoding: true", KRL_ENDPOINT_LLM | KRL_ENDPOINT_NO_CODING },
		{ A_LLM("") ", {limit: 1/day}", "failurePolicy: Closed", KRL_ENDPOINT_LLM | KRL_ENDPOINT_FAIL_CLOSED },
		{ A_LLM(ALICE), "", KRL_ENDPOINT_LLM },
		{ A_LLM(GPT4), "", KRL_ENDPOINT_LLM | KRL_ENDPOINT_BODIES },
		{ A_LLM(", reserve: MaxTokens"), "", KRL_ENDPOINT_LLM | KRL_ENDPOINT_BODIES },
		{ A_LLM(", requireUsage: true"), "", KRL_ENDPOINT_LLM | KRL_ENDPOINT_BODIES },
		/* Not on a Sunday. */
		{ "{limit: 1/day}, " A_LLM(GPT4 ", schedule: {days: [Mon]}"), "dropAcceptEncoding: true", 0 },
	};
	char text[1024];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), AT_ENDPOINT("a") "  rules: [%s]\n  %s\n", cases[i].rules, cases[i].more);
		compile(text, 3 * 86400, NULL);
		assert_int_equal(plan.endpoint_count, 1);
		assert_int_equal(plan.endpoints->key.hook, KRL_HOOK_STREAM);
		assert_int_equal(plan.endpoints->flags, cases[i].flags);
		assert_int_equal(!!plan.endpoints->policy, !!(cases[i].flags & KRL_ENDPOINT_LLM));
		if (plan.endpoints->policy)
			assert_int_equal(krl_policy_asks_model(policy_of(plan.endpoints)), strstr(cases[i].rules, "gpt-4") != NULL);
	}
}

static void a_rule_says_what_its_row_does(void **state)
{
	const struct krl_plan_rule *rule;

	compile(AT_ENDPOINT("a") "  rules: [" A_LLM(", reserve: MaxTokens, reserveDefault: 7, reserveFraction: 0.5, tokens: Input, "
		"requireUsage: true, onExhausted: Cut") ", {limit: 1/day}]\n", 0, NULL);
	rule = plan.rules;
	assert_int_equal(rule->flags, KRL_RULE_LLM | KRL_RULE_RESERVE | KRL_RULE_REQUIRE_USAGE | KRL_RULE_CUT);
	assert_int_equal(rule->reserve_default, 7);
	assert_int_equal(rule->reserve_max, 25);
	assert_int_equal(rule->cost.count, 1);
	assert_int_equal(rule->cost.steps[0].arg, KRL_COST_INPUT);
	assert_int_equal(plan.rules[1].flags, 0);
	assert_int_equal(plan.rules[1].cost.count, 0);
	/* In shadow mode nothing is refused, nor cut. */
	compile(AT_ENDPOINT("a") "  rules: [" A_LLM(", reserve: MaxTokens, requireUsage: true, onExhausted: Cut, mode: Shadow") "]\n",
		0, NULL);
	assert_int_equal(plan.rules->flags, KRL_RULE_LLM | KRL_RULE_RESERVE | KRL_RULE_SHADOW);
}

static void the_policy_knows_the_model_and_its_headers(void **state)
{
	const struct krl_policy *policy;

	compile(AT_ENDPOINT("a") "  rules: [" A_LLM("") "]\n", 0, NULL);
	policy = policy_of(plan.endpoints);
	assert_int_not_equal(policy->model, KRL_NO_FIELD);
	assert_int_equal(policy->fields[policy->model].kind, KRL_FIELD_MODEL);
	assert_int_equal(policy->fields[policy->path].kind, KRL_FIELD_PATH);
	assert_int_equal(policy->model_header_count, 2);
	compile(AT_ENDPOINT("a") "  modelHeaders: [x-model]\n  rules: [" A_LLM("") "]\n"
		AT_ENDPOINT("b") "  modelHeaders: [x-model, x-other]\n  rules: [" A_LLM("") "]\n"
		AT_ENDPOINT("c") "  rules: [{limit: 1/day}]\n", 0, NULL);
	policy = policy_of(plan.endpoints);
	assert_int_equal(policy->model_header_count, 2);
	assert_string_equal(policy->model_headers[0].name, "x-model");
	assert_string_equal(policy->model_headers[1].name, "x-other");
	compile(AT_ENDPOINT("a") "  rules: [" A_LLM("") "]\n"
		AT_ENDPOINT("b") "  modelHeaders: [a, b, c]\n  rules: [" A_LLM("") "]\n", 0,
		"f.yaml:9:1: RateLimit default/b: too many different headers in modelHeaders on one endpoint");
}

#define FIVE A_LLM("") ", " A_LLM("") ", " A_LLM("") ", " A_LLM("") ", " A_LLM("")

static void a_request_is_charged_in_eight_rules_at_most(void **state)
{
#define OF_A "f.yaml:2:1: RateLimit default/a: more than 8 rules that count LLMTokens for one request"
#define OF_B "f.yaml:9:1: RateLimit default/b: more than 8 rules that count LLMTokens for one request"
	const char *four_more = ", " A_LLM(GPT4) ", " A_LLM(GPT4) ", " A_LLM(GPT4) ", " A_LLM(GPT4);
	char text[2048];

	snprintf(text, sizeof(text), AT_ENDPOINT("a") "  rules: [" FIVE "%s]\n", four_more);
	compile(text, 0, NULL);
	snprintf(text, sizeof(text), AT_ENDPOINT("a") "  ruleMatch: All\n  rules: [" FIVE "%s]\n", four_more);
	compile(text, 0, OF_A);
	compile(AT_ENDPOINT("a") "  rules: [" FIVE "]\n"
		AT_ENDPOINT("b") "  rules: [" A_LLM("") ", " A_LLM("") ", " A_LLM("") ", {limit: 1/day}]\n", 0, NULL);
	/* What is refused is not in the way of what comes behind it. */
	compile(AT_ENDPOINT("a") "  rules: [" FIVE "]\n" AT_ENDPOINT("b") "  rules: [" FIVE "]\n"
		AT_ENDPOINT("c") "  rules: [" A_LLM("") ", " A_LLM("") ", " A_LLM("") "]\n", 0, OF_B);
	assert_int_equal(plan.endpoints->rule_count, 8);
}

/* Which tiers there are */

static const struct krl_tier *tier_of(size_t rule)
{
	const struct krl_policy *policy = policy_of(plan.endpoints);

	return &policy->tiers[policy->tier_of[rule]];
}

static void a_rule_is_for_post_unless_it_names_methods(void **state)
{
	const struct krl_policy *policy;
	const struct krl_predicate *p;
	const struct krl_tier *tier;

	compile(AT_ENDPOINT("a") "  rules: [" A_LLM(", clientSelectors: [{path: {value: /v1}}, {methods: [PUT]}]") "]\n", 0, NULL);
	policy = policy_of(plan.endpoints);
	tier = tier_of(0);
	assert_int_equal(tier->entry_count, 2);
	assert_int_equal(policy->entries[tier->first].predicate_count, 2);
	assert_int_equal(policy->entries[tier->first + 1].predicate_count, 1);
	p = &policy->predicates[policy->entries[tier->first + 1].predicates[0]];
	assert_int_equal(p->kind, KRL_PREDICATE_METHODS);
	assert_int_equal(p->word, 1U << KRL_METHOD_PUT);
	compile(AT_ENDPOINT("a") "  rules: [" A_LLM("") "]\n", 0, NULL);
	policy = policy_of(plan.endpoints);
	tier = tier_of(0);
	assert_int_equal(tier->entry_count, 1);
	p = &policy->predicates[policy->entries[tier->first].predicates[0]];
	assert_int_equal(p->word, 1U << KRL_METHOD_POST);
}

static void without_selectors_it_is_in_the_last_tier(void **state)
{
	compile(AT_ENDPOINT("a") "  rules: [" A_LLM("") ", " A_LLM(GPT4) ", {limit: 1/day}, " A_LLM(GPT4) ", {limit: 1/day" ALICE "}]\n", 0,
		NULL);
	assert_ptr_equal(tier_of(1), tier_of(3));
	assert_true(tier_of(1) < tier_of(4));
	assert_true(tier_of(4) < tier_of(0));
	assert_ptr_equal(tier_of(0) + 1, tier_of(2));
	assert_int_equal(tier_of(1)->flags, KRL_TIER_FIRST);
	assert_int_equal(tier_of(4)->flags, KRL_TIER_FIRST);
	assert_int_equal(tier_of(0)->flags, KRL_TIER_FIRST | KRL_TIER_LAST);
	assert_int_equal(tier_of(2)->flags, KRL_TIER_FIRST | KRL_TIER_ALONG | KRL_TIER_LAST);
}

static void the_same_selectors_are_one_tier_whatever_is_counted(void **state)
{
	compile(AT_ENDPOINT("a") "  rules: [{limit: 1/day" ALICE "}, {limit: 1/day}, " A_LLM(ALICE) ", " A_LLM("") "]\n", 0, NULL);
	assert_ptr_equal(tier_of(0) + 1, tier_of(2));
	assert_int_equal(tier_of(0)->flags, KRL_TIER_FIRST);
	assert_int_equal(tier_of(2)->flags, KRL_TIER_FIRST | KRL_TIER_ALONG);
	assert_ptr_equal(tier_of(1) + 1, tier_of(3));
	/* A selector that says POST is another one than that which does not, though they come to the same. */
	compile(AT_ENDPOINT("a") "  rules: [" A_LLM(", clientSelectors: [{methods: [POST]}]") ", " A_LLM("") "]\n", 0, NULL);
	assert_int_equal(tier_of(0)->flags, KRL_TIER_FIRST);
	assert_int_equal(tier_of(1)->flags, KRL_TIER_FIRST | KRL_TIER_LAST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_rule_says_how_tokens_are_counted, teardown_plan),
		cmocka_unit_test_teardown(a_mapping_of_tokens_is_a_limit, teardown_plan),
		cmocka_unit_test_teardown(a_request_holds_a_part_of_the_bucket, teardown_plan),
		cmocka_unit_test_teardown(each_limit_of_a_string_has_its_own_share, teardown_plan),
		cmocka_unit_test_teardown(models_are_named_by_headers, teardown_plan),
		cmocka_unit_test_teardown(a_selector_looks_at_the_model, teardown_plan),
		cmocka_unit_test(what_cannot_be_done_is_refused),
		cmocka_unit_test(fractions_that_are_none),
		cmocka_unit_test(a_mistake_in_an_expression_is_at_its_place),
		cmocka_unit_test_teardown(the_endpoint_says_what_the_kernel_has_to_do, teardown_plan),
		cmocka_unit_test_teardown(a_rule_says_what_its_row_does, teardown_plan),
		cmocka_unit_test_teardown(the_policy_knows_the_model_and_its_headers, teardown_plan),
		cmocka_unit_test_teardown(a_request_is_charged_in_eight_rules_at_most, teardown_plan),
		cmocka_unit_test_teardown(a_rule_is_for_post_unless_it_names_methods, teardown_plan),
		cmocka_unit_test_teardown(without_selectors_it_is_in_the_last_tier, teardown_plan),
		cmocka_unit_test_teardown(the_same_selectors_are_one_tier_whatever_is_counted, teardown_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
