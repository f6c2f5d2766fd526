/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Filling buckets by hand. Pinned, and run by whoever asks for it, with or without an agent: only programs may change a
 * bucket that may be in use. */
#include <kmesh_rl/reset.h>

#include "maps.h"
#include "lib/gauge.h"
#include "lib/rule.h"

struct krl_resetting {
	struct __sk_buff *skb;
	__u64 now_ns;
	struct krl_reset_head head;
};

static long krl_reset_key(__u32 i, void *ctx)
{
	struct krl_resetting *r = ctx;
	struct krl_settings settings;
	struct krl_bucket_key key;
	struct krl_bucket *b;
	struct krl_rule *rule;
	__u64 added;
	__u32 slot;

	if (bpf_skb_load_bytes(r->skb, offsetof(struct krl_reset, keys) + i * sizeof(key), &key, sizeof(key)))
		return 1;
	slot = key.slot;
	rule = bpf_map_lookup_elem(&krl_rules, &slot);
	if (r->head.overflow)
		b = bpf_map_lookup_elem(&krl_overflow, &slot);
	else
		b = bpf_map_lookup_elem(&krl_buckets, &key);
	/* That of maxConnections says what is open, and a lease what the cluster gave: neither is for this to fill. */
	if (!rule || !b || krl_rule_read(rule, key.rule_id, &settings) ||
	    KRL_READ_ONCE(rule->flags) & (KRL_RULE_CONCURRENT | KRL_RULE_CLUSTER) || krl_bucket_reset(b, &settings, r->now_ns, &added))
		return 0;
	r->head.tokens += added;
	r->head.count++;
	return 0;
}

SEC("tc")
int krl_reset(struct __sk_buff *skb)
{
	struct krl_resetting r = { .skb = skb, .now_ns = bpf_ktime_get_boot_ns() };
	__u32 count;

	if (bpf_skb_load_bytes(skb, 0, &r.head, sizeof(r.head)))
		return 0;
	count = r.head.count;
	r.head.tokens = r.head.count = 0;
	bpf_loop(count, krl_reset_key, &r, 0);
	bpf_skb_store_bytes(skb, 0, &r.head, sizeof(r.head), 0);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
