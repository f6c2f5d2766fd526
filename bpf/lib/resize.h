/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Putting other bytes in place of what is written. */
#ifndef KMESH_RL_RESIZE_H
#define KMESH_RL_RESIZE_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Take away the @n bytes behind the first @len, which were pushed: what the message then begins with is one piece, and
 * may be read and written. 0, or -errno with the message changed. */
static __always_inline int krl_message_pop_behind(struct sk_msg_md *msg, __u32 len, __u32 n)
{
	int err;

	if (!bpf_msg_pop_data(msg, len, n, 0))
		return 0;
	/* Kernels without commit 5d609ba26247 leave the last byte. */
	err = bpf_msg_pop_data(msg, len, n - 1, 0);
	if (!err)
		err = bpf_msg_pop_data(msg, len - 1, 1, 0);
	return err ? err : bpf_msg_pull_data(msg, 0, len, 0);
}

/* Have @len bytes in place of the first @n of the message, to be read and written: put before it, which takes half of
 * the pages and copies that making it longer takes. 0, or -errno with the message changed. */
static __always_inline int krl_message_resize(struct sk_msg_md *msg, __u32 n, __u32 len)
{
	int err = bpf_msg_push_data(msg, 0, len, 0);

	return err ? err : krl_message_pop_behind(msg, len, n);
}

#endif
