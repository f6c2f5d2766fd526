/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What http2_reply.bpf.c does for the hook. */
#ifndef KMESH_RL_HTTP2_REPLY_H
#define KMESH_RL_HTTP2_REPLY_H

#include <linux/bpf.h>

/* Follow the frames in what the server writes to a connection in KRL_REPLY_HTTP2, and put between two of them what the
 * client is to be told. Returns the verdict. */
int krl_h2_reply(struct sk_msg_md *msg);

#endif
