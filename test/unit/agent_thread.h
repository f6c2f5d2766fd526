/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's control socket on a thread, with methods of the test's own, and commands of the tool that ask it. */
#ifndef KMESH_RL_TEST_AGENT_THREAD_H
#define KMESH_RL_TEST_AGENT_THREAD_H

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "agent/control/methods.h"
#include "caught.h"

static struct {
	char dir[64], path[128];
	uv_loop_t loop;
	uv_async_t quit;
	uv_thread_t thread;
	struct krl_control *control;
} agent;

static char out[CAUGHT_BYTES], err[CAUGHT_BYTES];

static inline void on_quit(uv_async_t *async)
{
	krl_control_stop(agent.control);
	uv_close((uv_handle_t *)async, NULL);
}

static inline void run_loop(void *arg)
{
	uv_run(&agent.loop, UV_RUN_DEFAULT);
}

static inline void start_with(const struct krl_control_method *methods, void *ctx)
{
	struct krl_control_options options = { .path = agent.path, .methods = methods, .ctx = ctx };

	uv_loop_init(&agent.loop);
	assert_int_equal(krl_control_start(&agent.loop, &options, &agent.control), 0);
	uv_async_init(&agent.loop, &agent.quit, on_quit);
	uv_thread_create(&agent.thread, run_loop, NULL);
}

static inline void stop(void)
{
	uv_async_send(&agent.quit);
	uv_thread_join(&agent.thread);
	assert_int_equal(uv_loop_close(&agent.loop), 0);
}

static inline int make_dir(void **state)
{
	strcpy(agent.dir, "/tmp/krl-cli-XXXXXX");
	if (!mkdtemp(agent.dir))
		return -1;
	snprintf(agent.path, sizeof(agent.path), "%s/agent.sock", agent.dir);
	return 0;
}

static inline int remove_dir(void **state)
{
	return rmdir(agent.dir);
}

/* Run a command with both streams caught. */
static inline enum krl_cli_exit run(enum krl_cli_exit (*command)(const struct krl_cli *cli), struct krl_cli cli,
				    const char *first, const char *second)
{
	enum krl_cli_exit status;

	cli.bpffs = agent.dir;
	cli.control_socket = agent.path;
	if (first)
		krl_cli_list_add(&cli.words, first);
	if (second)
		krl_cli_list_add(&cli.words, second);
	status = caught_run(command, &cli, "", out, err);
	krl_cli_list_free(&cli.words);
	return status;
}

#endif
