/* SPDX-License-Identifier: Apache-2.0 */
/* What there is on the machine. */
#ifndef KMESH_RL_DATAPATH_HOST_H
#define KMESH_RL_DATAPATH_HOST_H

#include <stdbool.h>
#include <stddef.h>

#define KRL_HOST_BTF "/sys/kernel/btf/vmlinux"

/* @release, as uname() has it, is older than 6.1. */
bool krl_host_kernel_is_old(const char *release);

bool krl_host_is_bpffs(const char *path);

/* The first cgroup v2 mount, as /proc/mounts names it: not always /sys/fs/cgroup. 0, -ENOENT or -errno. */
int krl_host_find_cgroup2(char *ret_path, size_t size);

#endif
