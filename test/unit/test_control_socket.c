// SPDX-License-Identifier: Apache-2.0
/* The control socket and its client, over a real socket: the server's loop runs on a thread of its
 * own, the test is the client. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/control/client.h"
#include "agent/control/server.h"

#define DEADLINE_MS 10000
#define BIG_BYTES (4 << 20)

/* A server on its thread. */
struct fixture {
	char dir[64], path[128];
	uv_loop_t loop;
	uv_async_t quit;
	uv_thread_t thread;
	struct krl_control *control;
	char error[KRL_CONTROL_ERROR_BYTES];
};

static int answer_hello(void *ctx, const json_t *params, json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	*ret_result = json_pack("{s:s}", "hello", (const char *)ctx);
	return 0;
}

static int answer_failure(void *ctx, const json_t *params, json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	snprintf(ret_error, KRL_CONTROL_ERROR_BYTES, "the maps are \"gone\"");
	return -EIO;
}

/* What came with the request. */
static int answer_params(void *ctx, const json_t *params, json_t **ret_result,
			 char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	*ret_result = params ? json_deep_copy(params) : json_null();
	return 0;
}

/* More than a socket's buffers hold. */
static int answer_big(void *ctx, const json_t *params, json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	char *text = malloc(BIG_BYTES);

	memset(text, 'x', BIG_BYTES);
	*ret_result = json_stringn(text, BIG_BYTES);
	free(text);
	return 0;
}

static const struct krl_control_method methods[] = {
	{ "hello", answer_hello, NULL },   { "fail", answer_failure, NULL }, { "big", answer_big, NULL },
	{ "params", answer_params, NULL }, { NULL, NULL, NULL },
};

static void on_quit(uv_async_t *async)
{
	struct fixture *f = async->data;

	krl_control_stop(f->control);
	uv_close((uv_handle_t *)async, NULL);
}

static void run_loop(void *arg)
{
	uv_run(&((struct fixture *)arg)->loop, UV_RUN_DEFAULT);
}

static int start(struct fixture *f, unsigned int idle_ms)
{
	struct krl_control_options options = {
		.path = f->path, .methods = methods, .ctx = "you", .idle_ms = idle_ms
	};
	int err;

	uv_loop_init(&f->loop);
	err = krl_control_start(&f->loop, &options, &f->control);
	if (err) {
		uv_run(&f->loop, UV_RUN_DEFAULT);
		assert_int_equal(uv_loop_close(&f->loop), 0);
		return err;
	}
	uv_async_init(&f->loop, &f->quit, on_quit);
	f->quit.data = f;
	uv_thread_create(&f->thread, run_loop, f);
	return 0;
}

