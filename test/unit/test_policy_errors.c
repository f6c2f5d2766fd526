// SPDX-License-Identifier: Apache-2.0
/* What is said about a RateLimit that is refused: where, which field, what was expected. */
#include <stdio.h>

#include "decoded.h"

#define INT_63 "expected an integer from 1 to 9223372036854775807, found "
#define AN_INTERVAL                                                                                \
	"expected an integer from 1 to 9223372036854775807 (nanoseconds) or a duration such as 500ms, 1s or " \
	"1h30m, found "
#define A_PORT "expected an integer from 1 to 65535 or the name of a port, found "
#define INT_16 "expected an integer from 1 to 65535, found "
#define NAME "expected a name of lower case letters, digits, '-' and '.', found "

/* What follows is a field of spec, in line 6. */
#define SPEC HEAD "spec:\n  rules: [{limit: 1/second}]\n  "

static void numbers_that_are_none(void **state)
{
	static const struct refusal cases[] = {
		{ RULE "maxTokens: ten\n", "7:18: spec.rules[0].maxTokens: " INT_63 "\"ten\"" },
		{ RULE "maxTokens: 0\n", "7:18: spec.rules[0].maxTokens: " INT_63 "\"0\"" },
		{ RULE "maxTokens: -1\n", "7:18: spec.rules[0].maxTokens: " INT_63 "\"-1\"" },
		{ RULE "maxTokens: 1.0\n", "7:18: spec.rules[0].maxTokens: " INT_63 "\"1.0\"" },
		{ RULE "maxTokens: 010\n", "7:18: spec.rules[0].maxTokens: " INT_63 "\"010\"" },
		{ RULE "maxTokens: 0x10\n", "7:18: spec.rules[0].maxTokens: " INT_63 "\"0x10\"" },
		{ RULE "maxTokens: \"10\"\n", "7:18: spec.rules[0].maxTokens: " INT_63 "\"10\"" },
		{ RULE "maxTokens:\n", "7:17: spec.rules[0].maxTokens: " INT_63 "nothing" },
		{ RULE "maxTokens: []\n", "7:18: spec.rules[0].maxTokens: " INT_63 "a list" },
		{ RULE "maxTokens: {}\n", "7:18: spec.rules[0].maxTokens: " INT_63 "a mapping" },
		{ RULE "maxTokens: 9223372036854775808\n",
		  "7:18: spec.rules[0].maxTokens: " INT_63 "\"9223372036854775808\"" },
		{ RULE "maxTokens: 99999999999999999999\n",
		  "7:18: spec.rules[0].maxTokens: " INT_63 "\"99999999999999999999\"" },
		{ RULE "tokensPerFill: x\n", "7:22: spec.rules[0].tokensPerFill: " INT_63 "\"x\"" },
		{ RULE "fillInterval: 0\n", "7:21: spec.rules[0].fillInterval: " AN_INTERVAL "\"0\"" },
		{ RULE "fillInterval: -1s\n", "7:21: spec.rules[0].fillInterval: " AN_INTERVAL "\"-1s\"" },
		{ RULE "fillInterval: 1.5s\n", "7:21: spec.rules[0].fillInterval: " AN_INTERVAL "\"1.5s\"" },
		{ RULE "fillInterval: \"1\"\n", "7:21: spec.rules[0].fillInterval: " AN_INTERVAL "\"1\"" },
		{ RULE "fillInterval:\n", "7:20: spec.rules[0].fillInterval: " AN_INTERVAL "nothing" },
		{ RULE "fillInterval: [1]\n", "7:21: spec.rules[0].fillInterval: " AN_INTERVAL "a list" },
	};

	check(cases, COUNT(cases));
}

