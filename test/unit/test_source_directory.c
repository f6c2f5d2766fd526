// SPDX-License-Identifier: Apache-2.0
/* A directory of documents is followed as the agent does it: real files, inotify, a uv loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>

#include <cmocka.h>
#include <uv.h>

#include "agent/policy/decode.h"
#include "test/unit/source_tree.h"

/* Only how long a test that fails takes to say so. */
#define DEADLINE_MS 20000

static uv_loop_t loop;
static uv_timer_t deadline;
static struct krl_directory *directory;

/* What the readings since the start have in common. */
static unsigned int calls;	/* of krl_directory_fn */
static const char *always;	/* a RateLimit that was to be there each time */
static bool was_gone;

static void on_changed(void *arg)
{
	calls++;
	read_source();
	was_gone |= always && !tokens_of(always);
}

static bool complained_of(const char *text)
{
	size_t i;

	for (i = 0; i < errors.count; i++)
		if (strstr(errors.lines[i], text))
			return true;
	return false;
}

static void on_deadline(uv_timer_t *timer)
{
	fail_msg("waited in vain; %s", errors.count ? errors.lines[0] : "nothing to complain of");
}

/* Turn the loop until @condition holds. */
#define wait_for(condition)                                                                        \
	do {                                                                                       \
		uv_update_time(&loop);                                                             \
		uv_timer_start(&deadline, on_deadline, DEADLINE_MS, 0);                            \
		while (!(condition))                                                               \
			uv_run(&loop, UV_RUN_ONCE);                                                \
		uv_timer_stop(&deadline);                                                          \
	} while (0)

/* Begin as the agent does: follow, then read. */
static void follow(void)
{
	assert_int_equal(krl_directory_open(&loop, path_of("conf"), on_changed, NULL, &directory), 0);
	read_source();
}

static int setup(void **state)
{
	return uv_loop_init(&loop) || uv_timer_init(&loop, &deadline) || tree_setup() ? -1 : 0;
}

