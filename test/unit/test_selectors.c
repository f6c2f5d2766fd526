// SPDX-License-Identifier: Apache-2.0
/* `clientSelectors`: what comes of each field, and what is said of what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/policy/decode.h"
#include "agent/policy/decode_kinds.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

/* What follows is the 8th line from column 24 on: a list of selectors. */
#define SELECTORS                                                                                  \
	"apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nmetadata: {name: web}\nspec:\n  service: a\n"    \
	"  rules:\n    - limit: 1/day\n      clientSelectors: "

#define A10 "aaaaaaaaaa"
#define A50 A10 A10 A10 A10 A10
#define A250 A50 A50 A50 A50 A50

static struct krl_decoded_file file;
static struct krl_diags diags;

static int teardown(void **state)
{
	krl_decoded_file_clear(&file);
	krl_diags_clear(&diags);
	return 0;
}

/* The rule with @selectors; NULL when it is refused. */
static const struct krl_rule_spec *decode(const char *selectors)
{
	static char text[65536];

	teardown(NULL);
	assert_in_range(snprintf(text, sizeof(text), SELECTORS "%s\n", selectors), 1, sizeof(text) - 1);
	assert_int_equal(krl_decode("f.yaml", text, strlen(text), &file, &diags), 0);
	assert_int_equal(file.count, 1);
	if (!file.documents[0].document)
		return NULL;
	assert_int_equal(diags.count, 0);
	return file.documents[0].document->rate_limit.targets[0].rules;
}

static const struct krl_rule_spec *accepted(const char *selectors)
{
	const struct krl_rule_spec *rule = decode(selectors);

	if (!rule)
		fail_msg("%s\nin\n%s", diags.lines[0], selectors);
	return rule;
}

static void check_term(const char *terms, const struct krl_term *wanted)
{
	const struct krl_rule_spec *rule;
	const struct krl_term *found;
	char text[2048];

	snprintf(text, sizeof(text), "[{%s}]", terms);
	rule = accepted(text);
	assert_int_equal(rule->selector_count, 1);
	assert_int_equal(rule->selectors[0].term_count, 1);
	found = &rule->selectors[0].terms[0];
	if (found->field != wanted->field || found->kind != wanted->kind || found->invert != wanted->invert ||
	    found->distinct != wanted->distinct || strcmp(found->name, wanted->name) ||
	    strcmp(found->value, wanted->value) || found->methods != wanted->methods ||
	    memcmp(found->addr, wanted->addr, 16) || memcmp(found->mask, wanted->mask, 16) ||
	    memcmp(found->prefix_len, wanted->prefix_len, 2))
		fail_msg("another term of %s", terms);
}

static void headers(void **state)
{
#define H(what) .field = KRL_FIELD_HEADER, .kind = KRL_PREDICATE_##what
	static const struct {
		const char *text;
		struct krl_term term;
	} cases[] = {
		{ "headers: [{name: X-User-Type, value: Premium}]", { H(EXACT), .name = "x-user-type", .value = "Premium" } },
		{ "headers: [{type: Exact, value: a, name: x}]", { H(EXACT), .name = "x", .value = "a" } },
		{ "headers: [{name: x, type: Prefix, value: 'a b\tc'}]", { H(PREFIX), .name = "x", .value = "a b\tc" } },
		{ "headers: [{name: x, type: Present}]", { H(PRESENT), .name = "x" } },
		{ "headers: [{name: x, type: Distinct}]", { H(PRESENT), .name = "x", .distinct = true } },
		{ "headers: [{name: x, type: Distinct, invert: false}]", { H(PRESENT), .name = "x", .distinct = true } },
		{ "headers: [{name: x, value: a, invert: true}]", { H(EXACT), .name = "x", .value = "a", .invert = true } },
		{ "headers: [{invert: true, name: x, type: Present}]", { H(PRESENT), .name = "x", .invert = true } },
		{ "headers: [{name: " A50 A10 "AB-, value: a}]", { H(EXACT), .name = A50 A10 "ab-", .value = "a" } },
		{ "headers: [{name: x, value: " A250 "aaaaaa}]", { H(EXACT), .name = "x", .value = A250 "aaaaaa" } },
		{ "headers: [{name: x, value: 10}]", { H(EXACT), .name = "x", .value = "10" } },
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++)
		check_term(cases[i].text, &cases[i].term);
}

