/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Takes enrolled sockets over from the socket maps of another version. A socket is judged by one program at a time
 * (net/core/sock_map.c, sock_map_link: -EBUSY), so it is taken out of those maps before it is put into these, at once: what
 * comes in between, in a microsecond, is not judged. */
#include "maps.h"
#include "lib/conns.h"
#include "lib/endpoint.h"
#include "lib/flow.h"
#include "lib/kernel.h"

/* Where a socket is while it leaves the maps of another version for these, so that it is always in one. No programs. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} krl_crossing SEC(".maps");

/* In their places the agent puts those of another version, see agent/datapath/takeover.h; where that has none, these
 * stay, and are empty. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u64);
} krl_former_sockets SEC(".maps"), krl_former_writers SEC(".maps"), krl_former_senders SEC(".maps"),
	krl_former_receivers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct krl_conn);
} krl_former_conns SEC(".maps");

/* Where in a row of that version's krl_conns its phase is, as enum krl_phase numbers it; or KRL_PHASE_NOWHERE. */
#define KRL_PHASE_NOWHERE (~0U)
const volatile __u32 krl_former_phase_at = KRL_PHASE_NOWHERE;

/* What of a socket is the kernel's side in a socket map. */
struct krl_crossing_psock {
	struct sk_psock *psock;
	void *msg_program, *skb_program;
};

static __always_inline int krl_crossing_look(struct sock *sk, struct krl_crossing_psock *ret)
{
	ret->psock = krl_sock_psock(sk);
	return ret->psock &&
	       !bpf_probe_read_kernel(&ret->msg_program, sizeof(ret->msg_program), &ret->psock->progs.msg_parser) &&
	       !bpf_probe_read_kernel(&ret->skb_program, sizeof(ret->skb_program), &ret->psock->progs.skb_verdict);
}

/* Is it held by as many @maps, so that nobody is in recv() or send() on it, and nothing in it? Once it is in no map it goes,
 * and what is in it, and with it its sk_msg program, which leaving a map alone does not take from it (sock_map_del_link). */
static __always_inline int krl_crossing_is_free(struct sock *sk, const struct krl_crossing_psock *crossing, int maps)
{
	struct sk_msg *cork;
	int refs;

	return !bpf_probe_read_kernel(&refs, sizeof(refs), &crossing->psock->refcnt.refs.counter) && refs == maps &&
	       !bpf_probe_read_kernel(&cork, sizeof(cork), &crossing->psock->cork) && !cork && krl_sock_read_answers(sk);
}

static __always_inline __u8 krl_former_phase(__u64 cookie)
{
	void *conn;

	if (krl_former_phase_at == KRL_PHASE_NOWHERE)
		return KRL_PHASE_OPEN;
	conn = bpf_map_lookup_elem(&krl_former_conns, &cookie);
	return conn ? *((__u8 *)conn + krl_former_phase_at) : KRL_PHASE_OPEN;
}

static __always_inline void krl_crossing_addresses(struct sock_common *skc, __u8 ret_local[16], __u8 ret_remote[16])
{
	if (skc->skc_family == KRL_AF_INET6) {
		bpf_probe_read_kernel(ret_local, 16, &skc->skc_v6_rcv_saddr);
		bpf_probe_read_kernel(ret_remote, 16, &skc->skc_v6_daddr);
	} else {
		krl_flow_put_ipv4(ret_local, skc->skc_rcv_saddr);
		krl_flow_put_ipv4(ret_remote, skc->skc_daddr);
	}
}

/* Its endpoint as it is configured now. 0: it has none. */
static __always_inline struct krl_endpoint *krl_crossing_endpoint(struct sock *sk, struct krl_endpoint_key *key)
{
	struct sock_common *skc = &sk->__sk_common;
	int sends = key->hook == KRL_HOOK_SEND;
	struct krl_endpoint_key exact;
	struct krl_endpoint *endpoint;
	__u8 local[16], remote[16];

	krl_crossing_addresses(skc, local, remote);
	__builtin_memcpy(key->addr, sends ? remote : local, sizeof(key->addr));
	key->port = sends ? bpf_ntohs(skc->skc_dport) : skc->skc_num;
	exact = *key;
	endpoint = krl_find_endpoint(key);
	if (!endpoint)
		*key = exact;
	return endpoint;
}

/* A row for it, before a program looks for one. NULL: there is no room. */
static __always_inline struct krl_conn *krl_crossing_conn(struct sock *tcp, __u64 cookie, const struct krl_endpoint_key *key,
							  __u8 phase)
{
	struct krl_conn *conn = krl_conn_new(cookie, key, tcp->__sk_common.skc_net.net->net_cookie);
	__u8 one = 1;

	if (!conn)
		return 0;
	if (bpf_map_update_elem(&krl_loose, &cookie, &one, BPF_ANY)) {
		bpf_map_delete_elem(&krl_conns, &cookie);
		krl_count(KRL_REASON_CONN_TABLE_FULL);
		return 0;
	}
	krl_conn_place(conn, tcp, key->hook == KRL_HOOK_SEND, 1);
	if (phase == KRL_PHASE_OPAQUE)
		conn->phase = KRL_PHASE_OPAQUE;
	return conn;
}

/* A connection crosses where the next bytes begin a request, or none do any more. HTTP/2 has a state that is the other
 * version's for good, and what a refused request still has coming does not begin one. */
static __always_inline int krl_phase_crosses(__u8 phase)
{
	return phase == KRL_PHASE_OPEN || phase == KRL_PHASE_OPAQUE || phase == KRL_PHASE_JOINING;
}