static void limits_that_are_none(void **state)
{
#define A_LIMIT                                                                                    \
	"expected a limit such as 10/minute, 10 per 5 minutes or {requests: 10, unit: Minute} (units: second, " \
	"minute, hour, day, week, month, year), found "
	static const struct refusal cases[] = {
		{ RULE "limit: ten/minute\n", "7:14: spec.rules[0].limit: " A_LIMIT "\"ten/minute\"" },
		{ RULE "limit:\n", "7:13: spec.rules[0].limit: " A_LIMIT "nothing" },
		{ RULE "limit: 10\n", "7:14: spec.rules[0].limit: " A_LIMIT "\"10\"" },
		{ RULE "limit: 10/min\n", "7:14: spec.rules[0].limit: " A_LIMIT "\"10/min\"" },
		{ RULE "limit: 10/fortnight\n", "7:14: spec.rules[0].limit: " A_LIMIT "\"10/fortnight\"" },
		{ RULE "limit: [10/minute]\n", "7:14: spec.rules[0].limit: expected a mapping, found a list" },
		{ RULE "limit: {requests: 0, unit: Day}\n",
		  "7:25: spec.rules[0].limit.requests: " INT_63 "\"0\"" },
		{ RULE "limit: {requests: 1, unit: Eon}\n",
		  "7:34: spec.rules[0].limit.unit: expected Second, Minute, Hour, Day, Week, Month or Year, "
		  "found \"Eon\"" },
		{ RULE "limit: {requests: 1, unit: Day, burst: no}\n",
		  "7:46: spec.rules[0].limit.burst: " INT_63 "\"no\"" },
		{ RULE "limit: {unit: Day}\n", "7:14: spec.rules[0].limit: requests is missing" },
		{ RULE "limit: {requests: 1}\n", "7:14: spec.rules[0].limit: unit is missing" },
		{ RULE "limit: {burst: 1}\n", "7:14: spec.rules[0].limit: requests and unit are missing" },
		{ RULE "limit: {request: 1, unit: Day}\n",
		  "7:15: spec.rules[0].limit.request: unknown field, did you mean requests?" },
	};

	check(cases, COUNT(cases));
}

static void rules_that_say_too_little_or_too_much(void **state)
{
	static const struct refusal cases[] = {
		{ RULE "name: x\n",
		  "7:7: spec.rules[0]: limit is missing (or maxTokens, tokensPerFill and fillInterval)" },
		{ RULE "tokensPerFill: 1\n      fillInterval: 1\n", "7:7: spec.rules[0]: maxTokens is missing" },
		{ RULE "maxTokens: 1\n      fillInterval: 1\n", "7:7: spec.rules[0]: tokensPerFill is missing" },
		{ RULE "maxTokens: 1\n      tokensPerFill: 1\n", "7:7: spec.rules[0]: fillInterval is missing" },
		{ RULE "maxTokens: 3\n", "7:7: spec.rules[0]: tokensPerFill and fillInterval are missing" },
		{ RULE "fillInterval: 3s\n", "7:7: spec.rules[0]: maxTokens and tokensPerFill are missing" },
		{ RULE "limit: 1/second\n      maxTokens: 1\n",
		  "7:7: spec.rules[0]: limit stands alone: not with maxTokens, tokensPerFill or fillInterval" },
		{ RULE "limit: 1/second\n      name: ''\n",
		  "8:13: spec.rules[0].name: expected a string of 1 to 63 bytes, found \"\"" },
		{ RULE "limit: 1/second\n      name: a23456789b123456789c123456789d123456789e123456789f123456789g123\n"
		       "      name: x\n",
		  "9:7: spec.rules[0].name: given twice" },
		{ RULE "{name: x, limit: 1/day}\n    - {name: x, limit: 1/hour}\n",
		  "8:7: spec.rules[1]: the name x is given to rules[0] as well" },
		{ RULE "{name: rule-1, limit: 1/day}\n    - {limit: 1/hour}\n",
		  "8:7: spec.rules[1]: the name rule-1 is given to rules[0] as well" },
		{ RULE "{limit: 1/day, limit: 1/hour}\n", "7:22: spec.rules[0].limit: given twice" },
		{ RULE "ten\n", "7:7: spec.rules[0]: expected a mapping, found \"ten\"" },
		{ HEAD "spec:\n  service: a\n  rules: []\n", "6:10: spec.rules: expected at least one rule" },
		{ HEAD "spec:\n  service: a\n  rules: {limit: 1/day}\n",
		  "6:10: spec.rules: expected a list, found a mapping" },
		{ HEAD "spec:\n  service: a\n  rules:\n", "6:9: spec.rules: expected a list, found nothing" },
	};

	check(cases, COUNT(cases));
}

