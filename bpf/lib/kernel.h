/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The few kernel fields that are read, by CO-RE: in an sk_skb program the context is the kernel's
 * struct sk_buff itself (net/core/skmsg.c, sk_psock_verdict_recv). */
#ifndef KMESH_RL_KERNEL_H
#define KMESH_RL_KERNEL_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

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

struct sock {
	struct socket *sk_socket;
	struct sk_buff_head sk_receive_queue;
};

struct tcp_sock {
	__u32 snd_una;
	__u32 write_seq;
};

struct sk_buff {
	struct sock *sk;
};

#pragma clang attribute pop

#define KRL_O_NONBLOCK 04000

/* Does the server read this socket with blocking calls? Such a reader gets EAGAIN when a request is
 * answered by the kernel (net/ipv4/tcp_bpf.c, tcp_bpf_recvmsg_parser). */
static __always_inline int krl_sock_blocks(struct sock *sk)
{
	struct socket *socket = BPF_CORE_READ(sk, sk_socket);
	struct file *file = socket ? BPF_CORE_READ(socket, file) : 0;

	return file && !(BPF_CORE_READ(file, f_flags) & KRL_O_NONBLOCK);
}

/* skbs that wait behind the one being judged. */
static __always_inline __u32 krl_sock_backlog(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_receive_queue.qlen);
}

/* TCP sequence number behind the last byte that the server wrote. */
static __always_inline __u32 krl_sock_write_seq(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return BPF_CORE_READ(tp, write_seq);
}

/* Has the server written something since write_seq was @since, and has the client all of it? */
static __always_inline int krl_sock_answered(struct sock *sk, __u32 since)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	__u32 write_seq = krl_sock_write_seq(sk);

	return write_seq != since && BPF_CORE_READ(tp, snd_una) == write_seq;
}

#endif
