// SPDX-License-Identifier: Apache-2.0
/* Every form of the documents that is accepted, and what comes of it. */
#include <arpa/inet.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "decoded.h"

#define S 1000000000ULL
#define LIMIT_HEAD "apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nmetadata: {name: web, namespace: shop}\n"
#define AT_ENDPOINT LIMIT_HEAD "spec:\n  endpoints: [{ip: 127.0.0.1, port: 80}]\n"

static void check_settings(const struct krl_settings *s, __u64 max, __u64 fill, __u64 interval_ns)
{
	assert_int_equal(s->max_tokens, max);
	assert_int_equal(s->tokens_per_fill, fill);
	assert_int_equal(s->fill_interval_ns, interval_ns);
}

static void kmesh_document_with_spec_service(void **state)
{
	const struct krl_target *target;

	decode(LIMIT_HEAD "spec:\n  service: frontend\n  rules:\n    - maxTokens: 100\n"
			  "      tokensPerFill: 10\n      fillInterval: 1000000000\n");
	assert_string_equal(only(KRL_KIND_RATE_LIMIT)->ns, "shop");
	assert_string_equal(only(KRL_KIND_RATE_LIMIT)->name, "web");
	target = only_target();
	assert_string_equal(target->service, "frontend");
	assert_int_equal(target->port, 0);
	assert_int_equal(target->endpoint_count, 0);
	assert_int_equal(target->rule_count, 1);
	assert_string_equal(target->rules[0].name, "rule-0");
	check_settings(&target->rules[0].settings, 100, 10, S);
}

static void kmesh_document_with_spec_services(void **state)
{
	const struct krl_rate_limit *limit;

	decode(LIMIT_HEAD "spec:\n  services:\n    - name: a\n      port: 80\n      rules:\n"
			  "        - {maxTokens: 1, tokensPerFill: 2, fillInterval: 3}\n    - name: b\n"
			  "      rules:\n        - {name: x, limit: 4/second}\n        - {limit: 5/hour}\n");
	limit = &only(KRL_KIND_RATE_LIMIT)->rate_limit;
	assert_int_equal(limit->target_count, 2);
	assert_string_equal(limit->targets[0].service, "a");
	assert_int_equal(limit->targets[0].port, 80);
	check_settings(&limit->targets[0].rules[0].settings, 1, 2, 3);
	assert_string_equal(limit->targets[1].service, "b");
	assert_int_equal(limit->targets[1].rule_count, 2);
	assert_string_equal(limit->targets[1].rules[0].name, "x");
	assert_string_equal(limit->targets[1].rules[1].name, "rule-1");
	check_settings(&limit->targets[1].rules[1].settings, 5, 5, 3600 * S);
}

static void a_service_may_come_once_a_port(void **state)
{
	const struct krl_rate_limit *limit;

	decode(LIMIT_HEAD "spec:\n  services:\n    - {name: a, port: 80, rules: [{limit: 1/day}]}\n"
			  "    - {name: a, port: 81, rules: [{limit: 2/day}]}\n"
			  "    - {name: a, rules: [{limit: 3/day}]}\n");
	limit = &only(KRL_KIND_RATE_LIMIT)->rate_limit;
	assert_int_equal(limit->target_count, 3);
	assert_int_equal(limit->targets[1].port, 81);
	assert_int_equal(limit->targets[2].port, 0);
}

static void endpoints_of_both_families_and_wildcards(void **state)
{
	static const struct {
		const char *ip, *key;
	} cases[] = {
		{ "192.0.2.7", "::ffff:192.0.2.7" },   { "2001:db8::1", "2001:db8::1" },
		{ "0.0.0.0", "::ffff:0.0.0.0" },       { "\"::\"", "::" },
		{ "::ffff:192.0.2.7", "::ffff:192.0.2.7" },
	};
	char text[512];
	__u8 addr[16];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text),
			 LIMIT_HEAD "spec:\n  endpoints:\n    - ip: %s\n      port: %d\n  rules: [{limit: 1/day}]\n",
			 cases[i].ip, 65535);
		decode(text);
		assert_int_equal(inet_pton(AF_INET6, cases[i].key, addr), 1);
		assert_int_equal(only_target()->endpoint_count, 1);
		assert_memory_equal(only_target()->endpoints[0].addr, addr, sizeof(addr));
		assert_int_equal(only_target()->endpoints[0].port, 65535);
	}
}

