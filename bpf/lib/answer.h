/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The text of the answers that the kernel writes itself.
 *
 * Both forms are written into a struct krl_text: the whole answer by the responder, the compact one
 * in place over a request, padded to exactly its length since the length of an skb that belongs to
 * a TCP socket must not change (net/core/skmsg.c: tcp_eat_skb moves copied_seq on by it).
 */
#ifndef KMESH_RL_ANSWER_H
#define KMESH_RL_ANSWER_H

#include "compiler.h"
#include "conn.h"

#define KRL_DIGITS 20	/* of a u64 */

/* @s is a string literal: the length is known when compiling. */
#define krl_text_str(t, s)                                                                         \
	do {                                                                                       \
		__builtin_memcpy((t)->bytes + ((t)->len & (KRL_TEXT_BYTES - 1)), s, sizeof(s) - 1); \
		(t)->len += sizeof(s) - 1;                                                         \
	} while (0)

static __always_inline __u32 krl_digits(__u64 n)
{
	__u32 digits = 1;
	int i;

	for (i = 0; i < KRL_DIGITS - 1; i++) {
		if (n < 10)
			break;
		n /= 10;
		digits++;
	}
	return digits;
}

/* @n in decimal. */
static __always_inline void krl_text_number(struct krl_text *t, __u64 n)
{
	__u32 at = t->len + krl_digits(n);
	int i;

	t->len = at;
	for (i = 0; i < KRL_DIGITS; i++) {
		at--;
		t->bytes[at & (KRL_TEXT_BYTES - 1)] = '0' + n % 10;
		n /= 10;
		if (!n)
			break;
	}
	/* From here on the verifier must not know the length: it would walk the rest of the text once
	 * for each number of digits. */
	KRL_FORGET();
}

/* The first @len of the KRL_LIMIT_TEXT_BYTES bytes at @text. */
static __always_inline void krl_text_limit(struct krl_text *t, const char *text, __u32 len)
{
	__builtin_memcpy(t->bytes + (t->len & (KRL_TEXT_BYTES - 1)), text, KRL_LIMIT_TEXT_BYTES);
	t->len += len;
	KRL_FORGET();
}

#define KRL_BODY_429_START "{\"error\":\"Rate limit exceeded: "
#define KRL_BODY_END "\"}"
#define KRL_BODY_400 "{\"error\":\"Bad request\"}"

/* The whole answer @a; @limit is the refusing rule's limit_text, @limit_len long (at most
 * KRL_LIMIT_TEXT_BYTES). */
static __always_inline void krl_answer_write(struct krl_text *t, const struct krl_answer *a,
					     const char *limit, __u32 limit_len)
{
	t->len = 0;
	if (a->status == KRL_ANSWER_400) {
		krl_text_str(t, "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
				"Content-Length: 23\r\nConnection: close\r\n\r\n");
		if (!a->no_body)
			krl_text_str(t, KRL_BODY_400);
		return;
	}
	if (limit_len > KRL_LIMIT_TEXT_BYTES)
		limit_len = KRL_LIMIT_TEXT_BYTES;
	krl_text_str(t, "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"
			"Content-Length: ");
	krl_text_number(t, sizeof(KRL_BODY_429_START KRL_BODY_END) - 1 + limit_len);
	krl_text_str(t, "\r\nRetry-After: ");
	krl_text_number(t, a->retry_after_s);
	krl_text_str(t, "\r\nX-RateLimit-Limit: ");
	krl_text_number(t, a->limit);
	krl_text_str(t, "\r\nX-RateLimit-Remaining: ");
	krl_text_number(t, a->remaining);
	krl_text_str(t, "\r\nX-RateLimit-Reset: ");
	krl_text_number(t, a->reset_s);
	if (a->close)
		krl_text_str(t, "\r\nConnection: close");
	krl_text_str(t, "\r\n\r\n");
	if (a->no_body)
		return;
	krl_text_str(t, KRL_BODY_429_START);
	krl_text_limit(t, limit, limit_len);
	krl_text_str(t, KRL_BODY_END);
}

/* The compact answer, at most @room bytes; what is wanted most comes first: a status, a length, when
 * to come back. Its last header line is left open so that the caller can pad it with optional white
 * space (RFC 9110, 5.6.3) before the empty line. Returns 0; 1 when there was no room for a length,
 * so that the answer ends with the connection; or -1 when @room is too small for a status. */
static __always_inline int krl_answer_write_compact(struct krl_text *t, const struct krl_answer *a,
						    __u32 room)
{
	const __u32 end = sizeof("\r\n\r\n") - 1;

	t->len = 0;
	if (a->status == KRL_ANSWER_400)
		krl_text_str(t, "HTTP/1.1 400 \r\n");
	else
		krl_text_str(t, "HTTP/1.1 429 \r\n");
	if (a->status == KRL_ANSWER_429 &&
	    room >= t->len + sizeof("Retry-After:\r\nContent-Length:0") - 1 +
			    krl_digits(a->retry_after_s) + end) {
		krl_text_str(t, "Retry-After:");
		krl_text_number(t, a->retry_after_s);
		krl_text_str(t, "\r\n");
	}
	if (a->close && room >= t->len + sizeof("Connection:close\r\nContent-Length:0") - 1 + end)
		krl_text_str(t, "Connection:close\r\n");
	if (room >= t->len + sizeof("Content-Length:0") - 1 + end) {
		krl_text_str(t, "Content-Length:0");
		return 0;
	}
	/* The status line alone, to be padded: what follows it runs to the end of the connection. */
	t->len -= sizeof("\r\n") - 1;
	return room >= t->len + end ? 1 : -1;
}

#endif
