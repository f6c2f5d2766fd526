/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Between bpf/reset.bpf.c and who runs it. */
#ifndef KMESH_RL_RESET_ABI_H
#define KMESH_RL_RESET_ABI_H

#include <kmesh_rl/abi.h>

/* What krl_reset is run with, and what it makes of it. */
#define KRL_RESET_KEYS 64

struct krl_reset_head {
	__u64 tokens;		/* out: that were added */
	__u32 count;		/* in: keys; out: buckets that are full now, but for what was taken since */
	__u32 overflow;		/* in: it is about the rules' overflow buckets, and of the keys, rule_id and slot count */
};

struct krl_reset {
	struct krl_reset_head head;
	struct krl_bucket_key keys[KRL_RESET_KEYS];
};

_Static_assert(sizeof(struct krl_reset) == 16 + 48 * KRL_RESET_KEYS, "ABI");

#endif
