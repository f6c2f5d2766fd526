// SPDX-License-Identifier: Apache-2.0
/* Addresses as proxies write them into headers. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/lib/address.h"

static int parse(const char *text, __u8 ret[16])
{
	struct krl_address a;

	krl_address_begin(&a);
	for (; *text; text++)
		krl_address_byte(&a, *text);
	return krl_address_end(&a, ret);
}

/* What inet_pton() says of @text. */
static int reference(const char *text, __u8 ret[16])
{
	static const __u8 mapped[12] = { [10] = 0xff, 0xff };

	if (inet_pton(AF_INET, text, ret + 12) == 1) {
		memcpy(ret, mapped, sizeof(mapped));
		return 0;
	}
	return inet_pton(AF_INET6, text, ret) == 1 ? 0 : -1;
}

static void what_proxies_write(void **state)
{
	static const struct {
		const char *text, *address;	/* NULL: none */
	} table[] = {
		{ "10.1.2.3", "10.1.2.3" },
		{ " 10.1.2.3\t", "10.1.2.3" },
		{ "10.1.2.3:4711", "10.1.2.3" },
		{ "2001:db8::1", "2001:db8::1" },
		{ "10.1.2.3:5 \t", "10.1.2.3" },
		{ "[2001:DB8::1]", "2001:db8::1" },
		{ "[10.1.2.3]:80", "10.1.2.3" },
		{ " [2001:db8::1]:443 ", "2001:db8::1" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "1::", "1::" },
		{ "::ffff:10.1.2.3", "10.1.2.3" },
		{ "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
		{ "1:2:3:4:5:6:10.1.2.3", "1:2:3:4:5:6:a01:203" },
		{ "", NULL },
		{ " ", NULL },
		{ "unknown", NULL },
		{ "_hidden", NULL },
		{ "10.1.2", NULL },
		{ "10.1.2.", NULL },
		{ "10.1.2.3.4", NULL },
		{ "10.1.2.256", NULL },
		{ "10.1.2.03", NULL },
		{ "10.1.2.3 10.1.2.4", NULL },
		{ "10.1.2.3 5", NULL },
		{ "10.1.2.3 :5", NULL },
		{ "10.1.2.3:5 6", NULL },
		{ "10.1.2.3:x", NULL },
		{ "10.1.2.3:5:6", NULL },
		{ "10.1.2.3::", NULL },
		{ "[10.1.2.3:80", NULL },
		{ "[2001:db8::1", NULL },
		{ "2001:db8::1]", NULL },
		{ "[2001:db8::1]x", NULL },
		{ "[2001:db8::1]5", NULL },
		{ "[10.1.2.3:80]", NULL },
		{ "[ 2001:db8::1]", NULL },
		{ "[[::1]]", NULL },
		{ "2001:db8::1%eth0", NULL },
		{ "1::2::3", NULL },
		{ "1:2:3:4:5:6:7::8", NULL },
		{ "1:2:3:4:5:6:7:8:9", NULL },
		{ ":1", NULL },
		{ "1:", NULL },
		{ ":::", NULL },
		{ "12345::", NULL },
	};
	__u8 found[16], wanted[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (parse(table[i].text, found)) {
			if (table[i].address)
				fail_msg("\"%s\" is no address", table[i].text);
			continue;
		}
		if (!table[i].address)
			fail_msg("\"%s\" is an address", table[i].text);
		assert_int_equal(reference(table[i].address, wanted), 0);
		if (memcmp(found, wanted, sizeof(found)))
			fail_msg("\"%s\" is another address", table[i].text);
	}
}

/* Of text without white space, brackets and ports, it is what inet_pton() says. */
static void it_agrees_with_inet_pton(void **state)
{
	static const char *const pieces[] = { ":", ":", "::", ".", "0", "1", "25", "255", "ab", "FFFF", "12.3", "1:2:" };
	__u8 found[16], wanted[16];
	unsigned int seed = 1, good = 0;
	char text[128];
	int round, err;
	size_t n;

	(void)state;
	for (round = 0; round < 3000000; round++) {
		for (*text = 0, n = 1 + rand_r(&seed) % 9; n; n--)
			strcat(text, pieces[rand_r(&seed) % (sizeof(pieces) / sizeof(pieces[0]))]);
		err = reference(text, wanted);
		/* A port. */
		if (err && strchr(text, '.') && strchr(text, ':') > strchr(text, '.'))
			continue;
		if (!parse(text, found) != !err || (!err && memcmp(found, wanted, sizeof(found))))
			fail_msg("\"%s\": %s", text, err ? "is none" : "is another");
		good += !err;
	}
	assert_true(good > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_proxies_write),
		cmocka_unit_test(it_agrees_with_inet_pton),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
