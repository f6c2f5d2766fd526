/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Framing of the server's answers (RFC 9112), one step at a time, over any segmentation.
 *
 * Unlike with requests nothing is refused here: what is not understood at once makes the answers of the
 * connection unreadable from then on (KRL_REPLY_LOST), and they are left alone. What is understood does not
 * depend on how it is cut.
 */
#ifndef KMESH_RL_REPLY_H
#define KMESH_RL_REPLY_H

#include "http1.h"

#define KRL_COLON_BLANK 0x203a

/* Words that one step goes over. */
#define KRL_REPLY_WORDS 16

/* Requests that may wait for their answers at once. */
#define KRL_REPLY_MAX_WAITING 64

enum krl_reply_state {
	KRL_REPLY_UNKNOWN,	/* some answer may be underway, or bytes of one were not seen */
	KRL_REPLY_FRAMED,
	KRL_REPLY_LOST,		/* left HTTP/1.1, ends with the connection, or not understood */
	KRL_REPLY_HTTP2,	/* frames of HTTP/2, unless the client turns out to speak HTTP/1.1 */
};

enum krl_reply_event {
	KRL_REPLY_NOTHING,
	KRL_REPLY_LINE,		/* the status line of a final answer ended */
	KRL_REPLY_LAST,		/* the rest of the connection is one body, or another protocol */
	KRL_REPLY_UNREADABLE,
	KRL_REPLY_CUT,		/* of a model server: the answer is to be cut here */
};

/* Bytes of a status line: "HTTP/1.1 200", then text. */
enum krl_reply_line {
	KRL_REPLY_MINOR = 7,
	KRL_REPLY_SPACE,
	KRL_REPLY_STATUS,
	KRL_REPLY_STATUS_END = KRL_REPLY_STATUS + 3,
	KRL_REPLY_REASON,
	KRL_REPLY_LF,
};

/* The place in what the server writes. It is kept by TCP sequence number: of what a program sees, the kernel
 * may take a part only, and the server writes the rest again, which a program sees or not. */
struct krl_reply {
	struct krl_http http;	/* from KRL_HTTP_FIELD_START on; KRL_HTTP_START: before and in a status line */
	__u64 skip;		/* bytes of a body or a chunk from at_seq on */
	__u64 heads;		/* a bit for each request, modulo KRL_REPLY_MAX_WAITING: it is a HEAD */
	__u32 asked;		/* requests that the server got */
	__u32 answered;		/* final answers whose head ended */
	__u32 at_seq;		/* where this is the state */
	__u32 taken_seq;	/* up to where the kernel took what was written */
	__u16 status;
	__u8 line;		/* enum krl_reply_line, or fewer */
	__u8 state;		/* enum krl_reply_state */
	__u32 added;		/* bytes of the header fields that an answer was last given */
};

/* The server got @count requests; of those of which @heads has a bit, the first being bit 0, the answer has no
 * body. */
static __always_inline void krl_reply_expect(struct krl_reply *r, __u32 count, __u64 heads)
{
	__u32 at = r->asked & (KRL_REPLY_MAX_WAITING - 1);
	__u64 mask;

	if (count > KRL_REPLY_MAX_WAITING || r->asked - r->answered > KRL_REPLY_MAX_WAITING - count) {
		r->state = KRL_REPLY_UNKNOWN;
		return;
	}
	mask = count == KRL_REPLY_MAX_WAITING ? ~0ULL : (1ULL << count) - 1;
	heads &= mask;
	if (at) {
		mask = mask << at | mask >> (64 - at);
		heads = heads << at | heads >> (64 - at);
	}
	r->heads = (r->heads & ~mask) | heads;
	r->asked += count;
}

/* Nothing of an answer is underway; the next byte is at @seq. */
static __always_inline void krl_reply_begin(struct krl_reply *r, __u32 seq)
{
	__builtin_memset(r, 0, sizeof(*r));
	r->at_seq = seq;
	r->taken_seq = seq;
	r->state = KRL_REPLY_FRAMED;
}

/* It is not known any more which answers wait. */
static __always_inline void krl_reply_forget(struct krl_reply *r)
{
	if (r->state == KRL_REPLY_FRAMED)
		r->state = KRL_REPLY_UNKNOWN;
}

