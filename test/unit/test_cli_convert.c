// SPDX-License-Identifier: Apache-2.0
/* `convert` as a user meets it: policies, strings, and the command itself. */
#include "caught.h"
#include "converted.h"

#define POLICY(scope, rules)                                                                         \
	"apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: BackendTrafficPolicy\n"                   \
	"metadata: {name: web}\nspec:\n  targetRef: {kind: Service, name: web}\n  rateLimit:\n"      \
	"    " scope ":\n      rules:\n" rules
#define REF(name) "  - group: \"\"\n    kind: Service\n    name: " name "\n"
#define LEFT_OUT ", the rule is left out\n"

static void a_policy_becomes_a_rate_limit(void **state)
{
	convert(POLICY("local", "        - limit: {requests: 100, unit: Minute}\n"));
	assert_string_equal(out, HEAD("web") "spec:\n  targetRefs:\n" REF("web") "  rules:\n  - name: rule-0\n"
					     "    limit:\n      requests: 100\n      unit: Minute\n");
	assert_string_equal(err, "");
}

static void all_conditions_of_a_policy_hold_together(void **state)
{
	convert(POLICY("global", "        - clientSelectors:\n"
				 "            - headers: [{name: x-user, type: Distinct}, "
				 "{name: x-tier, value: \"10\", invert: true}]\n"
				 "              path: {value: /v1}\n"
				 "            - sourceCIDR: {value: 10.0.0.0/8, type: Distinct}\n"
				 "              methods: [{value: GET}, {value: POST}]\n"
				 "          limit: {requests: 5, unit: Hour}\n"
				 "          shadowMode: true\n"));
	contains(out, "  - name: rule-0\n    clientSelectors:\n"
		      "    - headers:\n      - name: x-user\n        type: Distinct\n"
		      "      - name: x-tier\n        type: Exact\n        value: \"10\"\n"
		      "        invert: true\n"
		      "      path:\n        type: PathPrefix\n        value: \"/v1\"\n"
		      "      methods:\n      - GET\n      - POST\n"
		      "      sourceCIDR:\n        value: \"10.0.0.0/8\"\n        type: Distinct\n"
		      "    limit:\n      requests: 5\n      unit: Hour\n    scope: Cluster\n    mode: Shadow\n");
	assert_string_equal(err, "in:8:7: spec.rateLimit.global: all nodes count together in Redis, which "
				 "agents are told with --redis\n"
				 "in:12:27: spec.rateLimit.global.rules[0].clientSelectors[1].sourceCIDR: "
				 "the client is the peer of the connection here, set spec.clientIP if that is "
				 "a proxy\n");
}

#define SELECTED(name, requests)                                                                     \
	"        - clientSelectors: [{headers: [{name: x-tier, value: " name "}]}]\n"                \
	"          limit: {requests: " requests ", unit: Minute}\n"

static void global_rules_all_count(void **state)
{
	convert(POLICY("global", SELECTED("a", "9") "        - limit: {requests: 1, unit: Minute}\n"));
	contains(out, "  ruleMatch: All\n");
	in_order("rule-0", "rule-1");
}

static void a_local_default_counts_what_no_rule_selects(void **state)
{
	convert(POLICY("local", "        - limit: {requests: 1, unit: Minute}\n" SELECTED("a", "9")));
	contains(out, "  ruleMatch: First\n");
	in_order("rule-1", "rule-0");
	assert_string_equal(err, "");
}

static void the_strictest_of_local_rules_comes_first(void **state)
{
	convert(POLICY("local", SELECTED("a", "9") SELECTED("b", "5") SELECTED("c", "7")
				"        - limit: {requests: 1, unit: Minute}\n"));
	in_order("rule-1", "rule-2");
	in_order("rule-2", "rule-0");
	in_order("rule-0", "rule-3");
	contains(err, "rules: a request that several rules select counts in the strictest of them alone, ");
	convert(POLICY("local", SELECTED("a", "9") SELECTED("b", "5")));
	contains(out, "  ruleMatch: All\n");
	in_order("rule-0", "rule-1");
	assert_string_equal(err, "");
}

