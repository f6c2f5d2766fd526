/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Judges connections that come in, before there is a socket: over the limit the kernel answers with RST, and connect()
 * fails with ECONNREFUSED. The agent attaches to each network namespace a program that notes in krl_netns which one it
 * is, since there is no helper for it here, and calls this one by krl_lookup_progs. */
#include "maps.h"
#include "lib/endpoint.h"
#include "lib/incoming_match.h"
#include "lib/report.h"

enum krl_incoming_verdict {
	KRL_INCOMING_PASSES,
	KRL_INCOMING_LIMITED,
	KRL_INCOMING_UNJUDGED,	/* and refused */
};

static __always_inline int krl_incoming_failure(const struct krl_endpoint *endpoint)
{
	return endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED ? KRL_INCOMING_UNJUDGED : KRL_INCOMING_PASSES;
}

/* Judge the connection of @in, which is locked, by @endpoint. Returns enum krl_incoming_verdict. Not global, as
 * krl_incoming_settle(). */
static __noinline int krl_incoming_judge(struct krl_incoming *in, const struct krl_endpoint *endpoint)
{
	struct krl_judging judging = {};

	if (krl_incoming_match(in, endpoint, &judging))
		return krl_incoming_failure(endpoint);
	if (krl_admit(&judging))
		return KRL_INCOMING_LIMITED;
	in->taken = in->judge.taken || in->judge.shadowed;
	return KRL_INCOMING_PASSES;
}

/* There is no room to judge in. */
static __noinline int krl_incoming_unjudged(struct bpf_sk_lookup *ctx)
{
	struct krl_endpoint_key key = { .hook = KRL_HOOK_LOOKUP };
	struct krl_endpoint *endpoint;
	struct krl_flow flow = {};

	krl_flow_of_lookup(ctx, &flow);
	__builtin_memcpy(key.addr, flow.local, sizeof(key.addr));
	key.port = flow.local_port;
	endpoint = krl_find_endpoint(&key);
	if (!endpoint)
		return SK_PASS;
	krl_count(KRL_REASON_NOT_JUDGED);
	return krl_incoming_failure(endpoint) ? SK_DROP : SK_PASS;
}

static __always_inline void krl_incoming_report(const struct krl_incoming *in, int verdict)
{
	if (verdict == KRL_INCOMING_LIMITED)
		krl_report_connection(&in->judge, 1, KRL_HOOK_LOOKUP, &in->flow);
	else if (verdict == KRL_INCOMING_PASSES && in->taken && in->judge.shadowed)
		krl_report_connection(&in->judge, 0, KRL_HOOK_LOOKUP, &in->flow);
}

SEC("sk_lookup")
int krl_incoming(struct bpf_sk_lookup *ctx)
{
	struct krl_endpoint *endpoint;
	struct krl_incoming *in;
	__u32 zero = 0;
	__u64 *netns;
	int verdict;

	if (ctx->protocol != KRL_IPPROTO_TCP || !krl_port_counts(ctx->local_port))
		return SK_PASS;
	netns = bpf_map_lookup_elem(&krl_netns, &zero);
	in = krl_incoming_take();
	if (!netns || !in)
		return krl_incoming_unjudged(ctx);
	krl_flow_of_lookup(ctx, &in->flow);
	in->flow.netns_cookie = *netns;
	endpoint = krl_incoming_endpoint(in);
	verdict = endpoint ? krl_incoming_judge(in, endpoint) : KRL_INCOMING_PASSES;
	if (verdict == KRL_INCOMING_LIMITED && krl_incoming_settle_some(in->judge.now_ns)) {
		krl_judge_count_refused(&in->judge, -in->judge.n);
		endpoint = bpf_map_lookup_elem(&krl_endpoints, &in->endpoint);
		verdict = endpoint ? krl_incoming_judge(in, endpoint) : KRL_INCOMING_PASSES;
	}
	krl_incoming_report(in, verdict);
	krl_incoming_unlock(in);
	return verdict ? SK_DROP : SK_PASS;
}

/* Run by the agent. */
SEC("tc")
int krl_settle(struct __sk_buff *skb)
{
	krl_incoming_settle_all(bpf_ktime_get_boot_ns());
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