/* What is written next is at @seq. Returns how many bytes of it are to be stepped over first, which may be more
 * than there are: those of a body, and those that the server writes again. Bytes that were written unseen are no
 * matter in a body; where they are missing, the state is unknown. */
static __always_inline __u64 krl_reply_resume(struct krl_reply *r, __u32 seq)
{
	__u32 written = seq - r->at_seq;
	int again = (__s32)written < 0;

	if ((__s32)(seq - r->taken_seq) < 0 || (!again && written > r->skip)) {
		r->state = KRL_REPLY_UNKNOWN;
		return 0;
	}
	r->taken_seq = seq;
	if (again)
		return r->skip + (r->at_seq - seq);
	r->skip -= written;
	r->at_seq = seq;
	return r->skip;
}

/* Is an answer of the server's due, or underway? */
static __always_inline int krl_reply_waits(const struct krl_reply *r)
{
	return r->asked != r->answered || r->http.state != KRL_HTTP_START;
}

static __always_inline int krl_reply_line_byte(struct krl_reply *r, __u8 c)
{
	const __u64 prefix = KRL_W('H', 'T', 'T', 'P', '/', '1', '.', 0);
	__u32 at = r->line;

	if (at < KRL_REPLY_MINOR) {
		r->line++;
		return c == (__u8)(prefix >> at * 8) ? KRL_REPLY_NOTHING : KRL_REPLY_UNREADABLE;
	}
	switch (at) {
	case KRL_REPLY_MINOR:
		r->line++;
		r->http.flags = c == '0' ? KRL_HTTP_1_0 : 0;
		r->status = 0;
		return c == '0' || c == '1' ? KRL_REPLY_NOTHING : KRL_REPLY_UNREADABLE;
	case KRL_REPLY_SPACE:
		r->line++;
		return c == ' ' ? KRL_REPLY_NOTHING : KRL_REPLY_UNREADABLE;
	case KRL_REPLY_STATUS:
	case KRL_REPLY_STATUS + 1:
	case KRL_REPLY_STATUS + 2:
		r->line++;
		r->status = r->status * 10 + (c - '0');
		return c >= '0' && c <= '9' ? KRL_REPLY_NOTHING : KRL_REPLY_UNREADABLE;
	case KRL_REPLY_STATUS_END:
	case KRL_REPLY_REASON:
		r->line = c == '\r' ? KRL_REPLY_LF : KRL_REPLY_REASON;
		if (c == '\r' || c == ' ' || (at == KRL_REPLY_REASON && krl_http_is_text(c)))
			return KRL_REPLY_NOTHING;
		return KRL_REPLY_UNREADABLE;
	}
	if (c != '\n' || r->status < 100)
		return KRL_REPLY_UNREADABLE;
	r->line = 0;
	r->http.length = 0;
	r->http.state = KRL_HTTP_FIELD_START;
	return r->status >= 200 ? KRL_REPLY_LINE : KRL_REPLY_NOTHING;
}

/* The head ended: how long is the body? RFC 9112, 6.3. */
static __always_inline int krl_reply_head_end(struct krl_reply *r)
{
	__u64 head = r->heads >> (r->answered & (KRL_REPLY_MAX_WAITING - 1)) & 1;

	if (r->status < 200) {
		/* What follows a 101 is another protocol. */
		r->http.state = KRL_HTTP_START;
		return r->status == 101 ? KRL_REPLY_LAST : KRL_REPLY_NOTHING;
	}
	r->answered++;
	if (head || r->status == 204 || r->status == 304) {
		r->http.state = KRL_HTTP_START;
		return KRL_REPLY_NOTHING;
	}
	if (r->http.flags & KRL_HTTP_CHUNKED)
		return KRL_REPLY_NOTHING;
	r->http.state = KRL_HTTP_START;
	r->skip = r->http.length;
	return r->http.flags & KRL_HTTP_HAS_LENGTH ? KRL_REPLY_NOTHING : KRL_REPLY_LAST;
}

/* A field line begins with the 8 bytes of @word, and @next after them. Returns how many bytes were stepped over: those
 * of a name that may matter; 0 and the line is text where it cannot, or is no name. */