/* The loop closes only if every handle is gone. */
static void stop(struct fixture *f)
{
	uv_async_send(&f->quit);
	uv_thread_join(&f->thread);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void make_paths(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	strcpy(f->dir, "/tmp/krl-control-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/run/agent.sock", f->dir);
}

static void remove_paths(struct fixture *f)
{
	char run[80];

	snprintf(run, sizeof(run), "%s/run", f->dir);
	unlink(f->path);
	rmdir(run);
	assert_int_equal(rmdir(f->dir), 0);
}

static int setup(void **state)
{
	static struct fixture f;

	make_paths(&f);
	*state = &f;
	return start(&f, 0);
}

static int teardown(void **state)
{
	stop(*state);
	remove_paths(*state);
	return 0;
}

static int dial(const struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Receive one line, without its end; "" when the server closes. */
static void hear(int fd, char *line, size_t size)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	size_t length = 0;

	while (length < size - 1) {
		assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
		if (recv(fd, line + length, 1, 0) <= 0 || line[length] == '\n')
			break;
		length++;
	}
	line[length] = '\0';
}

static void assert_answer(int fd, const char *expected)
{
	char line[512];

	hear(fd, line, sizeof(line));
	assert_string_equal(line, expected);
}

static void assert_works(struct fixture *f)
{
	json_t *result;

	assert_int_equal(krl_control_call(f->path, "hello", NULL, DEADLINE_MS, &result, f->error), 0);
	assert_string_equal(json_string_value(json_object_get(result, "hello")), "you");
	json_decref(result);
}

static void a_call_gets_its_result(void **state)
{
	assert_works(*state);
	assert_works(*state);
}

static void a_failure_arrives_in_the_agents_words(void **state)
{
	struct fixture *f = *state;
	json_t *result = (json_t *)f;

	assert_int_equal(krl_control_call(f->path, "fail", NULL, DEADLINE_MS, &result, f->error), -EREMOTEIO);
	assert_string_equal(f->error, "the maps are \"gone\"");
	assert_ptr_equal(result, f);
}

static void what_comes_with_a_request_arrives(void **state)
{
	struct fixture *f = *state;
	json_t *params = json_pack("{s:I}", "after", (json_int_t)7), *result;

	assert_int_equal(krl_control_call(f->path, "params", params, DEADLINE_MS, &result, f->error), 0);
	assert_true(json_equal(result, params));
	json_decref(result);
	json_decref(params);
	assert_int_equal(krl_control_call(f->path, "params", NULL, DEADLINE_MS, &result, f->error), 0);
	assert_true(json_is_null(result));
	json_decref(result);
}

static void an_unknown_method_is_named(void **state)
{
	struct fixture *f = *state;
	json_t *result;

	assert_int_equal(krl_control_call(f->path, "stat", NULL, DEADLINE_MS, &result, f->error), -EREMOTEIO);
	assert_string_equal(f->error, "unknown method \"stat\"");
}

static void an_answer_larger_than_the_socket_buffers_arrives_whole(void **state)
{
	struct fixture *f = *state;
	json_t *result;

	assert_int_equal(krl_control_call(f->path, "big", NULL, DEADLINE_MS, &result, f->error), 0);
	assert_int_equal(json_string_length(result), BIG_BYTES);
	json_decref(result);
}

static void only_the_owner_may_connect(void **state)
{
	struct fixture *f = *state;
	char run[80];
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	assert_int_equal(stat(run, &st), 0);
	assert_int_equal(st.st_mode & 0022, 0);
}

static void requests_on_one_connection_are_answered_in_order(void **state)
{
	int fd = dial(*state);

	say(fd, "{\"method\":\"hello\"}\n{\"method\":\"fail\"}\n{\"method\":\"hel");
	assert_answer(fd, "{\"result\":{\"hello\":\"you\"}}");
	assert_answer(fd, "{\"error\":\"the maps are \\\"gone\\\"\"}");
	say(fd, "lo\"}\n");
	assert_answer(fd, "{\"result\":{\"hello\":\"you\"}}");
	close(fd);
}

static void malformed_requests_are_refused_and_the_connection_goes_on(void **state)
{
	static const char *const bad[] = { "\n", "{\n", "[]\n", "\"stats\"\n", "{\"method\":7}\n", "{}\n", "\xff\xfe\n",
		"{\"method\":\"hello\"} x\n", "{\"method\":\"hello\",\"method\":\"fail\"}\n",
		"{\"method\":\"hello\",\"params\":[7]}\n", "{\"method\":\"stat\",\"params\":null}\n",
	};
	char line[512];
	int fd = dial(*state);
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		say(fd, bad[i]);
		hear(fd, line, sizeof(line));
		assert_memory_equal(line, "{\"error\":\"malformed request: ", 29);
	}
	say(fd, "{\"method\":\"hello\"}\n");
	assert_answer(fd, "{\"result\":{\"hello\":\"you\"}}");
	close(fd);
}

static void an_unknown_method_cut_inside_a_character_is_still_answered(void **state)
{
	char line[512];
	int fd = dial(*state), i;

	say(fd, "{\"method\":\"a");
	for (i = 0; i < 100; i++)
		say(fd, "\xc3\xa9");
	say(fd, "\"}\n");
	hear(fd, line, sizeof(line));
	assert_memory_equal(line, "{\"error\":\"unknown method", 24);
	close(fd);
}

static void an_oversized_request_is_refused_and_closed(void **state)
{
	struct fixture *f = *state;
	char *request = malloc(KRL_CONTROL_REQUEST_BYTES + 1);
	int fd = dial(f);

	memset(request, ' ', KRL_CONTROL_REQUEST_BYTES);
	request[KRL_CONTROL_REQUEST_BYTES] = '\0';
	say(fd, request);
	assert_answer(fd, "{\"error\":\"request too long\"}");
	assert_answer(fd, "");
	close(fd);
	free(request);
	assert_works(f);
}

static void slow_clients_hold_up_nobody(void **state)
{
	struct fixture *f = *state;
	int half = dial(f), deaf = dial(f), gone = dial(f), i;

	say(half, "{\"meth");
	/* Never reads what it asks for. */
	for (i = 0; i < 20; i++)
		say(deaf, "{\"method\":\"big\"}\n");
	say(gone, "{\"method\":\"big\"}\n");
	close(gone);
	assert_works(f);
	say(half, "od\":\"hello\"}\n");
	assert_answer(half, "{\"result\":{\"hello\":\"you\"}}");
	close(half);
	close(deaf);
	assert_works(f);
}

static void one_client_too_many_is_told_so(void **state)
{
	struct fixture *f = *state;
	int fds[KRL_CONTROL_CLIENTS], extra, i;
	json_t *result;

	for (i = 0; i < KRL_CONTROL_CLIENTS; i++) {
		fds[i] = dial(f);
		say(fds[i], "{\"method\":\"hello\"}\n");
		assert_answer(fds[i], "{\"result\":{\"hello\":\"you\"}}");
	}
	extra = dial(f);
	assert_answer(extra, "{\"error\":\"too many clients\"}");
	assert_answer(extra, "");
	close(extra);
	assert_int_equal(krl_control_call(f->path, "hello", NULL, DEADLINE_MS, &result, f->error), -EREMOTEIO);
	assert_string_equal(f->error, "too many clients");
	for (i = 0; i < KRL_CONTROL_CLIENTS; i++)
		close(fds[i]);
	while (krl_control_call(f->path, "hello", NULL, DEADLINE_MS, &result, f->error))
		assert_string_equal(f->error, "too many clients");
	json_decref(result);
}

