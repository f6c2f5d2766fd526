// SPDX-License-Identifier: Apache-2.0
/* `convert` of Envoy's own configuration: the rate limit service's domains, and EnvoyFilter. */
#include "converted.h"

#define FILTER(match, config)                                                                        \
	"apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\n"                              \
	"metadata: {name: local, namespace: istio-system}\nspec:\n"                                  \
	"  workloadSelector: {labels: {app: httpbin}}\n  configPatches:\n"                           \
	"    - applyTo: HTTP_FILTER\n      match: " match "\n      patch:\n"                         \
	"        operation: INSERT_BEFORE\n        value:\n"                                         \
	"          name: envoy.filters.http.local_ratelimit\n          typed_config:\n"              \
	"            \"@type\": type.googleapis.com/udpa.type.v1.TypedStruct\n"                      \
	"            type_url: type.googleapis.com/"                                                 \
	"envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit\n"                          \
	"            value:\n              stat_prefix: http\n" config
#define ALL "{runtime_key: a, default_value: {numerator: 100, denominator: HUNDRED}}"
#define IN_FORCE "              filter_enabled: " ALL "\n              filter_enforced: " ALL "\n"
#define BUCKET "              token_bucket: {max_tokens: 4, tokens_per_fill: 2, fill_interval: 60s}\n"

static void a_domain_becomes_tiers_most_specific_first(void **state)
{
	convert("domain: Edge_proxy\ndescriptors:\n"
		"  - key: remote_address\n    rate_limit: {unit: second, requests_per_unit: 10}\n"
		"  - key: remote_address\n    value: 50.0.0.5\n"
		"    rate_limit: {unit: minute, requests_per_unit: 1}\n");
	assert_string_equal(out, HEAD("edge-proxy") "spec:\n  service: FILL-IN\n  ruleMatch: First\n  rules:\n"
				 "  - name: remote_address_50.0.0.5\n    clientSelectors:\n"
				 "    - sourceCIDR:\n        value: \"50.0.0.5\"\n        type: Exact\n"
				 "    limit:\n      requests: 1\n      unit: Minute\n    scope: Cluster\n"
				 "  - name: remote_address\n    clientSelectors:\n"
				 "    - sourceCIDR:\n        value: \"0.0.0.0/0\"\n        type: Distinct\n"
				 "    - sourceCIDR:\n        value: \"::/0\"\n        type: Distinct\n"
				 "        prefixLength: 128\n"
				 "    limit:\n      requests: 10\n      unit: Second\n    scope: Cluster\n");
	assert_string_equal(err, "in:1:9: a domain is no target, spec.service is to be filled in\n"
				 "in:5:5: descriptors[1]: the client is the peer of the connection here, set "
				 "spec.clientIP if that is a proxy\n");
}

static void other_keys_of_a_domain_count_apart(void **state)
{
	convert("domain: messaging\ndescriptors:\n"
		"  - key: message_type\n    value: marketing\n    descriptors:\n"
		"      - key: to_number\n        rate_limit: {unit: day, requests_per_unit: 5}\n"
		"        shadow_mode: true\n"
		"  - key: to_number\n    rate_limit: {unit: day, requests_per_unit: 100, name: all}\n");
	in_order("name: messaging\n", "name: message_type_marketing.to_number\n");
	in_order("    scope: Cluster\n    mode: Shadow\n", "---\n");
	in_order("name: messaging-2\n", "- name: all\n");
	contains(out, "    - headers:\n      - name: message_type\n        type: Exact\n"
		      "        value: marketing\n      - name: to_number\n        type: Distinct\n");
	contains(err, "in:6:9: descriptors[0].descriptors[0]: to_number is taken for the header field of this "
		      "name, which one it is stands in Envoy's rate_limits actions\n");
}

/* Whoever is let through there must not meet the limit of the others here. */
static void who_is_not_limited_in_a_domain_has_a_tier(void **state)
{
	static const char alone[] = "domain: d\ndescriptors: [{key: a, rate_limit: {unlimited: true}}]\n";

	convert("domain: d\ndescriptors:\n"
		"  - {key: user, rate_limit: {unit: hour, requests_per_unit: 5}}\n"
		"  - {key: user, value: root}\n"
		"  - {key: user, value: vip*, rate_limit: {unlimited: true}}\n");
	in_order("name: user_root\n", "requests: 9223372036854775807\n");
	in_order("name: user_vip*\n", "        type: Prefix\n        value: vip\n");
	in_order("name: user_vip*\n", "requests: 9223372036854775807\n");
	/* What counts nothing needs no Redis. */
	in_order("- name: user\n", "scope: Cluster\n");
	lacks(out, "      unit: Second\n    scope: Cluster\n");
	in_order("requests: 9223372036854775807\n", "- name: user\n");
	contains(err, "in:4:5: descriptors[1]: is not limited, which the largest limit stands for where a less "
		      "specific one would count its requests\n");
	/* Nobody is behind it, so there is nothing to say. */
	assert_int_equal(convert_bytes(alone, strlen(alone)), -ENOENT);
}

