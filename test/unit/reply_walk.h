/* SPDX-License-Identifier: Apache-2.0 */
/* A server that writes answers, bpf/reply.bpf.c that sees them, and the kernel that takes them or a part: the same
 * steps without a message of the kernel's. */
#ifndef KMESH_RL_TEST_REPLY_WALK_H
#define KMESH_RL_TEST_REPLY_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/lib/reply.h"

enum { REPLY_TEXT_BYTES = 83, REPLY_MARKS = 256 };

struct reply_walk {
	struct krl_reply reply;
	__u32 seq;		/* the server's write_seq */
	size_t at;		/* bytes of the server that were taken */
	bool unseen;		/* tcp_bpf_send_verdict has a verdict left, after a part */
	size_t marks[REPLY_MARKS];	/* where fields were put into the server's bytes */
	size_t mark_count;
};

static inline void reply_walk_begin(struct reply_walk *w, __u32 seq)
{
	/* What a begin forgets to set would show. */
	memset(w, 0xa5, sizeof(*w));
	w->seq = seq;
	w->at = 0;
	w->unseen = false;
	w->mark_count = 0;
	krl_reply_begin(&w->reply, seq);
}

/* The program sees @bytes, of which it can read @window at a time. Returns how many bytes it adds, all of them
 * before @ret_end of the message. */
static inline size_t reply_walk_see(struct reply_walk *w, const char *bytes, size_t len, size_t window,
				    size_t *ret_end)
{
	struct krl_reply *r = &w->reply;
	size_t off, added = 0;
	int event = KRL_REPLY_NOTHING;
	size_t seen;
	__u64 over = 0;
	__u32 n;

	*ret_end = 0;
	if (r->state == KRL_REPLY_FRAMED)
		over = krl_reply_resume(r, w->seq);
	if (r->state != KRL_REPLY_FRAMED || over >= len)
		return 0;
	off = over;
	r->skip = 0;
	while (off < len && (event == KRL_REPLY_NOTHING || event == KRL_REPLY_LINE)) {
		if (!krl_reply_waits(r)) {
			off = len;
			break;
		}
		seen = window - off % window < len - off ? window - off % window : len - off;
		n = krl_reply_step(r, bytes + off, bytes + off + seen, &event);
		if (!n || n > seen)
			abort();
		off += n;
		if (r->skip) {
			if (r->skip >= len - off)
				break;
			off += r->skip;
			r->skip = 0;
		}
		if (event == KRL_REPLY_LINE) {
			if (w->mark_count == REPLY_MARKS)
				abort();
			w->marks[w->mark_count++] = w->at + off;
			added += REPLY_TEXT_BYTES;
			*ret_end = off + added;
			r->taken_seq = w->seq + *ret_end;
		}
	}
	r->at_seq = w->seq + off + added;
	if (event != KRL_REPLY_NOTHING && event != KRL_REPLY_LINE)
		r->state = KRL_REPLY_LOST;
	return added;
}

/* The server writes @bytes, of which the kernel takes all but @left, as far as it may. Returns how many bytes of
 * the server that is. */
static inline size_t reply_walk_write(struct reply_walk *w, const char *bytes, size_t len, size_t window,
				      size_t left)
{
	size_t end = 0, added = 0, took;

	if (!w->unseen)
		added = reply_walk_see(w, bytes, len, window, &end);
	if (left > len + added - end)
		left = len + added - end;
	took = len + added - left;
	w->unseen = left;
	w->seq += took;
	w->at += took - added;
	return took - added;
}

/* All of @stream in messages of @size bytes. */
static inline void reply_walk_all(struct reply_walk *w, const char *stream, size_t len, size_t size, size_t window)
{
	size_t n;

	while (w->at < len) {
		n = len - w->at < size ? len - w->at : size;
		reply_walk_write(w, stream + w->at, n, window, 0);
	}
}

#endif