static void targets_that_are_none(void **state)
{
	static const struct refusal cases[] = {
		{ SPEC "failurePolicy: Open\n",
		  "5:3: spec: one of service, services, targetRefs and endpoints is missing" },
		{ SPEC "service: a\n  endpoints: [{ip: \"::\", port: 1}]\n",
		  "5:3: spec: only one of service, services, targetRefs and endpoints may be given" },
		{ SPEC "services: [{name: a, rules: [{limit: 1/day}]}]\n",
		  "5:3: spec: rules belongs into each of services" },
		{ HEAD "spec: {port: 1, services: [{name: a, rules: [{limit: 1/day}]}]}\n",
		  "4:7: spec: port belongs into each of services" },
		{ SPEC "endpoints: [{ip: \"::\", port: 1}]\n  port: 1\n",
		  "5:3: spec: port belongs into each of endpoints" },
		{ HEAD "spec: {service: a}\n", "4:7: spec: rules is missing" },
		{ HEAD "spec: {services: [{name: a}]}\n", "4:19: spec.services[0]: rules is missing" },
		{ HEAD "spec: {services: [{rules: [{limit: 1/day}]}]}\n", "4:19: spec.services[0]: name is missing" },
		{ HEAD "spec: {services: []}\n", "4:18: spec.services: expected at least one service" },
		{ SPEC "service: a:80\n",
		  "6:12: spec.service: a service has no : in its name, port says which of its ports" },
		{ HEAD "spec: {services: [{name: a:80, rules: [{limit: 1/day}]}]}\n",
		  "4:26: spec.services[0].name: a service has no : in its name, port says which of its ports" },
		{ HEAD "spec:\n  services: [{name: a, rules: [{limit: 1/day}]}, {name: a, rules: [{limit: 1/day}]}]\n",
		  "5:50: spec.services[1]: the service a is in services[0] already" },
		{ HEAD "spec:\n  services:\n    - {name: a, port: 80, rules: [{limit: 1/day}]}\n"
		       "    - {name: a, port: 81, rules: [{limit: 1/day}]}\n"
		       "    - {name: a, port: 80, rules: [{limit: 1/day}]}\n",
		  "8:7: spec.services[2]: the service a with port 80 is in services[0] already" },
		{ SPEC "service: [a]\n", "6:12: spec.service: expected a string of 1 to 249 bytes, found a list" },
		{ SPEC "service: null\n", "6:12: spec.service: expected a string of 1 to 249 bytes, found \"null\"" },
		{ SPEC "service: ~\n", "6:12: spec.service: expected a string of 1 to 249 bytes, found \"~\"" },
		{ SPEC "service: a\n  port: 65536\n", "7:9: spec.port: " A_PORT "\"65536\"" },
		{ SPEC "service: a\n  port: \"80\"\n", "7:9: spec.port: " A_PORT "\"80\"" },
		{ SPEC "service: a\n  port: -http\n", "7:9: spec.port: " A_PORT "\"-http\"" },
		{ SPEC "service: a\n  port: null\n", "7:9: spec.port: " A_PORT "\"null\"" },
		{ SPEC "service: a\n  port: [80]\n", "7:9: spec.port: " A_PORT "a list" },
		{ SPEC "endpoints: []\n", "6:14: spec.endpoints: expected at least one endpoint" },
		{ SPEC "endpoints: [{port: 1}]\n", "6:15: spec.endpoints[0]: ip is missing" },
		{ SPEC "endpoints: [{ip: 127.0.0.1}]\n", "6:15: spec.endpoints[0]: port is missing" },
		{ SPEC "endpoints: [{}]\n", "6:15: spec.endpoints[0]: ip and port are missing" },
		{ HEAD "spec:\n  services: [{}]\n", "5:14: spec.services[0]: name and rules are missing" },
		{ SPEC "endpoints: [{ip: 127.0.0.1, port: 0}]\n", "6:37: spec.endpoints[0].port: " INT_16 "\"0\"" },
		{ SPEC "endpoints: [{ip: localhost, port: 1}]\n",
		  "6:20: spec.endpoints[0].ip: expected an IPv4 or IPv6 address, found \"localhost\"" },
		{ SPEC "endpoints: [{ip: 127.0.0.256, port: 1}]\n",
		  "6:20: spec.endpoints[0].ip: expected an IPv4 or IPv6 address, found \"127.0.0.256\"" },
		{ SPEC "endpoints: [{ip: 127.0.0.1:80, port: 1}]\n",
		  "6:20: spec.endpoints[0].ip: expected an IPv4 or IPv6 address, found \"127.0.0.1:80\"" },
		{ SPEC "service: a\n  failurePolicy: open\n",
		  "7:18: spec.failurePolicy: expected Open or Closed, found \"open\"" },
		{ SPEC "service: a\n  redact: Values\n", "7:11: spec.redact: expected true or false, found \"Values\"" },
	};

	check(cases, COUNT(cases));
}

