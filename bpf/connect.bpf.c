/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections that go out, when a socket of this node dials: what it dialled is known here alone, before any
 * translation of addresses. The kernel comes here once for each attempt, under the socket's lock
 * (net/ipv4/af_inet.c, __inet_stream_connect). */
#include "maps.h"
#include "lib/admit.h"
#include "lib/caller.h"
#include "lib/dialled.h"
#include "lib/endpoint.h"
#include "lib/kernel.h"
#include "lib/report.h"

#define KRL_SOCK_STREAM 1
#define KRL_EPERM 1
#define KRL_ECONNREFUSED 111

/* Of a subflow of MPTCP too the protocol is TCP. */
static __always_inline int krl_is_tcp(const struct bpf_sock_addr *ctx)
{
	return ctx->type == KRL_SOCK_STREAM && ctx->protocol == KRL_IPPROTO_TCP;
}

/* An attempt of this socket before this one is over. If it failed before a packet was sent, or another program refused
 * it, sockops was not told of its end. */
static __always_inline void krl_forget_attempt(struct bpf_sock_addr *ctx)
{
	struct krl_dial *dial = bpf_sk_storage_get(&krl_dials, ctx->sk, 0, 0);

	bpf_sk_storage_delete(&krl_dialled, ctx->sk);
	if (KRL_LIKELY(!dial))
		return;
	dial->dialled.port = 0;
	if (!dial->held.count)
		return;
	krl_held_drop(bpf_get_socket_cookie(ctx));
	dial->held.count = 0;
}

/* Note where @ctx dialled to if requests that go there are counted, for the program that is told when the
 * connection is established: its peer may be another address then. Returns 0; or -errno when the requests could not be
 * judged, and have to be. */
static __always_inline int krl_note_dialled(struct bpf_sock_addr *ctx, struct krl_endpoint_key dialled)
{
	struct krl_endpoint_key *noted, key;
	struct krl_endpoint *endpoint;
	struct sock *tcp;
	int unjudged;

	dialled.hook = KRL_HOOK_SEND;
	key = dialled;
	endpoint = krl_find_endpoint(&key);
	if (!endpoint || !krl_caller_rules(endpoint->policy, bpf_get_netns_cookie(ctx)))
		return 0;
	unjudged = endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED ? -KRL_ECONNREFUSED : 0;
	tcp = (struct sock *)bpf_skc_to_tcp_sock(ctx->sk);
	if (unjudged && tcp && krl_sock_is_subflow(tcp)) {
		krl_count(KRL_REASON_NOT_ENROLLED);
		return unjudged;
	}
	noted = bpf_sk_storage_get(&krl_dialled, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!noted) {
		krl_count(KRL_REASON_CONN_TABLE_FULL);
		return unjudged;
	}
	*noted = dialled;
	return 0;
}

/* The kernel takes no address for itself: of IPv4 for the one that the socket is bound to, if it is
 * (net/ipv4/route.c, ip_route_output_key_hash_rcu; net/ipv6/tcp_ipv6.c, tcp_v6_connect). */
static __always_inline void krl_dialled_address(struct bpf_sock_addr *ctx, __u32 words[4])
{
	if (words[3] || words[0] || words[1])
		return;
	if (!words[2])
		words[3] = bpf_htonl(1);
	if (words[2] != bpf_htonl(0xffff))
		return;
	words[3] = ctx->sk->src_ip4;
	if (!words[3])
		words[3] = bpf_htonl(0x7f000001);
}

/* Tell of it, if it was @refused, or would have been in shadow mode; the socket has no end of its own yet. */
static __noinline int krl_dial_report(const struct krl_judge *j, int refused, const struct krl_endpoint_key *dialled)
{
	struct krl_flow flow = { .netns_cookie = j->key.netns_cookie, .remote_port = dialled->port };

	__builtin_memcpy(flow.remote, dialled->addr, sizeof(flow.remote));
	krl_report_connection(j, refused, KRL_HOOK_CONNECT, &flow);
	return 0;
}