static __always_inline __u32 krl_reply_name(struct krl_reply *r, __u64 word, __u64 next)
{
	__u64 lower = word | KRL_WORD_BLANKS;
	int content;

	if (!krl_http_is_tchar(word))
		return 0;
	content = lower == KRL_W('c', 'o', 'n', 't', 'e', 'n', 't', '-') && word >> 56 == '-';
	if (content && (next | KRL_WORD_BLANKS) == KRL_W('l', 'e', 'n', 'g', 't', 'h', ':', ' ') &&
	    next >> 48 == KRL_COLON_BLANK) {
		krl_http_token_clear(&r->http);
		r->http.field = KRL_HTTP_FIELD_CONTENT_LENGTH;
		r->http.state = KRL_HTTP_FIELD_TOKEN;
		return 16;
	}
	/* Content-Type and others; next is 0 where it is not known. */
	if (content && next && ((__u8)next | 0x20) != 'l' && ((__u8)next | 0x20) != 'e')
		content = 0;
	if (!content && lower != KRL_W('t', 'r', 'a', 'n', 's', 'f', 'e', 'r')) {
		r->http.state = KRL_HTTP_FIELD_VALUE;
		return 0;
	}
	krl_http_token_clear(&r->http);
	*(__u64 *)r->http.token = lower;
	r->http.token_len = 8;
	r->http.state = KRL_HTTP_FIELD_NAME;
	return 8;
}

/* The rest of a field line, or what of it can be seen: text, and CRLF where both are in the last word that is
 * looked at. Returns how many bytes. */
static __always_inline __u32 krl_reply_text(struct krl_reply *r, const char *data, const char *end)
{
	__u32 n = 0, plain;
	__u64 word;
	int i;

	for (i = 0; i < KRL_REPLY_WORDS; i++) {
		if (data + 8 > end)
			return n;
		word = krl_load_word(data);
		plain = krl_word_plain(word, 0x20);
		if (plain < 8) {
			if (plain > 6 || (word >> plain * 8 & 0xffff) != KRL_CRLF)
				return n + plain;
			r->http.state = KRL_HTTP_FIELD_START;
			return n + plain + 2;
		}
		data += 8;
		n += 8;
	}
	return n;
}

/* " 200 " at the start of @word. */
static __always_inline int krl_reply_status(struct krl_reply *r, __u64 word)
{
	__u32 a = (__u8)(word >> 8) - '0', b = (__u8)(word >> 16) - '0', c = (__u8)(word >> 24) - '0';

	if ((word & 0xff) != ' ' || (word >> 32 & 0xff) != ' ' || a > 9 || b > 9 || c > 9)
		return 0;
	r->status = a * 100 + b * 10 + c;
	r->line = KRL_REPLY_REASON;
	return 5;
}

/* Digits of Content-Length up to CRLF, all in @word. Returns how many bytes with both, or 0. */
static __always_inline __u32 krl_reply_length(struct krl_reply *r, __u64 word)
{
	__u64 length = 0;
	__u32 i, digit;

	for (i = 0; i < 7; i++) {
		digit = (__u8)(word >> i * 8) - '0';
		if (digit > 9)
			break;
		length = length * 10 + digit;
	}
	if (!i || i > 6 || (word >> i * 8 & 0xffff) != KRL_CRLF || r->http.flags & KRL_HTTP_HAS_LENGTH)
		return 0;
	r->http.length = length;
	r->http.flags |= KRL_HTTP_HAS_LENGTH;
	r->http.state = KRL_HTTP_FIELD_START;
	return i + 2;
}

/* The line of a chunk's size up to CRLF, all in @word, but not that of the last. Returns how many bytes, or 0. */
static __always_inline __u32 krl_reply_chunk(struct krl_reply *r, __u64 word)
{
	__u32 size = 0, i, digit;
	__u8 c, lower;

	for (i = 0; i < 6; i++) {
		c = word >> i * 8;
		lower = c | 0x20;
		digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 16;
		if (digit > 15)
			break;
		size = size << 4 | digit;
	}
	if (!size || (word >> i * 8 & 0xffff) != KRL_CRLF)
		return 0;
	r->http.remaining = size;
	r->http.state = KRL_HTTP_CHUNK_DATA_CR;
	r->skip = size;
	return i + 2;
}

/* The end of a chunk's data and the line of the next one's size, all in @word. Returns how many bytes, or 0. */
static __always_inline __u32 krl_reply_next_chunk(struct krl_reply *r, __u64 word)
{
	__u32 n;

	if (r->http.state != KRL_HTTP_CHUNK_DATA_CR || (word & 0xffff) != KRL_CRLF)
		return 0;
	n = krl_reply_chunk(r, word >> 16);
	return n ? n + 2 : 0;
}

