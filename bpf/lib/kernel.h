/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The few kernel fields that are read, by CO-RE. bpf_skc_to_tcp_sock() returns the kernel's own struct,
 * whose fields and what they point to may be read like any other memory (kernel/bpf/verifier.c,
 * check_ptr_to_btf_access). */
#ifndef KMESH_RL_KERNEL_H
#define KMESH_RL_KERNEL_H

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct file {
	unsigned int f_flags;
};

struct socket {
	struct file *file;
};

struct sk_buff {
	unsigned int len;
	unsigned int end;
	unsigned char *head;
};

struct skb_shared_info {
	__u8 nr_frags;
};

struct sk_buff_head {
	struct sk_buff *prev;
	__u32 qlen;
};

typedef struct {
	__s64 counter;
} atomic64_t;

struct in6_addr {
	__u8 bytes[16];
};

struct netns_core {
	int sysctl_optmem_max;	/* since kernel commit f5769faeec36 */
};

struct netns_ipv4 {
	unsigned int sysctl_tcp_notsent_lowat;
};

struct net {
	struct netns_core core;
	struct netns_ipv4 ipv4;
	__u64 net_cookie;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport;
	__u16 skc_num;
	__u16 skc_family;
	__u8 skc_state;
	unsigned long skc_flags;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
};

struct list_head {
	struct list_head *next;
};

typedef struct {
	int counter;
} atomic_t;

typedef struct refcount_struct {
	atomic_t refs;
} refcount_t;

struct sk_msg;

struct sk_psock_progs {
	void *msg_parser;
	void *skb_verdict;
};

struct sk_psock {
	struct sk_psock_progs progs;
	struct sk_msg *cork;
	struct sk_buff_head ingress_skb;
	struct list_head ingress_msg;
	refcount_t refcnt;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_common __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
	struct socket *sk_socket;
	struct sk_buff_head sk_receive_queue;
	struct sk_buff_head sk_write_queue;
	void *sk_user_data;
	int sk_wmem_queued;
	int sk_sndbuf;
	int sk_err;
	atomic_t sk_omem_alloc;
	__u32 sk_max_ack_backlog;
};

struct inet_connection_sock {
	struct {
		__u32 lrcvtime;
	} icsk_ack;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 snd_una;
	__u32 snd_nxt;
	__u32 write_seq;
	__u32 copied_seq;
	__u32 rcv_nxt;
	__u32 lsndtime;
	__u64 bytes_received;
	__u64 bytes_sent;
	__u32 mss_cache;
	__u32 notsent_lowat;
	__u16 gso_segs;
	__u8 bpf_sock_ops_cb_flags;
	_Bool is_mptcp;
};

#pragma clang attribute pop

#define KRL_O_NONBLOCK 04000

/* include/net/sock.h, enum sock_flags */
enum sock_flags {
	SOCK_ZEROCOPY = 18,
};

/* include/net/tcp_states.h */
enum krl_tcp_state {
	KRL_TCP_ESTABLISHED = 1,
	KRL_TCP_TIME_WAIT = 6,
	KRL_TCP_CLOSE = 7,
	KRL_TCP_CLOSE_WAIT = 8,
	KRL_TCP_LISTEN = 10,
	KRL_TCP_NEW_SYN_RECV = 12,
};

/* The socket that received @skb, or NULL. */
static __always_inline struct sock *krl_skb_sock(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk ? (struct sock *)bpf_skc_to_tcp_sock(sk) : 0;
}

/* The socket that @msg is written to, or NULL. */
static __always_inline struct sock *krl_msg_sock(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;

	return sk ? (struct sock *)bpf_skc_to_tcp_sock(sk) : 0;
}

/* The socket that sockops is told of, or NULL. */
static __always_inline struct sock *krl_ops_sock(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;

	return sk ? (struct sock *)bpf_skc_to_tcp_sock(sk) : 0;
}

/* As bpf_get_socket_cookie() has it, which has drawn it before. */
static __always_inline __u64 krl_sock_cookie(struct sock *sk)
{
	return sk->__sk_common.skc_cookie.counter;
}

/* Is it a subflow of Multipath TCP? Such are no part of a socket map (net/mptcp/subflow.c, mptcp_subflow_init). */
static __always_inline int krl_sock_is_subflow(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return bpf_core_field_exists(tp->is_mptcp) && tp->is_mptcp;
}

/* Does the server read this socket with blocking calls? Such a reader gets EAGAIN when it is woken and there is
 * nothing to read: it waits once, not in a loop (net/ipv4/tcp_bpf.c, tcp_bpf_recvmsg_parser). */
static __always_inline int krl_sock_blocks(struct sock *sk)
{
	struct socket *socket = sk->sk_socket;
	struct file *file = socket ? socket->file : 0;

	return file && !(file->f_flags & KRL_O_NONBLOCK);
}