static void what_is_no_known_word_is_refused_by_name(void **state)
{
	static const struct refusal cases[] = {
		{ RULE "limit: 1/day\n      mode: shadow\n",
		  "8:13: spec.rules[0].mode: expected Enforce or Shadow, found \"shadow\"" },
		{ SPEC "service: a\n  ruleMatch: first\n",
		  "7:14: spec.ruleMatch: expected First or All, found \"first\"" },
	};

	check(cases, COUNT(cases));
}

static void clients_that_are_none(void **state)
{
#define CLIENT SPEC "service: a\n  clientIP: "
#define HOPS "spec.clientIP.trustedHops: expected an integer from 0 to 8, found "
	static const struct refusal cases[] = {
		{ CLIENT "X-Real-IP\n", "7:13: spec.clientIP: expected a mapping, found \"X-Real-IP\"" },
		{ CLIENT "{}\n", "7:13: spec.clientIP: header and trustedHops are missing" },
		{ CLIENT "{header: X}\n", "7:13: spec.clientIP: trustedHops is missing" },
		{ CLIENT "{trustedHops: 0}\n", "7:13: spec.clientIP: header is missing" },
		{ CLIENT "{header: X, trustedHop: 1}\n",
		  "7:25: spec.clientIP.trustedHop: unknown field, did you mean trustedHops?" },
		{ CLIENT "{header: X, trustedHops: 9}\n", "7:38: " HOPS "\"9\"" },
		{ CLIENT "{header: X, trustedHops: x}\n", "7:38: " HOPS "\"x\"" },
		{ CLIENT "{header: X, trustedHops: '1'}\n", "7:38: " HOPS "\"1\"" },
		{ CLIENT "{header: X Y, trustedHops: 1}\n",
		  "7:22: spec.clientIP.header: expected the name of a header, found \"X Y\"" },
		{ CLIENT "{header: Forwarded, trustedHops: 1}\n",
		  "7:22: spec.clientIP.header: expected a header of plain addresses, as X-Forwarded-For is and that of "
		  "RFC 7239 is not, found \"Forwarded\"" },
		{ CLIENT "{header: '', trustedHops: 1}\n",
		  "7:22: spec.clientIP.header: expected a string of 1 to 63 bytes, found \"\"" },
	};

	check(cases, COUNT(cases));
}

/* What follows is the 8th line: fields of spec.rules[0].response. */
#define RESPONSE RULE "limit: 1/day\n      response: "
#define AT "spec.rules[0].response"

