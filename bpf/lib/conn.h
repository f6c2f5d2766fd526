/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is known of one enrolled connection: value of krl_conns, keyed by socket cookie. */
#ifndef KMESH_RL_CONN_H
#define KMESH_RL_CONN_H

#include <kmesh_rl/usage.h>

#include "http2.h"
#include "reply.h"
#include "request.h"

/* Other versions read these numbers, by the name of the member: they stay what they are; see bpf/cross.bpf.c. */
enum krl_phase {
	KRL_PHASE_OPEN,		/* requests are framed and judged */
	KRL_PHASE_OPAQUE,	/* left HTTP/1.1: everything passes */
	KRL_PHASE_SWALLOW,	/* the body of a refused request is dropped up to its end */
	KRL_PHASE_DRAIN,	/* refused, but the server owes older answers; the stream is dropped */
	KRL_PHASE_CLOSED,	/* the last answer was sent; the stream is dropped */
	KRL_PHASE_JOINING,	/* was open before the rule: everything passes up to the end of an answer */
	KRL_PHASE_H2,		/* HTTP/2: streams are framed and judged */
};

enum krl_answer_kind {
	KRL_ANSWER_NONE,
	KRL_ANSWER_LIMITED,	/* as the rule's form says */
	KRL_ANSWER_BAD_REQUEST,
	KRL_ANSWER_HTTP2,	/* what krl_h2_write() tells */
	KRL_ANSWER_USAGE_MISSING,	/* a stream is to ask for its usage */
};

/* Tries, 100 ms apart, that a client who sends on after its last answer keeps the connection from being
 * ended: closing while it sends is answered with RST, which may cost it the answer (RFC 9112, 9.6). */
#define KRL_LATE_TRIES 3

/* An answer from the kernel, ready to be written: the numbers are the bucket's at the verdict. */
struct krl_answer {
	__u64 form;		/* key of krl_forms */
	__u64 remaining;
	__u64 retry_after_s;
	__u64 reset_s;		/* unix time of the next fill */
	__u32 queued;		/* on its way through a responder pair */
	__u16 status;		/* of KRL_ANSWER_LIMITED */
	__u8 kind;		/* enum krl_answer_kind */
	__u8 close;		/* Connection: close, and end the connection after it */
	__u8 no_body;		/* answers a HEAD */
	__u8 pad[7];
};

/* Of several rules that refuse, the one that fills last. */
struct krl_refusing {
	struct krl_llm_user_key bucket;	/* whose it is */
	__u32 slot;
	__u32 pad;
	__s64 tokens;		/* that were there */
	__u64 needed;
	__u64 wait_ns;		/* until it pays to come again; 0: none refused */
};

/* One judgement; see admit.h. */
struct krl_judge {
	struct krl_bucket_key key;	/* all but the rule, from the accept on */
	__u64 now_ns;
	__u64 n;		/* requests to admit as a unit */
	__u64 recount;		/* see held.bpf.c */
	struct krl_refusing refused;
	struct krl_refusing shadow;	/* the same of rules in shadow mode, of requests that are admitted */
	__u64 counts;		/* a bit for each rule that counts for them */
	__u64 spared;		/* ... for each that does not, whatever selectors say */
	__u64 taken;		/* ... for each rule taken from */
	__u64 shadowed;		/* ... for each that would have refused, in shadow mode */
	__u64 headers;		/* of the rule with the fewest tokens left, of those that tell: key of krl_forms */
	__u64 left;		/* its tokens */
	__u64 left_wait_ns;	/* its next fill */
};

/* A connection that comes in, while it is judged; see incoming.h. */
struct krl_incoming {
	__u64 busy;		/* somebody is at it */
	__u64 taken;		/* what is to be given back unless it turns out to be a connection */
	struct krl_flow flow;
	struct krl_endpoint_key endpoint;	/* as configured, wildcards included */
	__u64 policy;		/* as its endpoint had it */
	__u32 rule_count;
	__u32 pad;
	struct krl_judge judge;
	struct krl_held held;
	struct krl_match match;
};

/* What a walk over one skb found; see scan.h. */
struct krl_scan {
	__u32 len;		/* of the skb */
	__u32 off;		/* bytes walked */
	__u32 window_off;	/* what of the skb the window holds */
	__u32 window_len;
	__u32 begins;		/* request lines that begin in this skb */
	__u32 begun;		/* ... where the last of them does */
	__u32 heads;		/* heads that end in it */
	__u64 head_bits;	/* a bit for each of those, modulo 64: it is a HEAD */
	__u32 flags;		/* of the last of them, KRL_HTTP_... */
	__u32 event;		/* enum krl_http_event that ended the walk early */
	__u32 failed;		/* the bytes could not be read */
	__u32 refused;		/* with selectors, where each head is judged as it ends: one was refused */
	__u32 base;		/* of a message: which byte of it can be read first */
	__u32 pulled;		/* ... the program has asked for other bytes than those of its first piece */
	__u32 leaves;		/* of an skb: what is no HTTP/1.1 follows its heads */
};