/* What the socket map has of @sk, or NULL. */
static __always_inline struct sk_psock *krl_sock_psock(struct sock *sk)
{
	/* The pointer carries flags in its low bits (include/linux/skmsg.h, SK_USER_DATA_PTRMASK). */
	return (struct sk_psock *)((unsigned long)sk->sk_user_data & ~7UL);
}

/* Is what the socket map has ready for the reader of @psock's socket read? */
static __always_inline int krl_psock_read(struct sk_psock *psock)
{
	struct list_head *list = &psock->ingress_msg, *next;

	return !bpf_probe_read_kernel(&next, sizeof(next), &list->next) && next == list;
}

/* Has the server read all that came? What the verdict let through is the socket map's. */
static __always_inline int krl_sock_unread_nothing(struct sock *sk)
{
	struct sk_psock *psock = krl_sock_psock(sk);

	return psock && !sk->sk_receive_queue.qlen && krl_psock_read(psock);
}

/* Has the server written something after all that came, or has nothing come? To TCP, which may have lost count of what is
 * unread, see krl_sock_in_step(). */
static __always_inline int krl_sock_wrote_last(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	/* The times are in jiffies: where they are equal, either may have been the last. */
	return !tp->bytes_received ||
	       (tp->bytes_sent && (__s32)(tp->lsndtime - tp->inet_conn.icsk_ack.lrcvtime) >= 0);
}

/* Does TCP know how far the server has read, when nothing is unread? Not once a request was refused while its reader was
 * in recv(): tcp_bpf_recvmsg_parser (net/ipv4/tcp_bpf.c) puts back the copied_seq of its beginning, and what
 * tcp_eat_skb added is lost. Without the socket map, the server would wait for bytes that are gone. */
static __always_inline int krl_sock_in_step(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return tp->copied_seq == tp->rcv_nxt;
}

/* Did somebody accept @sk? It has the backlog of its listener then, from which it was cloned (net/core/sock.c,
 * sk_clone_lock). Of a listener without any it does not look so. */
static __always_inline int krl_sock_was_accepted(struct sock *sk)
{
	return sk->sk_max_ack_backlog != 0;
}

/* More than levels of cgroups are ever nested. */
#define KRL_CGROUP_LEVELS 64

/* Is @sk in the cgroup with this id, or below it? */
static __always_inline int krl_sock_is_in(struct sock *sk, __u64 cgroup_id)
{
	struct cgroup *cgroup = sk->sk_cgrp_data.cgroup;
	struct cgroup_subsys_state *parent;
	int i;

	for (i = 0; i < KRL_CGROUP_LEVELS && cgroup; i++) {
		if (cgroup->kn->id == cgroup_id)
			return 1;
		parent = cgroup->self.parent;
		cgroup = parent ? parent->cgroup : 0;
	}
	return 0;
}

/* Has a client read all that the kernel answered? */
static __always_inline int krl_sock_read_answers(struct sock *sk)
{
	struct sk_psock *psock = krl_sock_psock(sk);
	__u32 waiting;

	if (!psock || bpf_probe_read_kernel(&waiting, sizeof(waiting), &psock->ingress_skb.qlen) || waiting)
		return 0;
	return krl_psock_read(psock);
}

/* ... and all that came? */
static __always_inline int krl_sock_read_all(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return tp->copied_seq == tp->rcv_nxt && krl_sock_read_answers(sk);
}

/* TCP sequence number behind the last byte that came. */
static __always_inline __u32 krl_sock_rcv_nxt(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return tp->rcv_nxt;
}

/* skbs that wait behind the one being judged. */
static __always_inline __u32 krl_sock_backlog(struct sock *sk)
{
	return sk->sk_receive_queue.qlen;
}

/* TCP sequence number behind the last byte that the server wrote. */
static __always_inline __u32 krl_sock_write_seq(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return tp->write_seq;
}

/* Has the client all that was written? */
static __always_inline int krl_sock_acked(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return tp->snd_una == tp->write_seq;
}

/* Has the server answered all that the client sent? It seems so when it read all of it and wrote after that. */
static __always_inline int krl_sock_rests(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return tp->copied_seq == tp->rcv_nxt && krl_sock_wrote_last(sk);
}

/* Was all answered that the client sent? It seems so when the server has it, and something came after that and was
 * read. */
static __always_inline int krl_sock_was_answered(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return tp->copied_seq == tp->rcv_nxt && tp->snd_una == tp->write_seq &&
	       (__s32)(tp->inet_conn.icsk_ack.lrcvtime - tp->lsndtime) >= 0;
}

/* Has the server written something since write_seq was @since, and has the client all of it? */
static __always_inline int krl_sock_answered(struct sock *sk, __u32 since)
{
	return krl_sock_write_seq(sk) != since && krl_sock_acked(sk);
}

#endif
