// SPDX-License-Identifier: Apache-2.0
/* Without memory a document is read whole or not at all: never with a rule or an address less. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/vec.h"
#include "agent/policy/compile.h"
#include "agent/policy/decode.h"

#define DOCUMENTS 4

static const char text[] =
	"{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, metadata: {name: a}, spec: {services: [\n"
	"  {name: s, rules: [{limit: 1/day}, {name: b, limit: 2/day}]}, {name: t, rules: [{limit: 1/day}]}]}}\n"
	"---\n"
	"{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, metadata: {name: b}, spec: {\n"
	"  endpoints: [{ip: 127.0.0.1, port: 1}, {ip: 127.0.0.1, port: 2}], rules: [{limit: 1/day}, "
	"{name: c, limit: 1/day;2/week, count: LLMTokens, clientSelectors: [{model: {value: m}}]}]}}\n"
	"---\n"
	"{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 1}, {port: 2}]}}\n"
	"---\n"
	"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, ports: [{port: 1}, {port: 2}],\n"
	" metadata: {name: s-1, labels: {kubernetes.io/service-name: s}},\n"
	" endpoints: [{addresses: [192.0.2.1, 192.0.2.2]}]}\n";

/* Allocations that still succeed. */
static int left;

/* In place of the library's. */
void *krl_vec_grow(void *items, size_t count, size_t size)
{
	char *grown;

	if (left-- <= 0)
		return NULL;
	grown = realloc(items, (count + 1) * size);
	assert_non_null(grown);
	memset(grown + count * size, 0, size);
	return grown;
}

static int decode(int allocations, struct krl_decoded_file *ret)
{
	struct krl_diags diags = { 0 };
	int err;

	left = allocations;
	err = krl_decode("f.yaml", text, strlen(text), ret, &diags);
	assert_int_equal(diags.count, 0);
	return err;
}

static void decoding_fails_wherever_memory_ends(void **state)
{
	struct krl_decoded_file file = { 0 };
	int allocations = 0, err;

	for (; (err = decode(allocations, &file)); allocations++) {
		assert_int_equal(err, -ENOMEM);
		krl_decoded_file_clear(&file);
	}
	assert_int_equal(left, 0);
	assert_int_equal(file.count, DOCUMENTS);
	/* One for each document, target, rule, selector, endpoint, port and address. */
	assert_int_equal(allocations, DOCUMENTS + 3 + 6 + 1 + 2 + 4 + 2);
	krl_decoded_file_clear(&file);
}

static void compiling_fails_wherever_memory_ends(void **state)
{
	struct krl_source_document documents[DOCUMENTS];
	struct krl_diags errors = { 0 }, notes = { 0 };
	struct krl_decoded_file file = { 0 };
	struct krl_plan plan = { .rule_count = 99 };
	int allocations = 0, err, i;

	assert_int_equal(decode(1000, &file), 0);
	for (i = 0; i < DOCUMENTS; i++)
		documents[i] = (struct krl_source_document){ .file = "f.yaml", .document = file.documents[i].document };
	for (;; allocations++) {
		left = allocations;
		err = krl_compile(documents, DOCUMENTS, 0, &plan, &errors, &notes);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(plan.rule_count, 99);
	}
	assert_true(allocations > 0);
	assert_int_equal(plan.rule_count, 6);
	/* Two of the rate limit's own; two addresses with two ports. */
	assert_int_equal(plan.endpoint_count, 6);
	krl_plan_clear(&plan);
	krl_diags_clear(&errors);
	krl_diags_clear(&notes);
	krl_decoded_file_clear(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoding_fails_wherever_memory_ends),
		cmocka_unit_test(compiling_fails_wherever_memory_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