static void paths_are_in_their_normal_form(void **state)
{
	static const struct {
		const char *text;
		struct krl_term term;
	} cases[] = {
		{ "path: {value: /v1}", { KRL_FIELD_PATH, KRL_PREDICATE_PATH_PREFIX, .value = "/v1" } },
		{ "path: {type: PathPrefix, value: /v1/}", { KRL_FIELD_PATH, KRL_PREDICATE_PATH_PREFIX, .value = "/v1/" } },
		{ "path: {type: Exact, value: /}", { KRL_FIELD_PATH, KRL_PREDICATE_EXACT, .value = "/" } },
		{ "path: {type: Exact, value: '//v1/./x/..%2f%6dodels'}",
		  { KRL_FIELD_PATH, KRL_PREDICATE_EXACT, .value = "/v1/models" } },
		{ "path: {type: Distinct}", { KRL_FIELD_PATH, KRL_PREDICATE_PRESENT, .distinct = true } },
		{ "path: {type: Exact, value: /" A250 "aaaaa}", { KRL_FIELD_PATH, KRL_PREDICATE_EXACT, .value = "/" A250 "aaaaa" } },
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++)
		check_term(cases[i].text, &cases[i].term);
}

static void methods(void **state)
{
	check_term("methods: [GET]", &(struct krl_term){ KRL_FIELD_METHOD, KRL_PREDICATE_METHODS, .methods = 2 });
	check_term("methods: [PATCH, GET, GET]",
		   &(struct krl_term){ KRL_FIELD_METHOD, KRL_PREDICATE_METHODS,
				       .methods = 1 << KRL_METHOD_PATCH | 1 << KRL_METHOD_GET });
	check_term("methods: [GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH]",
		   &(struct krl_term){ KRL_FIELD_METHOD, KRL_PREDICATE_METHODS, .methods = 0x3fe });
}

/* @address and the first @bits of it as a mask, in @ret. */
static void set_range(struct krl_term *ret, const char *address, unsigned int bits)
{
	unsigned int i;

	assert_int_equal(krl_address_parse(address, ret->addr), 0);
	for (i = 0; i < bits; i++)
		ret->mask[i / 8] |= 0x80 >> i % 8;
}

static void sources(void **state)
{
	static const struct {
		const char *text, *address;	/* NULL: no range */
		unsigned int bits;		/* of an IPv6 address */
		__u8 prefix_len[2];		/* of a distinct one */
	} cases[] = {
		{ "10.0.0.0/8", "10.0.0.0", 104, { 0 } },
		{ "10.1.2.3", "10.1.2.3", 128, { 0 } },
		{ "0.0.0.0/0", "0.0.0.0", 96, { 0 } },
		{ "10.1.2.3/32", "10.1.2.3", 128, { 0 } },
		{ "'2001:db8::/32'", "2001:db8::", 32, { 0 } },
		{ "'::/0'", "::", 0, { 0 } },
		{ "'::1'", "::1", 128, { 0 } },
		{ "{value: 192.0.2.0/25}", "192.0.2.0", 121, { 0 } },
		{ "{type: Exact, value: '2001:db8::1/128'}", "2001:db8::1", 128, { 0 } },
		{ "{type: Distinct}", NULL, 0, { 64, 128 } },
		{ "{type: Distinct, prefixLength: 48}", NULL, 0, { 48, 128 } },
		{ "{type: Distinct, prefixLength: 128}", NULL, 0, { 128, 128 } },
		{ "{type: Distinct, value: 10.0.0.0/8}", "10.0.0.0", 104, { 64, 128 } },
		{ "{prefixLength: 24, type: Distinct, value: 10.0.0.0/8}", "10.0.0.0", 104, { 64, 120 } },
		{ "{type: Distinct, value: '::/0', prefixLength: 1}", "::", 0, { 1, 128 } },
		{ "{type: Distinct, value: 0.0.0.0/0, prefixLength: 1}", "0.0.0.0", 96, { 64, 97 } },
	};
	static const char *const names[] = { "sourceCIDR", "sourceIP" };
	struct krl_term wanted;
	char text[256];
	size_t i;

	for (i = 0; i < 2 * COUNT(cases); i++) {
		wanted = (struct krl_term){ .field = KRL_FIELD_SOURCE, .kind = KRL_PREDICATE_PRESENT };
		if (cases[i / 2].address) {
			wanted.kind = KRL_PREDICATE_CIDR;
			set_range(&wanted, cases[i / 2].address, cases[i / 2].bits);
		}
		wanted.distinct = cases[i / 2].prefix_len[0];
		memcpy(wanted.prefix_len, cases[i / 2].prefix_len, 2);
		snprintf(text, sizeof(text), "%s: %s", names[i % 2], cases[i / 2].text);
		check_term(text, &wanted);
	}
}

