// SPDX-License-Identifier: Apache-2.0
/* The datapath's programs pass this kernel's verifier; what it walked through is printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmesh_rl.skel.h"
#include "test/prog/object.h"

/* A verifier's log may have megabytes: its end says what was refused, where. */
#define LOG_TAIL 6000

static int print_tail(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text;
	int len;

	if (level != LIBBPF_WARN)
		return 0;
	len = vasprintf(&text, format, args);
	if (len < 0)
		return 0;
	fputs(len > LOG_TAIL ? text + len - LOG_TAIL : text, stderr);
	free(text);
	return len;
}

static void every_program_passes_the_verifier(void **state)
{
	struct kmesh_rl *skel = kmesh_rl__open();

	assert_non_null(skel);
	assert_int_equal(kmesh_rl__load(skel), 0);
	assert_int_equal(object_print_verified(skel->obj), 0);
	kmesh_rl__destroy(skel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_program_passes_the_verifier),
	};

	libbpf_set_print(print_tail);
	return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