static int teardown(void **state)
{
	krl_directory_close(directory);
	directory = NULL;
	uv_close((uv_handle_t *)&deadline, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	calls = 0;
	always = NULL;
	was_gone = false;
	tree_teardown();
	return uv_loop_close(&loop);
}

/* Watches of all inotify instances of this process. */
static unsigned int count_watches(void)
{
	unsigned int watches = 0;
	char line[256];
	glob_t found;
	FILE *info;
	size_t i;

	assert_int_equal(glob("/proc/self/fdinfo/*", 0, NULL, &found), 0);
	for (i = 0; i < found.gl_pathc; i++) {
		info = fopen(found.gl_pathv[i], "r");
		while (info && fgets(line, sizeof(line), info))
			watches += !strncmp(line, "inotify wd:", 11);
		if (info)
			fclose(info);
	}
	globfree(&found);
	return watches;
}

static void count_timer(uv_handle_t *handle, void *arg)
{
	unsigned int *timers = arg;

	*timers += handle->type == UV_TIMER && uv_is_active(handle);
}

/* One timer runs always; a second one when a reading is about to come. */
static bool reading_is_due(void)
{
	unsigned int timers = 0;

	uv_walk(&loop, count_timer, &timers);
	assert_in_range(timers, 1, 2);
	return timers == 2;
}

static void a_file_that_is_written_replaced_and_removed_is_followed(void **state)
{
	follow();
	assert_int_equal(plan.rule_count, 0);
	write_file("conf/a.yaml", LIMIT("a", "1"));
	wait_for(tokens_of("a") == 1);
	write_file("conf/a.yaml", LIMIT("a", "2"));
	wait_for(tokens_of("a") == 2);
	always = "a";
	write_file("fresh", LIMIT("a", "3"));
	move("fresh", "conf/a.yaml");
	wait_for(tokens_of("a") == 3);
	move("conf/a.yaml", "conf/b.yaml");
	wait_for(calls == 4);
	assert_int_equal(tokens_of("a"), 3);
	assert_false(was_gone);
	remove_all("conf/b.yaml");
	wait_for(!tokens_of("a"));
}

/* Made, then written, then closed: not read before. */
static void a_file_that_is_still_open_is_waited_for(void **state)
{
	FILE *file;

	write_file("conf/a.yaml", LIMIT("a", "1"));
	follow();
	file = fopen(path_of("conf/b.yaml"), "w");
	assert_non_null(file);
	fputs(SYNTAX_ERROR, file);
	fflush(file);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_false(reading_is_due());
	assert_int_equal(ftruncate(fileno(file), 0), 0);
	rewind(file);
	fputs(LIMIT("b", "2"), file);
	fclose(file);
	wait_for(tokens_of("b") == 2);
	assert_int_equal(calls, 1);
}

static void names_that_are_no_documents_are_passed_over(void **state)
{
	static const char *const names[] = { "conf/.a.yaml", "conf/a.txt", "conf/a.yaml~", "conf/a.yaml.bak",
					     "conf/yaml", "conf/.yaml", "conf/a.YAML" };
	size_t i;

	make_directory("conf/directory.yaml");
	follow();
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		write_file(names[i], LIMIT("a", "1"));
	write_file("conf/z.yaml", LIMIT("z", "9"));
	wait_for(tokens_of("z") == 9);
	assert_int_equal(plan.rule_count, 1);
	assert_int_equal(errors.count, 0);
}

/* As the kubelet does it: documents are links through ..data, which is one rename away from the next
 * version (pkg/volume/util/atomic_writer.go). */
static void a_config_map_is_followed(void **state)
{
	make_directory("conf/..1");
	write_file("conf/..1/a.yaml", LIMIT("a", "1"));
	write_file("conf/..1/b.yaml", LIMIT("b", "1"));
	make_link("..1", "conf/..data");
	make_link("..data/a.yaml", "conf/a.yaml");
	make_link("..data/b.yaml", "conf/b.yaml");
	follow();
	assert_int_equal(tokens_of("a"), 1);
	assert_int_equal(tokens_of("b"), 1);
	always = "a";

	make_directory("conf/..2");
	write_file("conf/..2/a.yaml", LIMIT("a", "2"));
	write_file("conf/..2/c.yaml", LIMIT("c", "2"));
	make_link("..2", "conf/..data_tmp");
	move("conf/..data_tmp", "conf/..data");
	make_link("..data/c.yaml", "conf/c.yaml");
	remove_all("conf/b.yaml");
	remove_all("conf/..1");
	wait_for(tokens_of("a") == 2 && tokens_of("c") == 2 && !tokens_of("b"));
	assert_false(was_gone);
	assert_int_equal(errors.count, 0);
}

static void a_directory_that_takes_the_name_is_followed(void **state)
{
	int i;

	write_file("conf/a.yaml", LIMIT("a", "1"));
	follow();
	always = "a";
	for (i = 0; i < 3; i++) {
		make_directory("fresh");
		write_file("fresh/a.yaml", i % 2 ? LIMIT("a", "3") : LIMIT("a", "2"));
		move("conf", "old");
		move("fresh", "conf");
		wait_for(tokens_of("a") == (i % 2 ? 3 : 2));
		write_file("conf/b.yaml", LIMIT("b", "4"));
		wait_for(tokens_of("b") == 4);
		remove_all("old");
	}
	assert_false(was_gone);
}

static void a_directory_that_is_let_go_is_not_watched_any_more(void **state)
{
	write_file("conf/a.yaml", LIMIT("a", "1"));
	follow();
	assert_int_equal(count_watches(), 1);
	make_directory("fresh");
	move("conf", "old");
	move("fresh", "conf");
	wait_for(!tokens_of("a"));
	assert_int_equal(count_watches(), 1);
	write_file("conf/b.yaml", LIMIT("b", "2"));
	wait_for(tokens_of("b") == 2);
	move("conf", "older");
	wait_for(status == -ENOENT);
	assert_int_equal(count_watches(), 0);
}

/* The limits stay meanwhile. */
static void a_directory_that_is_removed_and_made_again_is_followed(void **state)
{
	write_file("conf/a.yaml", LIMIT("a", "1"));
	follow();
	always = "a";
	move("conf/a.yaml", "a.yaml");
	move("a.yaml", "conf/a.yaml");
	remove_all("conf");
	wait_for(status == -ENOENT);
	assert_int_equal(tokens_of("a"), 1);
	make_directory("fresh");
	write_file("fresh/a.yaml", LIMIT("a", "2"));
	move("fresh", "conf");
	wait_for(tokens_of("a") == 2);
	write_file("conf/b.yaml", LIMIT("b", "3"));
	wait_for(tokens_of("b") == 3);
	assert_false(was_gone);
}

static void a_directory_that_is_missing_at_first_is_waited_for(void **state)
{
	remove_all("conf");
	follow();
	assert_int_equal(status, -ENOENT);
	make_directory("conf");
	write_file("conf/a.yaml", LIMIT("a", "1"));
	wait_for(tokens_of("a") == 1);
}

static void a_link_to_another_directory_is_followed(void **state)
{
	move("conf", "one");
	write_file("one/a.yaml", LIMIT("a", "1"));
	make_directory("two");
	write_file("two/a.yaml", LIMIT("a", "2"));
	make_link("one", "conf");
	follow();
	always = "a";
	make_link("two", "link");
	move("link", "conf");
	wait_for(tokens_of("a") == 2);
	write_file("two/b.yaml", LIMIT("b", "3"));
	wait_for(tokens_of("b") == 3);
	assert_false(was_gone);
}

/* Follow @path of a tree in which "way" leads to a directory "conf", and put another tree in its place. */
static void swap_ancestor(bool by_link)
{
	make_directory("tree");
	make_directory("tree/between");
	move("conf", "tree/between/conf");
	write_file("tree/between/conf/a.yaml", LIMIT("a", "1"));
	make_directory("next");
	make_directory("next/between");
	make_directory("next/between/conf");
	write_file("next/between/conf/a.yaml", LIMIT("a", "2"));
	if (by_link)
		make_link("tree", "way");
	else
		move("tree", "way");
	assert_int_equal(krl_directory_open(&loop, path_of("way/between/conf"), on_changed, NULL, &directory), 0);
	make_link("way/between/conf", "conf");	/* what read_source() reads */
	read_source();
	assert_int_equal(tokens_of("a"), 1);

	if (by_link) {
		make_link("next", "link");
		move("link", "way");
	} else {
		move("way", "old");
		move("next", "way");
	}
	wait_for(tokens_of("a") == 2);
	write_file("way/between/conf/b.yaml", LIMIT("b", "3"));
	wait_for(tokens_of("b") == 3);
	assert_int_equal(count_watches(), 1);
}

static void an_ancestor_that_is_replaced_is_followed(void **state)
{
	swap_ancestor(false);
}

static void a_link_on_the_way_that_is_replaced_is_followed(void **state)
{
	swap_ancestor(true);
}

static void an_ancestor_that_comes_back_later_is_followed(void **state)
{
	make_directory("way");
	move("conf", "way/conf");
	write_file("way/conf/a.yaml", LIMIT("a", "1"));
	assert_int_equal(krl_directory_open(&loop, path_of("way/conf"), on_changed, NULL, &directory), 0);
	make_link("way/conf", "conf");
	read_source();
	move("way", "old");
	wait_for(status == -ENOENT);
	assert_int_equal(tokens_of("a"), 1);
	make_directory("way");
	make_directory("way/conf");
	write_file("way/conf/a.yaml", LIMIT("a", "2"));
	wait_for(tokens_of("a") == 2);
}

/* Each turn is one look at the path. */
static void a_directory_that_stays_is_not_read_again(void **state)
{
	follow();
	uv_run(&loop, UV_RUN_ONCE);
	uv_run(&loop, UV_RUN_ONCE);
	assert_false(reading_is_due());
	assert_int_equal(calls, 0);
}

static void many_changes_at_once_are_one(void **state)
{
	char name[32];
	int i;

	follow();
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "conf/%d.yaml", i % 10);
		write_file(name, SYNTAX_ERROR);
	}
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_true(reading_is_due());
	assert_int_equal(calls, 0);
	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "conf/%d.yaml", i);
		remove_all(name);
	}
	write_file("conf/a.yaml", LIMIT("a", "1"));
	wait_for(tokens_of("a") == 1);
	assert_int_equal(calls, 1);
	write_file("conf/b.yaml", LIMIT("b", "1"));
	wait_for(tokens_of("b") == 1);
	assert_int_equal(calls, 2);
}

