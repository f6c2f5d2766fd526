/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections that were open before their endpoint was protected, or requests to it limited as they go out: enrolled by the
 * agent, which goes over the sockets of a network namespace (agent/datapath/join.c). */
#include "maps.h"
#include "lib/caller.h"
#include "lib/conns.h"
#include "lib/endpoint.h"
#include "lib/flow_sock.h"
#include "lib/kernel.h"
#include "lib/meter.h"

/* Whose rules its requests are judged by, as they come to the local end, or as they go out to the remote one. */
static __always_inline struct krl_endpoint *krl_open_endpoint_at(const struct krl_flow *flow, __u32 hook,
								 struct krl_endpoint_key *key)
{
	int sends = hook == KRL_HOOK_SEND;

	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memcpy(key->addr, sends ? flow->remote : flow->local, sizeof(key->addr));
	key->port = sends ? flow->remote_port : flow->local_port;
	key->hook = hook;
	return krl_find_endpoint(key);
}

static __always_inline struct krl_endpoint *krl_open_endpoint(const struct krl_flow *flow, struct krl_endpoint_key *key)
{
	struct krl_endpoint *endpoint = krl_open_endpoint_at(flow, KRL_HOOK_STREAM, key);

	return endpoint ? endpoint : krl_open_endpoint_at(flow, KRL_HOOK_SEND, key);
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
	struct krl_endpoint_key key;
	struct krl_endpoint *endpoint;
	__u64 cookie = open->cookie;
	struct krl_conn *conn;
	struct sock *tcp;
	int sends, err;
	__u8 one = 1;

	tcp = (struct sock *)bpf_skc_to_tcp_sock(sk);
	if (!tcp || krl_sock_cookie(tcp) != cookie || !krl_sock_is_in(tcp, krl_cgroup_id))
		return KRL_JOINED_NOT;
	if (bpf_map_lookup_elem(&krl_conns, &cookie) && !bpf_map_lookup_elem(&krl_loose, &cookie))
		return KRL_JOINED_NOT;
	endpoint = krl_open_endpoint(&open->flow, &key);
	if (!endpoint)
		return KRL_JOINED_NOT;
	sends = key.hook == KRL_HOOK_SEND;
	if (krl_is_enrolled(cookie, sends))
		return KRL_JOINED_NOT;
	if (sends && !krl_caller_rules(endpoint->policy, open->flow.netns_cookie))
		return KRL_JOINED_NOT;
	if (krl_sock_blocks(tcp))
		return KRL_JOINED_BLOCKS;
	krl_end_before(cookie);
	conn = krl_conn_new(cookie, &key, open->flow.netns_cookie);
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
	sk = krl_flow_sock(skb, &open.flow);
	if (!sk)
		return KRL_JOINED_NOT;
	joined = krl_enrol_open(sk, &open);
	bpf_sk_release(sk);
	return joined;
}

char _license[] SEC("license") = "Dual BSD/GPL";
