/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The path of a request target in its normal form, built byte by byte in any cut: without scheme,
 * authority, query and fragment; %XX decoded once; "//" as one slash; "/./" and "/../" taken out (RFC
 * 3986, 5.2.4), so that all ways to write a path select the same. */
#ifndef KMESH_RL_PATH_H
#define KMESH_RL_PATH_H

#include "compiler.h"

#define KRL_PATH_KEPT 512	/* bytes of the normal form that are kept: twice what selectors look at */
#define KRL_PATH_DEPTH 128	/* ... and segments: more do not fit in what selectors look at */

enum krl_path_state {
	KRL_PATH_START,
	KRL_PATH_SCHEME,	/* http, as in GET http://host/path (RFC 9112, 3.2.2) */
	KRL_PATH_SLASH,		/* the first after it */
	KRL_PATH_SLASHES,	/* the second */
	KRL_PATH_AUTHORITY,
	KRL_PATH_SEGMENT,
	KRL_PATH_PERCENT,
	KRL_PATH_PERCENT_HEX,	/* ... and one digit */
	KRL_PATH_END,		/* query, fragment, or a target without a path */
};

struct krl_path {
	__u16 len;		/* bytes kept */
	__u16 depth;		/* slashes kept, and segments behind them */
	__u32 lost;		/* ... behind those, not kept */
	__u8 segment_len;	/* of the last segment, kept or not; stays at 255 */
	__u8 dots;		/* it begins with, up to 3 */
	__u8 over;		/* not all of it is kept */
	__u8 state;
	__u8 hex;		/* the first digit after a percent sign, as it came */
	__u8 pad[3];
	__u16 starts[KRL_PATH_DEPTH];	/* where each segment begins */
};

/* The segment in which the path is takes one more byte. */
static __always_inline void krl_path_put(struct krl_path *p, char *bytes, __u8 c)
{
	__u32 at = p->len;

	if (c == '.' && p->dots == p->segment_len && p->dots < 3)
		p->dots++;
	if (p->segment_len < 255)
		p->segment_len++;
	if (p->lost || at >= KRL_PATH_KEPT) {
		p->over = 1;
		return;
	}
	bytes[KRL_MASKED(at, KRL_PATH_KEPT)] = c;
	p->len = at + 1;
}

/* A slash, kept, and behind it a new segment. */
static __always_inline void krl_path_open(struct krl_path *p, char *bytes)
{
	__u32 at = p->len, depth = p->depth;

	p->segment_len = 0;
	p->dots = 0;
	p->over = 0;
	if (p->lost || at >= KRL_PATH_KEPT || depth >= KRL_PATH_DEPTH) {
		p->lost++;
		return;
	}
	bytes[KRL_MASKED(at, KRL_PATH_KEPT)] = '/';
	p->starts[KRL_MASKED(depth, KRL_PATH_DEPTH)] = at + 1;
	p->len = at + 1;
	p->depth = depth + 1;
}

/* Where the segment begins that the path is in. */
static __always_inline __u32 krl_path_segment(const struct krl_path *p)
{
	return p->starts[(p->depth - 1) & (KRL_PATH_DEPTH - 1)];
}

/* The segment ends. Returns whether it stays; else the path is at its beginning again, or, for "..", at
 * that of the one before. */
static __always_inline int krl_path_close(struct krl_path *p)
{
	int up = p->segment_len == 2 && p->dots == 2;

	if (p->segment_len && !up && !(p->segment_len == 1 && p->dots == 1))
		return 1;
	if (up && p->lost)
		p->lost--;
	else if (up && p->depth > 1)
		p->depth--;
	if (!p->lost)
		p->len = krl_path_segment(p);
	p->segment_len = 0;
	p->dots = 0;
	p->over = 0;
	return 0;
}

static __always_inline void krl_path_slash(struct krl_path *p, char *bytes)
{
	if (krl_path_close(p))
		krl_path_open(p, bytes);
}

static __always_inline int krl_path_hex(__u8 c)
{
	__u8 lower = c | 0x20;

	return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static __always_inline void krl_path_literal(struct krl_path *p, char *bytes, __u8 c)
{
	if (c == '/')
		krl_path_slash(p, bytes);
	else
		krl_path_put(p, bytes, c);
}

static __always_inline void krl_path_segment_byte(struct krl_path *p, char *bytes, __u8 c)
{
	p->state = KRL_PATH_SEGMENT;
	if (c == '?' || c == '#')
		p->state = KRL_PATH_END;
	else if (c == '%')
		p->state = KRL_PATH_PERCENT;
	else
		krl_path_literal(p, bytes, c);
}

/* One byte of the request target. @bytes, KRL_PATH_KEPT of them, is where the path is kept; @p is all
 * zero before the first. */
static __always_inline void krl_path_byte(struct krl_path *p, char *bytes, __u8 c)
{
	switch (p->state) {
	case KRL_PATH_START:
		p->state = c == '/' ? KRL_PATH_SEGMENT : KRL_PATH_SCHEME;
		if (c == '/')
			krl_path_open(p, bytes);
		break;
	case KRL_PATH_SCHEME:
		if (c == ':')
			p->state = KRL_PATH_SLASH;
		else if (c == '/' || c == '?' || c == '#')
			p->state = KRL_PATH_END;
		break;
	case KRL_PATH_SLASH:
		p->state = c == '/' ? KRL_PATH_SLASHES : KRL_PATH_END;
		break;
	case KRL_PATH_SLASHES:
		p->state = c == '/' ? KRL_PATH_AUTHORITY : KRL_PATH_END;
		if (c == '/')
			krl_path_open(p, bytes);
		break;
	case KRL_PATH_AUTHORITY:
		if (c == '/')
			p->state = KRL_PATH_SEGMENT;
		else if (c == '?' || c == '#')
			p->state = KRL_PATH_END;
		break;
	case KRL_PATH_SEGMENT:
		krl_path_segment_byte(p, bytes, c);
		break;
	case KRL_PATH_PERCENT:
		p->hex = c;
		p->state = KRL_PATH_PERCENT_HEX;
		if (krl_path_hex(c) < 0) {
			krl_path_put(p, bytes, '%');
			krl_path_segment_byte(p, bytes, c);
		}
		break;
	case KRL_PATH_PERCENT_HEX:
		p->state = KRL_PATH_SEGMENT;
		if (krl_path_hex(c) >= 0) {
			krl_path_literal(p, bytes, krl_path_hex(p->hex) << 4 | krl_path_hex(c));
			break;
		}
		krl_path_put(p, bytes, '%');
		krl_path_put(p, bytes, p->hex);
		krl_path_segment_byte(p, bytes, c);
		break;
	}
}

/* The target ended. @ret_long: more of the path was there than is kept. Returns the bytes kept: 0 for a
 * target without a path. */
static __always_inline __u32 krl_path_end(struct krl_path *p, char *bytes, int *ret_long)
{
	if (p->state == KRL_PATH_PERCENT || p->state == KRL_PATH_PERCENT_HEX) {
		krl_path_put(p, bytes, '%');
		if (p->state == KRL_PATH_PERCENT_HEX)
			krl_path_put(p, bytes, p->hex);
	}
	*ret_long = 0;
	if (!p->depth)
		return 0;
	krl_path_close(p);
	*ret_long = p->lost || p->over;
	return p->len;
}

#endif