/* A rule that would limit more or other clients without one of its conditions is not written at all. */
static void a_rule_that_cannot_be_said_is_left_out(void **state)
{
	static const struct {
		const char *rule, *line;
	} cases[] = {
		{ "{clientSelectors: [{headers: [{name: a, type: RegularExpression, value: x.*}]}], limit: "
		  "{requests: 1, unit: Day}}",
		  "clientSelectors[0].headers[0].type: RegularExpression has no counterpart" },
		{ "{clientSelectors: [{queryParams: [{name: a, value: b}], path: {value: /a}}], limit: "
		  "{requests: 1, unit: Day}}", "clientSelectors[0].queryParams: has no counterpart" },
		{ "{clientSelectors: [{path: {type: RegularExpression, value: /a.*}}], limit: "
		  "{requests: 1, unit: Day}}",
		  "clientSelectors[0].path.type: RegularExpression has no counterpart" },
		{ "{clientSelectors: [{path: {value: /a, invert: true}}], limit: {requests: 1, unit: Day}}",
		  "clientSelectors[0].path.invert: has no counterpart but for values of headers" },
		{ "{clientSelectors: [{path: {value: /a}}, {path: {value: /b}}], limit: "
		  "{requests: 1, unit: Day}}", "clientSelectors[1].path: a rule can have one path" },
		{ "{clientSelectors: [{methods: [{value: GET}]}, {methods: [{value: PUT}]}], limit: "
		  "{requests: 1, unit: Day}}",
		  "clientSelectors[1]: methods in a second selector have no counterpart" },
		{ "{clientSelectors: [{headers: []}], limit: {requests: 1, unit: Day}}",
		  "clientSelectors[0]: selects nothing" },
		{ "{clientSelectors: [{sourceCIDR: {value: 10.0.0.0/33}}], limit: {requests: 1, unit: Day}}",
		  "clientSelectors[0].sourceCIDR: expected an address such as 10.1.2.3, or a range such as "
		  "10.0.0.0/8 or 2001:db8::/32 with nothing behind its prefix, found \"10.0.0.0/33\"" },
		{ "{clientSelectors: [{headers: [{name: a, value: ' b'}]}], limit: {requests: 1, unit: Day}}",
		  "clientSelectors[0].headers[0]: expected a header's value, without white space around "
		  "it, found \" b\"" },
		{ "{clientSelectors: [{headers: [{name: the-name-of-this-header-is-longer-by-one-byte-than-any-"
		  "name-may-be, type: Distinct}]}], limit: {requests: 1, unit: Day}}",
		  "clientSelectors[0].headers[0]: expected a string of 1 to 63 bytes, found \"the-name-of-this-"
		  "header-is-longer-by-one-byte-than-any-name-may-be\"" },
		{ "{limit: {requests: 0, unit: Day}}",
		  "limit: 0 requests have no counterpart: a limit lets at least 1 through" },
		{ "{limit: {requests: 1, unit: Fortnight}}", "limit: expected a unit from Second to Year" },
		{ "{limit: {requests: 9, unit: Day}, cost: {response: {from: Number, number: 1}}}",
		  "cost.response: is count: LLMTokens where it is what a model server's answer used" },
		{ "{limit: {requests: 9, unit: Day}, cost: {request: {from: Metadata}}}",
		  "cost: only a fixed number has a counterpart" },
		{ "{limit: {requests: 9, unit: Day}, cost: {request: {from: Number, number: 0}}}",
		  "cost: a cost of 0 of 9 has no counterpart" },
		{ "{limit: {requests: 9, unit: Day, fromMetadata: {key: a}}}",
		  "limit.fromMetadata: has no counterpart" },
		{ "{limit: {requests: 9, unit: Day}, schedule: night}", "schedule: has no counterpart" },
	};
	char text[1024], line[512];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(text, sizeof(text), POLICY("local", "        - %s\n" SELECTED("kept", "3")),
			 cases[i].rule);
		convert(text);
		snprintf(line, sizeof(line), ": spec.rateLimit.local.rules[0].%s" LEFT_OUT, cases[i].line);
		contains(err, line);
		lacks(out, "rule-0");
		contains(out, "value: kept\n");
	}
}

static void a_rule_that_is_left_out_leaves_its_requests_to_the_default(void **state)
{
	convert(POLICY("local", "        - clientSelectors: [{headers: [{name: a, type: RegularExpression, "
				"value: x}]}]\n          limit: {requests: 1, unit: Day}\n"
				"        - limit: {requests: 1, unit: Hour}\n"));
	assert_string_equal(err, "in:9:56: spec.rateLimit.local.rules[0].clientSelectors[0].headers[0].type: "
				 "RegularExpression has no counterpart, the rule is left out and its requests "
				 "count in the rule without selectors\n");
	contains(out, "  - name: rule-1\n    limit:\n");
}

