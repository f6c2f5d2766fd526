// SPDX-License-Identifier: Apache-2.0
/* The complaints about one file: their order, and how many there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/policy/decode.h"

#define KIND "apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\n"
#define HEAD KIND "metadata: {name: web}\n"

/* Decode @text; it must be refused with @lines, which NULL ends, in this order. */
static void check_lines(const char *text, const char *const *lines)
{
	struct krl_decoded_file file = { 0 };
	struct krl_diags diags = { 0 };
	size_t i;

	assert_int_equal(krl_decode("f.yaml", text, strlen(text), &file, &diags), 0);
	for (i = 0; lines[i]; i++) {
		assert_true(i < diags.count);
		assert_string_equal(diags.lines[i], lines[i]);
	}
	assert_int_equal(diags.count, i);
	krl_decoded_file_clear(&file);
	krl_diags_clear(&diags);
}

static void lines_of_a_document_are_in_the_order_of_its_text(void **state)
{
	static const char *const absent[] = { "f.yaml:1:1: metadata is missing",
		"f.yaml:3:43: spec.rules[0].limit: given twice", NULL };
	static const char *const repeated[] = {
		"f.yaml:4:40: spec.rules[0].x: unknown field",
		"f.yaml:4:47: spec.rules[1]: the name a is given to rules[0] as well",
		"f.yaml:4:71: spec.rules[1].y: unknown field",
		"f.yaml:4:79: spec.z: unknown field",
		"f.yaml:4:85: spec.rules: given twice", NULL };
	static const char *const each[] = { "f.yaml:3:18: metadata.name: expected a name of lower case letters, digits, '-' and '.', "
					  "found \"A\"",
		"f.yaml:4:8: spec.z: unknown field",
		"f.yaml:6:1: metadata is missing", "f.yaml:8:8: spec.y: unknown field", NULL };

	check_lines(KIND "spec: {service: a, rules: [{limit: 1/day, limit: 1/day}]}\n", absent);
	check_lines(HEAD "spec: {rules: [{name: a, limit: 1/day, x: 1}, {name: a, limit: 1/day, y: 1}], z: 1, rules: []}\n",
		    repeated);
	check_lines(KIND "metadata: {name: A}\nspec: {z: 1}\n---\n" KIND "spec: {y: 1}\n", each);
}

/* Of more than fit, those that were found first. */
static void too_many_lines_are_cut_and_in_order(void **state)
{
	char text[1024] = HEAD "spec: {";
	struct krl_decoded_file file = { 0 };
	struct krl_diags diags = { 0 };
	size_t i;

	for (i = 0; i < 30; i++)
		sprintf(text + strlen(text), "z%02zu: 1, ", i);
	strcat(text, "z00: 1}\n");
	assert_int_equal(krl_decode("f.yaml", text, strlen(text), &file, &diags), 0);
	assert_int_equal(diags.count, 20);
	assert_string_equal(diags.lines[0], "f.yaml:4:8: spec.z00: unknown field");
	assert_string_equal(diags.lines[18], "f.yaml:4:152: spec.z18: unknown field");
	assert_string_equal(diags.lines[19], "f.yaml:4:248: spec.z00: given twice");
	krl_decoded_file_clear(&file);
	krl_diags_clear(&diags);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_a_document_are_in_the_order_of_its_text),
		cmocka_unit_test(too_many_lines_are_cut_and_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
