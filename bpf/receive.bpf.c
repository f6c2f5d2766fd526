/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a client of krl_receivers receives: all of it passes. Where kernel commit 929e30f93125 is in force, FIONREAD
 * answers 0 on a socket map's socket without a verdict (net/ipv4/tcp_bpf.c, tcp_bpf_ioctl). */
#include "maps.h"

SEC("sk_skb/stream_verdict")
int krl_receive(struct __sk_buff *skb)
{
	return SK_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
