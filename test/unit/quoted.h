/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as it reads well between the quotes of C. */
#ifndef KMESH_RL_TEST_QUOTED_H
#define KMESH_RL_TEST_QUOTED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

/* JSON with ' for ". The caller drops it. */
static inline json_t *parse(const char *text)
{
	char json[4096], *at;
	json_error_t error;
	json_t *value;

	snprintf(json, sizeof(json), "%s", text);
	for (at = json; *at; at++)
		if (*at == '\'')
			*at = '"';
	value = json_loads(json, JSON_DECODE_ANY, &error);
	if (!value)
		fail_msg("%s in %s", error.text, json);
	return value;
}

#endif
