// SPDX-License-Identifier: Apache-2.0
/* What others have where ours is: programs on the same hooks, sockets in maps. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <kmesh_rl/pins.h>

#include "agent/base/vec.h"
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

/* Links of ours, each in a network namespace, by the number of its inode. */
struct guards {
	struct guard {
		__u32 link, inode;
	} *guards;
	size_t count;
};

/* Of the link @fd, if it is one of sk_lookup: 0 with @ret set, else -1. */
static int lookup_info(int fd, struct bpf_link_info *ret)
{
	__u32 bytes = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	return !bpf_obj_get_info_by_fd(fd, ret, &bytes) && ret->type == BPF_LINK_TYPE_NETNS &&
			       ret->netns.attach_type == BPF_SK_LOOKUP ? 0 : -1;
}

/* Where our own are, by the pins. */
static int find_guards(const char *bpffs, struct guards *ret)
{
	char path[KRL_INSPECT_PATH_BYTES];
	struct bpf_link_info info;
	DIR *dir = opendir(bpffs);
	struct dirent *entry;
	struct guard *guard;
	int fd, err = 0;

	while (dir && !err && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, KRL_PIN_LOOKUP_LINK, strlen(KRL_PIN_LOOKUP_LINK)) ||
		    snprintf(path, sizeof(path), "%s/%s", bpffs, entry->d_name) >= (int)sizeof(path))
			continue;
		fd = bpf_obj_get(path);
		if (fd < 0)
			continue;
		if (!lookup_info(fd, &info)) {
			guard = krl_vec_add(&ret->guards, &ret->count);
			if (guard)
				*guard = (struct guard){ info.id, info.netns.netns_ino };
			else
				err = -ENOMEM;
		}
		close(fd);
	}
	if (dir)
		closedir(dir);
	return err;
}

/* Is the link @info one of somebody else's, where one of ours is? */
static bool is_beside(const struct guards *ours, const struct bpf_link_info *info)
{
	bool beside = false;
	size_t i;

	for (i = 0; i < ours->count; i++) {
		if (ours->guards[i].link == info->id)
			return false;
		beside |= ours->guards[i].inode == info->netns.netns_ino;
	}
	return beside;
}

/* Programs of sk_lookup beside ours, which have a say in what comes in there: the kernel attaches such by links alone
 * (kernel/bpf/net_namespace.c, netns_bpf_prog_attach). */
static int look_at_lookups(const char *bpffs, struct krl_inspect_others *others)
{
	struct guards ours = { 0 };
	struct bpf_link_info info;
	int fd, err = find_guards(bpffs, &ours);
	__u32 id = 0;

	while (!err && ours.count && !bpf_link_get_next_id(id, &id)) {
		fd = bpf_link_get_fd_by_id(id);
		if (fd < 0)
			continue;
		if (!lookup_info(fd, &info) && is_beside(&ours, &info))
			add_program(others, "sk_lookup", info.prog_id);
		close(fd);
	}
	free(ours.guards);
	return err;
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
	err = look_at_lookups(bpffs, &others);
	if (err)
		return err;
	while (!(err = bpf_map_get_next_id(id, &id)))
		add_map(&others, id);
	if (err != -ENOENT)
		return err;
	*ret = others;
	return 0;
}