static void an_idle_client_is_closed(void **state)
{
	struct fixture f;
	int half, deaf, i;

	make_paths(&f);
	assert_int_equal(start(&f, 50), 0);
	half = dial(&f);
	deaf = dial(&f);
	say(half, "{\"meth");
	say(deaf, "{\"method\":\"big\"}\n");
	assert_answer(half, "");
	/* Its answer was cut short: the end comes before all of it. */
	for (i = 0; i < BIG_BYTES; i++) {
		char line[4096];
		struct pollfd hup = { .fd = deaf };

		if (!i)
			while (!(hup.revents & POLLHUP))
				assert_int_equal(poll(&hup, 1, DEADLINE_MS), 1);
		hear(deaf, line, sizeof(line));
		if (!*line)
			break;
	}
	assert_true(i < BIG_BYTES / 4096);
	close(half);
	close(deaf);
	stop(&f);
	remove_paths(&f);
}

static void a_second_server_is_refused_and_the_first_goes_on(void **state)
{
	struct fixture *f = *state, second = { .control = NULL };

	strcpy(second.path, f->path);
	assert_int_equal(start(&second, 0), -EADDRINUSE);
	assert_works(f);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct fixture f;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	make_paths(&f);
	snprintf(f.path, sizeof(f.path), "%s/agent.sock", f.dir);
	strcpy(address.sun_path, f.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(start(&f, 0), 0);
	assert_works(&f);
	stop(&f);
	assert_int_equal(access(f.path, F_OK), -1);
	remove_paths(&f);
}

static void a_file_in_the_way_is_left_alone(void **state)
{
	struct fixture f;

	make_paths(&f);
	snprintf(f.path, sizeof(f.path), "%s/agent.sock", f.dir);
	close(open(f.path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(start(&f, 0), -EEXIST);
	assert_int_equal(access(f.path, F_OK), 0);
	remove_paths(&f);
}

static void stopping_leaves_the_socket_of_a_successor(void **state)
{
	struct fixture *f = *state, next = { .control = NULL };

	unlink(f->path);
	strcpy(next.path, f->path);
	assert_int_equal(start(&next, 0), 0);
	stop(f);
	assert_works(&next);
	stop(&next);
	assert_int_equal(start(f, 0), 0);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
	struct fixture f = { .control = NULL };
	json_t *result;

	memset(f.path, 'a', sizeof(f.path) - 1);
	assert_int_equal(start(&f, 0), -ENAMETOOLONG);
	assert_int_equal(krl_control_call(f.path, "hello", NULL, 1, &result, f.error), -ENAMETOOLONG);
}

static void a_client_without_a_server_says_which(void **state)
{
	struct fixture f;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	json_t *result;

	make_paths(&f);
	snprintf(f.path, sizeof(f.path), "%s/agent.sock", f.dir);
	assert_int_equal(krl_control_call(f.path, "hello", NULL, DEADLINE_MS, &result, f.error), -ENOENT);
	strcpy(address.sun_path, f.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(krl_control_call(f.path, "hello", NULL, DEADLINE_MS, &result, f.error), -ECONNREFUSED);
	/* It listens, and never answers. */
	assert_int_equal(listen(fd, 0), 0);
	assert_int_equal(krl_control_call(f.path, "hello", NULL, 20, &result, f.error), -ETIMEDOUT);
	close(fd);
	remove_paths(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_call_gets_its_result, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failure_arrives_in_the_agents_words, setup, teardown),
		cmocka_unit_test_setup_teardown(what_comes_with_a_request_arrives, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unknown_method_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_larger_than_the_socket_buffers_arrives_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(only_the_owner_may_connect, setup, teardown),
		cmocka_unit_test_setup_teardown(requests_on_one_connection_are_answered_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(malformed_requests_are_refused_and_the_connection_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unknown_method_cut_inside_a_character_is_still_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(an_oversized_request_is_refused_and_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_clients_hold_up_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(one_client_too_many_is_told_so, setup, teardown),
		cmocka_unit_test(an_idle_client_is_closed),
		cmocka_unit_test_setup_teardown(a_second_server_is_refused_and_the_first_goes_on, setup, teardown),
		cmocka_unit_test(a_stale_socket_is_replaced),
		cmocka_unit_test(a_file_in_the_way_is_left_alone),
		cmocka_unit_test_setup_teardown(stopping_leaves_the_socket_of_a_successor, setup, teardown),
		cmocka_unit_test(a_path_that_is_too_long_is_refused),
		cmocka_unit_test(a_client_without_a_server_says_which),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