static void every_way_to_write_a_limit(void **state)
{
	static const struct {
		const char *rule;
		struct krl_settings settings;
	} cases[] = {
		{ "limit: 10/minute", { 10, 10, 60 * S } },
		{ "limit: \"10/minute\"", { 10, 10, 60 * S } },
		{ "limit: 10 per 1 minute", { 10, 10, 60 * S } },
		{ "limit: {requests: 10, unit: Minute}", { 10, 10, 60 * S } },
		{ "limit: {requests: 10, unit: minutes, burst: 20}", { 20, 10, 60 * S } },
		{ "limit: {burst: 5, unit: Second, requests: 10}", { 5, 10, S } },
		{ "limit: {\"requests\": 1, \"unit\": \"Year\"}", { 1, 1, 365 * 86400 * S } },
		{ "maxTokens: 1\n      tokensPerFill: 1\n      fillInterval: 1", { 1, 1, 1 } },
		{ "fillInterval: 1s\n      maxTokens: 1\n      tokensPerFill: 1", { 1, 1, S } },
		{ "fillInterval: 500ms\n      maxTokens: 1\n      tokensPerFill: 1", { 1, 1, S / 2 } },
		{ "fillInterval: \"1h30m\"\n      maxTokens: 1\n      tokensPerFill: 1", { 1, 1, 5400 * S } },
		{ "maxTokens: 9223372036854775807\n      tokensPerFill: 9223372036854775807\n"
		  "      fillInterval: 9223372036854775807",
		  { INT64_MAX, INT64_MAX, INT64_MAX } },
		/* defaults spelt out */
		{ "limit: 1/second\n      count: Requests\n      mode: Enforce\n      scope: Node", { 1, 1, S } },
	};
	char text[1024];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), AT_ENDPOINT "  rules:\n    - name: r\n      %s\n", cases[i].rule);
		decode(text);
		assert_int_equal(only_target()->rule_count, 1);
		assert_memory_equal(&only_target()->rules[0].settings, &cases[i].settings,
				    sizeof(cases[i].settings));
	}
}

static void failure_policy_is_open_unless_closed(void **state)
{
	static const struct {
		const char *line;
		bool closed;
	} cases[] = { { "", false }, { "  failurePolicy: Open\n", false }, { "  failurePolicy: Closed\n", true } };
	char text[512];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text),
			 AT_ENDPOINT "%s  direction: Inbound\n  responseHeaders: Limited\n"
				     "  headerStyle: Classic\n  rules: [{limit: 1/second}]\n",
			 cases[i].line);
		decode(text);
		assert_int_equal(only(KRL_KIND_RATE_LIMIT)->rate_limit.fail_closed, cases[i].closed);
	}
}

static void the_mode_of_a_rule_goes_before_that_of_spec(void **state)
{
	static const struct {
		const char *spec, *rule;
		enum krl_mode mode;
	} cases[] = {
		{ "", "", KRL_MODE_ENFORCE },
		{ "", ", mode: Shadow", KRL_MODE_SHADOW },
		{ "  mode: Shadow\n", "", KRL_MODE_SHADOW },
		{ "  mode: Shadow\n", ", mode: Enforce", KRL_MODE_ENFORCE },
		{ "  mode: Enforce\n", ", mode: Shadow", KRL_MODE_SHADOW },
	};
	char text[512];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), AT_ENDPOINT "  rules: [{limit: 1/second%s}]\n%s", cases[i].rule,
			 cases[i].spec);
		decode(text);
		assert_int_equal(only_target()->rules[0].mode, cases[i].mode);
	}
}

static void the_style_of_headers(void **state)
{
	static const struct {
		const char *lines;
		enum krl_header_style style;
	} cases[] = {
		{ "", KRL_STYLE_CLASSIC },
		{ "  headerStyle: Classic\n", KRL_STYLE_CLASSIC },
		{ "  headerStyle: Envoy\n", KRL_STYLE_ENVOY },
		{ "  headerStyle: Draft\n  responseHeaders: Limited\n", KRL_STYLE_DRAFT },
		{ "  responseHeaders: Never\n", KRL_STYLE_NONE },
		{ "  responseHeaders: Never\n  headerStyle: Draft\n", KRL_STYLE_NONE },
	};
	char text[512];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), AT_ENDPOINT "  rules: [{limit: 1/second}]\n%s", cases[i].lines);
		decode(text);
		assert_int_equal(only(KRL_KIND_RATE_LIMIT)->rate_limit.style, cases[i].style);
		assert_null(only_target()->rules[0].response);
	}
}

