/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The agent's looks at what connections hold of maxConnections: krl_counted says of a socket whether it holds something, or
 * should; krl_recount, run for one that this is wrong of, makes it so. */
#include "maps.h"
#include "lib/dialled.h"
#include "lib/endpoint.h"
#include "lib/flow_sock.h"
#include "lib/incoming_match.h"
#include "lib/kernel.h"

static __always_inline int krl_counted_at(const struct krl_endpoint_key *key)
{
	struct krl_endpoint_key configured = *key;
	struct krl_endpoint *endpoint = krl_find_endpoint(&configured);

	return endpoint && endpoint->flags & KRL_ENDPOINT_CONCURRENT;
}

/* Does the connection count at its local end? Leaves that in counted->endpoint. */
static __always_inline int krl_counted_coming(struct krl_counted *counted)
{
	struct krl_endpoint_key *key = &counted->endpoint;

	if (!krl_port_counts(counted->flow.local_port))
		return 0;
	__builtin_memcpy(key->addr, counted->flow.local, sizeof(key->addr));
	key->port = counted->flow.local_port;
	key->hook = KRL_HOOK_LOOKUP;
	return krl_counted_at(key);
}

/* ... or at @dialled, or without that at its peer? */
static __always_inline int krl_counted_going(struct krl_counted *counted, const struct krl_endpoint_key *dialled)
{
	struct krl_endpoint_key *key = &counted->endpoint;

	if (dialled) {
		*key = *dialled;
	} else {
		__builtin_memcpy(key->addr, counted->flow.remote, sizeof(key->addr));
		key->port = counted->flow.remote_port;
	}
	key->hook = KRL_HOOK_CONNECT;
	return krl_port_is_dialled(key->port) && krl_counted_at(key);
}

/* Is @tp one that some endpoint counts? Leaves where in counted->endpoint. */
static __always_inline int krl_counted_here(struct tcp_sock *tp, struct krl_counted *counted)
{
	const struct krl_endpoint_key *dialled = krl_dialled_by((struct sock_common *)tp);
	struct sock *sk = (struct sock *)tp;
	int counts;

	if (dialled)
		counts = krl_counted_going(counted, dialled);
	else
		counts = krl_counted_coming(counted) ||
			 (!krl_sock_was_accepted(sk) && krl_counted_going(counted, 0));
	return counts && krl_sock_is_in(sk, krl_cgroup_id);
}

static __always_inline int krl_counted_look(struct bpf_sock *sk, struct krl_counted *counted)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct krl_held *held;

	if (!tp || krl_sock_cookie((struct sock *)tp) != counted->cookie)
		return KRL_COUNTED_NOT;
	held = bpf_map_lookup_elem(&krl_held, &counted->cookie);
	/* Another program may have made sockops forget it. */
	if (held)
		held->followed = !!(tp->bpf_sock_ops_cb_flags & BPF_SOCK_OPS_STATE_CB_FLAG);
	if (krl_counted_here(tp, counted))
		return held ? KRL_COUNTED_HERE : KRL_COUNTED_MISSING;
	return held ? KRL_COUNTED_NOWHERE : KRL_COUNTED_NOT;
}

/* Run by the agent with a struct krl_counted as the packet, of which the endpoint is written. Returns enum krl_counted_kind. */
SEC("tc")
int krl_counted(struct __sk_buff *skb)
{
	struct krl_counted counted;
	struct bpf_sock *sk;
	int kind;

	if (bpf_skb_load_bytes(skb, 0, &counted, sizeof(counted)))
		return KRL_COUNTED_NOT;
	sk = krl_flow_sock(skb, &counted.flow);
	if (!sk)
		return KRL_COUNTED_NOT;
	kind = krl_counted_look(sk, &counted);
	bpf_sk_release(sk);
	bpf_skb_store_bytes(skb, offsetof(struct krl_counted, endpoint), &counted.endpoint, sizeof(counted.endpoint), 0);
	return kind;
}

static __always_inline int krl_same_key(const struct krl_bucket_key *a, const struct krl_bucket_key *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;
	__u64 differ = 0;
	__u32 i;

	for (i = 0; i < sizeof(*a) / sizeof(*x); i++)
		differ |= x[i] ^ y[i];
	return !differ;
}

/* judge.recount: a bit for each key of what is held that is one of a rule's; and this, when what is missing is added. */
#define KRL_RECOUNT_ADDS (1U << 31)