/* Take from the buckets of what @ctx dialled. Returns 0, or over the limit the -errno for the application. */
static __always_inline int krl_judge_dial(struct bpf_sock_addr *ctx, struct krl_endpoint_key dialled)
{
	struct krl_endpoint_key endpoint;
	struct krl_judging judging = {};
	const struct krl_rule *rule;
	struct krl_dial *dial;
	struct krl_judge *j;
	int unjudged;
	__u64 rules;
	__u32 slot;

	dialled.hook = KRL_HOOK_CONNECT;
	endpoint = dialled;
	judging.endpoint = krl_find_endpoint(&endpoint);
	if (!judging.endpoint)
		return 0;
	rules = krl_caller_rules(judging.endpoint->policy, bpf_get_netns_cookie(ctx));
	unjudged = judging.endpoint->flags & KRL_ENDPOINT_FAIL_CLOSED ? -KRL_ECONNREFUSED : 0;
	dial = bpf_sk_storage_get(&krl_dials, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!dial) {
		krl_count(KRL_REASON_CONN_TABLE_FULL);
		return rules ? unjudged : 0;
	}
	/* Noted also where no rule is for it: it may be, once more is known of its pod. */
	dial->dialled = dialled;
	if (!rules)
		return 0;
	j = &dial->judge;
	j->spared = ~rules;
	j->key.netns_cookie = bpf_get_netns_cookie(ctx);
	__builtin_memcpy(j->key.addr, endpoint.addr, sizeof(j->key.addr));
	j->key.port = endpoint.port;
	j->now_ns = bpf_ktime_get_boot_ns();
	j->n = 1;
	judging.judge = j;
	judging.held = &dial->held;
	if (!krl_admit(&judging)) {
		if (j->shadowed)
			krl_dial_report(j, 0, &dialled);
		if (!krl_held_keep(bpf_get_socket_cookie(ctx), &dial->held) || !unjudged)
			return 0;
		krl_judge_undo(&judging);
		return unjudged;
	}
	krl_dial_report(j, 1, &dialled);
	slot = j->refused.slot;
	rule = bpf_map_lookup_elem(&krl_rules, &slot);
	return rule && KRL_READ_ONCE(rule->flags) & KRL_RULE_EPERM ? -KRL_EPERM : -KRL_ECONNREFUSED;
}

/* Returns 1, or 0: connect() fails. */
static __always_inline int krl_dial(struct bpf_sock_addr *ctx, struct krl_endpoint_key *dialled)
{
	int refused;

	/* By a program that ran before: the others run all the same (kernel/bpf/cgroup.c, bpf_prog_run_array_cg). */
	if (bpf_get_retval() < 0)
		return 1;
	krl_forget_attempt(ctx);
	dialled->port = bpf_ntohs(ctx->user_port);
	if (KRL_LIKELY(!krl_port_is_dialled(dialled->port)))
		return 1;
	krl_dialled_address(ctx, (__u32 *)dialled->addr);
	refused = krl_note_dialled(ctx, *dialled);
	if (!refused)
		refused = krl_judge_dial(ctx, *dialled);
	if (!refused)
		return 1;
	bpf_set_retval(refused);
	return 0;
}

SEC("cgroup/connect4")
int krl_connect4(struct bpf_sock_addr *ctx)
{
	struct krl_endpoint_key dialled = {};
	__u32 *words = (__u32 *)dialled.addr;

	if (!krl_is_tcp(ctx) || ctx->user_family != KRL_AF_INET)
		return 1;
	words[2] = bpf_htonl(0xffff);
	words[3] = ctx->user_ip4;
	return krl_dial(ctx, &dialled);
}

SEC("cgroup/connect6")
int krl_connect6(struct bpf_sock_addr *ctx)
{
	struct krl_endpoint_key dialled = {};
	__u32 *words = (__u32 *)dialled.addr;

	if (!krl_is_tcp(ctx) || ctx->user_family != KRL_AF_INET6)
		return 1;
	words[0] = ctx->user_ip6[0];
	words[1] = ctx->user_ip6[1];
	words[2] = ctx->user_ip6[2];
	words[3] = ctx->user_ip6[3];
	KRL_FORGET();	/* as in sockops.bpf.c */
	return krl_dial(ctx, &dialled);
}

/* A socket is closed: one whose last attempt did not even become a packet is not told of to sockops. */
SEC("cgroup/sock_release")
int krl_release_dial(struct bpf_sock *sk)
{
	struct krl_dial *dial = bpf_sk_storage_get(&krl_dials, sk, 0, 0);
	struct krl_held *held;
	__u64 cookie;

	if (KRL_LIKELY(!dial) || !dial->held.count)
		return 1;
	cookie = bpf_get_socket_cookie(sk);
	held = bpf_map_lookup_elem(&krl_held, &cookie);
	if (held && !held->followed)
		krl_held_drop(cookie);
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
