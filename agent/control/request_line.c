// SPDX-License-Identifier: Apache-2.0
#include "request_line.h"

#include <string.h>

static size_t span_to(const char *text, size_t len, const char *ends)
{
	size_t i;

	for (i = 0; i < len && !strchr(ends, text[i]) && text[i]; i++)
		;
	return i;
}

/* Behind "scheme://authority"; @text as it is where there is none. */
static size_t skip_authority(const char *text, size_t len)
{
	size_t scheme = span_to(text, len, ":/?# ");

	if (scheme + 3 > len || memcmp(text + scheme, "://", 3))
		return 0;
	return scheme + 3 + span_to(text + scheme + 3, len - scheme - 3, "/?# \r\n");
}

static void copy_printable(char *ret, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		ret[i] = text[i] > ' ' && text[i] < 0x7f ? text[i] : '?';
	ret[len] = '\0';
}

bool krl_request_line_read(const char *line, size_t len, struct krl_request_line *ret)
{
	size_t method, at, path, end;

	if (len > KRL_REQUEST_LINE_BYTES)
		len = KRL_REQUEST_LINE_BYTES;
	method = span_to(line, len, " \r\n:");
	if (!method || method == len || line[method] != ' ')
		return false;
	copy_printable(ret->method, line, method);
	at = method + 1;
	at += skip_authority(line + at, len - at);
	path = span_to(line + at, len - at, " ?#\r\n");
	end = at + path;
	/* That of CONNECT is an authority. */
	if (path && line[at] != '/' && line[at] != '*')
		path = 0;
	copy_printable(ret->path, line + at, path);
	if (end == len)
		strcat(ret->path, "...");
	else if (!path)
		strcpy(ret->path, "/");
	return true;
}
