/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A walk over what the server writes at once, and where in the stream that leaves its answers. */
#ifndef KMESH_RL_REPLY_WALK_H
#define KMESH_RL_REPLY_WALK_H

#include "conn.h"
#include "room.h"

/* Begin at byte @off of a message of @len, which is written to @sk at @seq. */
static __always_inline void krl_reply_walk_begin(struct krl_conn *conn, struct sock *sk, __u32 seq, __u32 off, __u32 len)
{
	struct krl_reply_walk *w = &conn->reply_walk;

	__builtin_memset(w, 0, sizeof(*w));
	w->len = len;
	w->off = off;
	w->sure = krl_sock_sure(sk, ~0U, 0);
	conn->reply.skip = 0;
	conn->reply.at_seq = seq;
}

/* It ended: with an event, at the message's end, or in what is to be skipped; elsewhere, the message was too long for
 * it. */
static __always_inline void krl_reply_walk_end(struct krl_conn *conn, __u32 seq)
{
	struct krl_reply_walk *w = &conn->reply_walk;
	struct krl_reply *r = &conn->reply;

	r->at_seq = seq + w->off;
	if (!w->event && !r->skip && w->off < w->len)
		w->event = KRL_REPLY_UNREADABLE;
	if (w->event && w->event != KRL_REPLY_CUT)
		r->state = KRL_REPLY_LOST;
}

#endif