static void a_fixed_cost_divides_the_limit(void **state)
{
	convert(POLICY("local", "        - limit: {requests: 10, unit: Day}\n"
				"          cost: {request: {from: Number, number: 3}}\n"));
	contains(out, "      requests: 3\n");
	contains(err, "rules[0].cost: a request takes one token here, so the limit is divided by 3\n");
}

static void only_services_are_targets(void **state)
{
#define TARGETS(refs)                                                                                \
	"kind: BackendTrafficPolicy\nmetadata: {name: web, namespace: shop}\nspec:\n  targetRefs: "  \
	refs "\n  retry: {numRetries: 3}\n"                                                          \
	"  rateLimit: {local: {rules: [{limit: {requests: 1, unit: Second}}]}}\n"

	convert(TARGETS("[{kind: Service, name: a}, {group: \"\", kind: Service, name: b}, {kind: Service, name: a}]"));
	contains(out, "  namespace: shop\nspec:\n  targetRefs:\n" REF("a") REF("b") "  rules:\n  - name: rule-0\n");
	assert_string_equal(err, "in:5:3: spec.retry: has no counterpart\n");
	convert(TARGETS("[{kind: Service, name: a}, {kind: HTTPRoute, name: b}]"));
	contains(out, "spec:\n  service: FILL-IN\n  rules:\n");
	contains(err, "in:4:42: spec.targetRefs[1]: HTTPRoute b is no Service, spec.service is to be filled in\n");
	convert(TARGETS("[{group: serving.knative.dev, kind: Service, name: a}]"));
	contains(out, "spec:\n  service: FILL-IN\n  rules:\n");
	convert(TARGETS("[{kind: Service, name: a, sectionName: http}]"));
	contains(out, "spec:\n  targetRefs:\n" REF("a") "    sectionName: http\n  rules:\n");
	assert_string_equal(err, "in:5:3: spec.retry: has no counterpart\n");
	convert(TARGETS("[{kind: Service, name: a, weight: 1}]"));
	contains(out, "spec:\n  service: FILL-IN\n  rules:\n");
	contains(err, "spec.targetRefs[0].weight: has no counterpart, spec.service is to be filled in\n");
}

static void the_type_chooses_between_local_and_global(void **state)
{
#define BOTH(type)                                                                                   \
	"kind: BackendTrafficPolicy\nmetadata: {name: web}\nspec:\n"                                 \
	"  targetRef: {kind: Service, name: a}\n  rateLimit:\n" type                                 \
	"    local: {rules: [{limit: {requests: 1, unit: Second}}]}\n"                               \
	"    global: {rules: [{limit: {requests: 2, unit: Second}}]}\n"

	convert(BOTH(""));
	in_order("name: web-local\n", "requests: 1\n");
	in_order("---\n", "name: web-global\n");
	convert(BOTH("    type: Local\n"));
	contains(out, "  name: web\n");
	lacks(out, "requests: 2\n");
	assert_string_equal(err, "in:8:13: spec.rateLimit.global: is not in force beside the type, and left out\n");
}

static void a_rate_limit_filter_has_the_same_rules(void **state)
{
	convert("apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: RateLimitFilter\n"
		"metadata: {name: users}\nspec:\n  type: Global\n  global:\n    rules:\n"
		"      - clientSelectors: [{headers: [{name: x-user-id, type: Distinct}]}]\n"
		"        limit: {requests: 3, unit: Hour}\n");
	contains(out, "  name: users\nspec:\n  service: FILL-IN\n");
	contains(out, "    - headers:\n      - name: x-user-id\n        type: Distinct\n");
	contains(err, "in:5:3: spec: there is no target, spec.service is to be filled in\n");
	convert("kind: RateLimitFilter\nmetadata: {name: users}\nspec:\n"
		"  targetRef: {kind: Service, name: web}\n  rules: [{limit: {requests: 3, unit: Hour}}]\n");
	contains(out, "spec:\n  targetRefs:\n" REF("web"));
	assert_string_equal(err, "");
}