static void selectors_and_terms_keep_their_order(void **state)
{
	const struct krl_rule_spec *rule =
		accepted("[{methods: [GET], headers: [{name: a, value: b}, {name: c, type: Distinct}]}, {path: {value: /}}]");

	assert_int_equal(rule->selector_count, 2);
	assert_int_equal(rule->selectors[0].term_count, 3);
	assert_int_equal(rule->selectors[0].terms[0].field, KRL_FIELD_METHOD);
	assert_string_equal(rule->selectors[0].terms[1].name, "a");
	assert_string_equal(rule->selectors[0].terms[2].name, "c");
	assert_int_equal(rule->selectors[1].term_count, 1);
}

struct refusal {
	const char *text;	/* in line 8, from column 24 on */
	const char *says;	/* without "f.yaml:8:"; a path begins with '@' for spec.rules[0].clientSelectors */
};

static void check(const struct refusal *cases, size_t count)
{
	char expected[1024];
	const char *at;
	size_t i;

	for (i = 0; i < count; i++) {
		assert_null(decode(cases[i].text));
		at = strchr(cases[i].says, '@');
		snprintf(expected, sizeof(expected), "f.yaml:8:%.*sspec.rules[0].clientSelectors%s",
			 (int)(at - cases[i].says), cases[i].says, at + 1);
		if (diags.count != 1 || strcmp(diags.lines[0], expected))
			fail_msg("expected %s\nfound %s\nof %zu for\n%s", expected, diags.count ? diags.lines[0] : "",
				 diags.count, cases[i].text);
	}
}

static void selectors_that_are_none(void **state)
{
#define A_TERM "expected at least one of headers, path, methods, sourceCIDR, model and from"
	static const struct refusal cases[] = {
		{ "[]", "24: @: expected at least one selector" },
		{ "{}", "24: @: expected a list, found a mapping" },
		{ "all", "24: @: expected a list, found \"all\"" },
		{ "[all]", "25: @[0]: expected a mapping, found \"all\"" },
		{ "[{}]", "25: @[0]: " A_TERM },
		{ "[{methods: [GET]}, {headers: []}]", "43: @[1]: " A_TERM },
		{ "[{header: []}]", "26: @[0].header: unknown field, did you mean headers?" },
		{ "[{methods: [GET], methods: [PUT]}]", "42: @[0].methods: given twice" },
		{ "[{model: {value: gpt-4}}]", "33: @[0].model: belongs to a rule that counts LLMTokens" },
	};

	check(cases, COUNT(cases));
}