/* More than the queue holds, none of it a reason to read: what was lost is found all the same. */
static void changes_beyond_the_queue_are_found(void **state)
{
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	long queue = 0, i;
	char name[32];

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld", &queue), 1);
	fclose(file);
	if (queue > 100000)
		skip();
	follow();
	for (i = 0; i <= queue; i++) {
		snprintf(name, sizeof(name), "conf/%ld", i);
		assert_int_equal(mknod(path_of(name), S_IFREG | 0600, 0), 0);
	}
	write_file("conf/a.yaml", LIMIT("a", "1"));
	wait_for(tokens_of("a") == 1);
	remove_all("conf/a.yaml");
	wait_for(!tokens_of("a"));
}

/* A link to itself: nobody can read it, not even root. */
static void a_file_that_cannot_be_read_keeps_what_it_held(void **state)
{
	write_file("conf/a.yaml", LIMIT("a", "1"));
	write_file("conf/b.yaml", LIMIT("b", "1"));
	follow();
	always = "a";
	make_link("a.yaml", "loop");
	move("loop", "conf/a.yaml");
	write_file("conf/b.yaml", LIMIT("b", "2"));
	wait_for(complained_of("conf/a.yaml: "));
	assert_true(complained_of(strerror(ELOOP)));
	wait_for(tokens_of("b") == 2);
	assert_int_equal(tokens_of("a"), 1);
	write_file("fresh", LIMIT("a", "3"));
	move("fresh", "conf/a.yaml");
	wait_for(tokens_of("a") == 3);
	assert_int_equal(errors.count, 0);
	assert_false(was_gone);
}

