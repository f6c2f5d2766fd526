// SPDX-License-Identifier: Apache-2.0
#include "lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is kept from line to line: most are shorter. */
#define USUAL_BYTES (64 << 10)

int krl_lines_add(struct krl_lines *lines, const char *piece, size_t len, size_t max)
{
	size_t size = lines->size ? lines->size : USUAL_BYTES;
	char *grown;

	if (len > max || lines->len > max - len)
		return -EFBIG;
	while (size < lines->len + len)
		size *= 2;
	if (size > lines->size) {
		grown = realloc(lines->bytes, size);
		if (!grown)
			return -ENOMEM;
		lines->bytes = grown;
		lines->size = size;
	}
	memcpy(lines->bytes + lines->len, piece, len);
	lines->len += len;
	return 0;
}

/* The line at @line, to which what is kept belongs. */
static int end_line(struct krl_lines *lines, const char *line, size_t len, size_t max, krl_line_fn fn, void *arg)
{
	bool more;
	int err;

	if (!lines->len)
		return len > max ? -EFBIG : fn(arg, line, len) ? 0 : -ECANCELED;
	err = krl_lines_add(lines, line, len, max);
	if (err)
		return err;
	more = fn(arg, lines->bytes, lines->len);
	lines->len = 0;
	if (lines->size > USUAL_BYTES)
		krl_lines_clear(lines);
	return more ? 0 : -ECANCELED;
}

int krl_lines_split(struct krl_lines *lines, const char *piece, size_t len, size_t max, krl_line_fn fn, void *arg)
{
	const char *end;
	int err = 0;

	while (!err && (end = memchr(piece, '\n', len))) {
		err = end_line(lines, piece, end - piece, max, fn, arg);
		len -= end + 1 - piece;
		piece = end + 1;
	}
	return err || !len ? err : krl_lines_add(lines, piece, len, max);
}

void krl_lines_clear(struct krl_lines *lines)
{
	free(lines->bytes);
	*lines = (struct krl_lines){ 0 };
}
