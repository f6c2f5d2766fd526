// SPDX-License-Identifier: Apache-2.0
/* What others have where ours is: programs on the same hooks, sockets in maps. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <kmesh_rl/pins.h>

#include "host.h"
#include "inspect.h"

#define OURS "krl_"
#define PROGRAMS 64
/* Of a cgroup: a handle of the file system is its number (fs/kernfs/mount.c; include/linux/exportfs.h, FILEID_KERNFS). */
#define HANDLE_KERNFS 0xfe

static const struct {
	const char *pin, *where;
	enum bpf_attach_type type;
} hooks[] = {
	{ KRL_PIN_SOCKOPS_LINK, "sock_ops", BPF_CGROUP_SOCK_OPS },
	{ KRL_PIN_CONNECT4_LINK, "connect4", BPF_CGROUP_INET4_CONNECT },
	{ KRL_PIN_CONNECT6_LINK, "connect6", BPF_CGROUP_INET6_CONNECT },
};

static void add_program(struct krl_inspect_others *others, const char *where, __u32 id)
{
	struct krl_inspect_other *other;
	struct bpf_prog_info info = {};
	__u32 bytes = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &bytes) && others->program_count++ < KRL_INSPECT_OTHERS) {
		other = &others->programs[others->program_count - 1];
		snprintf(other->name, sizeof(other->name), "%s", info.name);
		other->where = where;
		other->id = id;
	}
	close(fd);
}

/* The cgroup with the number @id, opened. A file descriptor, or -errno. */
static int open_cgroup(__u64 id)
{
	struct {
		struct file_handle head;
		__u64 id;
	} handle = { .head = { .handle_bytes = sizeof(__u64), .handle_type = HANDLE_KERNFS } };
	char path[KRL_INSPECT_PATH_BYTES];
	int mount, fd, err;

	err = krl_host_find_cgroup2(path, sizeof(path));
	if (err)
		return err;
	mount = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mount < 0)
		return -errno;
	memcpy(handle.head.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(mount, &handle.head, O_RDONLY | O_CLOEXEC);
	err = -errno;
	close(mount);
	return fd < 0 ? err : fd;
}

/* Those that run on the cgroup of the pinned link beside its own. */
static void look_at_hook(const char *bpffs, size_t hook, struct krl_inspect_others *others)
{
	__u32 ids[PROGRAMS], count = PROGRAMS, i;
	char path[KRL_INSPECT_PATH_BYTES];
	struct bpf_link_info info = {};
	__u32 bytes = sizeof(info);
	int link, cgroup;

	if (snprintf(path, sizeof(path), "%s/%s", bpffs, hooks[hook].pin) >= (int)sizeof(path))
		return;
	link = bpf_obj_get(path);
	if (link < 0)
		return;
	cgroup = bpf_obj_get_info_by_fd(link, &info, &bytes) ? -1 : open_cgroup(info.cgroup.cgroup_id);
	close(link);
	if (cgroup < 0)
		return;
	if (!bpf_prog_query(cgroup, hooks[hook].type, BPF_F_QUERY_EFFECTIVE, NULL, ids, &count))
		for (i = 0; i < count; i++)
			if (ids[i] != info.prog_id)
				add_program(others, hooks[hook].where, ids[i]);
	close(cgroup);
}

static void add_map(struct krl_inspect_others *others, __u32 id)
{
	struct krl_inspect_other *other;
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info);
	int fd = bpf_map_get_fd_by_id(id);

	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &bytes) &&
	    (info.type == BPF_MAP_TYPE_SOCKMAP || info.type == BPF_MAP_TYPE_SOCKHASH) &&
	    strncmp(info.name, OURS, strlen(OURS)) && others->map_count++ < KRL_INSPECT_OTHERS) {
		other = &others->maps[others->map_count - 1];
		snprintf(other->name, sizeof(other->name), "%s", info.name);
		other->where = NULL;
		other->id = id;
	}
	close(fd);
}

int krl_inspect_others(const char *bpffs, struct krl_inspect_others *ret)
{
	struct krl_inspect_others others = {};
	__u32 id = 0;
	size_t i;
	int err;

	for (i = 0; i < sizeof(hooks) / sizeof(*hooks); i++)
		look_at_hook(bpffs, i, &others);
	while (!(err = bpf_map_get_next_id(id, &id)))
		add_map(&others, id);
	if (err != -ENOENT)
		return err;
	*ret = others;
	return 0;
}
