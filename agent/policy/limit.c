// SPDX-License-Identifier: Apache-2.0
#include "limit.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NS_PER_S 1000000000ULL

static const struct {
	const char *name;
	__u64 ns;
} units[] = {
	{ "year", 365 * 86400 * NS_PER_S },
	{ "month", 30 * 86400 * NS_PER_S },
	{ "week", 7 * 86400 * NS_PER_S },
	{ "day", 86400 * NS_PER_S },
	{ "hour", 3600 * NS_PER_S },
	{ "minute", 60 * NS_PER_S },
	{ "second", NS_PER_S },
	{ "millisecond", 1000000 },
	{ "microsecond", 1000 },
	{ "nanosecond", 1 },
};

#define UNIT_COUNT (sizeof(units) / sizeof(*units))
#define LIMIT_BYTES 80		/* more than the longest numbers and unit take */
#define SHORTEST_RATE_UNIT 6	/* second: no limit is written per millisecond */

static const struct {
	const char *name;
	__u64 ns;
} suffixes[] = {
	{ "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", NS_PER_S }, { "m", 60 * NS_PER_S },
	{ "h", 3600 * NS_PER_S },
};

/* Digits at *@text, which is moved behind them: 1 .. 2^63-1. */
static int parse_number(const char **text, __u64 *ret)
{
	char *end;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(*text, &end, 10);
	if (errno || !*ret || *ret > KRL_NUMBER_MAX)
		return -EINVAL;
	*text = end;
	return 0;
}

static int multiply(__u64 a, __u64 b, __u64 *ret)
{
	return __builtin_mul_overflow(a, b, ret) || *ret > KRL_NUMBER_MAX ? -EINVAL : 0;
}

int krl_duration_parse(const char *text, __u64 *ret_ns)
{
	__u64 total = 0, part;
	size_t i, len;

	if (!*text)
		return -EINVAL;
	while (*text) {
		if (parse_number(&text, &part))
			return -EINVAL;
		len = strspn(text, "nusmh");
		for (i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++)
			if (strlen(suffixes[i].name) == len && !strncmp(suffixes[i].name, text, len))
				break;
		if (i == sizeof(suffixes) / sizeof(*suffixes) || multiply(part, suffixes[i].ns, &part) ||
		    __builtin_add_overflow(total, part, &total) || total > KRL_NUMBER_MAX)
			return -EINVAL;
		text += len;
	}
	*ret_ns = total;
	return 0;
}

int krl_unit_parse(const char *text, __u64 *ret_ns)
{
	size_t i, len;

	for (i = 0; i <= SHORTEST_RATE_UNIT; i++) {
		len = strlen(units[i].name);
		if (!strncasecmp(text, units[i].name, len) && (!text[len] || !strcasecmp(text + len, "s"))) {
			*ret_ns = units[i].ns;
			return 0;
		}
	}
	return -EINVAL;
}

int krl_limit_parse(const char *text, struct krl_settings *ret)
{
	__u64 tokens, count = 1, unit_ns, interval_ns;

	if (parse_number(&text, &tokens))
		return -EINVAL;
	if (*text == '/') {
		text++;
	} else {
		if (strncasecmp(text, " per ", 5))
			return -EINVAL;
		text += 5;
		if (isdigit((unsigned char)*text)) {
			if (parse_number(&text, &count) || *text != ' ')
				return -EINVAL;
			text++;
		}
	}
	if (krl_unit_parse(text, &unit_ns) || multiply(count, unit_ns, &interval_ns))
		return -EINVAL;
	*ret = (struct krl_settings){ .max_tokens = tokens,
				      .tokens_per_fill = tokens,
				      .fill_interval_ns = interval_ns };
	return 0;
}

int krl_limit_parse_first(const char *text, struct krl_settings *ret, const char **ret_rest)
{
	const char *joint = text + strcspn(text, KRL_LIMIT_JOINTS);
	char limit[LIMIT_BYTES];
	size_t len = joint - text;
	int err;

	while (*joint && len && text[len - 1] == ' ')
		len--;
	if (len >= sizeof(limit))
		return -EINVAL;
	memcpy(limit, text, len);
	limit[len] = '\0';
	err = krl_limit_parse(limit, ret);
	if (!err)
		*ret_rest = *joint ? joint + 1 + strspn(joint + 1, " ") : NULL;
	return err;
}

void krl_limit_text(const struct krl_settings *s, char *ret, size_t size)
{
	char burst[40];
	__u64 count;
	size_t i, len;

	for (i = 0; s->fill_interval_ns % units[i].ns; i++)
		;
	count = s->fill_interval_ns / units[i].ns;
	len = snprintf(ret, size, "%llu per %llu %s%s", (unsigned long long)s->tokens_per_fill,
		       (unsigned long long)count, units[i].name, count == 1 ? "" : "s");
	if (s->max_tokens == s->tokens_per_fill)
		return;
	/* Only the longest numbers do not fit; half a number would be worse than none. */
	if (len + snprintf(burst, sizeof(burst), ", burst %llu", (unsigned long long)s->max_tokens) < size)
		strcat(ret, burst);
}
