/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a program judges: an skb that a server's socket received, or with KRL_BYTES_WRITTEN a message that a client
 * writes. */
#ifndef KMESH_RL_BYTES_H
#define KMESH_RL_BYTES_H

#include "../maps.h"
#include "flow.h"

#ifdef KRL_BYTES_WRITTEN

typedef struct sk_msg_md krl_bytes;

/* A walk ends with each head, and with each body. */
#define KRL_BYTES_ONE 1

/* Bytes that are read without asking for others: the verifier lets a program go no further. */
#define KRL_BYTES_REACH 0x7ff8

static __always_inline __u32 krl_bytes_len(const krl_bytes *msg, const struct krl_conn *conn)
{
	return conn->sending.size;
}

/* Copy up to @n bytes from @s->off on, all in one piece of the message, to the connection's window. Returns how many,
 * or 0. Other pieces than the first are pulled, which moves what can be read (s->base). */
static __always_inline __u32 krl_bytes_load(krl_bytes *msg, struct krl_scan *s, char *window, __u32 n)
{
	__u32 at = s->off - s->base;
	char *data = (char *)(long)msg->data;
	__u64 have = (char *)(long)msg->data_end - data;

	if (at >= have || at > KRL_BYTES_REACH) {
		if (bpf_msg_pull_data(msg, s->off, s->off + n, 0))
			return 0;
		s->base = s->off;
		s->pulled = 1;
		at = 0;
		data = (char *)(long)msg->data;
		have = (char *)(long)msg->data_end - data;
	}
	if (n > have - at)
		n = have - at;
	if (!n || n > KRL_WINDOW_BYTES)
		return 0;
	n = KRL_BOUNDED(n, KRL_WINDOW_BYTES);
	KRL_OPAQUE(at);
	if (at > KRL_BYTES_REACH)
		return 0;
	return bpf_probe_read_kernel(window, n, data + at) ? 0 : n;
}

/* The address of the client, which writes: IPv4 as ::ffff:a.b.c.d. */
static __always_inline void krl_bytes_source(krl_bytes *msg, __u8 ret[16])
{
	__u32 *words = (__u32 *)ret;

	if (msg->family == KRL_AF_INET6) {
		words[0] = msg->local_ip6[0];
		words[1] = msg->local_ip6[1];
		words[2] = msg->local_ip6[2];
		words[3] = msg->local_ip6[3];
		KRL_FORGET();	/* as in flow.h */
	} else {
		krl_flow_put_ipv4(ret, msg->local_ip4);
	}
}

#else

typedef struct __sk_buff krl_bytes;

#define KRL_BYTES_ONE 0

static __always_inline __u32 krl_bytes_len(const krl_bytes *skb, const struct krl_conn *conn)
{
	return skb->len;
}

/* Copy @n bytes, at most KRL_WINDOW_BYTES, from @s->off on to the connection's window. Returns how many, or 0. */
static __always_inline __u32 krl_bytes_load(krl_bytes *skb, struct krl_scan *s, char *window, __u32 n)
{
	n = KRL_BOUNDED(n, KRL_WINDOW_BYTES);
	return bpf_skb_load_bytes(skb, s->off, window, n) ? 0 : n;
}

/* The address of the client, IPv4 as ::ffff:a.b.c.d. */
static __always_inline void krl_bytes_source(krl_bytes *skb, __u8 ret[16])
{
	__u32 *words = (__u32 *)ret;

	if (skb->family == KRL_AF_INET6) {
		words[0] = skb->remote_ip6[0];
		words[1] = skb->remote_ip6[1];
		words[2] = skb->remote_ip6[2];
		words[3] = skb->remote_ip6[3];
		KRL_FORGET();	/* as in flow.h */
	} else {
		krl_flow_put_ipv4(ret, skb->remote_ip4);
	}
}

#endif
#endif
