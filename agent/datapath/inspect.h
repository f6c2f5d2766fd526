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
#define KRL_INSPECT_NAME_BYTES 32

/* The running kernel's release. 0, -ENOTSUP (older than any that can be used) or -ENODATA (without BTF). */
int krl_inspect_kernel(char ret_release[KRL_INSPECT_RELEASE_BYTES]);

/* Is @bpffs, or what of its path there is, on a BPF file system? 0, -ENOENT (not), or -errno. */
int krl_inspect_bpffs(const char *bpffs);

/* Where cgroup v2 is mounted. 0, -ENOENT (nowhere), or -errno. */
int krl_inspect_cgroup(char ret_path[KRL_INSPECT_PATH_BYTES]);

/* Are there maps of this version below @bpffs? 0, -ENOENT (none), -EPERM, or -EPROTO (of another version). */
int krl_inspect_pins(const char *bpffs);

/* What agents of other versions have left, see former.h. */
struct krl_inspect_former {
	__u32 version;		/* of one of them; 0: there is none */
	size_t connections;	/* with their programs still */
	bool attached;		/* so are new ones: no agent of this version has taken over */
};

/* 0, or -errno. */
int krl_inspect_former(const char *bpffs, struct krl_inspect_former *ret);

/* Are the programs on the cgroup attached by their pinned links, and those that judge, answer and obey to the socket maps? 0,
 * -ENOENT (no link), -ENOLINK (its cgroup is gone), -ENOEXEC (no program on a map), or -errno; and the name of the pin that
 * it is about. */
int krl_inspect_programs(const char *bpffs, char ret_pin[KRL_INSPECT_NAME_BYTES]);

/* What the kernel has to have, or may. */
struct krl_inspect_feature {
	const char *name;
	const char *what;	/* that it is for, and where it comes from */
	bool optional;
	int there;		/* 1, 0, or -errno: it cannot be told */
};

#define KRL_INSPECT_FEATURES 20

/* Probe each by loading, making or attaching something of no effect. Returns how many there are. */
size_t krl_inspect_features(struct krl_inspect_feature ret[KRL_INSPECT_FEATURES]);

/* The id of the cgroup that the program of the pin @link is attached to. 0, -ENOLINK (it was removed), or -errno. */
int krl_inspect_link(const char *bpffs, const char *link, __u64 *ret_cgroup);

/* What others have on the hooks of ours, and in maps of sockets. */
struct krl_inspect_other {
	char name[16];		/* of the program or map, as the kernel keeps it */
	const char *where;	/* of a program: "sock_ops", ... */
	__u32 id;
};

#define KRL_INSPECT_OTHERS 8

struct krl_inspect_others {
	struct krl_inspect_other programs[KRL_INSPECT_OTHERS], maps[KRL_INSPECT_OTHERS];
	size_t program_count, map_count;	/* those that found no room there included */
};

/* 0, or -errno. */
int krl_inspect_others(const char *bpffs, struct krl_inspect_others *ret);

/* How full a map is. */
struct krl_inspect_fill {
	const char *name;
	size_t used, room;
};

#define KRL_INSPECT_FILLS 12

/* Of the maps that may run full, beside those of connections and buckets. Returns how many could be read. */
size_t krl_inspect_fills(const char *bpffs, struct krl_inspect_fill ret[KRL_INSPECT_FILLS]);

/* By how much the wall clock that answers are written by is wrong, and whether somebody keeps the machine's right. 0, or
 * as krl_inspect_pins. */
struct krl_inspect_clock {
	__s64 behind_ns;
	bool unsynchronized;
};

int krl_inspect_clock(const char *bpffs, struct krl_inspect_clock *ret);

/* An endpoint whose server is on this node, and the row of one of its rules; KRL_MAX_RULES without any. */
struct krl_inspect_endpoint {
	struct krl_endpoint_key key;
	__u32 slot;
	bool unseen;	/* requests over HTTP/2 came there, and some rule looks at what is not read of those */
};

/* All of them. The caller frees @ret. 0, -ENOMEM, or as krl_inspect_pins. */
int krl_inspect_endpoints(const char *bpffs, struct krl_inspect_endpoint **ret, size_t *ret_count);

/* Where somebody listens on TCP. */
struct krl_inspect_listener {
	__u8 addr[16];	/* as in krl_endpoint_key */
	__u16 port;
};

/* Those on this machine, in whatever network namespace, whose connections are never enrolled, since they are of no cgroup
 * below the one that programs are attached to. The caller frees @ret. 0, -ENOENT (it cannot be told from here), -ENOMEM, or
 * -errno. */
int krl_inspect_outside(const char *bpffs, struct krl_inspect_listener **ret, size_t *ret_count);

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
