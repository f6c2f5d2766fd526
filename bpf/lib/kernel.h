/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The few kernel fields that are read, by CO-RE. bpf_skc_to_tcp_sock() returns the kernel's own struct,
 * whose fields and what they point to may be read like any other memory (kernel/bpf/verifier.c,
 * check_ptr_to_btf_access). */
#ifndef KMESH_RL_KERNEL_H
#define KMESH_RL_KERNEL_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct file {
	unsigned int f_flags;
};

struct socket {
	struct file *file;
};

struct sk_buff_head {
	__u32 qlen;
};

typedef struct {
	__s64 counter;
} atomic64_t;

struct sock_common {
	atomic64_t skc_cookie;
};

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	struct sk_buff_head sk_receive_queue;
	int sk_wmem_queued;
	int sk_sndbuf;
};

struct tcp_sock {
	__u32 snd_una;
	__u32 write_seq;
};

#pragma clang attribute pop

#define KRL_O_NONBLOCK 04000

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

/* As bpf_get_socket_cookie() has it, which has drawn it before. */
static __always_inline __u64 krl_sock_cookie(struct sock *sk)
{
	return sk->__sk_common.skc_cookie.counter;
}

/* Bytes that can be written before the send buffer is full (include/net/sock.h, sk_stream_memory_free). */
static __always_inline __u32 krl_sock_room(struct sock *sk)
{
	__s32 room = sk->sk_sndbuf - sk->sk_wmem_queued;

	return room > 0 ? room : 0;
}

/* Does the server read this socket with blocking calls? Such a reader gets EAGAIN when a request is
 * answered by the kernel (net/ipv4/tcp_bpf.c, tcp_bpf_recvmsg_parser). */
static __always_inline int krl_sock_blocks(struct sock *sk)
{
	struct socket *socket = sk->sk_socket;
	struct file *file = socket ? socket->file : 0;

	return file && !(file->f_flags & KRL_O_NONBLOCK);
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

/* Has the server written something since write_seq was @since, and has the client all of it? */
static __always_inline int krl_sock_answered(struct sock *sk, __u32 since)
{
	return krl_sock_write_seq(sk) != since && krl_sock_acked(sk);
}

#endif
