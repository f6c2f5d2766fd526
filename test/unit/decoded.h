/* SPDX-License-Identifier: Apache-2.0 */
/* Text decoded: what comes of it, and what is said of what is refused. */
#ifndef KMESH_RL_TEST_DECODED_H
#define KMESH_RL_TEST_DECODED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/policy/decode.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

/* Three lines; what follows begins in line 4, "spec:". */
#define HEAD "apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nmetadata: {name: web}\n"
/* What follows is the 7th line, which begins at column 7: a field of spec.rules[0]. */
#define RULE HEAD "spec:\n  service: a\n  rules:\n    - "

/* Of the last text that was decoded, with the count of documents that are of other kinds. */
static struct krl_decoded_file file;
static size_t ignored;

/* Decode @text, in which nothing may be wrong. */
static inline void decode(const char *text)
{
	struct krl_diags diags = { 0 };

	krl_decoded_file_clear(&file);
	assert_int_equal(krl_decode("f.yaml", text, strlen(text), &file, &diags), 0);
	if (diags.count)
		fail_msg("%s\nin\n%s", diags.lines[0], text);
	assert_false(file.cut);
	ignored = diags.ignored;
}

static inline const struct krl_document *only(enum krl_kind kind)
{
	assert_int_equal(file.count, 1);
	assert_non_null(file.documents[0].document);
	assert_int_equal(file.documents[0].document->kind, kind);
	return file.documents[0].document;
}

static inline const struct krl_target *only_target(void)
{
	const struct krl_rate_limit *limit = &only(KRL_KIND_RATE_LIMIT)->rate_limit;

	assert_int_equal(limit->target_count, 1);
	return limit->targets;
}

static inline int teardown(void **state)
{
	krl_decoded_file_clear(&file);
	return 0;
}

struct refusal {
	const char *text;
	const char *says;	/* without "f.yaml:" */
};

/* Decode each text; it must be refused with its one line. */
static inline void check(const struct refusal *cases, size_t count)
{
	char expected[1024];
	size_t i, d;

	for (i = 0; i < count; i++) {
		struct krl_decoded_file found = { 0 };
		struct krl_diags diags = { 0 };

		assert_int_equal(krl_decode("f.yaml", cases[i].text, strlen(cases[i].text), &found, &diags), 0);
		snprintf(expected, sizeof(expected), "f.yaml:%s", cases[i].says);
		if (diags.count != 1 || strcmp(diags.lines[0], expected)) {
			print_error("expected %s\n", expected);
			for (d = 0; d < diags.count; d++)
				print_error("   found %s\n", diags.lines[d]);
			fail_msg("%zu lines for\n%s", diags.count, cases[i].text);
		}
		for (d = 0; d < found.count; d++)
			assert_null(found.documents[d].document);
		assert_true(found.cut || found.count);
		krl_decoded_file_clear(&found);
		krl_diags_clear(&diags);
	}
}

#endif
