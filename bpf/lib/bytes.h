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

/* Copy up to @n bytes from @off on, as far as they can be read. Returns how many; @max is a power of two, and n at most. */
static __always_inline __u32 krl_bytes_peek(krl_bytes *msg, const struct krl_scan *s, __u32 off, char *ret, __u32 n,
					    const __u32 max)
{
	char *data = (char *)(long)msg->data;
	__u64 have = (char *)(long)msg->data_end - data;
	__u32 at = off - s->base;

	if (at >= have)
		return 0;
	if (n > have - at)
		n = have - at;
	if (!n || n > max)
		return 0;
	n = KRL_BOUNDED(n, max);
	KRL_OPAQUE(at);
	if (at > KRL_BYTES_REACH)
		return 0;
	return bpf_probe_read_kernel(ret, n, data + at) ? 0 : n;
}

/* Copy up to @n bytes from @s->off on, all in one piece of the message, to the connection's window. Returns how many,
 * or 0. Other pieces than the first are pulled, which moves what can be read (s->base). */
static __always_inline __u32 krl_bytes_load(krl_bytes *msg, struct krl_scan *s, char *window, __u32 n)
{
	__u64 have = (char *)(long)msg->data_end - (char *)(long)msg->data;
	__u32 at = s->off - s->base;

	if (at >= have || at > KRL_BYTES_REACH) {
		if (bpf_msg_pull_data(msg, s->off, s->off + n, 0))
			return 0;
		s->base = s->off;
		s->pulled = 1;
	}
	return krl_bytes_peek(msg, s, s->off, window, n, KRL_WINDOW_BYTES);
}

/* Is a head that began in an earlier run at the beginning of the message? That is kept until the head ends. */
static __always_inline int krl_bytes_has_head(const struct krl_conn *conn)
{
	return !conn->sending.torn;
}

#else

typedef struct __sk_buff krl_bytes;

#define KRL_BYTES_ONE 0

static __always_inline __u32 krl_bytes_len(const krl_bytes *skb, const struct krl_conn *conn)
{
	return skb->len;
}

/* Copy @n bytes from @off on. Returns how many, or 0; @max is a power of two, and n 1 .. max. */
static __always_inline __u32 krl_bytes_peek(krl_bytes *skb, const struct krl_scan *s, __u32 off, char *ret, __u32 n,
					    const __u32 max)
{
	n = KRL_BOUNDED(n, max);
	return bpf_skb_load_bytes(skb, off, ret, n) ? 0 : n;
}

/* Copy @n bytes, at most KRL_WINDOW_BYTES, from @s->off on to the connection's window. Returns how many, or 0. */
static __always_inline __u32 krl_bytes_load(krl_bytes *skb, struct krl_scan *s, char *window, __u32 n)
{
	return krl_bytes_peek(skb, s, s->off, window, n, KRL_WINDOW_BYTES);
}

static __always_inline int krl_bytes_has_head(const struct krl_conn *conn)
{
	return 0;
}

#endif

/* The ends of the socket, all but its network namespace. KRL_FORGET() as in flow.h. */
static __always_inline void krl_bytes_flow(krl_bytes *bytes, struct krl_flow *ret)
{
	__u32 *local = (__u32 *)ret->local, *remote = (__u32 *)ret->remote;

	if (bytes->family == KRL_AF_INET6) {
		local[0] = bytes->local_ip6[0];
		local[1] = bytes->local_ip6[1];
		local[2] = bytes->local_ip6[2];
		local[3] = bytes->local_ip6[3];
		remote[0] = bytes->remote_ip6[0];
		remote[1] = bytes->remote_ip6[1];
		remote[2] = bytes->remote_ip6[2];
		remote[3] = bytes->remote_ip6[3];
		KRL_FORGET();
	} else {
		krl_flow_put_ipv4(ret->local, bytes->local_ip4);
		krl_flow_put_ipv4(ret->remote, bytes->remote_ip4);
	}
	ret->local_port = bytes->local_port;
	ret->remote_port = bpf_ntohl(bytes->remote_port);
	ret->pad = 0;
}

/* The address of the client, IPv4 as ::ffff:a.b.c.d. */
static __always_inline void krl_bytes_source(krl_bytes *bytes, __u8 ret[16])
{
#ifdef KRL_BYTES_WRITTEN
	const int local = 1;
#else
	const int local = 0;
#endif
	__u32 *words = (__u32 *)ret;

	if (bytes->family == KRL_AF_INET6) {
		words[0] = local ? bytes->local_ip6[0] : bytes->remote_ip6[0];
		words[1] = local ? bytes->local_ip6[1] : bytes->remote_ip6[1];
		words[2] = local ? bytes->local_ip6[2] : bytes->remote_ip6[2];
		words[3] = local ? bytes->local_ip6[3] : bytes->remote_ip6[3];
		KRL_FORGET();
	} else {
		krl_flow_put_ipv4(ret, local ? bytes->local_ip4 : bytes->remote_ip4);
	}
}

#endif