/* Eight bytes and more are there, from @word at @data on. Returns how many of them are stepped over, 0: one is to be
 * looked at alone. */
static __always_inline __u32 krl_reply_words(struct krl_reply *r, __u64 word, const char *data, const char *end)
{
	const __u64 version = KRL_W('H', 'T', 'T', 'P', '/', '1', '.', '1');
	__u64 next = 0;
	__u32 n;

	if (r->http.state == KRL_HTTP_START) {
		if (r->line == KRL_REPLY_REASON)
			return krl_word_plain(word, 0x20);
		if (r->line == KRL_REPLY_SPACE)
			return krl_reply_status(r, word);
		if (r->line || word != version)
			return 0;
		r->line = KRL_REPLY_SPACE;
		r->http.flags = 0;
		r->status = 0;
		return 8;
	}
	if (r->http.state == KRL_HTTP_CHUNK_START)
		return krl_reply_chunk(r, word);
	if (r->http.state == KRL_HTTP_FIELD_START) {
		if (data + 16 <= end)
			next = krl_load_word(data + 8);
		n = krl_reply_name(r, word, next);
		if (n)
			return n;
	}
	if (r->http.state == KRL_HTTP_FIELD_TOKEN && r->http.field == KRL_HTTP_FIELD_CONTENT_LENGTH &&
	    !r->http.token_len)
		return krl_reply_length(r, word);
	return r->http.state == KRL_HTTP_FIELD_VALUE ? krl_reply_text(r, data, end) : 0;
}

static __always_inline int krl_reply_field_byte(struct krl_reply *r, __u8 c)
{
	int event;

	/* No name that matters, as krl_reply_name() has it. */
	if (r->http.state == KRL_HTTP_FIELD_NAME && c != ':' && !krl_http_is_tchar(c))
		r->http.state = KRL_HTTP_FIELD_VALUE;
	event = krl_http_byte(&r->http, c);
	if (event == KRL_HTTP_HEAD_END)
		return krl_reply_head_end(r);
	if (event != KRL_HTTP_NOTHING)
		return KRL_REPLY_UNREADABLE;
	if (r->http.state == KRL_HTTP_CHUNK_DATA) {
		r->http.state = KRL_HTTP_CHUNK_DATA_CR;
		r->skip = r->http.remaining;
	}
	return KRL_REPLY_NOTHING;
}

/* The status line that most answers have, whole at @data. Returns how many bytes, or 0. */
static __always_inline __u32 krl_reply_ok(struct krl_reply *r, const char *data, const char *end)
{
	if (r->http.state != KRL_HTTP_START || r->line || data + 17 > end ||
	    krl_load_word(data) != KRL_W('H', 'T', 'T', 'P', '/', '1', '.', '1') ||
	    krl_load_word(data + 8) != KRL_W(' ', '2', '0', '0', ' ', 'O', 'K', '\r') || data[16] != '\n')
		return 0;
	r->http.flags = 0;
	r->http.length = 0;
	r->http.state = KRL_HTTP_FIELD_START;
	r->status = 200;
	return 17;
}

/* One step over the bytes from @data on, of which one at least lies before @end. Returns how many, with @ret_event
 * set; r->skip more are to be stepped over then. */
static __always_inline __u32 krl_reply_step(struct krl_reply *r, const char *data, const char *end, int *ret_event)
{
	__u32 n;

	*ret_event = KRL_REPLY_LINE;
	n = krl_reply_ok(r, data, end);
	if (n)
		return n;
	*ret_event = KRL_REPLY_NOTHING;
	if (data + 8 <= end) {
		n = krl_reply_words(r, krl_load_word(data), data, end);
		if (n)
			return n;
	}
	if (r->http.state == KRL_HTTP_CHUNK_DATA_CR && data + 2 <= end && data[0] == '\r' && data[1] == '\n') {
		r->http.state = KRL_HTTP_CHUNK_START;
		return 2;
	}
	if (r->http.state == KRL_HTTP_START)
		*ret_event = krl_reply_line_byte(r, *data);
	else
		*ret_event = krl_reply_field_byte(r, *data);
	return 1;
}

#endif
