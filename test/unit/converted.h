/* SPDX-License-Identifier: Apache-2.0 */
/* A text converted, and what came of it. */
#ifndef KMESH_RL_TEST_CONVERTED_H
#define KMESH_RL_TEST_CONVERTED_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/policy/decode.h"
#include "tools/kmesh-rl/convert/convert.h"

#define HEAD(name) "apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nmetadata:\n  name: " name "\n"

static char *out, *err;

static inline int teardown(void **state)
{
	free(out);
	free(err);
	out = err = NULL;
	return 0;
}

/* The agent must read what comes out. */
static inline void check_readable(void)
{
	struct krl_decoded_file file = {};
	struct krl_diags diags = {};
	size_t i;

	assert_int_equal(krl_decode("out", out, strlen(out), &file, &diags), 0);
	for (i = 0; i < diags.count; i++)
		fail_msg("%s", diags.lines[i]);
	krl_diags_clear(&diags);
	krl_decoded_file_clear(&file);
}

static inline int convert_bytes(const char *text, size_t len)
{
	size_t out_len, err_len;
	FILE *streams[2];
	int ret;

	teardown(NULL);
	streams[0] = open_memstream(&out, &out_len);
	streams[1] = open_memstream(&err, &err_len);
	ret = krl_convert(text, len, "in", streams[0], streams[1]);
	fclose(streams[0]);
	fclose(streams[1]);
	check_readable();
	return ret;
}

/* Convert @text, of which something must come. */
static inline void convert(const char *text)
{
	assert_int_equal(convert_bytes(text, strlen(text)), 0);
}

/* Convert @text, of which nothing can come, and @expected must be said. */
static inline void refuse(const char *text, const char *expected)
{
	assert_int_equal(convert_bytes(text, strlen(text)), -ENOENT);
	assert_string_equal(out, "");
	assert_string_equal(err, expected);
}

static inline void contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no\n%s\nin\n%s", part, text);
}

static inline void lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("unexpected\n%s\nin\n%s", part, text);
}

/* @second comes somewhere behind @first in what came out. */
static inline void in_order(const char *first, const char *second)
{
	contains(out, first);
	contains(strstr(out, first), second);
}

#endif
