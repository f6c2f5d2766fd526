/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which pods there are, as the kernel knows it: rows of krl_peers and krl_peer_meets. */
#ifndef KMESH_RL_PEERS_ABI_H
#define KMESH_RL_PEERS_ABI_H

#include <kmesh_rl/abi.h>

enum {
	KRL_MAX_PEERS = 1 << 17,	/* addresses of pods that are told apart */
	KRL_MAX_PEER_MEETS = 1 << 18,	/* ... times the selectors that each meets */
};

/* By what the pods that connect are told apart. */
enum krl_peer_by {
	KRL_PEER_ANY,		/* they are not */
	KRL_PEER_POD,
	KRL_PEER_WORKLOAD,
	KRL_PEER_NAMESPACE,
	KRL_PEER_ACCOUNT,	/* the service account */
	KRL_PEER_BY_MAX
};

/* What picks a bucket of a pod's requests, by one of enum krl_peer_by. */
struct krl_peer_value {
	__u64 digest[2];	/* keyed hash of who it is, bpf/lib/identity.h */
	__u32 len;		/* bytes of text */
	__u32 pad;
	char text[KRL_KEPT_BYTES];	/* for people: NAMESPACE/NAME, without its middle where it is longer; NUL padded */
};

/* The pod that has an address. Rows of krl_peers, keyed by the address, while some rule tells pods apart. */
struct krl_peer {
	struct krl_peer_value by[KRL_PEER_BY_MAX - 1];	/* from KRL_PEER_POD on */
};

/* Clients on this node are known by their network namespace, which stands there in the place of an address: one of
 * IPv6 that no connection can have, ff00::/16 being multicast. */
static inline void krl_netns_address(__u64 netns_cookie, __u8 ret[16])
{
	__builtin_memcpy(ret, "\377\0netns", 8);
	__builtin_memcpy(ret + 8, &netns_cookie, sizeof(netns_cookie));
}

/* Keys of krl_peer_meets: the pod that has the address meets the selector, a hash of what it says. */
struct krl_peer_meets {
	__u8 addr[16];
	__u64 selector;
};

_Static_assert(sizeof(struct krl_peer_value) == 24 + KRL_KEPT_BYTES, "ABI");
_Static_assert(sizeof(struct krl_peer_meets) == 24, "ABI");

#endif
