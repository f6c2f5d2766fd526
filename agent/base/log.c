// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static enum krl_log_level log_level = KRL_LOG_INFO;
static enum krl_log_format log_format = KRL_LOG_LOGFMT;

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static const char *const format_names[] = { "logfmt", "json" };

static int find_name(const char *text, const char *const *names, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(text, names[i]))
			return i;
	return -EINVAL;
}

int krl_log_level_parse(const char *text, enum krl_log_level *ret)
{
	int found = find_name(text, level_names, 4);

	if (found < 0)
		return found;
	*ret = found;
	return 0;
}

int krl_log_format_parse(const char *text, enum krl_log_format *ret)
{
	int found = find_name(text, format_names, 2);

	if (found < 0)
		return found;
	*ret = found;
	return 0;
}

void krl_log_configure(enum krl_log_level level, enum krl_log_format format)
{
	log_level = level;
	log_format = format;
}

/* A quoted string: JSON's escapes are logfmt's as well. */
static void put_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", out);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void put_pair(FILE *out, const char *key, const char *value)
{
	if (log_format == KRL_LOG_JSON) {
		fprintf(out, ",\"%s\":", key);
		put_quoted(out, value);
		return;
	}
	fprintf(out, " %s=", key);
	if (*value && !strpbrk(value, " \"=\\\n\t"))
		fputs(value, out);
	else
		put_quoted(out, value);
}

void krl_log(enum krl_log_level level, const char *msg, const char *key, const char *fmt, ...)
{
	/* Each byte of a value may become six. */
	char line[8192], value[1024], when[40];
	struct timespec now;
	struct tm tm;
	va_list args;
	FILE *out;

	if (level > log_level)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	/* One write a line, so that lines of two processes do not mix. */
	out = fmemopen(line, sizeof(line), "w");
	if (!out)
		return;
	if (log_format == KRL_LOG_JSON)
		fprintf(out, "{\"time\":\"%s.%03ldZ\"", when, now.tv_nsec / 1000000);
	else
		fprintf(out, "time=%s.%03ldZ", when, now.tv_nsec / 1000000);
	put_pair(out, "level", level_names[level]);
	put_pair(out, "msg", msg);
	if (key) {
		va_start(args, fmt);
		vsnprintf(value, sizeof(value), fmt, args);
		va_end(args);
		put_pair(out, key, value);
	}
	fputs(log_format == KRL_LOG_JSON ? "}\n" : "\n", out);
	fclose(out);
	fputs(line, stderr);
}