static void headers_that_are_none(void **state)
{
#define HV "a header's value, without white space around it, found "
	static const struct refusal cases[] = {
		{ "[{headers: {name: a}}]", "35: @[0].headers: expected a list, found a mapping" },
		{ "[{headers: [a]}]", "36: @[0].headers[0]: expected a mapping, found \"a\"" },
		{ "[{headers: [{value: a}]}]", "36: @[0].headers[0]: name is missing" },
		{ "[{headers: [{name: a}]}]", "36: @[0].headers[0]: value is missing" },
		{ "[{headers: [{name: a, type: Prefix}]}]", "36: @[0].headers[0]: value is missing" },
		{ "[{headers: [{name: '', value: a}]}]",
		  "43: @[0].headers[0].name: expected a string of 1 to 63 bytes, found \"\"" },
		{ "[{headers: [{name: a b, value: a}]}]",
		  "43: @[0].headers[0].name: expected the name of a header, found \"a b\"" },
		{ "[{headers: [{name: \"a:\", value: a}]}]",
		  "43: @[0].headers[0].name: expected the name of a header, found \"a:\"" },
		{ "[{headers: [{name: a\303\274, value: a}]}]",
		  "43: @[0].headers[0].name: expected the name of a header, found \"a\303\274\"" },
		{ "[{headers: [{name: " A50 A10 "aaaa, value: a}]}]",
		  "43: @[0].headers[0].name: expected a string of 1 to 63 bytes, found \"" A50 A10 "aaaa\"" },
		{ "[{headers: [{name: a, type: exact, value: a}]}]",
		  "52: @[0].headers[0].type: expected Exact, Prefix, Present or Distinct, found \"exact\"" },
		{ "[{headers: [{name: a, type: [], value: a}]}]",
		  "52: @[0].headers[0].type: expected Exact, Prefix, Present or Distinct, found a list" },
		{ "[{headers: [{name: a, type: RegularExpression, value: a}]}]",
		  "52: @[0].headers[0].type: expected Exact, Prefix, Present or Distinct, found \"RegularExpression\"" },
		{ "[{headers: [{name: a, type: Present, value: b}]}]", "68: @[0].headers[0].value: Present has no value" },
		{ "[{headers: [{name: a, type: Distinct, value: b}]}]",
		  "69: @[0].headers[0].value: Distinct has no value" },
		{ "[{headers: [{name: a, type: Distinct, invert: true}]}]",
		  "70: @[0].headers[0].invert: Distinct cannot be inverted" },
		{ "[{headers: [{name: a, value: b, invert: yes}]}]",
		  "64: @[0].headers[0].invert: expected true or false, found \"yes\"" },
		{ "[{headers: [{name: a, value: b, invert: []}]}]",
		  "64: @[0].headers[0].invert: expected true or false, found a list" },
		{ "[{headers: [{name: a, value: b, invert: 'true'}]}]",
		  "64: @[0].headers[0].invert: expected true or false, found \"true\"" },
		{ "[{headers: [{name: a, value: null}]}]",
		  "53: @[0].headers[0].value: expected a string of 1 to 256 bytes, found \"null\"" },
		{ "[{headers: [{name: a, value: ' b'}]}]", "53: @[0].headers[0].value: expected " HV "\" b\"" },
		{ "[{headers: [{name: a, value: \"b\\t\"}]}]", "53: @[0].headers[0].value: expected " HV "\"b?\"" },
		{ "[{headers: [{name: a, value: \"b\\nc\"}]}]", "53: @[0].headers[0].value: expected " HV "\"b?c\"" },
		{ "[{headers: [{name: a, value: ''}]}]",
		  "53: @[0].headers[0].value: expected a string of 1 to 256 bytes, found \"\"" },
		{ "[{headers: [{name: a, value: " A250 "aaaaaaa}]}]",
		  "53: @[0].headers[0].value: expected a string of 1 to 256 bytes, found \"" A50 A10 A10 A10 "\"..." },
		{ "[{headers: [{name: a, value: {}}]}]",
		  "53: @[0].headers[0].value: expected a string of 1 to 256 bytes, found a mapping" },
		{ "[{headers: [{name: a, valeu: b}]}]", "46: @[0].headers[0].valeu: unknown field, did you mean value?" },
	};

	check(cases, COUNT(cases));
}

