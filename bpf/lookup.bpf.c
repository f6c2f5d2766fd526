/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Judges connections that come in, before there is a socket: over the limit the kernel answers with RST, and connect()
 * fails with ECONNREFUSED. The agent attaches to each network namespace a program that notes in krl_netns which one it
 * is, since there is no helper for it here, and calls this one by krl_lookup_progs. */
#include "maps.h"
#include "lib/endpoint.h"
#include "lib/incoming.h"
#include "lib/match.h"

#define KRL_IPPROTO_TCP 6

/* Find out what counts of the selectors: of a connection, its source. Returns 0, or -1 when they are gone. */
static __always_inline int krl_incoming_match(struct krl_incoming *in, const struct krl_policy *policy)
{
	struct krl_match *m = &in->match;
	struct krl_config *config;
	__u32 zero = 0;

	config = bpf_map_lookup_elem(&krl_config, &zero);
	if (!config)
		return -1;
	m->key[0] = config->hash_key[0];
	m->key[1] = config->hash_key[1];
	__builtin_memcpy(m->source, in->flow.remote, sizeof(m->source));
	krl_match_begin(m);
	krl_match_end(m, policy);
	return 0;
}

/* Judge the connection of @in, which is locked, by @endpoint. Returns whether it is refused. */
KRL_GLOBAL int krl_incoming_judge(struct krl_incoming *in, const struct krl_endpoint *endpoint)
{
	struct krl_judging judging = {};
	struct krl_judge *j;
	__u64 key;

	if (!in || !endpoint)
		return 0;
	j = &in->judge;
	key = endpoint->policy;
	if (key) {
		judging.policy = bpf_map_lookup_elem(&krl_policies, &key);
		judging.match = &in->match;
		if (!judging.policy || krl_incoming_match(in, judging.policy)) {
			krl_count(KRL_REASON_RULE_CHANGED);
			return 0;
		}
	}
	j->key.netns_cookie = in->flow.netns_cookie;
	__builtin_memcpy(j->key.addr, in->endpoint.addr, sizeof(j->key.addr));
	j->key.port = in->endpoint.port;
	j->now_ns = bpf_ktime_get_boot_ns();
	j->n = 1;
	in->policy = key;
	in->rule_count = endpoint->rule_count;
	judging.endpoint = endpoint;
	judging.judge = j;
	judging.held = &in->held;
	if (krl_admit(&judging))
		return 1;
	in->taken = j->taken || j->shadowed;
	return 0;
}

SEC("sk_lookup")
int krl_incoming(struct bpf_sk_lookup *ctx)
{
	struct krl_endpoint *endpoint;
	struct krl_incoming *in;
	__u32 zero = 0;
	__u64 *netns;
	int refused;

	if (ctx->protocol != KRL_IPPROTO_TCP || !krl_port_counts(ctx->local_port))
		return SK_PASS;
	netns = bpf_map_lookup_elem(&krl_netns, &zero);
	in = krl_incoming_take();
	if (!netns || !in) {
		krl_count(KRL_REASON_NOT_JUDGED);
		return SK_PASS;
	}
	krl_flow_of_lookup(ctx, &in->flow);
	in->flow.netns_cookie = *netns;
	__builtin_memcpy(in->endpoint.addr, in->flow.local, sizeof(in->endpoint.addr));
	in->endpoint.port = in->flow.local_port;
	in->endpoint.hook = KRL_HOOK_LOOKUP;
	endpoint = krl_find_endpoint(&in->endpoint);
	if (!endpoint) {
		krl_incoming_unlock(in);
		return SK_PASS;
	}
	refused = krl_incoming_judge(in, endpoint);
	if (refused && krl_incoming_settle_old(in->judge.now_ns)) {
		krl_judge_count(in->judge.refused_slot, 0, -in->judge.n, 0);
		endpoint = bpf_map_lookup_elem(&krl_endpoints, &in->endpoint);
		refused = endpoint && krl_incoming_judge(in, endpoint);
	}
	krl_incoming_unlock(in);
	return refused ? SK_DROP : SK_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
