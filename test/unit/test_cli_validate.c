// SPDX-License-Identifier: Apache-2.0
/* `validate` as a user meets it: files, directories, standard input. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "caught.h"

#define LIMIT(name, tokens)                                                                          \
	"apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nmetadata: {name: " name "}\nspec:\n"       \
	"  endpoints: [{ip: 127.0.0.1, port: 8080}]\n  rules:\n"                                     \
	"    - maxTokens: " tokens "\n      tokensPerFill: 1\n      fillInterval: 1000000000\n"

static char dir[64], out[CAUGHT_BYTES], err[CAUGHT_BYTES];

static int setup(void **state)
{
	strcpy(dir, "/tmp/krl-validate-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/a.yaml", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/b.yaml", dir);
	unlink(path);
	return rmdir(dir);
}

/* Returns the path, in one of two buffers that are used in turn. */
static const char *write_file(const char *name, const char *text)
{
	static char paths[2][128];
	static int turn;
	FILE *file;

	turn = !turn;
	snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", dir, name);
	file = fopen(paths[turn], "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return paths[turn];
}

/* Validate up to two paths (NULL: none) with @input as standard input. */
static enum krl_cli_exit validate(const char *first, const char *second, const char *input)
{
	struct krl_cli cli = {};
	enum krl_cli_exit status;

	if (first)
		krl_cli_list_add(&cli.files, first);
	if (second)
		krl_cli_list_add(&cli.files, second);
	status = caught_run(krl_cli_validate, &cli, input, out, err);
	krl_cli_list_free(&cli.files);
	return status;
}

static void good_documents_are_counted(void **state)
{
	const char *file = write_file("a.yaml", LIMIT("one", "10") "---\n" LIMIT("two", "10"));

	assert_int_equal(validate(file, NULL, ""), KRL_CLI_GOOD);
	assert_string_equal(out, "2 documents valid, 0 refused\n");
	assert_string_equal(err, "");
}

static void documents_of_other_kinds_are_counted_apart(void **state)
{
#define OTHER "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"
	const char *file = write_file("a.yaml", OTHER "---\n" LIMIT("one", "10") OTHER);

	assert_int_equal(validate(file, NULL, ""), KRL_CLI_GOOD);
	assert_string_equal(out, "1 documents valid, 0 refused, 2 of other kinds ignored\n");
	assert_int_equal(validate(file, "-", OTHER), KRL_CLI_GOOD);
	assert_string_equal(out, "1 documents valid, 0 refused, 3 of other kinds ignored\n");
}

static void a_refused_document_is_located(void **state)
{
	const char *file = write_file("a.yaml", LIMIT("one", "10") "---\n" LIMIT("two", "\"ten\""));
	char expected[512];

	assert_int_equal(validate(file, NULL, ""), KRL_CLI_FAILED);
	assert_string_equal(out, "1 documents valid, 1 refused\n");
	snprintf(expected, sizeof(expected),
		 "%s:17:18: spec.rules[0].maxTokens: expected an integer from 1 to "
		 "9223372036854775807, found \"ten\"\n", file);
	assert_string_equal(err, expected);
}

static void a_directory_and_a_file_add_up(void **state)
{
	const char *bad = write_file("a.yaml", LIMIT("one", "0"));

	write_file("b.yaml", LIMIT("two", "10"));
	assert_int_equal(validate(dir, bad, ""), KRL_CLI_FAILED);
	assert_string_equal(out, "1 documents valid, 1 refused\n");
}

static void a_limit_that_is_there_twice_is_refused(void **state)
{
	write_file("a.yaml", LIMIT("one", "10"));
	write_file("b.yaml", LIMIT("one", "10"));
	assert_int_equal(validate(dir, NULL, ""), KRL_CLI_FAILED);
	assert_string_equal(out, "1 documents valid, 1 refused\n");
	assert_non_null(strstr(err, "one"));
}

static void all_that_is_given_is_one_source(void **state)
{
	const char *a = write_file("a.yaml", LIMIT("one", "10")), *b = write_file("b.yaml", LIMIT("one", "10"));
	char expected[512];

	assert_int_equal(validate(b, a, ""), KRL_CLI_FAILED);
	assert_string_equal(out, "1 documents valid, 1 refused\n");
	snprintf(expected, sizeof(expected), "%s:1:1: default/one is at %s:1 already, which counts\n", b, a);
	assert_string_equal(err, expected);
	assert_int_equal(validate(a, a, ""), KRL_CLI_GOOD);
	assert_string_equal(out, "1 documents valid, 0 refused\n");
}

static void standard_input_is_read(void **state)
{
	assert_int_equal(validate("-", NULL, LIMIT("one", "10")), KRL_CLI_GOOD);
	assert_string_equal(out, "1 documents valid, 0 refused\n");
	assert_int_equal(validate("-", NULL, "kind: [\n"), KRL_CLI_FAILED);
	assert_string_equal(out, "0 documents valid, 1 refused\n");
	assert_int_equal(validate("-", "-", ""), KRL_CLI_USAGE);
	assert_string_equal(err, "Error: -f - can be given once\n");
}

/* `-f <(...)`: what writes into a pipe may take its time, here until the reader is seen asleep. */
static void a_pipe_is_waited_for(void **state)
{
	static const char text[] = LIMIT("one", "10");
	pid_t reader = getpid(), child;
	enum krl_cli_exit status;
	char path[64], asleep = 0;
	int ends[2], done;
	FILE *stat;

	assert_int_equal(pipe(ends), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		snprintf(path, sizeof(path), "/proc/%d/stat", reader);
		while (asleep != 'S' && getppid() == reader) {
			stat = fopen(path, "r");
			if (stat && fscanf(stat, "%*d (%*[^)]) %c", &asleep) != 1)
				_exit(1);
			if (stat)
				fclose(stat);
		}
		done = write(ends[1], text, sizeof(text) - 1);
		_exit(done != sizeof(text) - 1);
	}
	close(ends[1]);
	status = validate(path, NULL, "");
	close(ends[0]);
	kill(child, SIGKILL);
	waitpid(child, &done, 0);
	assert_int_equal(status, KRL_CLI_GOOD);
	assert_string_equal(out, "1 documents valid, 0 refused\n");
}

static void what_cannot_be_read_fails(void **state)
{
	const char *file = write_file("a.yaml", LIMIT("one", "10"));

	assert_int_equal(validate("/proc/self/nothing-here", file, ""), KRL_CLI_FAILED);
	assert_string_equal(out, "1 documents valid, 0 refused\n");
	assert_string_equal(err, "Error: /proc/self/nothing-here: No such file or directory\n");
	assert_int_equal(validate(NULL, NULL, ""), KRL_CLI_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(good_documents_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(documents_of_other_kinds_are_counted_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refused_document_is_located, setup, teardown),
		cmocka_unit_test_setup_teardown(a_directory_and_a_file_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(a_limit_that_is_there_twice_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(all_that_is_given_is_one_source, setup, teardown),
		cmocka_unit_test_setup_teardown(standard_input_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(a_pipe_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
