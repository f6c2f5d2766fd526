// SPDX-License-Identifier: Apache-2.0
#include "diag.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* It would show what is around it in another order (Bidi_Control of Unicode), or on another line. */
static bool turns_text(unsigned int code)
{
	return code == 0x61c || code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069);
}

/* Bytes of the UTF-8 character at @s, 0 when it is none or not to be shown. */
static size_t printable_bytes(const unsigned char *s)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = *s < 0x80 ? 1 : *s >> 5 == 0x6 ? 2 : *s >> 4 == 0xe ? 3 : *s >> 3 == 0x1e ? 4 : 0, i;
	unsigned int code = len > 1 ? *s & (0x7f >> len) : *s;

	for (i = 1; i < len; i++) {
		if (s[i] >> 6 != 0x2)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0xd800 && code < 0xe000) ||
	    code > 0x10ffff || (len && code < least[len]) || turns_text(code))
		return 0;
	return len;
}

/* What is quoted comes from a file that anybody may have written, and may be cut in the middle of a
 * character. */
void krl_make_printable(char *text)
{
	size_t len;

	for (; *text; text += len ? len : 1) {
		len = printable_bytes((unsigned char *)text);
		if (!len)
			*text = '?';
	}
}

/* @line is taken over. */
static void append(struct krl_diags *diags, char *line)
{
	char **lines = realloc(diags->lines, (diags->count + 1) * sizeof(*lines));

	if (!lines) {
		free(line);
		return;
	}
	diags->lines = lines;
	diags->lines[diags->count++] = line;
}

void krl_diags_add(struct krl_diags *diags, const char *file, size_t line, size_t column,
		   const char *fmt, ...)
{
	char text[1024], *full;
	va_list args;
	int len;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	len = line ? asprintf(&full, "%s:%zu:%zu: %s", file, line, column, text)
		   : asprintf(&full, "%s: %s", file, text);
	if (len < 0)
		return;
	krl_make_printable(full);
	append(diags, full);
}

const char *krl_diag_of(const char *line, const char *file)
{
	size_t len = strlen(file);

	return strncmp(line, file, len) || strncmp(line + len, ": ", 2) ? NULL : line + len + 2;
}

void krl_diags_add_line(struct krl_diags *diags, const char *line)
{
	char *copy = strdup(line);

	if (copy)
		append(diags, copy);
}

void krl_diags_clear(struct krl_diags *diags)
{
	size_t i;

	for (i = 0; i < diags->count; i++)
		free(diags->lines[i]);
	free(diags->lines);
	*diags = (struct krl_diags){ 0 };
}

const char *krl_diag_about(const char *line, struct krl_diag_subject *ret)
{
	static const char label[] = "RateLimit ";
	const char *slash, *end;

	if (strncmp(line, label, strlen(label)))
		return NULL;
	line += strlen(label);
	slash = line + strcspn(line, "/ ");
	end = slash + strcspn(slash, ": ");
	if (*slash != '/' || (size_t)(slash - line) >= sizeof(ret->ns) || (size_t)(end - slash) > sizeof(ret->name))
		return NULL;
	snprintf(ret->ns, sizeof(ret->ns), "%.*s", (int)(slash - line), line);
	snprintf(ret->name, sizeof(ret->name), "%.*s", (int)(end - slash - 1), slash + 1);
	return end + (*end == ':') + strspn(end + (*end == ':'), " ");
}
