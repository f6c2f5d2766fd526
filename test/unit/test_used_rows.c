// SPDX-License-Identifier: Apache-2.0
/* The tokens that are shown, from rows of maps, and how they are shown, without a kernel. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/datapath/used.h"
#include "include/kmesh_rl/policy.h"
#include "tools/kmesh-rl/tokens_view.h"

static struct krl_stats_row rules[] = {
	{ .slot = 1, .id = 9, .flags = KRL_RULE_LLM, .info = { .ns = "ml", .name = "llm", .rule = "user" },
	  .used = { .requests = 4, .total = 60, .debited = 60 } },
	{ .slot = 2, .id = 3, .info = { .ns = "ml", .name = "web", .rule = "rule-0" }, .used = { .debited = 5000 } },
	{ .slot = 5, .id = 4, .flags = KRL_RULE_LLM, .info = { .ns = "ml", .name = "llm2", .service = "v:80", .rule = "m" },
	  .used = { .debited = 100 } },
};
static const struct krl_stats stats = { .rows = rules, .count = 3 };

static struct krl_used used;

static int teardown(void **state)
{
	krl_used_free(&used);
	return 0;
}

static void know(__u64 value, const char *user)
{
	struct krl_kept kept = { .count = 1, .values = { { .field = KRL_FIELD_HEADER, .name = "x-user" } } };
	const __u64 descriptor[2] = { value, value };

	kept.values[0].len = strlen(user);
	strcpy(kept.values[0].text, user);
	assert_int_equal(krl_values_add(&used.values, descriptor, &kept), 0);
}

static void add_user(__u32 rule_id, __u64 value, __u64 debited)
{
	const struct krl_llm_user_key key = { { value, value }, rule_id, 0 };
	const struct krl_llm_stats tokens = { .requests = 1, .input = 5, .output = 7, .total = 12, .debited = debited };

	assert_int_equal(krl_used_add_user(&used, &key, &tokens), 0);
}

static void add_model(__u32 rule_id, const char *model, __u32 len, __u64 debited)
{
	const struct krl_llm_stats tokens = { .requests = 2, .cached_input = 3, .estimated = 1, .unreadable = 1,
					      .debited = debited };
	struct krl_llm_model_key key = { .rule_id = rule_id, .len = len };

	memcpy(key.model, model, strnlen(model, sizeof(key.model)));
	assert_int_equal(krl_used_add_model(&used, &key, &tokens), 0);
}

static void assert_row(size_t i, const struct krl_stats_row *rule, enum krl_used_by by, __u64 debited)
{
	assert_true(i < used.count);
	assert_ptr_equal(used.rows[i].rule, rule);
	assert_int_equal(used.rows[i].by, by);
	assert_int_equal(used.rows[i].tokens.debited, debited);
}

static void what_debited_most_comes_first(void **state)
{
	assert_int_equal(krl_used_of(&used, &stats), 0);
	add_user(9, 10, 20);
	add_user(9, 20, 40);
	add_model(9, "gpt-4", 5, 60);
	add_model(4, "gpt-4", 5, 70);
	krl_used_finish(&used, 0);
	assert_int_equal(used.count, 6);
	assert_row(0, &rules[2], KRL_USED_ALL, 100);
	assert_row(1, &rules[2], KRL_USED_MODEL, 70);
	assert_row(2, &rules[0], KRL_USED_ALL, 60);
	assert_row(3, &rules[0], KRL_USED_MODEL, 60);
	assert_row(4, &rules[0], KRL_USED_USER, 40);
	assert_row(5, &rules[0], KRL_USED_USER, 20);
}

static void what_is_of_no_rule_is_passed_over(void **state)
{
	assert_int_equal(krl_used_of(&used, &stats), 0);
	add_user(3, 10, 20);
	add_user(5, 10, 20);
	add_model(0, "gpt-4", 5, 60);
	krl_used_finish(&used, 0);
	assert_int_equal(used.total, 2);
}

static void of_many_those_that_debited_most_are_left(void **state)
{
	size_t i;

	assert_int_equal(krl_used_of(&used, &stats), 0);
	for (i = 0; i < 1000; i++)
		add_user(9, 1 + i, 200 + i * 7919 % 1000);
	krl_used_finish(&used, 3);
	assert_int_equal(used.count, 3);
	assert_int_equal(used.total, 1002);
	for (i = 0; i < 3; i++)
		assert_row(i, &rules[0], KRL_USED_USER, 1199 - i);
}

static char *printed(bool namespaces, bool wide)
{
	json_t *value = krl_used_json(&used);
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(value);
	assert_int_equal(krl_used_print(value, namespaces, wide, out), 0);
	json_decref(value);
	fclose(out);
	return text;
}

static void they_are_shown_with_what_is_known(void **state)
{
	static const char long_name[] = "0123456789012345678901234567890123456789012345678901234567890123";
	char *text;

	know(10, "al\x1b[31mice");
	krl_values_sort(&used.values);
	assert_int_equal(krl_used_of(&used, &stats), 0);
	add_user(9, 10, 20);
	add_user(9, 0x12345678, 10);
	add_model(9, "gpt\xff", 4, 9);
	krl_used_finish(&used, 4);
	text = printed(false, false);
	assert_string_equal(text, "NAME   RULE   BY     VALUE               REQUESTS   INPUT   OUTPUT   TOTAL   DEBITED\n"
				  "llm2   m      all    <none>              0          0       0        0       100\n"
				  "llm    user   all    <none>              4          0       0        60      60\n"
				  "llm    user   user   x-user=al?[31mice   1          5       7        12      20\n"
				  "llm    user   user   #12345678           1          5       7        12      10\n");
	free(text);
	used.count = used.total;
	used.rows[4].model.len = 65;
	memcpy(used.rows[4].model.model, long_name, 64);
	text = printed(true, false);
	assert_non_null(strstr(text, "\nml          llm    user   model   0123456789"));
	assert_non_null(strstr(text, "90123...   2 "));
	free(text);
	text = printed(false, true);
	assert_non_null(strstr(text, "DEBITED   CACHED   REASONING   ESTIMATED   UNREADABLE   SERVICE\nml  "));
	assert_non_null(strstr(text, "   9         3        0           1           1            <none>\n"));
	free(text);
}

/* Without -A and -o wide, where values are short. */
static void a_table_is_80_characters_wide(void **state)
{
	char *text;

	assert_int_equal(krl_used_of(&used, &stats), 0);
	add_model(9, "m", 1, 1234567);
	krl_used_finish(&used, 0);
	text = printed(false, false);
	assert_true(strcspn(text, "\n") <= 80);
	free(text);
}

static void nothing_pinned_is_told_apart(void **state)
{
	struct krl_used none = { .total = 99 };

	assert_int_equal(krl_used_read("/proc/self/nothing-here", &stats, 1, &none), -ENOENT);
	assert_int_equal(none.total, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_debited_most_comes_first, teardown),
		cmocka_unit_test_teardown(what_is_of_no_rule_is_passed_over, teardown),
		cmocka_unit_test_teardown(of_many_those_that_debited_most_are_left, teardown),
		cmocka_unit_test_teardown(they_are_shown_with_what_is_known, teardown),
		cmocka_unit_test_teardown(a_table_is_80_characters_wide, teardown),
		cmocka_unit_test(nothing_pinned_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