static void an_entry_of_a_domain_hides_the_ones_behind_it(void **state)
{
	convert("domain: d\ndescriptors:\n"
		"  - {key: a, descriptors: [{key: b, rate_limit: {unit: hour, requests_per_unit: 5}}]}\n"
		"  - {key: a, value: x, descriptors: [{key: c, rate_limit: {unit: hour, requests_per_unit: 6}}]}\n");
	/* a=x with b is looked up below a=x, where no b is. */
	in_order("  - name: a_x\n    clientSelectors:\n    - headers:\n      - name: a\n        type: Exact\n"
		 "        value: x\n    limit:\n      requests: 9223372036854775807\n", "  - name: a.b\n");
	in_order("---\n", "  - name: a_x.c\n");
}

static void wildcards_of_a_domain_are_prefixes(void **state)
{
#define WILDCARD(value, more)                                                                        \
	"domain: d\ndescriptors:\n  - key: k\n    value: \"" value "\"\n" more                       \
	"    rate_limit: {unit: hour, requests_per_unit: 5}\n"

	convert(WILDCARD("/files/*", ""));
	contains(out, "        type: Prefix\n        value: \"/files/\"\n      - name: k\n        type: Distinct\n");
	convert(WILDCARD("/files/*", "    share_threshold: true\n"));
	contains(out, "        type: Prefix\n        value: \"/files/\"\n    limit:\n");
	refuse(WILDCARD("/a/*/b", ""),
	       "in:1:9: a domain is no target, spec.service is to be filled in\n"
	       "in:3:5: descriptors[0]: k is taken for the header field of this name, which one it is stands "
	       "in Envoy's rate_limits actions\n"
	       "in:3:5: descriptors[0]: * before the end of a value has no counterpart, the limit is left out "
	       "and less specific ones count its requests\n");
}

static void a_path_of_a_domain_is_a_path(void **state)
{
	convert("domain: d\ndescriptors:\n"
		"  - {key: path, value: /a, rate_limit: {unit: second, requests_per_unit: 1}}\n"
		"  - {key: path, rate_limit: {unit: second, requests_per_unit: 2}}\n"
		"  - {key: path, value: /b/*, rate_limit: {unit: second, requests_per_unit: 3}}\n"
		"  - {key: PATH, rate_limit: {unlimited: true}}\n");
	contains(out, "    - path:\n        type: Exact\n        value: \"/a\"\n");
	contains(out, "    - path:\n        type: Distinct\n    limit:\n      requests: 2\n");
	lacks(out, "headers");
	lacks(out, "requests: 3");
	contains(err, "descriptors[0]: path is taken for the path, which one it is stands in Envoy's "
		      "rate_limits actions\n");
	contains(err, "descriptors[2]: * in a path has no counterpart");

	convert("domain: d\ndescriptors:\n"
		"  - key: \":path\"\n    descriptors:\n"
		"      - {key: a, value: b, rate_limit: {unlimited: true}}\n"
		"      - {key: a, rate_limit: {unit: second, requests_per_unit: 1}}\n");
	contains(out, "    - path:\n        type: PathPrefix\n        value: \"/\"\n");
}

static void a_route_of_a_domain_is_a_target(void **state)
{
	convert("domain: d\ndescriptors:\n"
		"  - {key: generic_key, value: a, rate_limit: {unit: hour, requests_per_unit: 5, replaces: [{name: x}]}}\n"
		"  - {key: generic_key, value: b, rate_limit: {unit: hour, requests_per_unit: 6}}\n");
	in_order("name: d\n", "requests: 5\n");
	in_order("name: d-2\n", "requests: 6\n");
	lacks(out, "clientSelectors");
	contains(err, "descriptors[0]: generic_key stands for a route, fill in the service behind it\n");
	contains(err, "descriptors[0].rate_limit.replaces: has no counterpart\n");
}

static void a_token_bucket_of_istio_keeps_its_numbers(void **state)
{
	convert(FILTER("{context: SIDECAR_INBOUND}", BUCKET IN_FORCE));
	assert_string_equal(out, HEAD("local") "  namespace: istio-system\nspec:\n  service: httpbin\n"
				 "  rules:\n  - name: default\n    maxTokens: 4\n    tokensPerFill: 2\n"
				 "    fillInterval: \"1m\"\n");
	assert_string_equal(err, "in:5:21: spec.workloadSelector: labels choose pods, taken for those of the "
				 "service httpbin\n");
}