static void paths_that_are_none(void **state)
{
	static const struct refusal cases[] = {
		{ "[{path: /v1}]", "32: @[0].path: expected a mapping, found \"/v1\"" },
		{ "[{path: {}}]", "32: @[0].path: value is missing" },
		{ "[{path: {type: Prefix, value: /v1}}]",
		  "39: @[0].path.type: expected PathPrefix, Exact or Distinct, found \"Prefix\"" },
		{ "[{path: {type: Distinct, value: /v1}}]", "56: @[0].path.value: Distinct has no value" },
		{ "[{path: {value: v1}}]", "40: @[0].path.value: expected a path that begins with /, found \"v1\"" },
		{ "[{path: {value: ''}}]", "40: @[0].path.value: expected a path that begins with /, found \"\"" },
		{ "[{path: {value: []}}]", "40: @[0].path.value: expected a path that begins with /, found a list" },
		{ "[{path: {value: 'http://a/b'}}]",
		  "40: @[0].path.value: expected a path that begins with /, found \"http://a/b\"" },
		{ "[{path: {value: '/v1?x=y'}}]",
		  "40: @[0].path.value: the query is not part of the path, found \"/v1?x=y\"" },
		{ "[{path: {value: '/v1#x'}}]",
		  "40: @[0].path.value: the query is not part of the path, found \"/v1#x\"" },
		{ "[{path: {value: /" A250 "aaaaaa}}]", "40: @[0].path.value: longer than 256 bytes" },
		{ "[{path: {value: /" A250 A250 A250 "}}]", "40: @[0].path.value: longer than 256 bytes" },
		{ "[{path: {value: /v1%00}}]",
		  "40: @[0].path.value: expected a path without a zero byte, found \"/v1%00\"" },
		{ "[{path: {value: /v1, invert: true}}]", "45: @[0].path.invert: unknown field" },
	};

	check(cases, COUNT(cases));
}

static void methods_that_are_none(void **state)
{
#define A_METHOD "GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE or PATCH, found "
	static const struct refusal cases[] = {
		{ "[{methods: GET}]", "35: @[0].methods: expected a list, found \"GET\"" },
		{ "[{methods: []}]", "35: @[0].methods: expected at least one method" },
		{ "[{methods: [GET, get]}]", "41: @[0].methods[1]: expected " A_METHOD "\"get\"" },
		{ "[{methods: [PROPFIND]}]", "36: @[0].methods[0]: expected " A_METHOD "\"PROPFIND\"" },
		{ "[{methods: [[GET]]}]", "36: @[0].methods[0]: expected " A_METHOD "a list" },
	};

	check(cases, COUNT(cases));
}

