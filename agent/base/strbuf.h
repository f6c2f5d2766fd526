/* SPDX-License-Identifier: Apache-2.0 */
/* Text that grows. A lack of memory sticks: later calls do nothing and krl_strbuf_text says NULL, so that
 * it is checked once at the end. */
#ifndef KMESH_RL_STRBUF_H
#define KMESH_RL_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

struct krl_strbuf {
	char *text;		/* NUL-terminated; NULL while empty */
	size_t len, capacity;
	bool failed;
};

void krl_strbuf_add(struct krl_strbuf *buf, const char *bytes, size_t len);
void krl_strbuf_printf(struct krl_strbuf *buf, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Cut back to @len bytes, at most what is there. */
void krl_strbuf_truncate(struct krl_strbuf *buf, size_t len);

/* The text so far, "" when empty, owned by @buf until it changes; NULL without memory. */
const char *krl_strbuf_text(const struct krl_strbuf *buf);

void krl_strbuf_free(struct krl_strbuf *buf);

/* Append @len bytes of @bytes for people to read, in double quotes: control characters, quotes and
 * backslashes escaped, cut after @most bytes with "...". */
void krl_strbuf_add_quoted(struct krl_strbuf *buf, const char *bytes, size_t len, size_t most);

#endif