static void a_filter_that_is_not_enforced_is_in_shadow_mode(void **state)
{
	static const char half[] = FILTER("{context: SIDECAR_INBOUND}", BUCKET "              filter_enabled: "
					  "{default_value: {numerator: 50}}\n");

	convert(FILTER("{context: SIDECAR_INBOUND}", BUCKET "              filterEnabled: " ALL "\n"));
	contains(out, "    mode: Shadow\n");
	convert(FILTER("{context: SIDECAR_INBOUND}", BUCKET));
	contains(out, "    mode: Shadow\n");
	contains(err, "value.filter_enabled: is 0 %, so nothing was limited, and mode: Shadow refuses nothing\n");
	assert_int_equal(convert_bytes(half, strlen(half)), -ENOENT);
	contains(err, "value.filter_enabled: a part of the requests has no counterpart, it is left out\n");
}

static void what_narrows_a_patch_is_to_be_filled_in(void **state)
{
	convert(FILTER("{context: GATEWAY}", BUCKET IN_FORCE));
	contains(out, "  service: FILL-IN\n");
	contains(err, "match.context: requests are counted where they are answered, spec.service is to be "
		      "filled in\n");
	convert(FILTER("{context: SIDECAR_INBOUND, listener: {portNumber: 15006}}", BUCKET IN_FORCE));
	contains(out, "  service: FILL-IN\n");
	contains(err, "match.listener.portNumber: has no counterpart, spec.service is to be filled in, and a "
		      "port or path if it has others\n");
	convert(FILTER("{context: SIDECAR_INBOUND, routeConfiguration: {vhost: {name: \"inbound|http|8000\"}}}",
		       BUCKET IN_FORCE));
	contains(out, "  service: httpbin\n  port: 8000\n");
}

#define DESCRIPTOR                                                                                   \
	"              descriptors:\n                - entries: [{key: client, value: foo}, "        \
	"{key: path, value: /bar}]\n"                                                                \
	"                  token_bucket: {max_tokens: 9, fill_interval: 1.5s}\n"
#define ACTIONS                                                                                      \
	"    - applyTo: VIRTUAL_HOST\n      patch:\n        operation: MERGE\n        value:\n"        \
	"          rate_limits:\n            - actions:\n"                                           \
	"                - request_headers: {header_name: x-client, descriptor_key: client}\n"       \
	"                - request_headers: {header_name: \":path\", descriptor_key: path}\n"

static void descriptors_of_istio_are_selectors(void **state)
{
	convert(FILTER("{context: SIDECAR_INBOUND}", BUCKET IN_FORCE DESCRIPTOR ACTIONS));
	contains(out, "  ruleMatch: All\n  rules:\n  - name: descriptor-0\n    clientSelectors:\n"
		      "    - headers:\n      - name: x-client\n        type: Exact\n        value: foo\n"
		      "      path:\n        type: Exact\n        value: \"/bar\"\n"
		      "    maxTokens: 9\n    tokensPerFill: 1\n    fillInterval: \"1s500ms\"\n");
	lacks(err, "is taken for");
	contains(err, "entries[1]: Envoy compares the path and its query: here the path counts with any query\n");
	convert(FILTER("{context: SIDECAR_INBOUND}",
		       BUCKET IN_FORCE "              descriptors:\n                - entries: [{key: path, value: /bar?x}]\n"
		       "                  token_bucket: {max_tokens: 9, fill_interval: 1s}\n" ACTIONS));
	contains(err, "the query is not part of a path here");
	lacks(out, "/bar");
	convert(FILTER("{context: SIDECAR_INBOUND}", BUCKET IN_FORCE DESCRIPTOR
		       "              always_consume_default_token_bucket: false\n"));
	contains(out, "  ruleMatch: First\n");
	contains(err, "client is taken for the header field of this name");
}

static void a_key_that_is_no_header_leaves_its_descriptor_out(void **state)
{
	convert(FILTER("{context: SIDECAR_INBOUND}", BUCKET IN_FORCE
		       "              descriptors:\n"
		       "                - entries: [{key: PATH, value: api}]\n"
		       "                  token_bucket: {max_tokens: 9, fill_interval: 1s}\n"
		       "              rate_limits: [{actions: [{header_value_match: "
		       "{descriptor_key: PATH, descriptor_value: api}}]}]\n"));
	lacks(out, "descriptor-0");
	contains(err, "descriptors[0].entries[0]: PATH is not of the request but of Envoy's configuration, it "
		      "is left out\n");
}

