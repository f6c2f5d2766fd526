// SPDX-License-Identifier: Apache-2.0
/* The table of `kmesh-rl top`: rates, order, and how it fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/kmesh-rl/top_view.h"

static json_t *rule(const char *name, int total, int limited)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:f, s:i, s:i}", "namespace", "default", "name", name, "service",
			 "frontend", "rule", "all", "limit", "10 per 1 minute", "availableTokens", 7, "totalRequests", total,
			 "rateLimitedRequests", limited, "rejectedRatio", 0.5, "shadowLimitedRequests", 0, "buckets", 1);
}

static json_t *rules(int b_total)
{
	return json_pack("[o, o, o]", rule("a", 10, 0), rule("b", b_total, 5), rule("\xc3\xa4 very long name of a limit", 3, 1));
}

static struct krl_top by(const char *title)
{
	const char *nearest;

	return (struct krl_top){ .sort = (size_t)krl_top_find(title, &nearest), .said = "", .time = "12:00:00" };
}

static const char *name_at(const json_t *items, size_t i)
{
	return json_string_value(json_object_get(json_array_get(items, i), "name"));
}

static void rates_are_what_came_since(void **state)
{
	json_t *before = json_pack("[o, o]", rule("a", 4, 0), rule("b", 100, 5)), *items = rules(60);

	krl_top_rate(items, before, 2);
	assert_true(json_real_value(json_object_get(json_array_get(items, 0), "requestRate")) == 3);
	/* Fewer than before: it is another rule. */
	assert_true(json_real_value(json_object_get(json_array_get(items, 1), "requestRate")) == 0);
	assert_true(json_is_null(json_object_get(json_array_get(items, 2), "requestRate")));
	json_decref(before);
	json_decref(items);
}

static void numbers_go_down_and_names_go_up(void **state)
{
	struct krl_top top = by("total");
	json_t *items = rules(60);

	krl_top_sort(items, &top);
	assert_string_equal(name_at(items, 0), "b");
	assert_string_equal(name_at(items, 1), "a");
	top.reverse = true;
	krl_top_sort(items, &top);
	assert_string_equal(name_at(items, 2), "b");
	top = by("NAME");
	krl_top_sort(items, &top);
	assert_string_equal(name_at(items, 0), "a");
	/* All alike: by name. */
	top = by("AVAILABLE");
	krl_top_sort(items, &top);
	assert_string_equal(name_at(items, 1), "b");
	json_decref(items);
}

/* Characters of the longest line on a screen of @width and @height, and the lines, without what steers the terminal. */
static size_t drawn(const struct krl_top *top, int width, int height, char lines[64][512], size_t *ret_count)
{
	json_t *items = rules(60);
	size_t longest = 0, length = 0, at = 0, bytes, i;
	char *text = NULL;
	FILE *out = open_memstream(&text, &bytes);

	krl_top_draw(items, top, width, height, out);
	fclose(out);
	*ret_count = 0;
	for (i = 0; i <= bytes; i++) {
		if (text[i] == '\n' || i == bytes) {
			lines[(*ret_count)++][at] = '\0';
			longest = length > longest ? length : longest;
			length = at = 0;
		} else if (!strncmp(text + i, "\033[K", 3)) {
			i += 2;
		} else if (text[i] != '\r') {
			lines[*ret_count][at++] = text[i];
			length += (text[i] & 0xc0) != 0x80;
		}
	}
	free(text);
	json_decref(items);
	return longest;
}

static void it_fits_any_terminal(void **state)
{
	struct krl_top top = by("BUCKETS");
	static char lines[64][512];
	size_t count;
	int width;

	for (width = 1; width <= 250; width++) {
		assert_true(drawn(&top, width, 10, lines, &count) <= (size_t)width);
		assert_int_equal(count, 10);
		/* The column that is sorted by is there whatever else is not. */
		if (width >= 80)
			assert_non_null(strstr(lines[1], "BUCKETSv"));
	}
	assert_true(drawn(&top, 80, 3, lines, &count) <= 80);
	assert_int_equal(count, 3);
}

static void what_does_not_fit_is_cut_and_marked(void **state)
{
	struct krl_top top = by("LIMITED");
	static char lines[64][512];
	size_t count;

	drawn(&top, 80, 24, lines, &count);
	assert_non_null(strstr(lines[0], "3 rules"));
	assert_non_null(strstr(lines[4], "\xc3\xa4 very"));
	assert_non_null(strstr(lines[4], "+"));
	assert_non_null(strstr(lines[23], "q quit"));
	top.first = 2;
	top.ns = "default";
	drawn(&top, 200, 24, lines, &count);
	assert_non_null(strstr(lines[2], "\xc3\xa4 very long name of a limit"));
	assert_null(strstr(lines[1], "NAMESPACE"));
}

static void columns_are_found_and_suggested(void **state)
{
	const char *nearest;

	assert_int_equal(krl_top_find("name", &nearest), 0);
	assert_int_equal(krl_top_find("LIMITD/S", &nearest), -1);
	assert_string_equal(nearest, "LIMITED/S");
	assert_int_equal(krl_top_find("zzzzzzzz", &nearest), -1);
	assert_null(nearest);
	assert_true(krl_top_find(KRL_TOP_SORT, &nearest) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_what_came_since),
		cmocka_unit_test(numbers_go_down_and_names_go_up),
		cmocka_unit_test(it_fits_any_terminal),
		cmocka_unit_test(what_does_not_fit_is_cut_and_marked),
		cmocka_unit_test(columns_are_found_and_suggested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
