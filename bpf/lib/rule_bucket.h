/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The bucket of any rule, whose flags are @flags (KRL_RULE_...) and whose initialCredit is @credit: an ordinary one, that
 * of maxConnections, or a lease. */
#ifndef KMESH_RL_RULE_BUCKET_H
#define KMESH_RL_RULE_BUCKET_H

#include "gauge.h"
#include "lease.h"

static __always_inline struct krl_bucket krl_rule_bucket_new(const struct krl_settings *s, __u32 flags, __u64 credit,
							     __u64 now_ns)
{
	if (flags & KRL_RULE_CLUSTER)
		return krl_lease_new(credit);
	return flags & KRL_RULE_CONCURRENT ? krl_gauge_new(now_ns) : krl_bucket_full(s, now_ns);
}

/* Tokens that are there, or connections that fit. Of a lease: those that this node holds. */
static __always_inline __s64 krl_rule_bucket_available(struct krl_bucket *b, const struct krl_settings *s, __u32 flags,
						       __u64 now_ns)
{
	if (flags & KRL_RULE_CLUSTER && KRL_READ_ONCE(b->last_topup_ns) & KRL_LEASE)
		return krl_lease_available(b, now_ns);
	return flags & KRL_RULE_CONCURRENT ? krl_gauge_available(b, s) : krl_bucket_peek(b, s, now_ns);
}

/* The same of one that is not there, or buried: of a new one. */
static __always_inline __s64 krl_rule_bucket_whole(const struct krl_settings *s, __u32 flags, __u64 credit)
{
	return flags & KRL_RULE_CLUSTER ? credit : s->max_tokens;
}

/* Would a new one say the same? */
static __always_inline int krl_rule_bucket_is_new(struct krl_bucket *b, const struct krl_settings *s, __u32 flags,
						  __u64 credit, __u64 now_ns)
{
	if (flags & KRL_RULE_CLUSTER)
		return krl_lease_is_new(b, credit);
	return krl_rule_bucket_available(b, s, flags, now_ns) >= (__s64)s->max_tokens;
}

static __always_inline int krl_rule_bucket_bury(struct krl_bucket *b, const struct krl_settings *s, __u32 flags,
						__u64 credit, __u64 now_ns)
{
	if (flags & KRL_RULE_CLUSTER)
		return krl_lease_bury(b, credit);
	return flags & KRL_RULE_CONCURRENT ? krl_gauge_bury(b) : krl_bucket_bury(b, s, now_ns);
}

#endif
