// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <printf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "strbuf.h"

#define MAX_ARGUMENTS 8		/* of one format */
#define MAX_VALUE_BYTES 4096

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static enum krl_log_level threshold = KRL_LOG_INFO;
static bool json;

int krl_log_set_level(const char *name)
{
	enum krl_log_level level;

	for (level = KRL_LOG_ERROR; level <= KRL_LOG_DEBUG; level++)
		if (!strcmp(name, level_names[level])) {
			threshold = level;
			return 0;
		}
	return -EINVAL;
}

int krl_log_set_format(const char *name)
{
	if (strcmp(name, "json") && strcmp(name, "logfmt"))
		return -EINVAL;
	json = !strcmp(name, "json");
	return 0;
}

/* Bytes of the UTF-8 character at @text, at most @len; 0: it is none. */
static size_t utf8_bytes(const char *text, size_t len)
{
	unsigned char c = text[0];
	size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0, i;

	if (n > len)
		return 0;
	for (i = 1; i < n; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 0;
	if (n > 2) {
		unsigned char second = text[1];

		/* Overlong forms, surrogates, and beyond U+10FFFF. */
		if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
		    (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
			return 0;
	}
	return n;
}

/* A JSON string; a quoted logfmt value is the same. */
static void add_string(struct krl_strbuf *line, const char *text)
{
	size_t len = strlen(text), n;

	krl_strbuf_add(line, "\"", 1);
	for (; len; text += n, len -= n) {
		n = utf8_bytes(text, len);
		if (!n) {
			krl_strbuf_printf(line, "\\ufffd");
			n = 1;
		} else if (*text == '"' || *text == '\\') {
			krl_strbuf_printf(line, "\\%c", *text);
		} else if (*text == '\n') {
			krl_strbuf_add(line, "\\n", 2);
		} else if ((unsigned char)*text < 0x20 || *text == 0x7f) {
			krl_strbuf_printf(line, "\\u%04x", *text);
		} else {
			krl_strbuf_add(line, text, n);
		}
	}
	krl_strbuf_add(line, "\"", 1);
}

static bool is_bare(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f || strchr("\"\\=", *text))
			return false;
	return true;
}

static void add_pair(struct krl_strbuf *line, const char *key, const char *value)
{
	if (json) {
		krl_strbuf_add(line, line->len ? "," : "{", 1);
		add_string(line, key);
		krl_strbuf_add(line, ":", 1);
		add_string(line, value);
		return;
	}
	krl_strbuf_printf(line, "%s%s=", line->len ? " " : "", key);
	if (is_bare(value))
		krl_strbuf_printf(line, "%s", value);
	else
		add_string(line, value);
}

static void add_time(struct krl_strbuf *line)
{
	char text[32], with_ms[48];
	struct timespec now;
	struct tm utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(with_ms, sizeof(with_ms), "%s.%03ldZ", text, now.tv_nsec / 1000000);
	add_pair(line, "time", with_ms);
}

/* Step over the arguments of @fmt: what vsnprintf leaves of a va_list is unspecified. */
static void skip_arguments(const char *fmt, va_list *args)
{
	int types[MAX_ARGUMENTS];
	size_t count = parse_printf_format(fmt, MAX_ARGUMENTS, types), i;

	if (count > MAX_ARGUMENTS)
		abort();
	for (i = 0; i < count; i++) {
		if (types[i] & PA_FLAG_PTR || types[i] == PA_STRING || types[i] == PA_POINTER)
			(void)va_arg(*args, void *);
		else if (types[i] == PA_DOUBLE)
			(void)va_arg(*args, double);
		else if (types[i] & (PA_FLAG_LONG | PA_FLAG_LONG_LONG))
			(void)va_arg(*args, long long);
		else
			(void)va_arg(*args, int);
	}
}

_Static_assert(sizeof(long) == sizeof(long long), "skip_arguments takes one for the other");

void krl_log(enum krl_log_level level, const char *message, ...)
{
	struct krl_strbuf line = {};
	char value[MAX_VALUE_BYTES];
	const char *key, *fmt;
	va_list args, copy;

	if (level > threshold)
		return;
	add_time(&line);
	add_pair(&line, "level", level_names[level]);
	add_pair(&line, "msg", message);
	va_start(args, message);
	while ((key = va_arg(args, const char *))) {
		fmt = va_arg(args, const char *);
		va_copy(copy, args);
		vsnprintf(value, sizeof(value), fmt, copy);
		va_end(copy);
		skip_arguments(fmt, &args);
		add_pair(&line, key, value);
	}
	va_end(args);
	krl_strbuf_add(&line, json ? "}\n" : "\n", json ? 2 : 1);
	if (krl_strbuf_text(&line) && write(STDERR_FILENO, line.text, line.len) < 0)
		errno = 0; /* nowhere left to say so */
	krl_strbuf_free(&line);
}
