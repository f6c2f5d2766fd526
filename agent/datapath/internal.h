/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of agent/datapath alone. */
#ifndef KMESH_RL_DATAPATH_INTERNAL_H
#define KMESH_RL_DATAPATH_INTERNAL_H

#include <stdarg.h>

#include <kmesh_rl/usage.h>

#include "datapath.h"
#include "kmesh_rl.skel.h"

/* The programs that hang on the cgroup. */
enum krl_link {
	KRL_LINK_SOCKOPS,
	KRL_LINK_CONNECT4,	/* from here on once a rule needs them */
	KRL_LINK_CONNECT6,
	KRL_LINK_RELEASE,
	KRL_LINK_COUNT
};

/* Programs that are loaded when they are needed, see late.h. */
enum krl_late {
	KRL_LATE_INCOMING,
	KRL_LATE_RECOUNT,
	KRL_LATE_SETTLE,
	KRL_LATE_SEND,
	KRL_LATE_LLM,
	KRL_LATE_REPLY_LLM,
	KRL_LATE_COUNT
};

/* Keys, sorted, that nothing referred to after the last pass. Owned. */
struct krl_stale {
	__u64 *keys;
	size_t count;
};

struct krl_known_endpoint;
struct krl_former;

struct krl_datapath {
	struct kmesh_rl *skel;
	struct kmesh_rl *late[KRL_LATE_COUNT];	/* of one program each, or NULL; the maps are those of skel */
	int refused;			/* how the last one that was to be loaded was answered */
	enum krl_late refused_which;
	struct bpf_link *links[KRL_LINK_COUNT];	/* pinned, by enum krl_link */
	struct krl_rule *rules;		/* krl_rules, mapped: KRL_MAX_RULES rows */
	struct krl_config *config;	/* krl_config, mapped */
	const struct krl_load *load;	/* krl_load, mapped */
	__u64 *dialled_ports;		/* krl_dialled_ports, mapped */
	__u64 *served_ports;		/* krl_served_ports, mapped */
	struct krl_rule_info *infos;	/* what krl_rule_info holds, row by row */
	struct krl_stale stale_forms, stale_policies, stale_costs;
	struct krl_known_endpoint *known;	/* sorted by key, see known.h; owned */
	size_t known_count;
	bool knows;			/* ... that is what krl_endpoints holds */
	int lock_fd;			/* the pin directory, flocked */
	int cgroup_fd;			/* what the programs are attached to */
	int measure_fd;			/* the kernel measures programs as long as it is open, or -1 */
	__u32 last_rule_id;
	bool releasing;			/* connections of endpoints that are gone wait to be let go */
	char *bpffs;
	__u64 ports[KRL_PORT_WORDS];	/* what krl_ports holds */
	bool guards;			/* ... any */
	bool resets;			/* krl_reset is pinned */
	bool recounts;			/* what connections hold is to be looked at */
	bool edited;			/* ... of those too that hold something already */
	bool joins;			/* clients are limited that were not: their open connections are to be taken in */
	bool scanned;			/* network namespaces were looked for since the start */
	__u64 *listening;		/* cookies of network namespaces that wait to be guarded; owned */
	size_t listening_count;
	struct krl_former *formers;	/* other versions, see takeover.h; owned */
	size_t former_count;
	bool untaken;			/* it was time to take over, and could not be */
};

/* Write @fmt into @error and return -@err, so that a failure is one statement. */
int krl_error_set(struct krl_error *error, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Switch the pinned links to the programs of @dp, or make them: those that are always there, and those that an agent
 * before made by krl_links_dial(), which is to be called before something that goes out is limited. From then on they
 * stay, since a socket that dials unseen would keep what was noted of it. As long as another version enforces, and unless
 * this one @takes_over, none is made that enrols sockets: they would be judged by the rules that are here so far. 0, or -errno with @ret_error set.
 * krl_links_close() lets go of them and leaves the pins. */
int krl_links_attach(struct krl_datapath *dp, bool takes_over, struct krl_error *ret_error);
int krl_links_dial(struct krl_datapath *dp, struct krl_error *ret_error);
void krl_links_close(struct krl_datapath *dp);

/* Pin the program that fills buckets by hand in place of that of the agent before, once. As krl_links_attach(). */
int krl_links_pin_reset(struct krl_datapath *dp, struct krl_error *ret_error);

/* Attach krl_send to krl_senders, before anything enters that. 0, or -errno. */
int krl_senders_open(struct krl_datapath *dp);

/* Have krl_stream go on in krl_stream_llm, and krl_reply in krl_reply_llm, before an endpoint has rules that count
 * LLMTokens. 0, or -errno. */
int krl_llm_open(struct krl_datapath *dp);

/* A bit for each port that krl_endpoints has under one of @hooks, a bit for each enum krl_hook; as far as it is known. */
void krl_ports_of(const struct krl_datapath *dp, __u32 hooks, __u64 ret[KRL_PORT_WORDS]);

/* Has @ports, as krl_ports_of() has it, the bit of @port? */
static inline bool krl_port_is_in(const __u64 *ports, __u16 port)
{
	return ports[port / 64] >> port % 64 & 1;
}

/* Is the cgroup with this @id the one that the programs are attached to, or below it? 0 is one that is not known: so is that. */
bool krl_cgroup_covers(const struct krl_datapath *dp, __u64 id);

/* Have the rule in @row go by @local while Redis is away. */
void krl_rows_set_local(struct krl_datapath *dp, __u32 row, const struct krl_settings *local);

/* Does krl_endpoints have one whose open connections count? As far as it is known. */
bool krl_endpoints_hold(const struct krl_datapath *dp);

/* Has this process the capabilities that are needed? 0, -EPERM with those that are missing, or -errno. */
int krl_host_check_rights(struct krl_error *ret_error);

/* Is the machine able to? 0, or -errno with the line for the operator. */
int krl_host_check(const struct krl_datapath_options *options, struct krl_error *ret_error);

/* The cgroup v2 directory to attach to, opened; the caller closes it. */
int krl_host_open_cgroup(const char *path, int *ret_fd, struct krl_error *ret_error);

/* Make sure that @bpffs is a directory on a BPF file system, mounting it at /sys/fs/bpf when that is
 * where it belongs and is missing; open and lock it. */
int krl_host_open_bpffs(const char *bpffs, int *ret_fd, struct krl_error *ret_error);

/* Whoever can write to the directory of the pins can take the limits away: it must be this user's alone. */
int krl_host_check_owner(int fd, const char *bpffs, struct krl_error *ret_error);

#endif