static void responses_that_say_what_does_not_exist(void **state)
{
	static const struct refusal cases[] = {
		{ RESPONSE "Problem\n", "8:17: " AT ": expected a mapping, found \"Problem\"" },
		{ RESPONSE "{format: json}\n",
		  "8:26: " AT ".format: expected Json, Problem or OpenAI, found \"json\"" },
		{ RESPONSE "{status: 399}\n",
		  "8:26: " AT ".status: expected an integer from 400 to 599, found \"399\"" },
		{ RESPONSE "{status: 600}\n",
		  "8:26: " AT ".status: expected an integer from 400 to 599, found \"600\"" },
		{ RESPONSE "{format: Json, body: no}\n",
		  "8:17: " AT ": format stands alone: not with contentType or body" },
		{ RESPONSE "{format: Problem, contentType: text/html}\n",
		  "8:17: " AT ": format stands alone: not with contentType or body" },
		{ RESPONSE "{contentType: text/html}\n", "8:17: " AT ": body is missing" },
		{ RESPONSE "{body: ''}\n", "8:24: " AT ".body: expected a string of 1 to 1024 bytes, found \"\"" },
		{ RESPONSE "{boby: x}\n", "8:18: " AT ".boby: unknown field, did you mean body?" },
		{ SPEC "service: a\n  headerStyle: draft\n",
		  "7:16: spec.headerStyle: expected Classic, Envoy or Draft, found \"draft\"" },
		{ SPEC "service: a\n  responseHeaders: never\n",
		  "7:20: spec.responseHeaders: expected Limited, Always or Never, found \"never\"" },
	};

	check(cases, COUNT(cases));
}

static void content_types_that_are_none(void **state)
{
#define A_TYPE "expected a media type such as text/plain, at most 127 bytes, found "
	static const struct refusal cases[] = {
		{ RESPONSE "{body: x, contentType: text}\n", "8:40: " AT ".contentType: " A_TYPE "\"text\"" },
		{ RESPONSE "{body: x, contentType: text/}\n", "8:40: " AT ".contentType: " A_TYPE "\"text/\"" },
		{ RESPONSE "{body: x, contentType: /html}\n", "8:40: " AT ".contentType: " A_TYPE "\"/html\"" },
		{ RESPONSE "{body: x, contentType: text/html utf-8}\n",
		  "8:40: " AT ".contentType: " A_TYPE "\"text/html utf-8\"" },
		{ RESPONSE "{body: x, contentType: \"text/html;\\r\\nX: y\"}\n",
		  "8:40: " AT ".contentType: " A_TYPE "\"text/html;??X: y\"" },
		{ RESPONSE "{body: x, contentType: []}\n", "8:40: " AT ".contentType: " A_TYPE "a list" },
	};

	check(cases, COUNT(cases));
}

static void headers_that_may_not_be_given(void **state)
{
#define A_NAME "expected the name of a header, at most 63 bytes, found "
#define A_VALUE "expected 1 to 255 bytes of visible ASCII, space and tab, found "
	static const struct refusal cases[] = {
		{ RESPONSE "{headers: [X-A]}\n",
		  "8:27: " AT ".headers: expected a mapping of names and values, found a list" },
		{ RESPONSE "{headers: {X A: b}}\n", "8:28: " AT ".headers.X A: " A_NAME "\"X A\"" },
		{ RESPONSE "{headers: {\"X-A:\": b}}\n", "8:28: " AT ".headers.X-A:: " A_NAME "\"X-A:\"" },
		{ RESPONSE "{headers: {'': b}}\n", "8:28: " AT ".headers.: " A_NAME "\"\"" },
		{ RESPONSE "{headers: {? [a] : b}}\n", "8:30: " AT ".headers: expected the name of a header" },
		{ RESPONSE "{headers: {X-A: []}}\n", "8:33: " AT ".headers.X-A: " A_VALUE "a list" },
		{ RESPONSE "{headers: {X-A: }}\n", "8:33: " AT ".headers.X-A: " A_VALUE "nothing" },
		{ RESPONSE "{headers: {X-A: null}}\n", "8:33: " AT ".headers.X-A: " A_VALUE "\"null\"" },
		{ RESPONSE "{headers: {X-A: \"b\\nX-C: d\"}}\n",
		  "8:33: " AT ".headers.X-A: " A_VALUE "\"b?X-C: d\"" },
		{ RESPONSE "{headers: {X-A: b\303\266se}}\n", "8:33: " AT ".headers.X-A: " A_VALUE "\"b\303\266se\"" },
		{ RESPONSE "{headers: {X-A: b, X-A: b}}\n", "8:36: " AT ".headers.X-A: given twice" },
		{ RESPONSE "{headers: {X-A: b, x-a: c}}\n", "8:36: " AT ".headers.x-a: given twice" },
		{ RESPONSE "{headers: {A: a, B: a, C: a, D: a, E: a, F: a, G: a, H: a, I: a, J: a, K: a, L: a, M: a, "
			   "N: a, O: a, P: a, Q: a}}\n",
		  "8:124: " AT ".headers.Q: more than 16 headers" },
	};

	check(cases, COUNT(cases));
}

