/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Walks over the TCP sockets of a network namespace, for the connections that come in. */
#include "maps.h"
#include "lib/incoming.h"
#include "lib/iter.h"
#include "lib/kernel.h"

/* Writes a byte for each listener of those on a port of which connections count. */
SEC("iter/tcp")
int krl_listeners(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct tcp_sock *tp;
	__u8 one = 1;

	if (!skc || skc->skc_state != KRL_TCP_LISTEN || !krl_port_counts(skc->skc_num))
		return 0;
	tp = bpf_skc_to_tcp_sock(skc);
	if (tp && krl_sock_is_in((struct sock *)tp, krl_cgroup_id))
		bpf_seq_write(ctx->meta->seq, &one, sizeof(one));
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