static void sources_that_are_none(void **state)
{
#define A_RANGE                                                                                    \
	"expected an address such as 10.1.2.3, or a range such as 10.0.0.0/8 or 2001:db8::/32 with nothing behind " \
	"its prefix, found "
#define BITS_128 "expected an integer from 1 to 128, found "
	static const struct refusal cases[] = {
		{ "[{sourceIP: localhost}]", "36: @[0].sourceIP: " A_RANGE "\"localhost\"" },
		{ "[{sourceCIDR: 10.0.0.0/33}]", "38: @[0].sourceCIDR: " A_RANGE "\"10.0.0.0/33\"" },
		{ "[{sourceCIDR: 10.0.0.1/8}]", "38: @[0].sourceCIDR: " A_RANGE "\"10.0.0.1/8\"" },
		{ "[{sourceCIDR: 10.0.0.0/}]", "38: @[0].sourceCIDR: " A_RANGE "\"10.0.0.0/\"" },
		{ "[{sourceCIDR: 10.0.0.0/-1}]", "38: @[0].sourceCIDR: " A_RANGE "\"10.0.0.0/-1\"" },
		{ "[{sourceCIDR: 10.0.0.0/8x}]", "38: @[0].sourceCIDR: " A_RANGE "\"10.0.0.0/8x\"" },
		{ "[{sourceCIDR: 10.0.0.0/99999999999999999999}]",
		  "38: @[0].sourceCIDR: " A_RANGE "\"10.0.0.0/99999999999999999999\"" },
		{ "[{sourceCIDR: '2001:db8::/129'}]", "38: @[0].sourceCIDR: " A_RANGE "\"2001:db8::/129\"" },
		{ "[{sourceCIDR: '2001:db8::1/32'}]", "38: @[0].sourceCIDR: " A_RANGE "\"2001:db8::1/32\"" },
		{ "[{sourceCIDR: []}]", "38: @[0].sourceCIDR: expected a mapping, found a list" },
		{ "[{sourceCIDR: {}}]", "38: @[0].sourceCIDR: value is missing" },
		{ "[{sourceCIDR: {value: []}}]", "46: @[0].sourceCIDR.value: " A_RANGE "a list" },
		{ "[{sourceCIDR: {type: Prefix}}]", "45: @[0].sourceCIDR.type: expected Exact or Distinct, found \"Prefix\"" },
		{ "[{sourceCIDR: {value: 10.0.0.1, prefixLength: 8}}]",
		  "70: @[0].sourceCIDR.prefixLength: only of Distinct" },
		{ "[{sourceCIDR: {type: Distinct, prefixLength: 24}}]",
		  "69: @[0].sourceCIDR.prefixLength: of which family? Give value as well, 0.0.0.0/0 or ::/0" },
		{ "[{sourceCIDR: {type: Distinct, prefixLength: 0}}]",
		  "69: @[0].sourceCIDR.prefixLength: " BITS_128 "\"0\"" },
		{ "[{sourceCIDR: {type: Distinct, prefixLength: 129}}]",
		  "69: @[0].sourceCIDR.prefixLength: " BITS_128 "\"129\"" },
		{ "[{sourceCIDR: {type: Distinct, value: 10.0.0.0/8, prefixLength: 33}}]",
		  "88: @[0].sourceCIDR.prefixLength: expected an integer from 1 to 32, found \"33\"" },
		{ "[{sourceCIDR: {type: Distinct, value: '::/0', prefixLength: /64}}]",
		  "84: @[0].sourceCIDR.prefixLength: " BITS_128 "\"/64\"" },
		{ "[{sourceCIDR: {valu: 10.0.0.1}}]", "39: @[0].sourceCIDR.valu: unknown field, did you mean value?" },
	};

	check(cases, COUNT(cases));
}

static void too_many(void **state)
{
	char text[4096] = "[";
	int i;

	for (i = 0; i < KRL_MAX_RULE_ENTRIES; i++)
		strcat(text, "{methods: [GET]}, ");
	strcat(text, "]");
	assert_int_equal(accepted(text)->selector_count, KRL_MAX_RULE_ENTRIES);
	strcpy(text + strlen(text) - 1, "{methods: [GET]}]");
	check(&(struct refusal){ text, "313: @[16]: more than 16 selectors in one rule" }, 1);

	strcpy(text, "[{headers: [");
	for (i = 0; i < KRL_MAX_ENTRY_PREDICATES; i++)
		strcat(text, "{name: a, type: Present}, ");
	strcat(text, "]}]");
	assert_int_equal(accepted(text)->selectors[0].term_count, KRL_MAX_ENTRY_PREDICATES);
	strcpy(text + strlen(text) - 2, ", path: {type: Distinct}}]");
	check(&(struct refusal){ text, "253: @[0].path: more than 8 conditions in one selector" }, 1);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(headers),
		TEST(paths_are_in_their_normal_form),
		TEST(methods),
		TEST(sources),
		TEST(selectors_and_terms_keep_their_order),
		TEST(selectors_that_are_none),
		TEST(headers_that_are_none),
		TEST(paths_that_are_none),
		TEST(methods_that_are_none),
		TEST(sources_that_are_none),
		TEST(too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