static void headers_of_the_answer_itself_may_not_be_given(void **state)
{
	static const char *const names[] = {
		"Content-Length", "content-length", "Transfer-Encoding", "Connection", "CONTENT-TYPE", "Retry-After",
		"Date", "X-RateLimit-Limit", "x-ratelimit-remaining", "X-RateLimit-Reset", "RateLimit",
		"RateLimit-Policy", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade",
	};
	char text[512], says[256];
	size_t i;

	for (i = 0; i < COUNT(names); i++) {
		snprintf(text, sizeof(text), RESPONSE "{headers: {%s: x}}\n", names[i]);
		snprintf(says, sizeof(says),
			 "8:28: " AT ".headers.%s: belongs to the answer itself and may not be given", names[i]);
		check(&(struct refusal){ text, says }, 1);
	}
}

/* @ret is @before, @count times @part, and @after. */
static void repeat(const char *before, size_t count, const char *part, const char *after, char *ret)
{
	strcpy(ret, before);
	while (count--)
		strcat(ret, part);
	strcat(ret, after);
}

static void answers_that_do_not_fit(void **state)
{
	char text[4096];

	repeat(RESPONSE "{body: ", 1025, "x", "}\n", text);
	check(&(struct refusal){ text, "8:24: " AT ".body: expected a string of 1 to 1024 bytes, found \""
				       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"..." },
	      1);
	repeat(RESPONSE "{headers: {", 64, "x", ": y}}\n", text);
	check(&(struct refusal){ text, "8:28: " AT ".headers.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: "
				       A_NAME "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"" },
	      1);
	repeat(RESPONSE "{body: '", 27, "{retry_after}", "'}\n", text);
	check(&(struct refusal){ text, "8:17: " AT ": {retry_after} stands too often in body" }, 1);
	snprintf(text, sizeof(text),
		 RESPONSE "{headers: {A: %0250d, B: %0250d, C: %0250d, D: %0250d}, body: %01000d}\n", 0, 0, 0, 0, 0);
	check(&(struct refusal){ text, "8:17: " AT ": the answer is longer than 2048 bytes with all its headers" }, 1);
}

static void unknown_fields_suggest_the_nearest_known_one(void **state)
{
	static const struct refusal cases[] = {
		{ RULE "maxToken: 10\n      limit: 1/day\n",
		  "7:7: spec.rules[0].maxToken: unknown field, did you mean maxTokens?" },
		{ RULE "max_tokens: 10\n      limit: 1/day\n",
		  "7:7: spec.rules[0].max_tokens: unknown field, did you mean maxTokens?" },
		{ RULE "FillInterval: 10\n      limit: 1/day\n",
		  "7:7: spec.rules[0].FillInterval: unknown field, did you mean fillInterval?" },
		{ RULE "mxaTokens: 10\n      limit: 1/day\n",
		  "7:7: spec.rules[0].mxaTokens: unknown field, did you mean maxTokens?" },
		{ RULE "token: 10\n      limit: 1/day\n", "7:7: spec.rules[0].token: unknown field, did you mean tokens?" },
		{ RULE "fill: 10\n      limit: 1/day\n",
		  "7:7: spec.rules[0].fill: unknown field, did you mean fillInterval?" },
		{ RULE "zzz: 10\n      limit: 1/day\n", "7:7: spec.rules[0].zzz: unknown field" },
		{ SPEC "servce: a\n  service: a\n", "6:3: spec.servce: unknown field, did you mean service?" },
		{ HEAD "spec: {service: a, rules: [{limit: 1/day}]}\nspecs: {}\n",
		  "5:1: specs: unknown field, did you mean spec?" },
		{ HEAD "specc: {service: a, rules: [{limit: 1/day}]}\n",
		  "4:1: specc: unknown field, did you mean spec?" },
		{ SPEC "service: a\n  ? [x]\n  : y\n", "7:5: spec: expected a field name" },
	};

	check(cases, COUNT(cases));
}

static void who_a_document_is(void **state)
{
#define KIND "apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\n"
#define SPEC_OK "spec: {service: a, rules: [{limit: 1/day}]}\n"
	static const struct refusal cases[] = {
		{ "kind: RateLimit\n", "1:1: apiVersion is missing" },
		{ "apiVersion: v1\n", "1:1: kind is missing" },
		{ "- a\n", "1:1: expected a mapping with apiVersion and kind, found a list" },
		{ "just text\n", "1:1: expected a mapping with apiVersion and kind, found \"just text\"" },
		{ "apiVersion: kmesh.net/v1\nkind: RateLimit\n",
		  "1:13: apiVersion: expected \"kmesh.net/v1alpha1\", found \"kmesh.net/v1\"" },
		{ "apiVersion: kmesh.net/v1alpha1\nkind: RateLimits\n",
		  "2:7: kind: expected \"RateLimit\", found \"RateLimits\"" },
		{ "apiVersion: kmesh.net/v1alpha1\nkind: Ratelimt\n",
		  "2:7: kind: expected \"RateLimit\", found \"Ratelimt\"" },
		{ "apiVersion: kmesh.net/v1alpha1\nkind: Deployment\n",
		  "2:7: kind: expected \"RateLimit\", found \"Deployment\"" },
		{ "apiVersion: kmesh.net/v2\nkind: limit\n", "2:7: kind: expected \"RateLimit\", found \"limit\"" },
		{ "apiVersion: Kmesh.net/v1alpha1\nkind: RateLimits\n",
		  "2:7: kind: expected \"RateLimit\", found \"RateLimits\"" },
		{ KIND SPEC_OK, "1:1: metadata is missing" },
		{ KIND "metadata: {name: a}\n", "1:1: spec is missing" },
		{ KIND "metdata: {name: a}\n" SPEC_OK, "3:1: metdata: unknown field, did you mean metadata?" },
		{ KIND, "1:1: metadata and spec are missing" },
		{ KIND "metadata: {}\n" SPEC_OK, "3:11: metadata: name is missing" },
		{ KIND "metadata: web\n" SPEC_OK, "3:11: metadata: expected a mapping, found \"web\"" },
		{ KIND "metadata: {name: Web}\n" SPEC_OK, "3:18: metadata.name: " NAME "\"Web\"" },
		{ KIND "metadata: {name: null}\n" SPEC_OK, "3:18: metadata.name: " NAME "\"null\"" },
		{ KIND "metadata: {name: a..b}\n" SPEC_OK, "3:18: metadata.name: " NAME "\"a..b\"" },
		{ KIND "metadata: {name: -a}\n" SPEC_OK, "3:18: metadata.name: " NAME "\"-a\"" },
		{ KIND "metadata: {name: a, namespace: b_c}\n" SPEC_OK,
		  "3:32: metadata.namespace: " NAME "\"b_c\"" },
		{ KIND "metadata: {name: a, nmespace: b}\n" SPEC_OK,
		  "3:21: metadata.nmespace: unknown field, did you mean namespace?" },
		{ KIND "metadata: {name: a, name: b}\n" SPEC_OK, "3:21: metadata.name: given twice" },
		{ KIND "metadata: {name: a}\n" SPEC_OK "spec: {}\n", "5:1: spec: given twice" },
	};

	check(cases, COUNT(cases));
}

#define SERVICE "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"
#define SLICE "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s}\n"

static void keys_given_twice_also_where_nobody_looks(void **state)
{
	static const struct refusal cases[] = {
		{ "kind: Deployment\napiVersion: kmesh.net/v1alpha1\nkind: RateLimit\n", "3:1: kind: given twice" },
		{ "apiVersion: v1\nkind: RateLimit\napiVersion: kmesh.net/v1alpha1\n",
		  "3:1: apiVersion: given twice" },
		{ KIND "metadata: {name: a, labels: {b: c, d: e, b: c}}\n" SPEC_OK,
		  "3:42: metadata.labels.b: given twice" },
		{ KIND "metadata: {name: a, managedFields: [{f: {x: {}}}, {f: {y: {}, \"y\": {}}}]}\n" SPEC_OK,
		  "3:63: metadata.managedFields[1].f.y: given twice" },
		{ KIND "metadata: {name: a}\n" SPEC_OK "status: {a: 1, a: 1}\n", "5:16: status.a: given twice" },
		{ SERVICE "spec: {ports: [{port: 1}]}\nspec: {ports: [{port: 2}]}\n", "5:1: spec: given twice" },
		{ SERVICE "spec: {ports: [{port: 1, name: a, port: 2}]}\n",
		  "4:35: spec.ports[0].port: given twice" },
		{ SERVICE "spec: {selector: {app: a, app: b}}\n", "4:27: spec.selector.app: given twice" },
		{ "apiVersion: v1\nkind: Service\nmetadata: {name: s, name: t}\n",
		  "3:21: metadata.name: given twice" },
		{ SLICE "ports: [{port: 1, port: 2}]\n", "4:19: ports[0].port: given twice" },
		{ SLICE "endpoints: []\nendpoints: []\n", "5:1: endpoints: given twice" },
		{ SLICE "endpoints: [{addresses: [\"::1\"], conditions: {ready: true, ready: false}}]\n",
		  "4:60: endpoints[0].conditions.ready: given twice" },
	};

	check(cases, COUNT(cases));
}

static void services_and_slices(void **state)
{
	static const struct refusal cases[] = {
		{ "apiVersion: v1\nkind: Service\n", "1:1: metadata is missing" },
		{ SERVICE "spec: {ports: {port: 1}}\n", "4:15: spec.ports: expected a list, found a mapping" },
		{ SERVICE "spec: {ports: [{name: a}]}\n", "4:16: spec.ports[0]: port is missing" },
		{ SERVICE "spec: {ports: [{port: x}]}\n", "4:23: spec.ports[0].port: " INT_16 "\"x\"" },
		{ SERVICE "spec: {ports: [{port: 1, targetPort: 65536}]}\n",
		  "4:38: spec.ports[0].targetPort: " INT_16 "\"65536\"" },
		{ SERVICE "spec: {ports: [{port: 1, protocol: Carrier-Pigeon}]}\n",
		  "4:36: spec.ports[0].protocol: expected a string of 1 to 7 bytes, found \"Carrier-Pigeon\"" },
		{ SLICE "ports: [{port: 0}]\n", "4:16: ports[0].port: " INT_16 "\"0\"" },
		{ SLICE "endpoints: [{}]\n", "4:13: endpoints[0]: addresses is missing" },
		{ SLICE "endpoints: [{addresses: [x]}]\n",
		  "4:26: endpoints[0].addresses[0]: expected an IPv4 or IPv6 address, found \"x\"" },
	};

	check(cases, COUNT(cases));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_that_are_none),
		cmocka_unit_test(limits_that_are_none),
		cmocka_unit_test(rules_that_say_too_little_or_too_much),
		cmocka_unit_test(targets_that_are_none),
		cmocka_unit_test(what_is_no_known_word_is_refused_by_name),
		cmocka_unit_test(clients_that_are_none),
		cmocka_unit_test(responses_that_say_what_does_not_exist),
		cmocka_unit_test(content_types_that_are_none),
		cmocka_unit_test(headers_that_may_not_be_given),
		cmocka_unit_test(headers_of_the_answer_itself_may_not_be_given),
		cmocka_unit_test(answers_that_do_not_fit),
		cmocka_unit_test(unknown_fields_suggest_the_nearest_known_one),
		cmocka_unit_test(who_a_document_is),
		cmocka_unit_test(keys_given_twice_also_where_nobody_looks),
		cmocka_unit_test(services_and_slices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
