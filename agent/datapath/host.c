// SPDX-License-Identifier: Apache-2.0
/* What the machine must have: rights, a kernel, BTF, a BPF file system, cgroup v2. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "diag.h"
#include "host.h"
#include "internal.h"

#define OLDEST_KERNEL_MAJOR 6
#define OLDEST_KERNEL_MINOR 1
#define BPF_MOUNT "/sys/fs/bpf"

int krl_error_set(struct krl_error *error, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, args);
	va_end(args);
	return -err;
}

/* Linux 6.1 wants CAP_NET_ADMIN for programs of sockets; 6.12 does with CAP_SYS_ADMIN. Of network namespaces, CAP_SYS_ADMIN
 * lets setns(2) enter (netns_install(), net/core/net_namespace.c), and CAP_SYS_PTRACE opens /proc/PID/ns/net of other users'
 * processes and of those with more capabilities (proc_ns_get_link(), fs/proc/namespaces.c). To the kernel CAP_SYS_ADMIN has
 * CAP_BPF and CAP_PERFMON in it (include/linux/capability.h). */
int krl_host_check_rights(struct krl_error *ret_error)
{
	static const struct {
		int number;
		const char *name;
	} needed[] = { { CAP_NET_ADMIN, "CAP_NET_ADMIN" },
		       { CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
		       { CAP_SYS_PTRACE, "CAP_SYS_PTRACE" } };
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	char missing[64] = "";
	__u64 has;
	size_t i;

	if (syscall(SYS_capget, &header, data))
		return krl_error_set(ret_error, errno, "reading this process' capabilities: %s", strerror(errno));
	has = data[0].effective | (__u64)data[1].effective << 32;
	for (i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!(has >> needed[i].number & 1))
			snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), "%s%s",
				 *missing ? ", " : "", needed[i].name);
	if (!*missing)
		return 0;
	return krl_error_set(ret_error, EPERM, "without %s: run as root, for example with sudo, or give "
			     "the container these capabilities", missing);
}

bool krl_host_kernel_is_old(const char *release)
{
	int major = 0, minor = 0;

	return sscanf(release, "%d.%d", &major, &minor) == 2 &&
	       (major < OLDEST_KERNEL_MAJOR || (major == OLDEST_KERNEL_MAJOR && minor < OLDEST_KERNEL_MINOR));
}

static int no_socket(void *ctx, const struct krl_diag_socket *socket)
{
	return 0;
}

int krl_host_check(const struct krl_datapath_options *options, struct krl_error *ret_error)
{
	struct utsname name;
	int err;

	err = krl_host_check_rights(ret_error);
	if (err)
		return err;
	uname(&name);
	if (krl_host_kernel_is_old(name.release))
		return krl_error_set(ret_error, ENOTSUP,
				     "kernel %s is too old: %d.%d or newer is needed", name.release,
				     OLDEST_KERNEL_MAJOR, OLDEST_KERNEL_MINOR);
	if (access(KRL_HOST_BTF, R_OK))
		return krl_error_set(ret_error, ENOTSUP,
				     KRL_HOST_BTF " is missing: a kernel built with "
				     "CONFIG_DEBUG_INFO_BTF=y is needed");
	err = krl_diag_each(0, no_socket, NULL);
	if (err)
		return krl_error_set(ret_error, -err, "the kernel does not list TCP sockets: %s: tcp_diag "
				     "(CONFIG_INET_TCP_DIAG) is needed", strerror(-err));
	return 0;
}

int krl_host_find_cgroup2(char *ret_path, size_t size)
{
	struct mntent *entry;
	FILE *mounts;
	int err = -ENOENT;

	mounts = setmntent("/proc/mounts", "re");
	if (!mounts)
		return -errno;
	while ((entry = getmntent(mounts))) {
		if (strcmp(entry->mnt_type, "cgroup2"))
			continue;
		snprintf(ret_path, size, "%s", entry->mnt_dir);
		err = 0;
		break;
	}
	endmntent(mounts);
	return err;
}

