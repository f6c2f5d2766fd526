// SPDX-License-Identifier: Apache-2.0
#include "cross.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "sockmap.h"

#define PROGRAM_PREFIX "krl_cross_"
#define FORMER_PREFIX "krl_former_"
#define NOWHERE (~0U)

static int open_info(const char *pins, const char *name, struct bpf_map_info *ret)
{
	__u32 bytes = sizeof(*ret);
	char path[PATH_MAX];
	int fd, err;

	if (snprintf(path, sizeof(path), "%s/%s", pins, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	memset(ret, 0, sizeof(*ret));
	err = bpf_obj_get_info_by_fd(fd, ret, &bytes);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int krl_cross_open_map(const char *pins, const char *name)
{
	struct bpf_map_info info;
	int fd = open_info(pins, name, &info);

	if (fd < 0 || (info.type == BPF_MAP_TYPE_SOCKHASH && info.key_size == sizeof(__u64) &&
		       info.value_size == sizeof(__u64)))
		return fd;
	close(fd);
	return -EPROTO;
}

/* Where the byte @name is in the struct that @info says the rows are. NOWHERE: it is not known. */
static __u32 find_byte(const struct bpf_map_info *info, const char *name)
{
	struct btf *btf = info->btf_id ? btf__load_from_kernel_by_id(info->btf_id) : NULL;
	const struct btf_type *type = btf ? btf__type_by_id(btf, info->btf_value_type_id) : NULL;
	const struct btf_member *member;
	__u32 at = NOWHERE, bit, i;

	for (i = 0; type && btf_is_struct(type) && i < btf_vlen(type); i++) {
		member = btf_members(type) + i;
		bit = btf_member_bit_offset(type, i);
		if (!strcmp(btf__name_by_offset(btf, member->name_off), name) && bit % 8 == 0 &&
		    btf__resolve_size(btf, member->type) == 1)
			at = bit / 8;
	}
	btf__free(btf);
	return at < info->value_size ? at : NOWHERE;
}

/* Have the map @map of @cross be that of the other version, if there is one. */
static int use_sockets(struct bpf_map *map, const char *pins, const char *name)
{
	int fd = krl_cross_open_map(pins, name), err;

	if (fd < 0)
		return 0;
	err = bpf_map__reuse_fd(map, fd);
	close(fd);
	return err;
}

/* The same with its rows of connections, of which the phase alone is read. */
static int use_conns(struct kmesh_rl *cross, const char *pins)
{
	struct bpf_map_info info;
	int fd = open_info(pins, "krl_conns", &info), err = 0;

	if (fd < 0)
		return 0;
	if (info.type == BPF_MAP_TYPE_HASH && info.key_size == sizeof(__u64)) {
		cross->rodata->krl_former_phase_at = find_byte(&info, "phase");
		err = bpf_map__reuse_fd(cross->maps.krl_former_conns, fd);
	}
	close(fd);
	return err;
}

/* Both objects are of one file: their maps come in the same order. What is constant differs, the phase's place in it. */
static int share_maps(struct kmesh_rl *cross, const struct kmesh_rl *with)
{
	const struct bpf_map *theirs = NULL;
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_map(map, cross->obj) {
		theirs = bpf_object__next_map(with->obj, theirs);
		if (!err && map != cross->maps.rodata &&
		    strncmp(bpf_map__name(map), FORMER_PREFIX, strlen(FORMER_PREFIX)))
			err = bpf_map__reuse_fd(map, bpf_map__fd(theirs));
	}
	return err;
}

static int use_maps(struct kmesh_rl *cross, const struct kmesh_rl *with, const char *pins)
{
	int err = share_maps(cross, with);

	if (!err)
		err = use_sockets(cross->maps.krl_former_sockets, pins, "krl_sockets");
	if (!err)
		err = use_sockets(cross->maps.krl_former_writers, pins, "krl_writers");
	if (!err)
		err = use_sockets(cross->maps.krl_former_senders, pins, "krl_senders");
	if (!err)
		err = use_sockets(cross->maps.krl_former_receivers, pins, "krl_receivers");
	if (!err)
		err = use_conns(cross, pins);
	return err;
}

int krl_cross_load(const struct krl_datapath *dp, const char *pins, struct kmesh_rl **ret)
{
	struct kmesh_rl *cross = kmesh_rl__open();
	struct bpf_program *program;
	int err;

	if (!cross)
		return -errno;
	cross->rodata->krl_cgroup_id = dp->skel->rodata->krl_cgroup_id;
	bpf_object__for_each_program(program, cross->obj)
		bpf_program__set_autoload(program, !strncmp(bpf_program__name(program), PROGRAM_PREFIX,
							    strlen(PROGRAM_PREFIX)));
	err = use_maps(cross, dp->skel, pins);
	if (!err)
		err = kmesh_rl__load(cross);
	if (err) {
		kmesh_rl__destroy(cross);
		return err;
	}
	*ret = cross;
	return 0;
}

static void count(void *ctx, __u32 said)
{
	struct krl_cross_result *result = ctx;

	result->taken += said == KRL_CROSSED;
	result->left += said == KRL_CROSSED_NOT;
}

int krl_cross_run(struct kmesh_rl *cross, struct krl_cross_result *ret)
{
	int err;

	ret->left = 0;
	err = krl_sockmap_each(cross->progs.krl_cross_in, cross->maps.krl_former_sockets, count, ret);
	return err ? err : krl_sockmap_each(cross->progs.krl_cross_out, cross->maps.krl_former_senders, count, ret);
}
