/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Putting other bytes in place of what is written. */
#ifndef KMESH_RL_RESIZE_H
#define KMESH_RL_RESIZE_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Have @len bytes in place of the first @n of the message, to be read and written. 0, or -errno. */
static __always_inline int krl_message_resize(struct sk_msg_md *msg, __u32 n, __u32 len)
{
	int err = 0;

	if (n > len)
		err = bpf_msg_pop_data(msg, 0, n - len, 0);
	else if (n < len)
		err = bpf_msg_push_data(msg, 0, len - n, 0);
	return err ? err : bpf_msg_pull_data(msg, 0, len, 0);
}

#endif
