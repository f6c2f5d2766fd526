/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How much of a message the kernel takes at once in any case: behind what it takes in part it would let something pass
 * unseen (net/ipv4/tcp_bpf.c, tcp_bpf_send_verdict). */
#ifndef KMESH_RL_ROOM_H
#define KMESH_RL_ROOM_H

#include "kernel.h"

/* How many bytes may wait to be sent before there is room for more (include/net/tcp.h, tcp_notsent_lowat). */
static __always_inline __u32 krl_sock_lowat(struct sock *sk)
{
	__u32 lowat = ((struct tcp_sock *)sk)->notsent_lowat;

	return lowat ? lowat : sk->__sk_common.skc_net.net->ipv4.sysctl_tcp_notsent_lowat;
}

/* What an skb that is written costs of the send buffer beside its bytes, at most. */
#define KRL_SKB_COST 1536

/* What an skb has in pieces at most, and a message (include/linux/skbuff.h, MAX_SKB_FRAGS). */
#define KRL_SKB_PIECES 17

/* A piece of a message is a page at least, but for its first and those that were held back. */
#define KRL_PIECE_BYTES 4096

/* May what is written to it be sent from where it is? */
static __always_inline int krl_sock_zerocopy(struct sock *sk)
{
	return sk->__sk_common.skc_flags >> bpf_core_enum_value(enum sock_flags, SOCK_ZEROCOPY) & 1;
}

/* net.core.optmem_max before kernel commits 4944566706b2 and f5769faeec36, and more than one such skb took of it there. */
#define KRL_OPTMEM_BYTES 20480
#define KRL_ZEROCOPY_COST 1024

/* Pieces of a message that there is memory for when they are written with MSG_ZEROCOPY: each may take an skb of its own
 * for what is told the server when it was sent (net/core/skbuff.c, msg_zerocopy_realloc). What its user may lock is not
 * known here. */
static __always_inline __u32 krl_sock_zerocopies(struct sock *sk)
{
	struct net *net = sk->__sk_common.skc_net.net;
	__s32 used = sk->sk_omem_alloc.counter, most;

	if (!bpf_core_field_exists(net->core.sysctl_optmem_max))
		return used < KRL_OPTMEM_BYTES ? (__u32)(KRL_OPTMEM_BYTES - used) / KRL_ZEROCOPY_COST : 0;
	most = net->core.sysctl_optmem_max;
	return used < most ? (__u32)(most - used) / KRL_SKB_COST : 0;
}

/* Bytes of a message that are taken at once in any case, of which @small pieces may be of any length, and the first,
 * when there is little room, has @first bytes. Room is asked for before each skb alone (include/net/sock.h,
 * sk_stream_memory_free; net/ipv4/tcp.c, tcp_sendmsg_locked), and one that is not the rest of another has room for a
 * segment. Each piece may get an skb of its own, since the one before was sent. */
static __always_inline __u32 krl_sock_sure(struct sock *sk, __u32 first, __u32 small)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	__s32 room = sk->sk_sndbuf - sk->sk_wmem_queued;
	__u32 unsent = tp->write_seq - tp->snd_nxt;
	/* Options may take some of it (tcp_current_mss). */
	__u32 segment = tp->mss_cache / 2;
	__u32 piece = segment < KRL_PIECE_BYTES ? segment : KRL_PIECE_BYTES;
	__s32 spare = (2 + small) * KRL_SKB_COST;
	__u32 lowat = krl_sock_lowat(sk), zerocopies;
	__u64 sure;

	if (room <= 0 || unsent >= lowat)
		return 0;
	sure = room > spare ? (__u64)(room - spare) * piece / (piece + KRL_SKB_COST) : 0;
	if (sure > lowat - unsent)
		sure = lowat - unsent;
	if (krl_sock_zerocopy(sk)) {
		zerocopies = krl_sock_zerocopies(sk);
		/* The first piece is taken, or comes again as it is. */
		if (zerocopies <= 1 + small)
			return first == ~0U ? 0 : sure < first ? sure : first;
		if (zerocopies < KRL_SKB_PIECES && sure > (__u64)(zerocopies - 1 - small) * KRL_PIECE_BYTES)
			sure = (__u64)(zerocopies - 1 - small) * KRL_PIECE_BYTES;
	}
	if (first > segment)
		first = segment;
	return sure < first && !unsent ? first : sure;
}

/* Is there no room to write into? (include/net/sock.h, sk_stream_memory_free) */
static __always_inline int krl_sock_full(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return sk->sk_wmem_queued >= sk->sk_sndbuf || tp->write_seq - tp->snd_nxt >= krl_sock_lowat(sk);
}

/* More than options that come and go take of a segment (net/ipv4/tcp_output.c, tcp_current_mss). */
#define KRL_OPTION_BYTES 40

/* Bytes of a message's first piece, which has @first, that the kernel takes in any case into the last skb that waits to be
 * sent: none of the send buffer is asked for there. The skb may leave then, so it holds for one piece alone. */
static __always_inline __u32 krl_sock_tail(struct sock *sk, __u32 first)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct sk_buff *skb = sk->sk_write_queue.prev;
	struct skb_shared_info *shared;
	__u32 segment = tp->mss_cache, goal, len;
	__u8 pieces;

	/* The queue is a ring with itself in it. */
	if ((void *)skb == (void *)&sk->sk_write_queue || segment <= KRL_OPTION_BYTES)
		return 0;
	segment -= KRL_OPTION_BYTES;
	/* That many segments less one, if it is computed anew (net/ipv4/tcp.c, tcp_xmit_size_goal). */
	goal = tp->gso_segs > 1 ? (tp->gso_segs - 1) * segment : segment;
	len = skb->len;
	shared = (struct skb_shared_info *)(skb->head + skb->end);
	if (len >= goal || bpf_probe_read_kernel(&pieces, sizeof(pieces), &shared->nr_frags) || pieces >= KRL_SKB_PIECES)
		return 0;
	return first < goal - len ? first : goal - len;
}

#endif
