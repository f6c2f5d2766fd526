/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Metering the answers of model servers as a walk goes over what is written. */
#ifndef KMESH_RL_LLM_REPLY_H
#define KMESH_RL_LLM_REPLY_H

#include "lib/answer.h"
#include "lib/kernel.h"
#include "lib/meter.h"
#include "lib/resize.h"
#include "lib/room.h"
#include "lib/slot.h"

/* An event of a stream is seldom longer: its data is read faster where it is in the window from its start on. */
#define KRL_EVENT_BYTES 448

struct krl_replying {
	struct sk_msg_md *msg;
	struct krl_conn *conn;
	struct krl_llm *llm;	/* of a model server, else NULL */
	__u64 cookie;
	__u32 first;		/* bytes at least of the message's first piece; 0: not known */
};

/* As the program knows when it is compiled. */
static __always_inline struct krl_llm *krl_replying_llm(const struct krl_replying *replying)
{
	return KRL_REPLY_METERS ? replying->llm : 0;
}

/* Have the window hold what of the body is there from @data on. Returns 0, or -1 when that cannot be read. */
static __always_inline int krl_reply_fill(struct krl_replying *replying, const char *data, const char *end)
{
	struct krl_reply_walk *w = &replying->conn->reply_walk;
	struct krl_reply *r = &replying->conn->reply;
	struct krl_llm *llm = replying->llm;
	__u64 n = end - data;

	if (n > KRL_WINDOW_BYTES)
		n = KRL_WINDOW_BYTES;
	if (n > w->len - w->off)
		n = w->len - w->off;
	if (n > r->skip)
		n = r->skip;
	n = KRL_BOUNDED(n, KRL_WINDOW_BYTES);
	llm->at = 0;
	llm->end = n;
	return bpf_probe_read_kernel(llm->window.bytes, n, data) ? -1 : 0;
}

/* Step over bytes of a model server's answer's body, and read them if it is metered. The first is at @data. Returns 0,
 * or -1 when they cannot be read. */
static __always_inline int krl_reply_read(struct krl_replying *replying, const char *data, const char *end)
{
	struct krl_reply_walk *w = &replying->conn->reply_walk;
	struct krl_reply *r = &replying->conn->reply;
	struct krl_llm *llm = replying->llm;
	__u64 n = w->len - w->off < r->skip ? w->len - w->off : r->skip;
	__u32 have = llm->end - llm->at;

	if (llm->metered) {
		if ((llm->at >= llm->end ||
		     (llm->at && have < KRL_EVENT_BYTES && have < n && krl_llm_usage_begins(&llm->usage))) &&
		    krl_reply_fill(replying, data, end))
			return -1;
		n = krl_llm_usage_step(&llm->usage, &llm->window, llm->at, llm->end);
		llm->at += n;
	}
	w->off += n;
	r->skip -= n;
	return 0;
}

/* A step went on in the answer of a model server, of which there were @answered before. Returns the event that remains. */
static __always_inline int krl_reply_meter(struct krl_replying *replying, __u32 answered, int event)
{
	const struct krl_reply_walk *w = &replying->conn->reply_walk;
	struct krl_reply *r = &replying->conn->reply;
	struct krl_llm *llm = replying->llm;

	if (r->answered != answered)
		krl_meter_begin(llm, r, replying->cookie);
	if (event == KRL_REPLY_LAST && llm->answering && r->status >= 200) {
		r->skip = KRL_METER_REST;
		event = KRL_REPLY_NOTHING;
	}
	if (llm->answering && !r->skip && r->http.state == KRL_HTTP_START)
		krl_meter_end(llm, r, replying->cookie, 1);
	if (event == KRL_REPLY_NOTHING && llm->answering && (w->off <= w->sure || w->off == w->len) &&
	    krl_meter_cuts(llm, r, replying->cookie))
		event = KRL_REPLY_CUT;
	return event;
}

#endif
