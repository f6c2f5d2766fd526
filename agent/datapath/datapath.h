/* SPDX-License-Identifier: Apache-2.0 */
/* The BPF side of the agent: loading, pinning, attaching, and keeping the maps as a plan says. Only
 * the files of this folder know libbpf. */
#ifndef KMESH_RL_DATAPATH_H
#define KMESH_RL_DATAPATH_H

#include <stddef.h>
#include <uv.h>

#include "agent/policy/compile.h"
#include "agent/policy/peers.h"

#define KRL_ERROR_BYTES 512

/* One line for the operator: what is missing and how to get it. Empty when all is well. */
struct krl_error {
	char text[KRL_ERROR_BYTES];
};

struct krl_datapath_options {
	const char *bpffs;	/* directory for the pins, made when it is missing */
	const char *cgroup;	/* cgroup v2 directory whose sockets are covered; NULL: the root */
};

struct krl_datapath;

/* Load and attach the programs, adopting what is pinned: maps with their contents, and the link,
 * which is switched to the new program without a gap. Pins of another version are moved aside, and go on enforcing until
 * krl_datapath_take_over(). Holds a lock on the pins until closed.
 * Returns 0 and a datapath the caller closes, or -errno with @ret_error set: -EPERM, -EBUSY (another
 * agent), -EPROTO (pins of this version with another layout), -ENOTSUP (kernel), -ENOENT (cgroup or bpffs). */
int krl_datapath_open(const struct krl_datapath_options *options, struct krl_datapath **ret,
		      struct krl_error *ret_error);

/* What the source says is in force: end what agents of other versions left, whose programs enforce until then, and take their
 * open connections in; those that do not rest, later. Nothing left is no error; to be called again when it is done is none
 * either. What fails is logged. */
void krl_datapath_take_over(struct krl_datapath *datapath);

/* Let go; programs, maps and links stay pinned and enforcement goes on. Accepts NULL. */
void krl_datapath_close(struct krl_datapath *datapath);

/* Is nothing pinned below @bpffs? */
bool krl_datapath_is_unused(const char *bpffs);

/* Remove every link, program and pin below @options->bpffs; enrolled connections go on, unlimited.
 * Nothing pinned is no error. Returns 0 or -errno with @ret_error set. */
int krl_datapath_detach(const struct krl_datapath_options *options, struct krl_error *ret_error);

/* What a reconciliation did. */
struct krl_reconcile_result {
	size_t rules_added, rules_changed, rules_removed;
	size_t endpoints_added, endpoints_changed, endpoints_removed;
	size_t connections_joined;	/* that were open before */
	size_t connections_left_out;	/* ... and stay without rules, since their server waits in a blocking recv() */
	bool values_hidden;		/* some policy is new, and hides values that were shown before, maybe */
};

/* Make the maps say what @plan says, changing only what differs: a bucket is reset by nothing but
 * the removal of its rule or endpoint. Returns 0, or -errno with @ret_error set (-ENOSPC: more rules
 * than rows); what was done until then stays and is consistent. */
int krl_datapath_reconcile(struct krl_datapath *datapath, const struct krl_plan *plan,
			   struct krl_reconcile_result *ret_result, struct krl_error *ret_error);

/* Writes which pods there are into krl_peers and krl_peer_meets; its ctx is the struct krl_datapath. */
extern const struct krl_peers_sink krl_datapath_peers;

/* Have @peers know the network namespaces of the pods that it asks for, on @loop until krl_callers_close(), before either is
 * gone. 0, or -ENOMEM. */
struct krl_callers;

int krl_callers_open(struct krl_datapath *datapath, uv_loop_t *loop, struct krl_peers *peers, struct krl_callers **ret);
/* Have those known that can be, before what another version has in force ends. Accepts NULL, as the next does. */
void krl_callers_look(struct krl_callers *callers);
void krl_callers_close(struct krl_callers *callers);

/* The AF_UNIX pairs through which whole answers leave, and what the kernel asks of the agent: on
 * @loop until krl_responders_close, which leaves the kernel to its compact answers. */
struct krl_responders;

int krl_responders_open(struct krl_datapath *datapath, uv_loop_t *loop, struct krl_responders **ret,
			struct krl_error *ret_error);
void krl_responders_close(struct krl_responders *responders);

/* Call @fn with each rule in force, and how many requests it refused; several may be of one RateLimit. A rule whose
 * counters cannot be read is left out. */
typedef void (*krl_datapath_limited_fn)(void *arg, const char *ns, const char *name, uint64_t limited);

void krl_datapath_limited(const struct krl_datapath *datapath, krl_datapath_limited_fn fn, void *arg);

/* The same of each rule with KRL_RULE_CLUSTER, with all that is counted of it. */
typedef void (*krl_datapath_counted_fn)(void *arg, const struct krl_rule_info *info, const struct krl_rule_stats *stats);
void krl_datapath_counted(const struct krl_datapath *datapath, krl_datapath_counted_fn fn, void *arg);

/* As krl_unseen_test, of the struct krl_datapath @ctx: in so many ns before now. */
#define KRL_DATAPATH_UNSEEN_NS (600 * 1000000000ULL)

bool krl_datapath_unseen(void *ctx, const struct krl_endpoint_key *key);

#endif
