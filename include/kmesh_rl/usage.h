/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is kept of the tokens that models used: see abi.h. */
#ifndef KMESH_RL_USAGE_H
#define KMESH_RL_USAGE_H

#include <kmesh_rl/abi.h>

/* What the answers to the requests that counted in a rule used: tokens, and requests. Rows of krl_llm_stats by the
 * rule, of krl_llm_models by its id and the model, of krl_llm_users by its id and the descriptor. */
struct krl_llm_stats {
	__u64 requests;		/* whose answers are done */
	__u64 estimated;	/* of those, no usage was told: tokens are counted by what was streamed */
	__u64 unreadable;	/* ... nor could they be counted */
	__u64 input;
	__u64 output;
	__u64 total;
	__u64 cached_input;
	__u64 reasoning;
	__u64 debited;		/* what was taken from buckets for it, by the rule's cost */
};

struct krl_llm_model_key {
	__u32 rule_id;		/* in krl_llm_usages instead: enum krl_usage_operation */
	__u32 len;		/* bytes of the name, of which KRL_MODEL_BYTES at most are kept */
	char model[KRL_MODEL_BYTES];	/* NUL padded */
};

/* Of krl_limited too: how many requests of whom a rule refused; those that were not seen for longest go when there is
 * no room. */
struct krl_llm_user_key {
	__u64 descriptor[2];
	__u32 rule_id;
	__u32 pad;
};

/* A request by the number that its answer has on its connection, see krl_reply.asked of
 * bpf/lib/reply.h. */
struct krl_charge_key {
	__u64 cookie;
	__u32 request;
	__u32 pad;
};

_Static_assert(sizeof(struct krl_llm_stats) == 72, "ABI");
_Static_assert(sizeof(struct krl_llm_model_key) == 72, "ABI");
_Static_assert(sizeof(struct krl_llm_user_key) == 24, "ABI");

#endif
