/* SPDX-License-Identifier: Apache-2.0 */
/* A test object: loaded, its maps of one row, its programs run on packets. */
#ifndef KMESH_RL_TEST_OBJECT_H
#define KMESH_RL_TEST_OBJECT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* test-run refuses less than an Ethernet header. */
enum { MIN_PACKET = 14 };

/* Load @name of @directory. 0, or -errno. */
static inline int object_load(const char *directory, const char *name, struct bpf_object **ret)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	*ret = bpf_object__open(path);
	return *ret ? bpf_object__load(*ret) : -errno;
}

/* What the verifier walked through. 0, or -errno. */
static inline int object_print_verified(const struct bpf_object *object)
{
	struct bpf_program *prog;
	struct bpf_prog_info info;
	int err = 0;
	__u32 size;

	bpf_object__for_each_program(prog, object) {
		size = sizeof(info);
		memset(&info, 0, sizeof(info));
		if (!err)
			err = bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &size);
		printf("verifier: %s: %u instructions\n", bpf_program__name(prog), info.verified_insns);
	}
	return err;
}

static inline void object_set(struct bpf_object *object, const char *map, const void *value)
{
	uint32_t zero = 0;

	assert_int_equal(bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, map), &zero, value, BPF_ANY), 0);
}

static inline void object_get(struct bpf_object *object, const char *map, void *ret)
{
	uint32_t zero = 0;

	assert_int_equal(bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(object, map), &zero, ret), 0);
}

static inline void object_run(struct bpf_object *object, const char *program, const void *packet, uint32_t len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = len, .repeat = 1);
	int fd = bpf_program__fd(bpf_object__find_program_by_name(object, program));

	assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
}

#endif
