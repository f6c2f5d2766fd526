/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Filling what is left of an skb whose length must stay, behind an answer that is written in its place. */
#ifndef KMESH_RL_PAD_H
#define KMESH_RL_PAD_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "compiler.h"

static const char krl_spaces[64] = "                                                                ";

struct krl_padding {
	struct __sk_buff *skb;
	__u32 off;
	__u32 end;
};

static long krl_pad_step(__u32 i, void *ctx)
{
	struct krl_padding *p = ctx;
	__u32 n = p->end > p->off ? p->end - p->off : 0;

	if (n > sizeof(krl_spaces))
		n = sizeof(krl_spaces);
	if (n == 0)
		return 1;
	n = KRL_BOUNDED(n, sizeof(krl_spaces));
	if (bpf_skb_store_bytes(p->skb, p->off, krl_spaces, n, 0))
		return 1;
	p->off += n;
	return 0;
}

/* Spaces over the bytes of @skb from @off to @end. Returns 0, or -1 when they could not be written. */
static __always_inline int krl_pad(struct __sk_buff *skb, __u32 off, __u32 end)
{
	struct krl_padding pad = { .skb = skb, .off = off, .end = end };

	bpf_loop(skb->len / sizeof(krl_spaces) + 1, krl_pad_step, &pad, 0);
	return pad.off == end ? 0 : -1;
}

#endif
