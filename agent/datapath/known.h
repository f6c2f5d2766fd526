/* SPDX-License-Identifier: Apache-2.0 */
/* What krl_endpoints holds, without asking the kernel for each of them in every pass: nobody else writes there. */
#ifndef KMESH_RL_DATAPATH_KNOWN_H
#define KMESH_RL_DATAPATH_KNOWN_H

#include "internal.h"

struct krl_known_endpoint {
	struct krl_endpoint_key key;
	__u32 flags;
	__u64 policy;
	__u64 digest;	/* of the whole value */
};

/* Have dp->known be what the map holds, read from there where that is not so. 0, or -ENOMEM. */
int krl_known_read(struct krl_datapath *dp);

/* NULL: the map has none under @key. Of what krl_known_read() found. */
const struct krl_known_endpoint *krl_known_find(const struct krl_datapath *dp, const struct krl_endpoint_key *key);

/* What @key with @value is to be known as. */
struct krl_known_endpoint krl_known_of(const struct krl_endpoint_key *key, const struct krl_endpoint *value);

/* The map holds @next now, in any order, which is taken over. */
void krl_known_replace(struct krl_datapath *dp, struct krl_known_endpoint *next, size_t count);

/* The map may hold something else than is known, which is read anew. */
void krl_known_doubt(struct krl_datapath *dp);

#endif
