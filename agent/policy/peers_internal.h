/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of peers alone: what is wanted and written in peers.c, the objects in peers_objects.c. */
#ifndef KMESH_RL_PEERS_INTERNAL_H
#define KMESH_RL_PEERS_INTERNAL_H

#include "agent/base/index.h"
#include "peers.h"

struct krl_peers_pod {
	struct krl_link link;		/* in pods, by its name */
	struct krl_pod is;
	uint64_t number;		/* of the one put last, the largest */
	bool offered;
};

struct krl_peers_ns {
	struct krl_link link;		/* in namespaces, by its name */
	char name[64];
	struct krl_label *labels;
	size_t label_count;
	bool offered;
};

/* An address, and who has it; what was written of that. */
struct krl_peers_address {
	struct krl_link link;		/* in addresses */
	__u8 addr[16];
	struct krl_peers_pod **pods;
	size_t pod_count;
	const struct krl_peers_pod *owner;	/* that it was written for; NULL: nothing is */
	bool told;			/* ... who that is, too */
	bool renamed;			/* ... and is another by now */
	__u64 *met;			/* ... the selectors that it meets */
	size_t met_count;
};

struct krl_peers {
	struct krl_index pods, namespaces, addresses;
	uint64_t number;
	struct krl_from **from;		/* that are wanted, references */
	size_t from_count;
	bool tells, asks, asks_callers;
	char *node;			/* NULL: any Pod may be here */
	unsigned int news;		/* Pods of this node that came, or became others */
	bool listed;			/* all pods that there are, once */
	bool retains;			/* what is in force of before is not all known */
	bool scanned;			/* network namespaces were looked for since */
	bool swept;			/* nothing of an agent before is there any more, as far as that can be told */
	const struct krl_peers_sink *sink;
	void *ctx;
	int err;			/* of the last write that failed since all were right */
};

/* Something was written, or not, or there was no memory. Returns whether it was. */
bool krl_peers_note(struct krl_peers *peers, int err);

struct krl_peers_ns *krl_peers_find_ns(const struct krl_peers *peers, const char *name);
struct krl_peers_address *krl_peers_find_address(const struct krl_peers *peers, const __u8 addr[16]);

/* Have what is written of @address be what is so now. What was another's goes before anything comes. */
void krl_peers_update(struct krl_peers *peers, struct krl_peers_address *address);

/* Of an agent before, what is not so goes once it is known what is. */
void krl_peers_sweep(struct krl_peers *peers);

#endif
