/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Servers that wait in a blocking recv(): recognised and counted. */
#ifndef KMESH_RL_READER_H
#define KMESH_RL_READER_H

#include "../maps.h"
#include "kernel.h"

/* To be called where the server has its socket for sure, more than once in a connection's life: it is counted when a
 * second look agrees, since some servers make their sockets non-blocking just behind accept(). */
static __always_inline void krl_look_at_reader(struct krl_conn *conn, struct sock *sk)
{
	int blocks = krl_sock_blocks(sk);

	if (blocks && conn->blocks && !conn->blocks_counted) {
		conn->blocks_counted = 1;
		krl_count(KRL_REASON_BLOCKING_READER);
	}
	conn->blocks = blocks;
}

/* The kernel wakes the server for an skb that it does not get. */
static __always_inline void krl_note_woken(const struct krl_conn *conn)
{
	if (conn->blocks)
		krl_count(KRL_REASON_READER_WOKEN);
}

#endif
