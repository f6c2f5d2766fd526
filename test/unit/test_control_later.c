// SPDX-License-Identifier: Apache-2.0
/* Answers of the control socket that come later: a method is asked, and the test says when it answers. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/control/server.h"

#define DEADLINE_MS 10000
#define IDLE_MS 100

/* The loop runs in the test's own thread, as long as it waits for something. */
static struct {
	char dir[64], path[128];
	uv_loop_t loop;
	struct krl_control *control;
	struct krl_control_later *asked[4];	/* that were not answered yet, in order */
	size_t count;
} agent;

static int begin(void *ctx, const json_t *params, struct krl_control_later *later, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	assert_true(agent.count < 4);
	agent.asked[agent.count++] = later;
	return 0;
}

static int refuse(void *ctx, const json_t *params, struct krl_control_later *later, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	snprintf(ret_error, KRL_CONTROL_ERROR_BYTES, "nobody is there");
	return -ENOTCONN;
}

/* Answers within the call. */
static int at_once(void *ctx, const json_t *params, struct krl_control_later *later, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	krl_control_answer(later, json_string("soon"), NULL);
	return 0;
}

static int hello(void *ctx, const json_t *params, json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	*ret_result = json_string("hello");
	return 0;
}

static const struct krl_control_method methods[] = {
	{ "later", NULL, begin }, { "refused", NULL, refuse }, { "soon", NULL, at_once }, { "hello", hello, NULL }, { NULL, NULL, NULL },
};

static int start(unsigned int idle_ms)
{
	struct krl_control_options options = { .path = agent.path, .methods = methods, .idle_ms = idle_ms };

	strcpy(agent.dir, "/tmp/krl-later-XXXXXX");
	assert_non_null(mkdtemp(agent.dir));
	snprintf(agent.path, sizeof(agent.path), "%s/agent.sock", agent.dir);
	uv_loop_init(&agent.loop);
	return krl_control_start(&agent.loop, &options, &agent.control);
}

static int setup(void **state)
{
	return start(0);
}

static int setup_impatient(void **state)
{
	return start(IDLE_MS);
}

static int teardown(void **state)
{
	krl_control_stop(agent.control);
	agent.control = NULL;
	uv_run(&agent.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&agent.loop), 0);
	agent.count = 0;
	return rmdir(agent.dir);
}

static int dial(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, agent.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *method)
{
	char line[64];

	snprintf(line, sizeof(line), "{\"method\":\"%s\"}\n", method);
	assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), strlen(line));
}

/* Is there something to hear now, when all that can be done is done? */
static bool hears(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	int i;

	for (i = 0; i < 100; i++)
		uv_run(&agent.loop, UV_RUN_NOWAIT);
	return poll(&ready, 1, 0);
}

/* The next line; "" when the server closes. */
static void assert_answer(int fd, const char *expected)
{
	char line[128] = "";
	size_t length = 0;

	do {
		while (!hears(fd))
			uv_run(&agent.loop, UV_RUN_ONCE);
	} while (length < sizeof(line) - 1 && recv(fd, line + length, 1, 0) > 0 && line[length++] != '\n');
	line[strcspn(line, "\n")] = '\0';
	assert_string_equal(line, expected);
}

static void wait_for_asked(size_t count)
{
	while (agent.count < count)
		uv_run(&agent.loop, UV_RUN_ONCE);
}

static void an_answer_comes_when_it_is_there(void **state)
{
	int fd = dial();

	say(fd, "later");
	wait_for_asked(1);
	assert_false(hears(fd));
	krl_control_answer(agent.asked[0], json_string("here"), NULL);
	assert_answer(fd, "{\"result\":\"here\"}");
	close(fd);
}

static void an_error_comes_in_its_words(void **state)
{
	int fd = dial();

	say(fd, "later");
	wait_for_asked(1);
	krl_control_answer(agent.asked[0], NULL, "it is gone");
	assert_answer(fd, "{\"error\":\"it is gone\"}");
	say(fd, "refused");
	assert_answer(fd, "{\"error\":\"nobody is there\"}");
	say(fd, "soon");
	assert_answer(fd, "{\"result\":\"soon\"}");
	close(fd);
}

/* What one client asks for next waits; others do not. */
static void answers_are_in_order(void **state)
{
	int fd = dial(), other = dial();

	say(fd, "later");
	say(fd, "hello");
	wait_for_asked(1);
	assert_false(hears(fd));
	say(other, "hello");
	assert_answer(other, "{\"result\":\"hello\"}");
	assert_false(hears(fd));
	krl_control_answer(agent.asked[0], json_string("here"), NULL);
	assert_answer(fd, "{\"result\":\"here\"}");
	assert_answer(fd, "{\"result\":\"hello\"}");
	close(fd);
	close(other);
}

static void a_client_that_is_gone_is_no_matter(void **state)
{
	int fd = dial(), other;

	say(fd, "later");
	wait_for_asked(1);
	close(fd);
	other = dial();
	say(other, "hello");
	assert_answer(other, "{\"result\":\"hello\"}");
	krl_control_answer(agent.asked[0], json_string("here"), NULL);
	close(other);
}

static void after_the_end_it_is_no_matter(void **state)
{
	int fd = dial();

	say(fd, "later");
	wait_for_asked(1);
	krl_control_stop(agent.control);
	agent.control = NULL;
	krl_control_answer(agent.asked[0], json_string("here"), NULL);
	assert_answer(fd, "");
	close(fd);
}

static void who_waits_too_long_is_let_go(void **state)
{
	int fd = dial();

	say(fd, "later");
	wait_for_asked(1);
	assert_answer(fd, "");
	krl_control_answer(agent.asked[0], json_string("here"), NULL);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_answer_comes_when_it_is_there, setup, teardown),
		cmocka_unit_test_setup_teardown(an_error_comes_in_its_words, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_are_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_that_is_gone_is_no_matter, setup, teardown),
		cmocka_unit_test_setup_teardown(after_the_end_it_is_no_matter, setup, teardown),
		cmocka_unit_test_setup_teardown(who_waits_too_long_is_let_go, setup_impatient, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
