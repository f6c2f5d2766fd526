// SPDX-License-Identifier: Apache-2.0
/* One reading of a directory after another: what is a document, and what stays of what is broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>

#include <cmocka.h>

#include "test/unit/source_tree.h"

#define BROKEN_SERVICE                                                                             \
	"---\n{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: ten}]}}\n"

static int setup(void **state)
{
	return tree_setup();
}

static int teardown(void **state)
{
	tree_teardown();
	return 0;
}

static void what_is_there_is_read(void **state)
{
	write_file("conf/a.yaml", LIMIT("a", "1") LIMIT("b", "2"));
	write_file("conf/c.yml", LIMIT("c", "3"));
	write_file("conf/d.json", "{\"apiVersion\": \"kmesh.net/v1alpha1\", \"kind\": \"RateLimit\", "
				  "\"metadata\": {\"name\": \"d\"}, \"spec\": {\"service\": \"s\", "
				  "\"rules\": [{\"limit\": \"4/hour\"}]}}");
	write_file("elsewhere", LIMIT("e", "5"));
	make_link("../elsewhere", "conf/e.yaml");
	read_source();
	assert_int_equal(status, 0);
	assert_int_equal(errors.count, 0);
	assert_int_equal(plan.rule_count, 5);
	assert_int_equal(tokens_of("b"), 2);
	assert_int_equal(tokens_of("c"), 3);
	assert_int_equal(tokens_of("d"), 4);
	assert_int_equal(tokens_of("e"), 5);
}

/* A link to nothing is a file that is gone; a FIFO is not waited for, with or without a writer. */
static void what_is_no_document_is_passed_over(void **state)
{
	int writer;

	static const char *const names[] = { "conf/.a.yaml", "conf/a.txt", "conf/a.yaml~", "conf/a.yaml.bak",
					     "conf/yaml", "conf/.yaml", "conf/a.YAML" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		write_file(names[i], LIMIT("a", "1"));
	make_directory("conf/directory.yaml");
	write_file("conf/directory.yaml/a.yaml", LIMIT("a", "1"));
	make_link("nothing", "conf/link.yaml");
	assert_int_equal(mkfifo(path_of("conf/fifo.yaml"), 0600), 0);
	read_source();
	assert_int_equal(status, 0);
	assert_int_equal(errors.count, 0);
	writer = open(path_of("conf/fifo.yaml"), O_RDWR | O_CLOEXEC);
	assert_true(writer >= 0);
	read_source();
	close(writer);
	assert_int_equal(status, 0);
	assert_int_equal(errors.count, 0);
	assert_int_equal(plan.rule_count, 0);
}

/* Nor is a FIFO waited for that takes the directory's place. */
static void what_is_no_directory_changes_nothing(void **state)
{
	write_file("conf/a.yaml", LIMIT("a", "1"));
	read_source();
	move("conf", "old");
	assert_int_equal(mkfifo(path_of("conf"), 0600), 0);
	read_source();
	assert_int_equal(status, -ENOTDIR);
	krl_plan_clear(&plan);
	assert_int_equal(krl_store_compile(store, 0, &plan, &errors, &errors), 0);
	assert_int_equal(tokens_of("a"), 1);
}

static void a_directory_that_cannot_be_read_changes_nothing(void **state)
{
	write_file("conf/a.yaml", LIMIT("a", "1"));
	read_source();
	move("conf", "old");
	read_source();
	assert_int_equal(status, -ENOENT);
	krl_plan_clear(&plan);
	assert_int_equal(krl_store_compile(store, 0, &plan, &errors, &errors), 0);
	assert_int_equal(tokens_of("a"), 1);
}

/* Limits of before the agent's start may be in what cannot be read of a file that was there then; when it
 * has been mended once, all of them are known. */
static void what_was_broken_at_the_start_keeps_the_limits_of_before(void **state)
{
	write_file("conf/a.yaml", LIMIT("a", "1") SYNTAX_ERROR);
	write_file("conf/s.yaml", BROKEN_SERVICE);
	read_source();
	assert_true(plan.retain_all);
	remove_all("conf/s.yaml");
	read_source();
	assert_true(plan.retain_all);
	write_file("conf/a.yaml", LIMIT("a", "2"));
	read_source();
	assert_false(plan.retain_all);
	write_file("conf/a.yaml", LIMIT("a", "3") SYNTAX_ERROR);
	read_source();
	assert_int_equal(tokens_of("a"), 3);
	assert_false(plan.retain_all);
}

static void a_broken_service_of_the_start_keeps_the_limits_of_before(void **state)
{
	write_file("conf/s.yaml", BROKEN_SERVICE);
	read_source();
	assert_true(plan.retain_all);
	write_file("conf/s.yaml", "");
	read_source();
	assert_false(plan.retain_all);
}

/* A source that was missing when the agent started is read for the first time when it comes. */
static void the_start_is_the_first_reading_that_succeeds(void **state)
{
	move("conf", "later");
	read_source();
	assert_int_equal(status, -ENOENT);
	write_file("later/a.yaml", SYNTAX_ERROR);
	move("later", "conf");
	read_source();
	assert_true(plan.retain_all);
}

/* Nothing that is in force can be in a file that came later: it keeps nothing of the others. */
static void what_comes_broken_keeps_no_limit_of_other_files(void **state)
{
	static const char *const broken[] = { SYNTAX_ERROR, "hello\n", BROKEN_SERVICE };
	size_t i;

	for (i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
		write_file("conf/a.yaml", LIMIT("a", "1"));
		read_source();
		write_file("conf/new.yaml", broken[i]);
		read_source();
		assert_int_equal(tokens_of("a"), 1);
		assert_int_equal(errors.count, 1);
		remove_all("conf/a.yaml");
		read_source();
		assert_int_equal(tokens_of("a"), 0);
		assert_false(plan.retain_all);
		assert_int_equal(plan.retain_count, 0);
		remove_all("conf/new.yaml");
		read_source();
		assert_int_equal(errors.count, 0);
	}
	make_link("new.yaml", "conf/new.yaml");
	read_source();
	assert_int_equal(errors.count, 1);
	assert_false(plan.retain_all);
}

/* A document may move to another file and be broken there in one go. */
static void what_comes_broken_keeps_the_limit_it_names(void **state)
{
	write_file("conf/a.yaml", LIMIT("a", "1"));
	read_source();
	write_file("conf/new.yaml", LIMIT("a", "none"));
	remove_all("conf/a.yaml");
	read_source();
	assert_int_equal(plan.retain_count, 1);
	assert_string_equal(plan.retain[0].name, "a");
	assert_string_equal(plan.retain[0].ns, "default");
	assert_false(plan.retain_all);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_there_is_read),
		TEST(what_is_no_document_is_passed_over),
		TEST(what_is_no_directory_changes_nothing),
		TEST(a_directory_that_cannot_be_read_changes_nothing),
		TEST(what_was_broken_at_the_start_keeps_the_limits_of_before),
		TEST(a_broken_service_of_the_start_keeps_the_limits_of_before),
		TEST(the_start_is_the_first_reading_that_succeeds),
		TEST(what_comes_broken_keeps_no_limit_of_other_files),
		TEST(what_comes_broken_keeps_the_limit_it_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