/* One byte more than the largest. */
static void a_file_past_the_size_limit_keeps_what_it_held(void **state)
{
	char *text = malloc(KRL_MAX_FILE_BYTES + 2);
	size_t head = strlen(LIMIT("a", "2"));

	assert_non_null(text);
	write_file("conf/a.yaml", LIMIT("a", "1"));
	follow();
	always = "a";
	memset(text, '\n', KRL_MAX_FILE_BYTES + 1);
	memcpy(text, LIMIT("a", "2"), head);
	text[KRL_MAX_FILE_BYTES] = '\0';
	write_file("conf/a.yaml", text);
	wait_for(tokens_of("a") == 2);
	assert_int_equal(errors.count, 0);
	memset(text, '\n', KRL_MAX_FILE_BYTES + 1);
	memcpy(text, LIMIT("a", "3"), head);
	text[KRL_MAX_FILE_BYTES + 1] = '\0';
	write_file("conf/a.yaml", text);
	wait_for(complained_of("larger than"));
	assert_int_equal(tokens_of("a"), 2);
	assert_false(was_gone);
	free(text);
}

static void what_is_no_directory_is_refused(void **state)
{
	write_file("file", "");
	make_link("loop", "loop");
	assert_int_equal(krl_directory_open(&loop, path_of("file"), on_changed, NULL, &directory), -ENOTDIR);
	assert_int_equal(krl_directory_open(&loop, path_of("loop"), on_changed, NULL, &directory), -ELOOP);
	assert_null(directory);
	assert_int_equal(count_watches(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_is_written_replaced_and_removed_is_followed),
		TEST(a_file_that_is_still_open_is_waited_for),
		TEST(names_that_are_no_documents_are_passed_over),
		TEST(a_config_map_is_followed),
		TEST(a_directory_that_takes_the_name_is_followed),
		TEST(a_directory_that_is_let_go_is_not_watched_any_more),
		TEST(a_directory_that_is_removed_and_made_again_is_followed),
		TEST(a_directory_that_is_missing_at_first_is_waited_for),
		TEST(a_link_to_another_directory_is_followed),
		TEST(an_ancestor_that_is_replaced_is_followed),
		TEST(a_link_on_the_way_that_is_replaced_is_followed),
		TEST(an_ancestor_that_comes_back_later_is_followed),
		TEST(a_directory_that_stays_is_not_read_again),
		TEST(many_changes_at_once_are_one),
		TEST(changes_beyond_the_queue_are_found),
		TEST(a_file_that_cannot_be_read_keeps_what_it_held),
		TEST(a_file_past_the_size_limit_keeps_what_it_held),
		TEST(what_is_no_directory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