/* Out of that version's maps. Returns 0, or -1: it is where it was. */
static __always_inline int krl_leave_server(struct bpf_sock *sk, struct sock *tcp, __u64 cookie,
					    const struct krl_crossing_psock *crossing)
{
	/* Its side of the socket map lives on by this, with what is unread in it, and for those who wait in recv(). */
	if (!crossing->msg_program && bpf_map_update_elem(&krl_crossing, &cookie, sk, BPF_ANY))
		return -1;
	/* From here on what comes is TCP's, and nothing of it lost. */
	bpf_map_delete_elem(&krl_former_sockets, &cookie);
	if (crossing->msg_program && !krl_crossing_is_free(tcp, crossing, 1)) {
		bpf_map_update_elem(&krl_former_sockets, &cookie, sk, BPF_NOEXIST);
		return -1;
	}
	bpf_map_delete_elem(&krl_former_writers, &cookie);
	return 0;
}

static __always_inline int krl_cross_server(struct bpf_sock *sk, struct sock *tcp, __u64 cookie)
{
	struct krl_endpoint_key key = { .hook = KRL_HOOK_STREAM };
	__u8 phase = krl_former_phase(cookie);
	struct krl_crossing_psock crossing;
	struct krl_endpoint *endpoint;
	int err;

	if (tcp->__sk_common.skc_state != KRL_TCP_ESTABLISHED || !krl_phase_crosses(phase) || !krl_crossing_look(tcp, &crossing))
		return KRL_CROSSED_NOT;
	if (phase != KRL_PHASE_OPAQUE && !(krl_sock_unread_nothing(tcp) && krl_sock_wrote_last(tcp)))
		return KRL_CROSSED_NOT;
	if (crossing.msg_program && !krl_crossing_is_free(tcp, &crossing, 2))
		return KRL_CROSSED_NOT;
	endpoint = krl_crossing_endpoint(tcp, &key);
	if (!krl_crossing_conn(tcp, cookie, &key, phase))
		return KRL_CROSSED_NOT;
	if (krl_leave_server(sk, tcp, cookie, &crossing)) {
		bpf_map_delete_elem(&krl_conns, &cookie);
		return KRL_CROSSED_NOT;
	}
	err = bpf_map_update_elem(&krl_sockets, &cookie, sk, BPF_NOEXIST);
	if (!crossing.msg_program)
		bpf_map_delete_elem(&krl_crossing, &cookie);
	if (err) {
		krl_conn_not_enrolled(cookie);
		return KRL_CROSSED_NOWHERE;
	}
	if (endpoint && endpoint->flags & KRL_ENDPOINT_FOLLOWED)
		bpf_map_update_elem(&krl_writers, &cookie, sk, BPF_NOEXIST);
	return endpoint ? KRL_CROSSED : KRL_CROSSED_NOWHERE;
}

static __always_inline int krl_cross_client(struct bpf_sock *sk, struct sock *tcp, __u64 cookie)
{
	struct krl_endpoint_key key = { .hook = KRL_HOOK_SEND };
	__u8 phase = krl_former_phase(cookie);
	struct krl_crossing_psock crossing;
	struct krl_endpoint *endpoint;

	if (tcp->__sk_common.skc_state != KRL_TCP_ESTABLISHED || !krl_phase_crosses(phase) || !krl_crossing_look(tcp, &crossing))
		return KRL_CROSSED_NOT;
	if ((phase != KRL_PHASE_OPAQUE && !krl_sock_was_answered(tcp)) || !krl_crossing_is_free(tcp, &crossing, 1 + !!crossing.skb_program))
		return KRL_CROSSED_NOT;
	endpoint = krl_crossing_endpoint(tcp, &key);
	if (!krl_crossing_conn(tcp, cookie, &key, phase))
		return KRL_CROSSED_NOT;
	bpf_map_delete_elem(&krl_former_receivers, &cookie);
	bpf_map_delete_elem(&krl_former_senders, &cookie);
	if (bpf_map_update_elem(&krl_senders, &cookie, sk, BPF_NOEXIST)) {
		krl_conn_not_enrolled(cookie);
		return KRL_CROSSED_NOWHERE;
	}
	if (crossing.skb_program)
		bpf_map_update_elem(&krl_receivers, &cookie, sk, BPF_NOEXIST);
	return endpoint ? KRL_CROSSED : KRL_CROSSED_NOWHERE;
}

/* Take the socket in the map @former over, whose cookie is the packet. */
static __always_inline int krl_cross(struct __sk_buff *skb, void *former,
				     int (*cross)(struct bpf_sock *sk, struct sock *tcp, __u64 cookie))
{
	int crossed = KRL_CROSSED_GONE;
	struct bpf_sock *sk;
	struct sock *tcp;
	__u64 cookie;

	if (bpf_skb_load_bytes(skb, 0, &cookie, sizeof(cookie)))
		return crossed;
	sk = bpf_map_lookup_elem(former, &cookie);
	if (!sk)
		return crossed;
	tcp = (struct sock *)bpf_skc_to_tcp_sock(sk);
	if (tcp)
		crossed = cross(sk, tcp, cookie);
	bpf_sk_release(sk);
	return crossed;
}

/* Run by the agent for each socket in krl_former_sockets, and for each in krl_former_senders. Both return
 * enum krl_crossed. */
SEC("tc")
int krl_cross_in(struct __sk_buff *skb)
{
	return krl_cross(skb, &krl_former_sockets, krl_cross_server);
}

SEC("tc")
int krl_cross_out(struct __sk_buff *skb)
{
	return krl_cross(skb, &krl_former_senders, krl_cross_client);
}

char _license[] SEC("license") = "Dual BSD/GPL";
