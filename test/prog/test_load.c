// SPDX-License-Identifier: Apache-2.0
/* The datapath's programs pass this kernel's verifier; what it walked through is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kmesh_rl.skel.h"

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
	struct bpf_program *prog;
	struct bpf_prog_info info;
	__u32 size;

	assert_non_null(skel);
	assert_int_equal(kmesh_rl__load(skel), 0);
	bpf_object__for_each_program(prog, skel->obj) {
		size = sizeof(info);
		memset(&info, 0, sizeof(info));
		assert_int_equal(bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &size), 0);
		printf("verifier: %s: %u instructions\n", bpf_program__name(prog),
		       info.verified_insns);
	}
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