/* The response of the one rule that has @yaml. */
static const struct krl_response *response(const char *yaml)
{
	char text[4096];

	snprintf(text, sizeof(text), AT_ENDPOINT "  rules:\n    - limit: 1/second\n      response: %s\n", yaml);
	decode(text);
	assert_non_null(only_target()->rules[0].response);
	return only_target()->rules[0].response;
}

static void the_client_is_the_peer_unless_a_header_says_who(void **state)
{
#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	static const struct {
		const char *field, *header;
		__u8 hops;
	} table[] = {
		{ "", "", 0 },
		{ "  clientIP: {header: X-Forwarded-For, trustedHops: 1}\n", "x-forwarded-for", 1 },
		{ "  clientIP: {trustedHops: 8, header: x-real-ip}\n", "x-real-ip", 8 },
		{ "  clientIP: {header: " A63 ", trustedHops: 0}\n", A63, 0 },
	};
	const struct krl_client_ip *client;
	char text[1024];
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		snprintf(text, sizeof(text), AT_ENDPOINT "  rules: [{limit: 1/day}]\n%s", table[i].field);
		decode(text);
		client = &only(KRL_KIND_RATE_LIMIT)->rate_limit.client_ip;
		assert_string_equal(client->header, table[i].header);
		assert_int_equal(client->hops, table[i].hops);
	}
}

static void what_a_response_says(void **state)
{
	const struct krl_response *r;

	r = response("{}");
	assert_int_equal(r->format, KRL_FORMAT_USUAL);
	assert_int_equal(krl_form_status(r), 429);
	r = response("{format: Problem, status: 599}");
	assert_int_equal(r->format, KRL_FORMAT_PROBLEM);
	assert_int_equal(r->status, 599);
	assert_int_equal(response("{format: OpenAI, status: 400}")->format, KRL_FORMAT_OPENAI);
	assert_int_equal(response("{format: Json}")->format, KRL_FORMAT_JSON);
	r = response("{body: Slow down}");
	assert_int_equal(r->format, KRL_FORMAT_BODY);
	assert_string_equal(r->body, "Slow down");
	assert_string_equal(r->content_type, "");
	r = response("{body: \"<p>\\n\", contentType: 'text/html ; charset=\"utf-8\"'}");
	assert_string_equal(r->body, "<p>\n");
	assert_string_equal(r->content_type, "text/html ; charset=\"utf-8\"");
	r = response("{headers: {X-One: 1, X-Two: \"a b\\tc\", \"!#$%&'*+-.^_`|~\": x}, status: 503}");
	assert_int_equal(r->header_count, 3);
	assert_string_equal(r->headers[0].name, "X-One");
	assert_string_equal(r->headers[0].value, "1");
	assert_string_equal(r->headers[1].value, "a b\tc");
	assert_string_equal(r->headers[2].name, "!#$%&'*+-.^_`|~");
}

/* The style leaves more room or less; it may stand behind the rules. */
static void as_many_gaps_as_fit_beside_the_headers(void **state)
{
	char yaml[1024] = "{body: '";
	int i;

	for (i = 0; i < 26; i++)
		strcat(yaml, "{retry_after}");
	strcat(yaml, "'}");
	response(yaml);
	strcpy(yaml + strlen(yaml) - 2, "{retry_after}{retry_after}'}\n  responseHeaders: Never");
	response(yaml);
}

static void several_documents_in_a_file_with_comments_between(void **state)
{
	decode("# first\n---\n" AT_ENDPOINT "  rules: [{limit: 1/second}] # here too\n---\n---\n# nothing\n---\n"
	       "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not-Ours}\ndata: {x: y}\n---\n"
	       "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: not-ours}\n...\n---\n"
	       "apiVersion: v1\nkind: Service\nmetadata: {name: frontend}\n");
	assert_int_equal(file.count, 2);
	assert_int_equal(ignored, 2);
	assert_int_equal(file.documents[0].document->kind, KRL_KIND_RATE_LIMIT);
	assert_int_equal(file.documents[0].document->line, 3);
	assert_int_equal(file.documents[1].document->kind, KRL_KIND_SERVICE);
	assert_string_equal(file.documents[1].document->ns, "default");
}