#define KRL_WINDOW_BYTES KRL_HTTP_WINDOW_BYTES	/* copied out of an skb at a time */

/* A short text being written. Room behind KRL_TEXT_BYTES, for any single piece, makes every write
 * provably inside. */
#define KRL_TEXT_BYTES 128
#define KRL_TEXT_PIECE 128

struct krl_text {
	__u32 len;
	__u32 pad;
	char bytes[KRL_TEXT_BYTES + KRL_TEXT_PIECE];
};

/* A whole answer being written, from a form: at most all of its text and a number in each gap. */
#define KRL_ANSWER_BYTES 4096

struct krl_answer_text {
	__u32 len;
	__u32 at;		/* bytes of the form's text that were copied */
	struct krl_text number;
	char bytes[KRL_ANSWER_BYTES + KRL_FORM_TEXT_BYTES];
};

/* One of the places to write in that a CPU has; see slot.h. */
#define KRL_TEXT_SLOTS 4

struct krl_text_slot {
	__u64 busy;
	struct krl_answer_text text;
};

/* A walk over what the server writes at once; see reply_walk.h. */
struct krl_reply_walk {
	__u32 len;		/* of the message */
	__u32 off;		/* bytes walked */
	__u32 base;		/* which byte of the message can be read first */
	__u32 event;		/* enum krl_reply_event that ended the walk */
	__u32 sure;		/* bytes of the message that the kernel takes in any case */
	__u32 pulled;		/* the program has asked for bytes to read */
	__u32 drops;		/* the message was broken in the attempt to add to it */
	__u32 tried;		/* ... which was made */
};

/* A client's connection; see send.bpf.c. */
struct krl_sending {
	__u32 at_seq;		/* TCP sequence number of what it writes: up to here that was framed */
	__u32 size;		/* of this message */
	__u8 corked;		/* the kernel keeps messages of this connection in one that was held back */
	__u8 torn;		/* the first part of the head that is framed went out */
	__u8 pieces;		/* messages since those held back were made one piece */
	__u8 pad;
};

/* The verdict program runs under the socket's lock, in softirq or in a reader's context, where it may
 * be interrupted by itself for another socket: what it needs room for is here, not per CPU. */
struct krl_conn {
	struct krl_http http;
	struct krl_endpoint_key endpoint;	/* as configured, wildcards included */
	struct krl_answer answer;
	struct krl_answer headers;	/* what the fields on the server's next answer say; form 0: none */
	struct krl_h2 h2;
	char h2_text[KRL_H2_TELL_BYTES + 2];
	struct krl_reply reply;
	struct krl_reply_walk reply_walk;
	__u32 admit_seq;	/* the server's write_seq when a request was last admitted */
	__u32 drain_seq;	/* ... when a waiting answer was last tried */
	__u32 answer_seq;	/* ... when the last answer from the kernel was decided */
	__u8 phase;
	__u8 admitted;		/* some request was admitted */
	__u8 pipelined;		/* requests were once sent without waiting for answers */
	__u8 quiet;		/* tries in a row that found the server quiet */
	__u8 blocks;		/* the server reads with blocking calls; seen at the last request */
	__u8 interim;		/* what the server wrote since may be a 1xx, not the answer */
	__u8 late;		/* tries to end the connection that are still to be let go by, see KRL_LATE_TRIES */
	__u8 torn;		/* this skb has the rest of an admitted request: dropped, the server waits in vain */
	__u8 answered;		/* some answer from the kernel was decided, at answer_seq */
	__u8 tracked;		/* next_seq is known */
	__u8 joining;		/* skbs that were no request since the connection joined, and one more; 0: it is known */
	__u8 blocks_counted;	/* as a blocking reader */
	__u8 tried;		/* it counts in krl_protocols.tried */
	__u8 spoken;		/* what the client speaks is known */
	__u8 llm;		/* to a model server: it has a row in krl_llms */
	__u8 broken;		/* its pipe is, or is about to be: see krl_end() */
	__u32 next_seq;		/* TCP sequence number behind the last byte seen */
	struct krl_sending sending;
	struct krl_judge judge;
	struct krl_scan scan;
	union {
		struct krl_http_window window;
		struct krl_text text;	/* the compact answer, when the skb was walked */
	};
};

#endif