static void strings_become_rules_that_all_hold(void **state)
{
	convert("10/minute;1000 per 2 hours\n");
	assert_string_equal(out, HEAD("limits") "spec:\n  service: FILL-IN\n  rules:\n"
				 "  - name: rule-0\n    limit:\n      requests: 10\n      unit: Minute\n"
				 "  - name: rule-1\n    maxTokens: 1000\n    tokensPerFill: 1000\n"
				 "    fillInterval: \"2h\"\n");
	assert_string_equal(err, "in:1:1: a limit alone has no target, spec.service is to be filled in\n");
	convert("\"5PER day\" | 1/60 seconds,7 / 1 hour\n\n 2per30days");
	in_order("requests: 5\n      unit: Day\n", "requests: 1\n      unit: Minute\n");
	in_order("requests: 7\n      unit: Hour\n", "requests: 2\n      unit: Month\n");
}

static void a_year_of_strings_has_twelve_months(void **state)
{
	convert("3/year");
	contains(out, "    fillInterval: \"8640h\"\n");
}

static void strings_that_are_none_are_located(void **state)
{
	convert("10/minute; ten/hour\n5 each day");
	contains(err, "in:1:12: expected a limit such as 10/minute or 1000 per 2 hours, found \"ten/hour\", it is "
		      "left out\n"
		      "in:2:1: expected a limit such as 10/minute or 1000 per 2 hours, found \"5 each day\", it "
		      "is left out\n");
	refuse("0/minute", "in:1:1: expected a limit such as 10/minute or 1000 per 2 hours, found \"0/minute\", "
			   "it is left out\n");
	refuse("99999999999999999999/day", "in:1:1: expected a limit such as 10/minute or 1000 per 2 hours, "
					   "found \"99999999999999999999/day\", it is left out\n");
}

static void lists_and_several_documents_are_read(void **state)
{
#define ONE "kind: RateLimitFilter, metadata: {name: x}, spec: {targetRef: {kind: Service, name: s}, "      \
	    "rules: [{limit: {requests: 1, unit: Day}}]}"

	convert("---\napiVersion: v1\nkind: List\nitems: [{" ONE "}, {" ONE "}]\n---\n{" ONE "}\n---\n"
		"{kind: Deployment, metadata: {name: x}}\n");
	in_order("  name: x\n", "---\n");
	in_order("  name: x-2\n", "  name: x-3\n");
	assert_string_equal(err, "in:8:8: no rate limit of a Deployment is known here, it is left out\n");
}

static void what_is_no_format_is_refused(void **state)
{
	refuse("", "in: there is nothing to convert\n");
	refuse("# nothing\n---\n", "in:1:1: expected a limit such as 10/minute or 1000 per 2 hours, found \"# "
				   "nothing\", it is left out\nin:2:1: expected a limit such as 10/minute or 1000 "
				   "per 2 hours, found \"---\", it is left out\n");
	refuse("kind: [\n", "in:2:1: YAML: did not find expected node content\n");
	refuse("a: b\n", "in:1:1: expected a mapping with kind, or with domain and descriptors\n");
	refuse("- a\n", "in:1:1: expected a mapping with kind, or with domain and descriptors\n");
	refuse("a: &x b\nc: *x\n", "in:1:4: YAML: anchors and aliases are not supported, found \"x\"\n");
	refuse("kind: EnvoyFilter\n", "in:1:1: spec is missing\n");
	refuse("kind: BackendTrafficPolicy\nspec: {}\n", "in:2:7: spec: there is no rateLimit\n");
	refuse("domain: d\n", "in:1:1: descriptors is missing\n");
	refuse("apiVersion: example.org/v1\nkind: EnvoyFilter\n",
	       "in:2:7: no rate limit of a EnvoyFilter is known here, it is left out\n");
}

static void names_and_values_stay_what_they_are(void **state)
{
	convert("kind: RateLimitFilter\nmetadata: {name: \"A b..C-\"}\nspec:\n"
		"  targetRef: {kind: Service, name: \"true\"}\n  rules:\n"
		"    - clientSelectors: [{headers: [{name: a, value: \"x: \\\"y\\\" # z\"}, "
		"{name: b, value: \"null\"}, {name: c, value: \"0x10\"}]}]\n"
		"      limit: {requests: 1, unit: Day}\n");
	contains(out, "  name: a-b.c\n");
	contains(out, REF("\"true\""));
	contains(out, "        value: 'x: \"y\" # z'\n");
	contains(out, "        value: \"null\"\n");
	contains(out, "        value: \"0x10\"\n");
}

