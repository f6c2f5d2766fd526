// SPDX-License-Identifier: Apache-2.0
/* The command line: flags, their values, and what is said about mistakes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/nearest.h"
#include "tools/kmesh-rl/cli.h"

#define MAX_WORDS 8

static const struct krl_cli_option global[] = {
	{ 0, "bpffs", "DIR", "where", KRL_CLI_TEXT, offsetof(struct krl_cli, bpffs), NULL },
	{ 'f', "filename", "FILE", "what", KRL_CLI_LIST, offsetof(struct krl_cli, files), NULL },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

static struct krl_cli cli;
static struct krl_cli_error error;

static int teardown(void **state)
{
	krl_cli_list_free(&cli.files);
	krl_cli_list_free(&cli.words);
	memset(&cli, 0, sizeof(cli));
	memset(&error, 0, sizeof(error));
	return 0;
}

/* Parse the words up to NULL. */
static int parse(const char *word, ...)
{
	const struct krl_cli_option *const tables[] = { global, krl_cli_get_options, NULL };
	char *argv[MAX_WORDS + 1] = { "kmesh-rl" };
	int argc = 1;
	va_list more;

	va_start(more, word);
	for (; word; word = va_arg(more, const char *))
		argv[argc++] = (char *)word;
	va_end(more);
	return krl_cli_parse(tables, argc, argv, 1, &cli, &cli.words, &error);
}

static void flags_and_words_mix(void **state)
{
	assert_int_equal(parse("-o", "json", "ratelimit-stats", "-n", "shop", "web", NULL), 7);
	assert_int_equal(cli.output, KRL_CLI_JSON);
	assert_string_equal(cli.ns, "shop");
	assert_int_equal(cli.words.count, 2);
	assert_string_equal(cli.words.words[1], "web");
}

static void a_value_may_be_attached(void **state)
{
	assert_true(parse("-owide", "-n=shop", "--bpffs=/x", NULL) > 0);
	assert_int_equal(cli.output, KRL_CLI_WIDE);
	assert_string_equal(cli.ns, "shop");
	assert_string_equal(cli.bpffs, "/x");
	assert_true(parse("-Anshop2", "--output", "yaml", NULL) > 0);
	assert_true(cli.all_namespaces);
	assert_string_equal(cli.ns, "shop2");
	assert_int_equal(cli.output, KRL_CLI_YAML);
}

static void a_list_collects(void **state)
{
	assert_true(parse("-f", "a", "-f-", "--filename", "-", NULL) > 0);
	assert_int_equal(cli.files.count, 3);
	assert_string_equal(cli.files.words[0], "a");
	assert_string_equal(cli.files.words[1], "-");
	assert_string_equal(cli.files.words[2], "-");
}

static void two_dashes_end_the_flags(void **state)
{
	assert_true(parse("--", "-n", "--", NULL) > 0);
	assert_null(cli.ns);
	assert_int_equal(cli.words.count, 2);
	assert_string_equal(cli.words.words[1], "--");
}

static void without_a_list_parsing_stops_at_the_first_word(void **state)
{
	const struct krl_cli_option *const tables[] = { global, NULL };
	char *argv[] = { "kmesh-rl", "--bpffs", "/x", "get", "--unknown" };

	assert_int_equal(krl_cli_parse(tables, 5, argv, 1, &cli, NULL, &error), 3);
}

static void mistakes_are_answered_with_one_line(void **state)
{
	static const struct {
		const char *words[3], *line;
	} cases[] = {
		{ { "--ouput", "json" }, "unknown flag \"--ouput\": did you mean \"--output\"?" },
		{ { "--name" }, "unknown flag \"--name\": did you mean \"--namespace\"?" },
		{ { "--zzzzzzzz" }, "unknown flag \"--zzzzzzzz\": --help lists the flags" },
		{ { "-x" }, "unknown flag \"-x\": --help lists the flags" },
		{ { "-Ax" }, "unknown flag \"-x\": --help lists the flags" },
		{ { "-n" }, "flag -n needs a value: NAMESPACE" },
		{ { "--bpffs=" }, "flag --bpffs needs a value: DIR" },
		{ { "-n", "" }, "flag -n needs a value: NAMESPACE" },
		{ { "--all-namespaces=yes" }, "flag --all-namespaces takes no value" },
		{ { "-o", "jsn" },
		  "-o \"jsn\": expected table, wide, json or yaml; did you mean \"json\"?" },
		{ { "--output=xml2" }, "--output \"xml2\": expected table, wide, json or yaml" },
		{ { "-o", "JSON" },
		  "-o \"JSON\": expected table, wide, json or yaml; did you mean \"json\"?" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(parse(cases[i].words[0], cases[i].words[1], NULL), -EINVAL);
		assert_string_equal(error.text, cases[i].line);
	}
}

static void long_words_are_cut_in_messages(void **state)
{
	char word[4000];

	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	memcpy(word, "--", 2);
	assert_int_equal(parse(word, NULL), -EINVAL);
	assert_true(strlen(error.text) < 200);
	assert_int_equal(parse("-o", word, NULL), -EINVAL);
	assert_true(strlen(error.text) < 200);
}

static void slips_of_the_finger_are_near(void **state)
{
	assert_string_equal(krl_nearer("gte", NULL, "get"), "get");
	assert_string_equal(krl_nearer("validat", NULL, "validate"), "validate");
	assert_string_equal(krl_nearer("ratelimit-stat", NULL, "ratelimit-stats"), "ratelimit-stats");
	assert_string_equal(krl_nearer("ve", NULL, "version"), "version");
	assert_null(krl_nearer("apply", NULL, "get"));
	assert_null(krl_nearer("x", NULL, "y"));
	assert_null(krl_nearer("", NULL, "get"));
	assert_string_equal(krl_nearer("wode", "node", "wide"), "node");
	assert_string_equal(krl_nearer("wide", "wode", "wide"), "wide");
	assert_string_equal(krl_nearer("MAXTOKENS", "maxTokens", "maxToken"), "maxTokens");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(flags_and_words_mix, teardown),
		cmocka_unit_test_teardown(a_value_may_be_attached, teardown),
		cmocka_unit_test_teardown(a_list_collects, teardown),
		cmocka_unit_test_teardown(two_dashes_end_the_flags, teardown),
		cmocka_unit_test_teardown(without_a_list_parsing_stops_at_the_first_word, teardown),
		cmocka_unit_test_teardown(mistakes_are_answered_with_one_line, teardown),
		cmocka_unit_test_teardown(long_words_are_cut_in_messages, teardown),
		cmocka_unit_test_teardown(slips_of_the_finger_are_near, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
