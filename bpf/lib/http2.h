/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Framing of HTTP/2 (RFC 9113), both directions, over any segmentation.
 *
 * A frame is as long as its header says whatever is in it, so this code and a server find the same boundaries. What
 * is not framed so is the preface; where that is another, it says KRL_H2_BAD.
 *
 * A HEADERS frame of the client's is a request, unless it can be nothing but the trailers of one that is underway. Of
 * a refused request each frame is to be hidden: its type overwritten by one that nobody knows, which receivers step
 * over (section 4.1). From the first refusal on no further request reaches the server, whose table of header fields
 * (HPACK) has missed what the refused one put into the client's.
 */
#ifndef KMESH_RL_HTTP2_H
#define KMESH_RL_HTTP2_H

#include "http2_frame.h"

enum krl_h2_state {
	KRL_H2_OFF,		/* the connection speaks something else, or has not said anything */
	KRL_H2_PREFACE,		/* from "PRI * HTTP/2" on */
	KRL_H2_FIRST,		/* the first frame is SETTINGS */
	KRL_H2_FRAMES,
};

enum krl_h2_event {
	KRL_H2_NOTHING,
	KRL_H2_REQUEST,		/* to be followed by krl_h2_admit() or krl_h2_refuse() */
	KRL_H2_REFUSED,		/* one more request after the first that was refused: hide the frame */
	KRL_H2_HIDE,		/* a frame of a refused request: hide it */
	KRL_H2_END,		/* trailers that the server cannot read any more: put an end to the request in their place */
	KRL_H2_BAD,
};

/* One connection's place in both streams. */
struct krl_h2 {
	struct krl_h2_ring sending;	/* admitted requests whose client has not said END_STREAM */
	struct krl_h2_ring open;	/* ... whose server has not */
	struct krl_h2_head client;	/* of a frame of the client's */
	struct krl_h2_head server;
	__u32 skip;		/* bytes of the client's frame that are still to come; the server's: krl_reply */
	__u32 admitted;		/* the last request that reached the server, 0: none */
	__u32 lost;		/* bytes of refused bodies that the client's window for the connection lacks */
	__u8 state;		/* enum krl_h2_state */
	__u8 refused;		/* some request was */
	__u8 hidden;		/* so is the header block that began last */
	__u8 torn;		/* of the client's frame the skb before had the type, and not the rest of the header */
	__u8 told;		/* the client was told so, see krl_h2_write() */
	__u8 underway;		/* bytes of that in the kernel's hands which are not written */
	__u8 block;		/* the server's next frame continues a header block */
	__u8 started;		/* the server's SETTINGS, its preface, are written */
	__u8 asked;		/* the agent was asked to see to it that the client is told */
	__u8 begins;		/* the skb has more behind "PRI * HTTP/2", up to which it was walked */
	__u8 pad[6];
};

/* The connection said "PRI * HTTP/2". @upgraded: by HTTP/1.1, whose request is stream 1 then (RFC 7540, 3.2). What the
 * server has written meanwhile is in @h already. */
static __always_inline void krl_h2_begin(struct krl_h2 *h, int upgraded)
{
	h->state = KRL_H2_PREFACE;
	h->client.len = sizeof("PRI * HTTP/2") - 1;
	if (upgraded) {
		h->admitted = 1;
		krl_h2_ring_set(&h->open, 1);
	}
}

/* Is something to be told to the client that was not? */
static __always_inline int krl_h2_wants(const struct krl_h2 *h)
{
	return h->refused && !h->underway && (!h->told || h->lost);
}

/* The request of the client's frame goes to the server. */
static __always_inline void krl_h2_admit(struct krl_h2 *h)
{
	__u32 id = krl_h2_id(&h->client);

	h->hidden = 0;
	/* The number of the stream may be still to come. */
	if (h->torn || id <= h->admitted || !(id & 1))
		return;
	h->admitted = id;
	krl_h2_ring_set(&h->open, id);
	if (!(krl_h2_flags(&h->client) & KRL_H2_END_STREAM))
		krl_h2_ring_set(&h->sending, id);
}

static __always_inline void krl_h2_refuse(struct krl_h2 *h)
{
	h->refused = 1;
	h->hidden = 1;
}

