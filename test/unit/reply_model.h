/* SPDX-License-Identifier: Apache-2.0 */
/* What the fields on the server's answers are put behind, in the plainest code: the whole stream at once, line by
 * line. What is compared with bpf/lib/reply.h. */
#ifndef KMESH_RL_TEST_REPLY_MODEL_H
#define KMESH_RL_TEST_REPLY_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { REPLY_MODEL_MARKS = 256, REPLY_MODEL_DIGITS = 18, REPLY_MODEL_HEX = 15 };

struct reply_model {
	const char *at;
	const char *end;
	size_t marks[REPLY_MODEL_MARKS];
	size_t mark_count;
	bool lost;		/* not understood, or the rest of the connection is no answer any more */
};

struct reply_model_head {
	unsigned int status;
	bool old;		/* HTTP/1.0 */
	bool chunked;
	bool has_length;
	uint64_t length;
};

static inline bool reply_model_text(char c)
{
	return (unsigned char)c >= 0x20 ? c != 0x7f : c == '\t';
}

static inline bool reply_model_name(char c)
{
	return c && (unsigned char)c < 0x80 &&
	       strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", c);
}

/* The next line, of text; *@ret_len of it, without its end. Returns NULL when there is no whole one, or it is none. */
static inline const char *reply_model_line(struct reply_model *m, size_t *ret_len)
{
	const char *line = m->at, *p = line;

	while (p < m->end && reply_model_text(*p))
		p++;
	if (p < m->end && *p != '\r')
		m->lost = true;
	if (p + 1 < m->end && *p == '\r' && p[1] != '\n')
		m->lost = true;
	if (m->lost || p + 1 >= m->end)
		return NULL;
	*ret_len = p - line;
	m->at = p + 2;
	return line;
}

/* Does what there is of a status line differ from one? */
static inline bool reply_model_bad_status(const char *line, size_t len)
{
	static const char form[] = "HTTP/1.v ddd ";
	size_t i;

	for (i = 0; i < len && form[i]; i++) {
		bool fits = form[i] == 'v' ? line[i] == '0' || line[i] == '1'
			    : form[i] == 'd' ? line[i] >= '0' && line[i] <= '9'
					     : line[i] == form[i];

		/* The text may be missing, with its space. */
		if (!fits && !(i == 12 && line[i] == '\r'))
			return true;
	}
	return false;
}

/* A value without white space around it. */
static inline const char *reply_model_trim(const char *value, const char *end, size_t *ret_len)
{
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (value < end && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*ret_len = end - value;
	return value;
}

/* Returns false when the field makes the length of the body unclear. */
static inline bool reply_model_field(struct reply_model_head *h, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len), *value;
	size_t name = colon ? colon - line : 0, i, n;

	if (!colon)
		return true;
	value = reply_model_trim(colon + 1, line + len, &n);
	if (name == strlen("transfer-encoding") && !strncasecmp(line, "transfer-encoding", name)) {
		if (h->chunked || n != strlen("chunked") || strncasecmp(value, "chunked", n))
			return false;
		h->chunked = true;
	}
	if (name == strlen("content-length") && !strncasecmp(line, "content-length", name)) {
		if (h->has_length || !n || n > REPLY_MODEL_DIGITS)
			return false;
		h->has_length = true;
		for (i = 0; i < n; i++) {
			if (value[i] < '0' || value[i] > '9')
				return false;
			h->length = h->length * 10 + (value[i] - '0');
		}
	}
	return true;
}

/* Returns false at the end of what there is, or when it is not understood. */
static inline bool reply_model_read_head(struct reply_model *m, const char *stream, struct reply_model_head *h)
{
	const char *line = m->at;
	size_t len;

	*h = (struct reply_model_head){ 0 };
	m->lost = reply_model_bad_status(line, m->end - line);
	if (m->lost || !reply_model_line(m, &len))
		return false;
	h->old = line[7] == '0';
	h->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
	m->lost = h->status < 100;
	if (m->lost)
		return false;
	if (h->status >= 200)
		m->marks[m->mark_count++] = m->at - stream;
	for (;;) {
		if (m->at < m->end && *m->at != '\r' && !reply_model_name(*m->at))
			m->lost = true;
		if (m->lost)
			return false;
		line = reply_model_line(m, &len);
		if (!line)
			return false;
		if (!len) {
			m->lost = h->chunked && (h->has_length || h->old);
			return !m->lost;
		}
		m->lost = !reply_model_field(h, line, len);
	}
}

static inline bool reply_model_skip(struct reply_model *m, uint64_t n)
{
	if (n > (uint64_t)(m->end - m->at))
		n = m->end - m->at;
	m->at += n;
	return m->at < m->end;
}

static inline bool reply_model_trailers(struct reply_model *m)
{
	const char *line, *p;
	size_t len = 1;

	while (len) {
		for (p = m->at; p < m->end && reply_model_name(*p); p++)
			;
		if (p < m->end && *p != ':' && !(p == m->at && *p == '\r'))
			m->lost = true;
		if (p < m->end && p == m->at && *p == ':')
			m->lost = true;
		if (m->lost)
			return false;
		line = reply_model_line(m, &len);
		if (!line)
			return false;
	}
	return true;
}

static inline bool reply_model_chunks(struct reply_model *m)
{
	static const char digits[] = "0123456789abcdef";
	const char *line, *p;
	uint64_t size;
	size_t len;

	for (;;) {
		size = 0;
		for (p = m->at; p < m->end && *p && strchr(digits, *p | 0x20) && (*p >= '0'); p++) {
			if (p - m->at == REPLY_MODEL_HEX) {
				m->lost = true;
				return false;
			}
			size = size * 16 + (strchr(digits, *p | 0x20) - digits);
		}
		if (p < m->end && (p == m->at || (*p != ';' && *p != '\r')))
			m->lost = true;
		if (m->lost)
			return false;
		line = reply_model_line(m, &len);
		if (!line)
			return false;
		if (!size)
			return reply_model_trailers(m);
		if (!reply_model_skip(m, size))
			return false;
		if (*m->at != '\r' || (m->at + 1 < m->end && m->at[1] != '\n'))
			m->lost = true;
		if (m->lost || !reply_model_skip(m, 2))
			return false;
	}
}

/* The answers to @asked requests, those of which @heads has a bit being HEAD, in @stream. */
static inline void reply_model_read(struct reply_model *m, const char *stream, size_t len, unsigned int asked,
				    uint64_t heads)
{
	struct reply_model_head h;
	unsigned int answered = 0;

	*m = (struct reply_model){ .at = stream, .end = stream + len };
	while (m->at < m->end && answered < asked) {
		if (!reply_model_read_head(m, stream, &h))
			return;
		if (h.status < 200) {
			m->lost = h.status == 101;
			if (m->lost)
				return;
			continue;
		}
		if ((heads >> answered++ & 1) || h.status == 204 || h.status == 304)
			continue;
		if (h.chunked) {
			if (!reply_model_chunks(m))
				return;
		} else if (h.has_length) {
			if (!reply_model_skip(m, h.length))
				return;
		} else {
			m->lost = true;
			return;
		}
	}
}

#endif