static long krl_recount_rule(__u32 i, void *ctx)
{
	struct krl_judging *judging = ctx;
	struct krl_held *held = judging->held;
	struct krl_judged rule;
	struct krl_bucket *b;
	__u32 n;

	if (!krl_judge_counts(judging->judge, i))
		return 0;
	b = krl_judge_bucket(judging, i, &rule);
	if (!b || !(rule.flags & KRL_RULE_CONCURRENT))
		return 0;
	for (n = 0; n < KRL_HELD_KEYS; n++) {
		KRL_FORGET();	/* or clang loads the whole key before, to the stack */
		if (n >= held->count || !krl_same_key(&held->keys[n], &rule.key))
			continue;
		judging->judge->recount |= 1U << n;
		return 0;
	}
	n = held->count;
	if (judging->judge->recount & KRL_RECOUNT_ADDS && n < KRL_HELD_KEYS && !krl_gauge_hold(b))
		krl_judge_hold_note(held, n, &rule);
	return 0;
}

/* Give back what no rule counts any more, or counts in another bucket, since its selectors or its address changed. */
static __always_inline void krl_recount_drop(struct krl_held *held, __u32 wanted)
{
	__u32 n, kept = 0, overflow = 0;

	for (n = 0; n < KRL_HELD_KEYS; n++) {
		if (n >= held->count)
			break;
		if (!(wanted >> n & 1)) {
			krl_held_put_key(&held->keys[n], held->overflow >> n & 1);
			continue;
		}
		held->keys[KRL_MASKED(kept, KRL_HELD_KEYS)] = held->keys[n];
		overflow |= (held->overflow >> n & 1) << kept;
		kept++;
	}
	held->overflow = overflow;
	held->count = kept;
}

/* A connection that was open before a rule counts in it, above the limit too, and in no other than those of now. Its row
 * is out of krl_held meanwhile; that the socket is still there when it is back, the agent sees by its next walk. Returns
 * whether it holds anything. */
static __always_inline int krl_recount_open(struct krl_incoming *in, __u64 cookie)
{
	struct krl_endpoint *endpoint = krl_find_endpoint(&in->endpoint);
	struct krl_judging judging = {};
	struct krl_held *row;

	if (!endpoint || krl_incoming_match(in, endpoint, &judging))
		return 0;
	in->judge.counts = judging.match ? in->match.rules : ~0ULL;
	in->held.count = 0;
	in->held.overflow = 0;
	in->held.followed = 0;
	in->held.since_ns = in->judge.now_ns;
	row = bpf_map_lookup_elem(&krl_held, &cookie);
	if (row) {
		in->held = *row;
		if (bpf_map_delete_elem(&krl_held, &cookie))
			return 0;
		krl_held_prune(&in->held);
	}
	in->judge.recount = 0;
	bpf_loop(endpoint->rule_count, krl_recount_rule, &judging, 0);
	krl_recount_drop(&in->held, in->judge.recount);
	in->judge.recount = KRL_RECOUNT_ADDS;
	bpf_loop(endpoint->rule_count, krl_recount_rule, &judging, 0);
	krl_held_keep(cookie, &in->held);
	return !!in->held.count;
}

/* Run by the agent with a struct krl_counted as the packet. That is not on the stack, of which the functions below leave
 * little to this one. Returns whether an open connection holds anything now. */
SEC("tc")
int krl_recount(struct __sk_buff *skb)
{
	struct krl_incoming *in;
	int holds = 0;
	__u64 cookie;
	__u32 kind;

	if (bpf_skb_load_bytes(skb, offsetof(struct krl_counted, cookie), &cookie, sizeof(cookie)) ||
	    bpf_skb_load_bytes(skb, offsetof(struct krl_counted, kind), &kind, sizeof(kind)))
		return 0;
	if (kind == KRL_COUNTED_GONE) {
		krl_held_drop(cookie);
		return 0;
	}
	in = krl_incoming_take();
	if (!in)
		return 0;
	if (!bpf_skb_load_bytes(skb, offsetof(struct krl_counted, flow), &in->flow, sizeof(in->flow)) &&
	    !bpf_skb_load_bytes(skb, offsetof(struct krl_counted, endpoint), &in->endpoint, sizeof(in->endpoint))) {
		if (kind == KRL_COUNTED_HALF_OPEN)
			krl_held_unreserve(&in->flow);
		else
			holds = krl_recount_open(in, cookie);
	}
	krl_incoming_unlock(in);
	return holds;
}

char _license[] SEC("license") = "Dual BSD/GPL";
