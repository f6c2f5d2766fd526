/* SPDX-License-Identifier: Apache-2.0 */
/* What counts of a Pod: who it is, and which addresses are its own. No I/O. */
#ifndef KMESH_RL_POD_H
#define KMESH_RL_POD_H

#include <jansson.h>

#include <kmesh_rl/peers.h>

#include "from.h"

struct krl_pod {
	struct krl_pod_facts facts;	/* without the labels of its namespace */
	const char *names[KRL_PEER_BY_MAX];	/* NAMESPACE/NAME and the like, by each enum krl_peer_by; NULL for none */
	__u8 (*addrs)[16];		/* its own: none while it has none, or has the node's, or has ended */
	size_t addr_count;
	char started[32];		/* when it was made, RFC 3339 in UTC: of two the later sorts behind */
	const char *uid, *node;		/* where it is; "": nowhere yet */
	bool ended;
	bool on_host;			/* hostNetwork */
	bool has_netns;			/* the last of addrs is krl_netns_address() of its own */
	char *text;			/* what the texts are in */
	struct krl_label *labels;
};

/* Read @object, a Pod of v1 as an API server has it. 0, and krl_pod_clear() releases @ret; -EINVAL: it is none; or
 * -ENOMEM. */
int krl_pod_read(const json_t *object, struct krl_pod *ret);
void krl_pod_clear(struct krl_pod *pod);

/* Have @pod, which has none, have the network namespace of @addr. 0, or -ENOMEM. */
int krl_pod_add_netns(struct krl_pod *pod, const __u8 addr[16]);

/* Read the labels of @object, whose texts are copied: one allocation that the caller frees, NULL without memory. */
struct krl_label *krl_labels_read(const json_t *object, size_t *ret_count);

/* @name as it is shown: where it is longer than fits, without its middle. Returns its length. */
size_t krl_peer_text(const char *name, char ret[KRL_KEPT_BYTES]);

#endif