static void the_bucket_of_a_route_is_found(void **state)
{
	convert("kind: EnvoyFilter\nmetadata: {name: r}\nspec:\n  configPatches:\n"
		"    - applyTo: HTTP_ROUTE\n      patch:\n        operation: MERGE\n        value:\n"
		"          typed_per_filter_config:\n            envoy.filters.http.local_ratelimit:\n"
		"              value:\n"
		"                token_bucket: {max_tokens: \"5\", tokens_per_fill: 5, fill_interval: 1s}\n"
		"                filter_enabled: " ALL "\n                filter_enforced: " ALL "\n"
		"    - applyTo: NETWORK_FILTER\n      patch: {value: {name: envoy.filters.network.local_ratelimit}}\n");
	contains(out, "    maxTokens: 5\n    tokensPerFill: 5\n    fillInterval: \"1s\"\n");
	contains(err, "in:15:7: spec.configPatches[1]: holds no envoy.filters.http.local_ratelimit, it is left out\n");
}

static void what_a_refused_client_is_told_stays(void **state)
{
	convert(FILTER("{context: SIDECAR_INBOUND}", BUCKET IN_FORCE
		       "              status: {code: ServiceUnavailable}\n"
		       "              enable_x_ratelimit_headers: DRAFT_VERSION_03\n"
		       "              response_headers_to_add:\n"
		       "                - header: {key: x-local-rate-limit, value: 'true'}\n"
		       "                  append_action: APPEND_IF_EXISTS_OR_ADD\n"
		       "                - {append: false, header: {key: x-Where, value: here}}\n"
		       "                - header: {key: x-where, value: there}\n"
		       "                - header: {key: retry-after, value: '1'}\n"
		       "                - header: {key: x-peer, value: '%DOWNSTREAM_REMOTE_ADDRESS%'}\n"));
	contains(out, "  responseHeaders: Always\n  headerStyle: Envoy\n");
	contains(out, "    response:\n      status: 503\n      headers:\n        x-local-rate-limit: \"true\"\n"
		      "        x-Where: here\n");
	lacks(out, "there");
	lacks(out, "retry-after");
	contains(err, "response_headers_to_add[2]: given twice, it is left out\n");
	contains(err, "response_headers_to_add[3]: belongs to the answer itself and may not be given, it is left out\n");
	contains(err, "response_headers_to_add[4]: % commands have no counterpart, it is left out\n");

	convert(FILTER("{context: SIDECAR_INBOUND}", BUCKET IN_FORCE "              status: {code: OK}\n"
		       "              enable_x_ratelimit_headers: 'OFF'\n"));
	lacks(out, "response");
	contains(err, "status: no status of a refusal, which is 429\n");
}

static void headers_that_fit_no_answer_are_left_out(void **state)
{
	static char text[32768];
	size_t len = snprintf(text, sizeof(text), "%s", FILTER("{context: SIDECAR_INBOUND}", BUCKET IN_FORCE
		       "              response_headers_to_add:\n")), i;

	for (i = 0; i < 40; i++)
		len += snprintf(text + len, sizeof(text) - len,
				"                - header: {key: x-%zu, value: %0*d}\n", i, i % 2 ? 300 : 200, 7);
	convert(text);
	contains(out, "x-6: ");
	lacks(out, "x-8: ");
	contains(err, "response_headers_to_add[1]: expected 1 to 255 bytes of visible ASCII, space and tab, found");
	contains(err, "response_headers_to_add[8]: headers of more than 1024 bytes, it is left out\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_domain_becomes_tiers_most_specific_first, teardown),
		cmocka_unit_test_teardown(other_keys_of_a_domain_count_apart, teardown),
		cmocka_unit_test_teardown(who_is_not_limited_in_a_domain_has_a_tier, teardown),
		cmocka_unit_test_teardown(an_entry_of_a_domain_hides_the_ones_behind_it, teardown),
		cmocka_unit_test_teardown(wildcards_of_a_domain_are_prefixes, teardown),
		cmocka_unit_test_teardown(a_path_of_a_domain_is_a_path, teardown),
		cmocka_unit_test_teardown(a_route_of_a_domain_is_a_target, teardown),
		cmocka_unit_test_teardown(a_token_bucket_of_istio_keeps_its_numbers, teardown),
		cmocka_unit_test_teardown(a_filter_that_is_not_enforced_is_in_shadow_mode, teardown),
		cmocka_unit_test_teardown(what_narrows_a_patch_is_to_be_filled_in, teardown),
		cmocka_unit_test_teardown(descriptors_of_istio_are_selectors, teardown),
		cmocka_unit_test_teardown(a_key_that_is_no_header_leaves_its_descriptor_out, teardown),
		cmocka_unit_test_teardown(the_bucket_of_a_route_is_found, teardown),
		cmocka_unit_test_teardown(what_a_refused_client_is_told_stays, teardown),
		cmocka_unit_test_teardown(headers_that_fit_no_answer_are_left_out, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