int krl_host_open_cgroup(const char *path, int *ret_fd, struct krl_error *ret_error)
{
	char found[PATH_MAX];
	struct statfs fs;
	int fd;

	if (!path) {
		if (krl_host_find_cgroup2(found, sizeof(found)))
			return krl_error_set(ret_error, ENOENT,
					     "no cgroup v2 file system is mounted: run `mount -t cgroup2 "
					     "none /sys/fs/cgroup` or boot with systemd.unified_cgroup_hierarchy=1");
		path = found;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return krl_error_set(ret_error, errno, "cgroup %s: %s", path, strerror(errno));
	if (fstatfs(fd, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC) {
		close(fd);
		return krl_error_set(ret_error, ENOENT,
				     "cgroup %s is not a directory of a cgroup v2 file system: give one "
				     "with --cgroup",
				     path);
	}
	*ret_fd = fd;
	return 0;
}

bool krl_host_is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == BPF_FS_MAGIC;
}

/* In a mount namespace other than that of the first process, what is mounted ends with that namespace: in a container
 * that sees the node's processes, or a service with mounts of its own. */
static bool mounts_end_with_the_agent(void)
{
	struct stat own, first;

	return !stat("/proc/self/ns/mnt", &own) && !stat("/proc/1/ns/mnt", &first) && own.st_ino != first.st_ino;
}

/* Mount the BPF file system of the machine if it is missing. 0, or -errno. */
static int mount_bpffs(struct krl_error *ret_error)
{
	if (krl_host_is_bpffs(BPF_MOUNT))
		return 0;
	if (mounts_end_with_the_agent())
		return krl_error_set(ret_error, ENOENT,
				     "%s is not a BPF file system, and one mounted from this container would end with "
				     "it: run `mount -t bpf bpf %s` on the node",
				     BPF_MOUNT, BPF_MOUNT);
	if (!mount("bpf", BPF_MOUNT, "bpf", 0, "mode=0700"))
		return 0;
	return krl_error_set(ret_error, errno,
			     "%s is not a BPF file system and mounting one failed (%s): run `mount -t bpf bpf %s`",
			     BPF_MOUNT, strerror(errno), BPF_MOUNT);
}

int krl_host_open_bpffs(const char *bpffs, int *ret_fd, struct krl_error *ret_error)
{
	bool made;
	int fd, err;

	err = strncmp(bpffs, BPF_MOUNT "/", sizeof(BPF_MOUNT)) ? 0 : mount_bpffs(ret_error);
	if (err)
		return err;
	made = !mkdir(bpffs, 0700);
	if (!made && errno != EEXIST)
		return krl_error_set(ret_error, errno, "cannot make %s: %s", bpffs, strerror(errno));
	if (!krl_host_is_bpffs(bpffs)) {
		if (made)
			rmdir(bpffs);
		return krl_error_set(ret_error, ENOENT,
				     "%s is not on a BPF file system: run `mount -t bpf bpf %s` or give "
				     "another directory with --bpffs",
				     bpffs, BPF_MOUNT);
	}
	fd = open(bpffs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return krl_error_set(ret_error, errno, "cannot open %s: %s", bpffs, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return krl_error_set(ret_error, EBUSY,
				     "another agent runs on %s: stop it, or give this one its own --bpffs",
				     bpffs);
	}
	*ret_fd = fd;
	return 0;
}

int krl_host_check_owner(int fd, const char *bpffs, struct krl_error *ret_error)
{
	struct stat st;

	if (!fstat(fd, &st) && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	return krl_error_set(ret_error, EACCES,
			     "%s belongs to another user, or others may write to it: remove it, or give another "
			     "directory with --bpffs",
			     bpffs);
}

bool krl_datapath_is_unused(const char *bpffs)
{
	DIR *dir = opendir(bpffs);
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT;
	do
		entry = readdir(dir);
	while (entry && entry->d_name[0] == '.');
	closedir(dir);
	return !entry;
}
