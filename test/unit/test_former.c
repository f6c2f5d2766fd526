// SPDX-License-Identifier: Apache-2.0
/* What is an agent's among names in its directory, and which version's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/datapath/drop.h"
#include "agent/datapath/former.h"

static void a_directory_says_which_version_it_is_of(void **state)
{
	assert_int_equal(krl_former_version("former_11_0"), 11);
	assert_int_equal(krl_former_version("former_4294967295_99"), 4294967295U);
}

static void other_directories_are_of_none(void **state)
{
	static const char *const names[] = { "",	   "former_",	   "former_11",	  "former_11_",	 "former_x_0",
					     "former_0_0", "former_11_0x", "xformer_11_0", "Former_11_0", "former_11_0/a" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (krl_former_version(names[i]))
			fail_msg("\"%s\" is taken for version %u", names[i], krl_former_version(names[i]));
}

static void pins_are_known_by_their_names(void **state)
{
	assert_true(krl_drop_is_ours("krl_sockets"));
	assert_true(krl_drop_is_ours("link_lookup_0000000000000001"));
	assert_false(krl_drop_is_ours("former_11_0"));
	assert_false(krl_drop_is_ours("foreign"));
	assert_false(krl_drop_is_ours(".."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_says_which_version_it_is_of),
		cmocka_unit_test(other_directories_are_of_none),
		cmocka_unit_test(pins_are_known_by_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