static __always_inline int krl_h2_preface_byte(struct krl_h2 *h, __u8 c)
{
	static const char preface[KRL_H2_PREFACE_BYTES] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	__u32 at = h->client.len;

	if (at >= KRL_H2_PREFACE_BYTES || c != (__u8)preface[at])
		return KRL_H2_BAD;
	h->client.len = at + 1;
	if (h->client.len == KRL_H2_PREFACE_BYTES) {
		h->client.len = 0;
		h->state = KRL_H2_FIRST;
	}
	return KRL_H2_NOTHING;
}

/* The trailers of a request that is underway. After a refusal the server could not decode them. */
static __always_inline int krl_h2_trailers(struct krl_h2 *h, __u32 room)
{
	krl_h2_ring_clear(&h->sending, krl_h2_id(&h->client));
	h->hidden = 0;
	if (!h->refused)
		return KRL_H2_NOTHING;
	/* What they are turned into: a body that is all padding, of which the first byte tells the length. */
	if (krl_h2_flags(&h->client) & KRL_H2_END_HEADERS && h->skip <= 256 && room >= !!h->skip)
		return KRL_H2_END;
	h->hidden = 1;
	return KRL_H2_HIDE;
}

/* A HEADERS frame, of which the skb has all of the header and @room more bytes, or @torn the type alone: then it is
 * a request, so that no cut is a way round. */
static __always_inline int krl_h2_headers(struct krl_h2 *h, int torn, __u32 room)
{
	if (!torn && krl_h2_ring_has(&h->sending, krl_h2_id(&h->client)) &&
	    krl_h2_flags(&h->client) & KRL_H2_END_STREAM)
		return krl_h2_trailers(h, room);
	if (!h->refused)
		return KRL_H2_REQUEST;
	h->hidden = 1;
	return KRL_H2_REFUSED;
}

/* The skb ends behind the type of a frame. Were it a body's, and refused, it could not be hidden later: the server ends
 * the connection, for which it has an error. */
static __always_inline int krl_h2_torn(struct krl_h2 *h)
{
	h->torn = 1;
	if (h->state != KRL_H2_FRAMES)
		return KRL_H2_NOTHING;
	switch (krl_h2_type(&h->client)) {
	case KRL_H2_HEADERS:
		return krl_h2_headers(h, 1, 0);
	case KRL_H2_CONTINUATION:
		return h->hidden ? KRL_H2_HIDE : KRL_H2_NOTHING;
	}
	return KRL_H2_NOTHING;
}

/* The header of the client's frame is complete, and the skb has @room bytes behind it. */
static __always_inline int krl_h2_client_frame(struct krl_h2 *h, __u32 room)
{
	__u32 id = krl_h2_id(&h->client), type = krl_h2_type(&h->client), torn = h->torn;

	h->skip = krl_h2_length(&h->client);
	h->client.len = 0;
	h->torn = 0;
	if (h->state == KRL_H2_FIRST) {
		h->state = KRL_H2_FRAMES;
		return type == KRL_H2_SETTINGS && !id && !krl_h2_flags(&h->client) ? KRL_H2_NOTHING : KRL_H2_BAD;
	}
	if (type == KRL_H2_HEADERS) {
		if (!torn)
			return krl_h2_headers(h, 0, room);
		krl_h2_ring_clear(&h->sending, id);
		if (!h->hidden)
			krl_h2_admit(h);
		return KRL_H2_NOTHING;
	}
	if (type == KRL_H2_CONTINUATION)
		return h->hidden && !torn ? KRL_H2_HIDE : KRL_H2_NOTHING;
	if (h->refused && id > h->admitted) {
		if (type == KRL_H2_DATA)
			__sync_fetch_and_add(&h->lost, h->skip);
		return torn ? KRL_H2_NOTHING : KRL_H2_HIDE;
	}
	if (type == KRL_H2_RST_STREAM || (type == KRL_H2_DATA && krl_h2_flags(&h->client) & KRL_H2_END_STREAM))
		krl_h2_ring_clear(&h->sending, id);
	return KRL_H2_NOTHING;
}

