/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The text of the answers that the kernel writes itself.
 *
 * The whole answer is written by the responder, from the rule's form; the compact one in place over a
 * request, padded to exactly its length since the length of an skb that belongs to a TCP socket must
 * not change (net/core/skmsg.c: tcp_eat_skb moves copied_seq on by it).
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
	__u64 bound = 10;
	__u32 digits = 1;
	int i;

	for (i = 0; i < KRL_DIGITS - 1; i++) {
		if (n < bound)
			break;
		bound *= 10;
		digits++;
	}
	return digits;
}

/* Digits that are cut off a number at once. */
#define KRL_DIGITS_CUT 9
#define KRL_CUT 1000000000ULL

/* @n in decimal. A division takes longer than all else here, so there is one for nine digits; below 2^32,
 * n / 10 is n * 0xcccccccd / 2^35. */
KRL_GLOBAL int krl_text_number(struct krl_text *t, __u64 n)
{
	__u32 at, digits = krl_digits(n), i;
	__u64 low = 0, tenth;

	if (!t)
		return 0;
	at = t->len + digits;
	t->len = at;
	for (i = 0; i < KRL_DIGITS; i++) {
		if (i >= digits)
			break;
		if (i % KRL_DIGITS_CUT == 0) {
			low = n;
			n = low / KRL_CUT;
			low -= n * KRL_CUT;
		}
		tenth = low * 0xcccccccdULL >> 35;
		at--;
		t->bytes[at & (KRL_TEXT_BYTES - 1)] = '0' + (low - tenth * 10);
		low = tenth;
	}
	return 0;
}

#ifdef __bpf__
/* Between maps the verifier lets no program copy a length that it does not know; this helper does. */
#define krl_copy(to, from, len) bpf_probe_read_kernel(to, len, from)
#else
#define krl_copy(to, from, len) __builtin_memcpy(to, from, len)
#endif

/* Append @len bytes, at most KRL_FORM_TEXT_BYTES, at @from. */
static __always_inline void krl_answer_append(struct krl_answer_text *t, const char *from, __u32 len)
{
	__u32 at = t->len & (KRL_ANSWER_BYTES - 1);

	if (len > KRL_FORM_TEXT_BYTES)
		len = KRL_FORM_TEXT_BYTES;
	krl_copy(t->bytes + at, from, len);
	t->len = at + len;
}

static __always_inline void krl_answer_number(struct krl_answer_text *t, __u64 n)
{
	char *to = t->bytes + (t->len & (KRL_ANSWER_BYTES - 1));

	t->number.len = 0;
	krl_text_number(&t->number, n);
	/* All digits that there can be, and what comes next is written over those that are not. */
	__builtin_memcpy(to, t->number.bytes, KRL_DIGITS + 4);
	t->len = (t->len & (KRL_ANSWER_BYTES - 1)) + (t->number.len & (KRL_TEXT_BYTES - 1));
}

/* Copy @t, up to @max bytes of it, to @to in a message that ends at @end: sk_msg programs have no helper for it. */
static __always_inline void krl_answer_copy(char *to, const char *end, const struct krl_answer_text *t, __u32 max)
{
	__u32 i, n;

	for (i = 0; i < max; i += 8) {
		if (i + 8 > t->len || to + 8 > end)
			break;
		*(__u64 *)to = krl_load_word(t->bytes + i);
		to += 8;
	}
	for (n = 0; n < 7; n++) {
		if (i + n >= t->len || to + 1 > end)
			break;
		*to = t->bytes[(i + n) & (KRL_ANSWER_BYTES - 1)];
		to++;
	}
}

/* No integer of a structured field is larger (RFC 9651, 3.3.1). */
#define KRL_ANSWER_REMAINING 999999999999999ULL

#define KRL_MINUTE_S 60
#define KRL_HOUR_S 3600

#define krl_answer_str(t, s) krl_answer_append(t, s, sizeof(s) - 1)

/* @seconds as Go writes a duration: "45s", "6m0s", "26h0m1s". */
static __always_inline void krl_answer_duration(struct krl_answer_text *t, __u64 seconds)
{
	if (seconds >= KRL_HOUR_S) {
		krl_answer_number(t, seconds / KRL_HOUR_S);
		krl_answer_str(t, "h");
	}
	if (seconds >= KRL_MINUTE_S) {
		krl_answer_number(t, seconds / KRL_MINUTE_S % 60);
		krl_answer_str(t, "m");
	}
	krl_answer_number(t, seconds % KRL_MINUTE_S);
	krl_answer_str(t, "s");
}

/* Write the @i-th piece of @form, and fill the gap behind it. Returns 1 at the end of the answer. */
static __always_inline int krl_answer_piece(struct krl_answer_text *t, const struct krl_form *form,
					    const struct krl_answer *a, __u32 i)
{
	const struct krl_piece *piece = &form->pieces[i & (KRL_FORM_PIECES - 1)];
	__u32 at = t->at & (KRL_FORM_TEXT_BYTES - 1);

	krl_answer_append(t, form->text + at, piece->len);
	t->at = at + piece->len;
	switch (piece->gap) {
	case KRL_GAP_LENGTH:
		krl_answer_number(t, form->body_text + form->body_gaps * krl_digits(a->retry_after_s));
		break;
	case KRL_GAP_RETRY_AFTER:
		krl_answer_number(t, a->retry_after_s);
		break;
	case KRL_GAP_RESET_AFTER:
		krl_answer_duration(t, a->retry_after_s);
		break;
	case KRL_GAP_REMAINING:
		krl_answer_number(t, a->remaining < KRL_ANSWER_REMAINING ? a->remaining : KRL_ANSWER_REMAINING);
		break;
	case KRL_GAP_RESET:
		krl_answer_number(t, a->reset_s);
		break;
	case KRL_GAP_CONNECTION:
		if (a->close)
			krl_answer_str(t, "Connection: close\r\n");
		break;
	case KRL_GAP_BODY:
		return !!a->no_body;
	}
	return 0;
}

/* The whole answer to a malformed request. */
static __always_inline void krl_answer_bad_request(struct krl_answer_text *t, const struct krl_answer *a)
{
	krl_answer_str(t, "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
			  "Content-Length: 23\r\nConnection: close\r\n\r\n");
	if (!a->no_body)
		krl_answer_str(t, "{\"error\":\"Bad request\"}");
}

/* In the shape of OpenAI's errors. */
#define KRL_USAGE_MISSING                                                                          \
	"{\"error\":{\"message\":\"A stream must ask for its usage: stream_options.include_usage is to be true.\","
#define KRL_USAGE_MISSING_REST "\"type\":\"invalid_request_error\",\"param\":\"stream_options\",\"code\":null}}"

/* The whole answer to a stream that could not be metered. */
static __always_inline void krl_answer_usage_missing(struct krl_answer_text *t, const struct krl_answer *a)
{
	krl_answer_str(t, "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ");
	krl_answer_number(t, sizeof(KRL_USAGE_MISSING) + sizeof(KRL_USAGE_MISSING_REST) - 2);
	krl_answer_str(t, "\r\n");
	if (a->close)
		krl_answer_str(t, "Connection: close\r\n");
	krl_answer_str(t, "\r\n");
	krl_answer_str(t, KRL_USAGE_MISSING);
	krl_answer_str(t, KRL_USAGE_MISSING_REST);
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
	krl_text_str(t, "HTTP/1.1 ");
	krl_text_number(t, a->kind == KRL_ANSWER_LIMITED ? a->status : 400);
	krl_text_str(t, " \r\n");
	if (a->kind == KRL_ANSWER_LIMITED &&
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
