// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "num.h"

static const struct {
	const char *name;
	__u64 ns;
} units[] = {
	{ "h", KRL_NS_PER_HOUR }, { "m", KRL_NS_PER_MIN }, { "s", KRL_NS_PER_S },
	{ "ms", KRL_NS_PER_MS },  { "us", KRL_NS_PER_US }, { "ns", 1 },
};

#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

int krl_num_u64(const char *text, size_t len, __u64 *ret)
{
	__u64 value = 0;
	size_t i;

	if (!len || (len > 1 && text[0] == '0'))
		return -EINVAL;
	for (i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
	for (i = 0; i < len; i++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (__u64)(text[i] - '0'), &value))
			return -ERANGE;
	*ret = value;
	return 0;
}

static size_t span(const char *text, size_t len, char first, char last)
{
	size_t n = 0;

	while (n < len && text[n] >= first && text[n] <= last)
		n++;
	return n;
}

int krl_num_duration_ns(const char *text, size_t len, __u64 *ret_ns)
{
	size_t digits, letters, unit = 0;
	__u64 total = 0, value;
	int err;

	if (!len)
		return -EINVAL;
	while (len) {
		digits = span(text, len, '0', '9');
		letters = span(text + digits, len - digits, 'a', 'z');
		err = krl_num_u64(text, digits, &value);
		if (err)
			return err;
		while (unit < UNIT_COUNT && (strlen(units[unit].name) != letters ||
					     memcmp(units[unit].name, text + digits, letters)))
			unit++;
		if (unit == UNIT_COUNT)
			return -EINVAL;
		if (__builtin_mul_overflow(value, units[unit].ns, &value) ||
		    __builtin_add_overflow(total, value, &total))
			return -ERANGE;
		unit++;
		text += digits + letters;
		len -= digits + letters;
	}
	*ret_ns = total;
	return 0;
}
