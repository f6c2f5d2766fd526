// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strbuf.h"

static bool reserve(struct krl_strbuf *buf, size_t len)
{
	size_t need = buf->len + len + 1, capacity = buf->capacity ? buf->capacity : 64;
	char *text;

	if (buf->failed)
		return false;
	if (need <= buf->capacity)
		return true;
	while (capacity < need)
		capacity *= 2;
	text = realloc(buf->text, capacity);
	if (!text) {
		buf->failed = true;
		return false;
	}
	buf->text = text;
	buf->capacity = capacity;
	return true;
}

void krl_strbuf_add(struct krl_strbuf *buf, const char *bytes, size_t len)
{
	if (!reserve(buf, len))
		return;
	if (len)
		memcpy(buf->text + buf->len, bytes, len);
	buf->len += len;
	buf->text[buf->len] = '\0';
}

void krl_strbuf_printf(struct krl_strbuf *buf, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0 || !reserve(buf, len)) {
		buf->failed = true;
		return;
	}
	va_start(args, fmt);
	vsnprintf(buf->text + buf->len, len + 1, fmt, args);
	va_end(args);
	buf->len += len;
}

void krl_strbuf_truncate(struct krl_strbuf *buf, size_t len)
{
	if (len >= buf->len)
		return;
	buf->len = len;
	buf->text[len] = '\0';
}

const char *krl_strbuf_text(const struct krl_strbuf *buf)
{
	if (buf->failed)
		return NULL;
	return buf->text ? buf->text : "";
}

void krl_strbuf_free(struct krl_strbuf *buf)
{
	free(buf->text);
	*buf = (struct krl_strbuf){};
}

void krl_strbuf_add_quoted(struct krl_strbuf *buf, const char *bytes, size_t len, size_t most)
{
	size_t i, end = len;

	if (len > most) {
		end = most;
		/* Not in the middle of a UTF-8 character. */
		while (end && ((unsigned char)bytes[end] & 0xc0) == 0x80)
			end--;
	}
	krl_strbuf_add(buf, "\"", 1);
	for (i = 0; i < end; i++) {
		unsigned char c = bytes[i];

		if (c == '"' || c == '\\')
			krl_strbuf_printf(buf, "\\%c", c);
		else if (c == '\n')
			krl_strbuf_add(buf, "\\n", 2);
		else if (c < 0x20 || c == 0x7f)
			krl_strbuf_printf(buf, "\\x%02x", c);
		else
			krl_strbuf_add(buf, bytes + i, 1);
	}
	krl_strbuf_add(buf, end < len ? "...\"" : "\"", end < len ? 4 : 1);
}