/* One step at @at of @buf, which holds @buf_len of the @avail bytes, counted from @at, that the skb has. @at + 9 may
 * read past the last, so @buf has room. Returns how many bytes were stepped over, with @ret_event set, an enum
 * krl_h2_event; 0: the byte at @at is wanted, and @buf does not hold it. What is to be hidden then lies
 * krl_h2_type_back() before the place behind these bytes. */
static __always_inline __u32 krl_h2_step(struct krl_h2 *h, const char *buf, __u32 at, __u32 buf_len, __u32 avail,
					 int *ret_event)
{
	__u32 n;

	*ret_event = KRL_H2_NOTHING;
	if (h->skip) {
		n = h->skip < avail ? h->skip : avail;
		h->skip -= n;
		return n;
	}
	if (at >= buf_len)
		return 0;
	if (h->state == KRL_H2_PREFACE) {
		*ret_event = krl_h2_preface_byte(h, buf[at]);
		return 1;
	}
	if (!h->client.len && buf_len - at >= KRL_H2_HEAD_BYTES) {
		krl_h2_head_load(&h->client, buf + at);
		n = KRL_H2_HEAD_BYTES;
	} else {
		krl_h2_head_add(&h->client, buf[at]);
		n = 1;
	}
	if (h->client.len == KRL_H2_HEAD_BYTES)
		*ret_event = krl_h2_client_frame(h, avail - n);
	else if (h->client.len == KRL_H2_TYPE_AT + 1 && avail < KRL_H2_HEAD_BYTES - KRL_H2_TYPE_AT)
		*ret_event = krl_h2_torn(h);
	return n;
}

/* After a step that had an event: how far back the type of the frame is. */
static __always_inline __u32 krl_h2_type_back(const struct krl_h2 *h)
{
	return h->torn ? 1 : KRL_H2_HEAD_BYTES - KRL_H2_TYPE_AT;
}

/* The header of a frame of the server's is complete. Returns the bytes that follow it. */
static __always_inline __u32 krl_h2_server_frame(struct krl_h2 *h)
{
	__u32 type = krl_h2_type(&h->server), flags = krl_h2_flags(&h->server);

	h->server.len = 0;
	h->started = 1;
	h->block = (type == KRL_H2_HEADERS || type == KRL_H2_PUSH_PROMISE || type == KRL_H2_CONTINUATION) &&
		   !(flags & KRL_H2_END_HEADERS);
	if (type == KRL_H2_RST_STREAM ||
	    ((type == KRL_H2_HEADERS || type == KRL_H2_DATA) && flags & KRL_H2_END_STREAM))
		krl_h2_ring_clear(&h->open, krl_h2_id(&h->server));
	return krl_h2_length(&h->server);
}

/* Between two frames of the server's, when none is underway: may one be put in here? */
static __always_inline int krl_h2_between(const struct krl_h2 *h)
{
	return h->started && !h->block && !h->server.len;
}

/* Write what is to be told at @to, KRL_H2_TELL_BYTES: that the bodies of refused requests do not count, @lost bytes
 * (WINDOW_UPDATE of the connection, as section 6.8 has it), and once that requests after the last admitted one were not
 * looked at (GOAWAY), with @debug bytes that follow these. Returns how many bytes, without them. */
static __always_inline __u32 krl_h2_write(const struct krl_h2 *h, char *to, __u32 lost, __u32 debug)
{
	__u32 len = 0;

	if (lost) {
		krl_h2_put_head(to, 4, KRL_H2_WINDOW_UPDATE);
		krl_h2_put_u32(to + KRL_H2_HEAD_BYTES, lost & 0x7fffffff);
		len = KRL_H2_WINDOW_BYTES;
		to += KRL_H2_WINDOW_BYTES;
	}
	if (!h->told) {
		krl_h2_put_head(to, 8 + debug, KRL_H2_GOAWAY);
		krl_h2_put_u32(to + KRL_H2_HEAD_BYTES, h->admitted);
		krl_h2_put_u32(to + KRL_H2_HEAD_BYTES + 4, KRL_H2_ENHANCE_YOUR_CALM);
		len += KRL_H2_GOAWAY_BYTES;
	}
	return len;
}

#endif
