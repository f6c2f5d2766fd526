/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the agent does to leases: only programs may change a bucket that is in use, or an update would be lost. */
#include <kmesh_rl/lease.h>

#include "maps.h"
#include "lib/lease.h"

/* Have @credit tokens at least in @b, of which nothing is leased. Returns how many were put in. */
static __always_inline __s64 krl_lease_credit(struct krl_bucket *b, __s64 credit)
{
	__s64 tokens = KRL_READ_ONCE(b->tokens), missing = credit - tokens;

	if (tokens <= KRL_BUCKET_BURIED_MAX)
		return 0;
	krl_lease_grant(b, missing > 0 ? missing : 0, KRL_LEASE_ENDLESS_NS);
	return missing > 0 ? missing : 0;
}

SEC("syscall")
int krl_lease(struct krl_lease_op *op)
{
	struct krl_bucket_key key = op->key;
	__u32 slot = key.slot;
	struct krl_bucket *b;

	if (op->overflow)
		b = bpf_map_lookup_elem(&krl_overflow, &slot);
	else
		b = bpf_map_lookup_elem(&krl_buckets, &key);
	op->found = b && !krl_bucket_is_buried(b);
	if (!b || !op->found)
		return 0;
	switch (op->kind) {
	case KRL_LEASE_LOOK:
		op->end_ns = krl_lease_end(krl_lease_untell(b));
		op->tokens = KRL_READ_ONCE(b->tokens);
		break;
	case KRL_LEASE_TAKE_OUT:
		op->tokens = krl_lease_take_out(b, op->tokens);
		break;
	case KRL_LEASE_GRANT:
		krl_lease_grant(b, op->tokens, op->end_ns);
		break;
	case KRL_LEASE_CREDIT:
		op->tokens = krl_lease_credit(b, op->tokens);
		break;
	}
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
