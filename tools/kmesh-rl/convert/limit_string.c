// SPDX-License-Identifier: Apache-2.0
/* Strings of slowapi, flask-limiter and their common library: N (/|per) [n] unit[s], one a line or
 * several joined by , ; or |. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conversion.h"

#define NS_PER_S 1000000000ULL
#define BLANKS " \t\r\v\f\"'"

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t\r\v\f");
}

/* Digits at *@at, which is moved behind them: 1 to KRL_NUMBER_MAX. */
static bool read_number(const char **at, __u64 *ret)
{
	char *end;

	if (!isdigit((unsigned char)**at))
		return false;
	errno = 0;
	*ret = strtoull(*at, &end, 10);
	*at = end;
	return !errno && *ret && *ret <= KRL_NUMBER_MAX;
}

/* The library's year has twelve months of 30 days. */
static bool read_unit(const char *text, __u64 *ret_ns)
{
	if (!strcasecmp(text, "year") || !strcasecmp(text, "years")) {
		*ret_ns = 360 * 86400 * NS_PER_S;
		return true;
	}
	return !krl_unit_parse(text, ret_ns);
}

static bool parse(const char *at, struct krl_settings *ret)
{
	__u64 tokens, count = 1, ns;
	char unit[16];
	size_t len;

	if (!read_number(&at, &tokens))
		return false;
	at = skip_blanks(at);
	if (*at == '/')
		at++;
	else if (!strncasecmp(at, "per", 3))
		at += 3;
	else
		return false;
	at = skip_blanks(at);
	if (isdigit((unsigned char)*at) && !read_number(&at, &count))
		return false;
	at = skip_blanks(at);
	len = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	if (!len || len >= sizeof(unit) || *skip_blanks(at + len))
		return false;
	memcpy(unit, at, len);
	unit[len] = '\0';
	if (!read_unit(unit, &ns) || __builtin_mul_overflow(count, ns, &ns) || ns > KRL_NUMBER_MAX)
		return false;
	*ret = (struct krl_settings){ tokens, tokens, ns };
	return true;
}

/* The limit @part, which @place is about. */
static void add_part(struct krl_conversion *c, const yaml_node_t *place, const char *part,
		     struct krl_convert_limit *limit)
{
	struct krl_settings settings;
	struct krl_convert_rule *rule;
	char name[32];

	if (!parse(part, &settings)) {
		krl_convert_drop(c, place,
				 "expected a limit such as 10/minute or 1000 per 2 hours, found "
				 "\"%.80s\"",
				 part);
		return;
	}
	snprintf(name, sizeof(name), "rule-%zu", limit->count);
	rule = krl_convert_rule_add(c, place, limit, name);
	if (rule)
		rule->settings = settings;
}

/* The limits of the text @line, which is changed. */
static void add_line(struct krl_conversion *c, char *line, size_t number,
		     struct krl_convert_limit *limit)
{
	yaml_node_t place = { .start_mark.line = number };
	char *part, *rest = line;
	size_t len;

	while ((part = strsep(&rest, ",;|"))) {
		/* Quotes, as around a string of a program, are no part of a limit. */
		part += strspn(part, BLANKS);
		for (len = strlen(part); len && strchr(BLANKS, part[len - 1]); len--)
			;
		part[len] = '\0';
		place.start_mark.column = (size_t)(part - line);
		if (len)
			add_part(c, &place, part, limit);
	}
}

void krl_convert_strings(struct krl_conversion *c, const char *text, size_t len)
{
	struct krl_convert_limit limit = { .name = "limits" };
	char *copy = strndup(text, len), *line, *rest = copy;
	yaml_node_t start = {};
	size_t number;

	if (!copy) {
		c->no_memory = true;
		return;
	}
	c->left_out = "it is left out";
	if (memchr(text, '\0', len))
		krl_convert_note(c, &start, "what follows a zero byte is left out");
	for (number = 0; (line = strsep(&rest, "\n")); number++)
		add_line(c, line, number, &limit);
	if (limit.count)
		krl_convert_note(c, &start,
				 "a limit alone has no target, spec.service is to be filled in");
	krl_convert_finish(c, &limit);
	free(copy);
}