static void more_rules_than_an_endpoint_has_are_left_out(void **state)
{
	char text[1024] = "1/second";
	size_t i;

	for (i = 1; i < 66; i++)
		strcat(text, ",1/second");
	convert(text);
	contains(out, "rule-63");
	lacks(out, "rule-64");
	contains(err, "in:1:577: an endpoint can have 64 rules, it is left out\n");
	contains(err, "in:1:586: an endpoint can have 64 rules, it is left out\n");
}

/* The command with @path as -f, or none; what it prints goes to @out and @err. */
static enum krl_cli_exit run(const char *path, const char *input)
{
	struct krl_cli cli = {};
	enum krl_cli_exit status;

	teardown(NULL);
	out = malloc(CAUGHT_BYTES);
	err = malloc(CAUGHT_BYTES);
	if (path)
		krl_cli_list_add(&cli.files, path);
	status = caught_run(krl_cli_convert, &cli, input, out, err);
	krl_cli_list_free(&cli.files);
	return status;
}

static void the_exit_status_tells_whether_anything_was_converted(void **state)
{
	assert_int_equal(run("-", "10/minute; x"), KRL_CLI_GOOD);
	contains(out, HEAD("limits"));
	contains(err, "stdin:1:12: expected a limit");
	assert_int_equal(run("/proc/self/nothing-here", ""), KRL_CLI_FAILED);
	assert_string_equal(err, "Error: /proc/self/nothing-here: No such file or directory\n");
	assert_int_equal(run("/dev/null", ""), KRL_CLI_FAILED);
	assert_string_equal(err, "/dev/null: there is nothing to convert\n");
	assert_int_equal(run("/", ""), KRL_CLI_FAILED);
	assert_string_equal(err, "Error: /: Is a directory\n");
	assert_int_equal(run(NULL, ""), KRL_CLI_USAGE);
}

static void what_is_too_large_is_refused(void **state)
{
	char *text = malloc(KRL_MAX_FILE_BYTES + 1);

	assert_non_null(text);
	memset(text, ' ', KRL_MAX_FILE_BYTES + 1);
	assert_int_equal(convert_bytes(text, KRL_MAX_FILE_BYTES + 1), -ENOENT);
	assert_string_equal(err, "in: larger than 1048576 bytes\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_policy_becomes_a_rate_limit, teardown),
		cmocka_unit_test_teardown(all_conditions_of_a_policy_hold_together, teardown),
		cmocka_unit_test_teardown(global_rules_all_count, teardown),
		cmocka_unit_test_teardown(a_local_default_counts_what_no_rule_selects, teardown),
		cmocka_unit_test_teardown(the_strictest_of_local_rules_comes_first, teardown),
		cmocka_unit_test_teardown(a_rule_that_cannot_be_said_is_left_out, teardown),
		cmocka_unit_test_teardown(a_rule_that_is_left_out_leaves_its_requests_to_the_default, teardown),
		cmocka_unit_test_teardown(a_fixed_cost_divides_the_limit, teardown),
		cmocka_unit_test_teardown(only_services_are_targets, teardown),
		cmocka_unit_test_teardown(the_type_chooses_between_local_and_global, teardown),
		cmocka_unit_test_teardown(a_rate_limit_filter_has_the_same_rules, teardown),
		cmocka_unit_test_teardown(strings_become_rules_that_all_hold, teardown),
		cmocka_unit_test_teardown(a_year_of_strings_has_twelve_months, teardown),
		cmocka_unit_test_teardown(strings_that_are_none_are_located, teardown),
		cmocka_unit_test_teardown(lists_and_several_documents_are_read, teardown),
		cmocka_unit_test_teardown(what_is_no_format_is_refused, teardown),
		cmocka_unit_test_teardown(names_and_values_stay_what_they_are, teardown),
		cmocka_unit_test_teardown(more_rules_than_an_endpoint_has_are_left_out, teardown),
		cmocka_unit_test_teardown(the_exit_status_tells_whether_anything_was_converted, teardown),
		cmocka_unit_test_teardown(what_is_too_large_is_refused, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
