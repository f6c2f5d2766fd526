/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What http2.bpf.c does for the hooks. Its functions are global, so that the verifier walks them once and by
 * themselves. */
#ifndef KMESH_RL_HTTP2_HOOKS_H
#define KMESH_RL_HTTP2_HOOKS_H

#include <linux/bpf.h>

/* Beside SK_PASS and SK_DROP: what begins so is no HTTP/2. */
#define KRL_H2_STREAM_BAD 2

/* Judge the streams in @skb, of a connection in KRL_PHASE_H2; from behind where its preface was recognised when it
 * @begins so. Returns the verdict, or KRL_H2_STREAM_BAD. */
int krl_h2_stream(struct __sk_buff *skb, int begins);

/* Follow the frames in what the server writes to a connection in KRL_REPLY_HTTP2, and put between two of them what the
 * client is to be told. Returns the verdict. */
int krl_h2_reply(struct sk_msg_md *msg);

#endif