static void a_list_is_each_of_its_items(void **state)
{
	decode("apiVersion: v1\nkind: List\nmetadata: {resourceVersion: \"\"}\nitems:\n"
	       "- apiVersion: v1\n  kind: Service\n  metadata: {name: frontend}\n"
	       "- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: other}\n"
	       "- {apiVersion: kmesh.net/v1alpha1, kind: RateLimit, metadata: {name: web}, spec: {service: frontend, "
	       "rules: [{limit: 1/day}]}}\n");
	assert_int_equal(file.count, 2);
	assert_int_equal(ignored, 1);
	assert_int_equal(file.documents[0].document->kind, KRL_KIND_SERVICE);
	assert_int_equal(file.documents[1].document->kind, KRL_KIND_RATE_LIMIT);
	assert_int_equal(file.documents[1].document->line, 11);
}

static void json_is_read_as_well_as_tabs_in_it(void **state)
{
	decode("{\n\t\"apiVersion\": \"kmesh.net\\/v1alpha1\",\n\t\"kind\": \"RateLimit\",\n"
	       "\t\"metadata\": {\"name\": \"web\"},\n\t\"spec\": {\"endpoints\": [{\"ip\": \"::1\", \"port\": 80}],\n"
	       "\t\t\"rules\": [{\"maxTokens\": 3, \"tokensPerFill\": 2, \"fillInterval\": \"1s\"}]},\n"
	       "\t\"status\": null}\n");
	check_settings(&only_target()->rules[0].settings, 3, 2, S);
}

static void an_empty_file_holds_nothing(void **state)
{
	static const char *const texts[] = { "", "\n", "# only this\n", "---\n", "---\n---\n...\n" };
	size_t i;

	for (i = 0; i < COUNT(texts); i++) {
		decode(texts[i]);
		assert_int_equal(file.count, 0);
		assert_int_equal(ignored, 0);
	}
}

static void what_the_api_server_adds_to_metadata_is_passed_over(void **state)
{
	decode("apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nmetadata:\n  name: web\n  namespace: shop\n"
	       "  uid: 0-1\n  resourceVersion: \"7\"\n  generation: 1\n  creationTimestamp: null\n"
	       "  labels: {a: b}\n  annotations: {c: d}\n  managedFields: [{manager: kubectl}]\n"
	       "  ownerReferences: []\n  finalizers: []\nspec:\n  service: a\n  rules: [{limit: 1/second}]\n"
	       "status: {observedGeneration: 1}\n");
	assert_string_equal(only(KRL_KIND_RATE_LIMIT)->name, "web");
}

static void service_ports(void **state)
{
	const struct krl_service *service;

	decode("apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: n}\nspec:\n  type: ClusterIP\n"
	       "  ports:\n    - {port: 80}\n    - {name: a, port: 81, targetPort: 8081, protocol: TCP}\n"
	       "    - {name: b, port: 82, targetPort: http}\n    - {name: dns, port: 53, protocol: UDP}\n"
	       "    - {name: c, port: 83, targetPort: null}\n");
	service = &only(KRL_KIND_SERVICE)->service;
	assert_int_equal(service->port_count, 4);
	assert_int_equal(service->ports[0].target_port, 80);
	assert_string_equal(service->ports[0].name, "");
	assert_int_equal(service->ports[1].port, 81);
	assert_int_equal(service->ports[1].target_port, 8081);
	assert_string_equal(service->ports[2].target_name, "http");
	assert_int_equal(service->ports[3].target_port, 83);
}

