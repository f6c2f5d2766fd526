/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Between the kernel and the agent: leases of the cluster's buckets. */
#ifndef KMESH_RL_LEASE_ABI_H
#define KMESH_RL_LEASE_ABI_H

#include <kmesh_rl/abi.h>

/* The end, CLOCK_BOOTTIME in ns, of what is not leased. */
#define KRL_LEASE_ENDLESS_NS ((1ULL << 59) - 1)

#define KRL_ASKED_BYTES (1 << 20)	/* of krl_asked */

/* Somebody took from a bucket, or wanted to, since the agent last looked at it: a record of krl_asked. */
struct krl_asked {
	struct krl_bucket_key key;
	__u32 overflow;		/* it is the rule's overflow bucket */
	__u32 need;		/* tokens that were wanted, and were not there; 0: what was wanted was there */
};

enum krl_lease_op_kind {
	KRL_LEASE_LOOK = 1,	/* say what is there, and be told again */
	KRL_LEASE_TAKE_OUT,	/* take out tokens of them, if they are there */
	KRL_LEASE_GRANT,	/* put in tokens, all end at end_ns */
	KRL_LEASE_CREDIT,	/* have tokens of them at least, without an end: only when nothing is leased */
};

/* What krl_lease, of type syscall, is run with, and what it makes of it. */
struct krl_lease_op {
	struct krl_bucket_key key;
	__u32 kind;		/* enum krl_lease_op_kind */
	__u32 overflow;		/* as struct krl_asked */
	__u64 end_ns;		/* in: KRL_LEASE_GRANT, CLOCK_BOOTTIME; out: of KRL_LEASE_LOOK, 0: it was an ordinary bucket */
	__s64 tokens;		/* in: see the kinds; out: what was there, taken out, or put in */
	__u32 found;		/* out */
	__u32 pad;
};

_Static_assert(sizeof(struct krl_asked) == 56, "ABI");
_Static_assert(sizeof(struct krl_lease_op) == 80, "ABI");

#endif
