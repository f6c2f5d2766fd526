/* SPDX-License-Identifier: Apache-2.0 */
/* What can be seen of a node from outside of the agent: the machine, the pins, what is attached, the connections.
 * Reads only. */
#ifndef KMESH_RL_INSPECT_H
#define KMESH_RL_INSPECT_H

#include <stdbool.h>
#include <stddef.h>

#include <kmesh_rl/abi.h>

#define KRL_INSPECT_RELEASE_BYTES 65	/* of struct utsname */
#define KRL_INSPECT_PATH_BYTES 4096
#define KRL_INSPECT_ENDPOINTS 4

/* The running kernel's release. 0, -ENOTSUP (older than any that can be used) or -ENODATA (without BTF). */
int krl_inspect_kernel(char ret_release[KRL_INSPECT_RELEASE_BYTES]);

/* Is @bpffs, or what of its path there is, on a BPF file system? 0, -ENOENT (not), or -errno. */
int krl_inspect_bpffs(const char *bpffs);

/* Where cgroup v2 is mounted. 0, -ENOENT (nowhere), or -errno. */
int krl_inspect_cgroup(char ret_path[KRL_INSPECT_PATH_BYTES]);

/* Are there maps of this version below @bpffs? 0, -ENOENT (none), -EPERM, or -EPROTO (of another version). */
int krl_inspect_pins(const char *bpffs);

/* Are the programs on the cgroup attached by their pinned links, and a verdict program to the enrolled sockets? 0,
 * -ENOENT (no link), -ENOLINK (its cgroup is gone), -ENOEXEC (no verdict), or -errno. */
int krl_inspect_programs(const char *bpffs);

/* The enrolled connections. */
struct krl_inspect_conns {
	size_t count;
	size_t blocking;	/* of those, whose server reads with blocking calls */
	struct {
		struct krl_endpoint_key key;
		size_t count;
	} endpoints[KRL_INSPECT_ENDPOINTS];	/* where those are; the first that were met */
	size_t endpoint_count;
	size_t elsewhere;	/* blocking ones at endpoints that found no room there */
};

/* 0, or as krl_inspect_pins. A connection that comes or goes meanwhile may be left out. */
int krl_inspect_connections(const char *bpffs, struct krl_inspect_conns *ret);

/* The step of krl_inspect_connections() that needs no kernel: one more connection at @endpoint. */
void krl_inspect_count(struct krl_inspect_conns *conns, const struct krl_endpoint_key *endpoint, bool blocks);

#endif