static void slice_has_addresses_in_any_condition_and_tcp_ports(void **state)
{
	const struct krl_slice *slice;

	decode("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: s-1\n"
	       "  labels: {kubernetes.io/service-name: s, other: x}\naddressType: IPv4\nports:\n"
	       "  - {name: http, port: 8080}\n  - {name: dns, port: 53, protocol: UDP}\n  - {name: any}\n"
	       "endpoints:\n  - {addresses: [192.0.2.1, 192.0.2.2]}\n"
	       "  - {addresses: [192.0.2.3], conditions: {ready: false}}\n"
	       "  - {addresses: [192.0.2.4], conditions: {ready: true}}\n"
	       "  - {addresses: [192.0.2.5], conditions: {ready: null}}\n  - {addresses: [192.0.2.6], conditions: {}}\n");
	slice = &only(KRL_KIND_SLICE)->slice;
	assert_string_equal(slice->service, "s");
	assert_int_equal(slice->port_count, 1);
	assert_int_equal(slice->ports[0].port, 8080);
	assert_int_equal(slice->addr_count, 6);
	assert_int_equal(slice->addrs[2][15], 3);
}

/* As `kubectl get endpointslice -o yaml` shows a service scaled to zero. */
static void slice_with_null_lists_is_empty(void **state)
{
	decode("addressType: IPv4\napiVersion: discovery.k8s.io/v1\nendpoints: null\nkind: EndpointSlice\n"
	       "metadata: {name: s-1, labels: {kubernetes.io/service-name: s}}\nports: null\n");
	assert_int_equal(only(KRL_KIND_SLICE)->slice.addr_count, 0);
	decode("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s-1}\n"
	       "addressType: FQDN\nports: [{port: 80}]\nendpoints: [{addresses: [db.example.org]}]\n");
	assert_int_equal(only(KRL_KIND_SLICE)->slice.addr_count, 0);
}

static void every_example_decodes(void **state)
{
	const char *root = getenv("KRL_EXAMPLES");
	char pattern[512], text[16384];
	glob_t found = { 0 };
	size_t i, len;
	FILE *example;

	snprintf(pattern, sizeof(pattern), "%s/*.yaml", root ? root : "deploy/examples");
	if (glob(pattern, 0, NULL, &found))
		fail_msg("%s: run from the top of the tree, or set KRL_EXAMPLES", pattern);
	snprintf(pattern, sizeof(pattern), "%s/*/*.yaml", root ? root : "deploy/examples");
	glob(pattern, GLOB_APPEND, NULL, &found);
	for (i = 0; i < found.gl_pathc; i++) {
		example = fopen(found.gl_pathv[i], "re");
		assert_non_null(example);
		len = fread(text, 1, sizeof(text) - 1, example);
		fclose(example);
		text[len] = '\0';
		decode(text);
		assert_true(file.count > 0);
	}
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(kmesh_document_with_spec_service, teardown),
		cmocka_unit_test_teardown(kmesh_document_with_spec_services, teardown),
		cmocka_unit_test_teardown(a_service_may_come_once_a_port, teardown),
		cmocka_unit_test_teardown(endpoints_of_both_families_and_wildcards, teardown),
		cmocka_unit_test_teardown(every_way_to_write_a_limit, teardown),
		cmocka_unit_test_teardown(failure_policy_is_open_unless_closed, teardown),
		cmocka_unit_test_teardown(the_mode_of_a_rule_goes_before_that_of_spec, teardown),
		cmocka_unit_test_teardown(the_style_of_headers, teardown),
		cmocka_unit_test_teardown(the_client_is_the_peer_unless_a_header_says_who, teardown),
		cmocka_unit_test_teardown(what_a_response_says, teardown),
		cmocka_unit_test_teardown(as_many_gaps_as_fit_beside_the_headers, teardown),
		cmocka_unit_test_teardown(several_documents_in_a_file_with_comments_between, teardown),
		cmocka_unit_test_teardown(a_list_is_each_of_its_items, teardown),
		cmocka_unit_test_teardown(json_is_read_as_well_as_tabs_in_it, teardown),
		cmocka_unit_test_teardown(an_empty_file_holds_nothing, teardown),
		cmocka_unit_test_teardown(what_the_api_server_adds_to_metadata_is_passed_over, teardown),
		cmocka_unit_test_teardown(service_ports, teardown),
		cmocka_unit_test_teardown(slice_has_addresses_in_any_condition_and_tcp_ports, teardown),
		cmocka_unit_test_teardown(slice_with_null_lists_is_empty, teardown),
		cmocka_unit_test_teardown(every_example_decodes, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
