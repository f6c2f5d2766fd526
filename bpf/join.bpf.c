/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections that were open before their endpoint was protected, or requests to it limited as they go out. krl_find
 * walks over the sockets of a network namespace and says which those are; krl_join, run for each of them, enrols it.
 * Two programs, since the iterator holds the socket's lock, which enrolling takes (net/ipv4/tcp_ipv4.c,
 * bpf_iter_tcp_seq_show; net/core/sock_map.c, sock_map_update_elem). */
#include "maps.h"
#include "lib/caller.h"
#include "lib/conns.h"
#include "lib/endpoint.h"
#include "lib/iter.h"
#include "lib/kernel.h"
#include "lib/meter.h"

/* Whose rules its requests are judged by: as they come to the local end, else as they go out to the remote one. */
static __always_inline struct krl_endpoint *krl_open_endpoint(const struct krl_open *open, struct krl_endpoint_key *key)
{
	int sends = open->hook == KRL_HOOK_SEND;

	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memcpy(key->addr, sends ? open->remote : open->local, sizeof(key->addr));
	key->port = sends ? open->remote_port : open->local_port;
	key->hook = open->hook;
	return krl_find_endpoint(key);
}

SEC("iter/tcp")
int krl_find(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct krl_endpoint_key key;
	struct krl_open open = {};
	struct tcp_sock *tp;

	if (!skc || (skc->skc_state != KRL_TCP_ESTABLISHED && skc->skc_state != KRL_TCP_CLOSE_WAIT))
		return 0;
	tp = bpf_skc_to_tcp_sock(skc);
	if (!tp)
		return 0;
	krl_iter_addresses(skc, open.local, open.remote);
	open.local_port = skc->skc_num;
	open.remote_port = bpf_ntohs(skc->skc_dport);
	if (!krl_open_endpoint(&open, &key)) {
		open.hook = KRL_HOOK_SEND;
		if (!krl_open_endpoint(&open, &key))
			return 0;
	}
	if (!krl_sock_is_in((struct sock *)tp, krl_cgroup_id))
		return 0;
	open.netns_cookie = skc->skc_net.net->net_cookie;
	open.cookie = bpf_get_socket_cookie(skc);
	if (bpf_map_lookup_elem(&krl_conns, &open.cookie) && !bpf_map_lookup_elem(&krl_loose, &open.cookie))
		return 0;
	bpf_seq_write(ctx->meta->seq, &open, sizeof(open));
	return 0;
}

static __always_inline struct bpf_sock *krl_lookup(struct __sk_buff *skb, const struct krl_open *open)
{
	const __u32 *local = (const __u32 *)open->local, *remote = (const __u32 *)open->remote;
	struct bpf_sock_tuple tuple = {};

	if (krl_flow_is_ipv4(open->local)) {
		tuple.ipv4.saddr = remote[3];
		tuple.ipv4.daddr = local[3];
		tuple.ipv4.sport = bpf_htons(open->remote_port);
		tuple.ipv4.dport = bpf_htons(open->local_port);
		return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	__builtin_memcpy(tuple.ipv6.saddr, remote, 16);
	__builtin_memcpy(tuple.ipv6.daddr, local, 16);
	tuple.ipv6.sport = bpf_htons(open->remote_port);
	tuple.ipv6.dport = bpf_htons(open->local_port);
	return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

static __always_inline int krl_is_enrolled(__u64 cookie, int sends)
{
	struct bpf_sock *sk;

	if (sends)
		sk = bpf_map_lookup_elem(&krl_senders, &cookie);
	else
		sk = bpf_map_lookup_elem(&krl_sockets, &cookie);
	if (!sk)
		return 0;
	bpf_sk_release(sk);
	return 1;
}

/* What is left of the socket @cookie from when it was enrolled before, which the agent has not come to see yet: the numbers
 * of its requests begin anew. */
static __always_inline void krl_end_before(__u64 cookie)
{
	struct krl_conn *conn = bpf_map_lookup_elem(&krl_conns, &cookie);

	if (conn && conn->llm)
		krl_meter_close(&conn->reply, cookie);
	bpf_map_delete_elem(&krl_llms, &cookie);
}

/* Enrol @sk as sockops does at accept(). Returns enum krl_joined. */
static __always_inline int krl_enrol_open(struct bpf_sock *sk, const struct krl_open *open)
{
	int sends = open->hook == KRL_HOOK_SEND, err;
	struct krl_endpoint_key key;
	struct krl_endpoint *endpoint;
	__u64 cookie = open->cookie;
	struct krl_conn *conn;
	struct sock *tcp;
	__u8 one = 1;

	tcp = (struct sock *)bpf_skc_to_tcp_sock(sk);
	if (!tcp || krl_sock_cookie(tcp) != cookie)
		return KRL_JOINED_NOT;
	endpoint = krl_open_endpoint(open, &key);
	if (!endpoint || krl_is_enrolled(cookie, sends))
		return KRL_JOINED_NOT;
	if (sends && !krl_caller_rules(endpoint->policy, open->netns_cookie))
		return KRL_JOINED_NOT;
	if (krl_sock_blocks(tcp))
		return KRL_JOINED_BLOCKS;
	krl_end_before(cookie);
	conn = krl_conn_new(cookie, &key, open->netns_cookie);
	if (!conn)
		return KRL_JOINED_NOT;
	if (bpf_map_update_elem(&krl_loose, &cookie, &one, BPF_ANY)) {
		bpf_map_delete_elem(&krl_conns, &cookie);
		krl_count(KRL_REASON_CONN_TABLE_FULL);
		return KRL_JOINED_NOT;
	}
	krl_conn_place(conn, tcp, sends, sends ? krl_sock_was_answered(tcp) : krl_sock_rests(tcp));
	if (sends)
		err = bpf_map_update_elem(&krl_senders, &cookie, sk, BPF_NOEXIST);
	else
		err = bpf_map_update_elem(&krl_sockets, &cookie, sk, BPF_NOEXIST);
	if (err) {
		krl_conn_not_enrolled(cookie);
		return KRL_JOINED_NOT;
	}
	if (sends && krl_config_has(KRL_CONFIG_RECEIVERS))
		bpf_map_update_elem(&krl_receivers, &cookie, sk, BPF_NOEXIST);
	if (!sends && endpoint->flags & KRL_ENDPOINT_FOLLOWED)
		bpf_map_update_elem(&krl_writers, &cookie, sk, BPF_NOEXIST);
	return KRL_JOINED;
}

/* Run by the agent, in the network namespace of the socket that the packet names. */
SEC("tc")
int krl_join(struct __sk_buff *skb)
{
	struct krl_open open;
	struct bpf_sock *sk;
	int joined;

	if (bpf_skb_load_bytes(skb, 0, &open, sizeof(open)))
		return KRL_JOINED_NOT;
	sk = krl_lookup(skb, &open);
	if (!sk)
		return KRL_JOINED_NOT;
	joined = krl_enrol_open(sk, &open);
	bpf_sk_release(sk);
	return joined;
}

char _license[] SEC("license") = "Dual BSD/GPL";
