// SPDX-License-Identifier: Apache-2.0
/* Messages, and where statistics come from. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include <kmesh_rl/pins.h>

#include "agent/control/client.h"
#include "agent/control/methods.h"
#include "cli.h"

#define ANSWER_TIMEOUT_MS 5000

const struct krl_cli_option krl_cli_no_options[] = {
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

static void print_error(const char *fmt, va_list args)
{
	/* What is printed already comes first, also when both go to one place. */
	fflush(stdout);
	fputs("Error: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

enum krl_cli_exit krl_cli_fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_error(fmt, args);
	va_end(args);
	return KRL_CLI_FAILED;
}

enum krl_cli_exit krl_cli_misuse(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_error(fmt, args);
	va_end(args);
	return KRL_CLI_USAGE;
}

int krl_cli_ask_agent(const struct krl_cli *cli, const char *method, json_t **ret_result,
		      char *ret_error)
{
	const char *path = cli->control_socket ? cli->control_socket : KRL_DEFAULT_CONTROL_SOCKET;

	return krl_control_call(path, method, ANSWER_TIMEOUT_MS, ret_result, ret_error);
}

static json_t *read_pinned(const struct krl_cli *cli)
{
	const char *bpffs = cli->bpffs ? cli->bpffs : KRL_DEFAULT_BPFFS;
	struct krl_stats stats = {};
	char why[KRL_CLI_ERROR_BYTES];
	json_t *result;
	int err;

	err = krl_stats_read(bpffs, &stats);
	if (err) {
		krl_stats_explain(err, bpffs, why, sizeof(why));
		krl_cli_fail("%s", why);
		return NULL;
	}
	result = krl_stats_json(&stats);
	krl_stats_free(&stats);
	if (!result)
		krl_cli_fail("out of memory");
	return result;
}

json_t *krl_cli_fetch_stats(const struct krl_cli *cli)
{
	char why[KRL_CONTROL_ERROR_BYTES];
	json_t *result;
	int err;

	/* The agent behind the default socket may be another one than that of these maps. */
	if (cli->bpffs && !cli->control_socket)
		return read_pinned(cli);
	err = krl_cli_ask_agent(cli, "stats", &result, why);
	if (!err)
		return result;
	if (err == -EREMOTEIO) {
		krl_cli_fail("the agent: %s", why);
		return NULL;
	}
	result = read_pinned(cli);
	if (result && (err == -ENOENT || err == -ECONNREFUSED))
		fprintf(stderr, "agent not running: shown from the pinned maps\n");
	else if (result)
		fprintf(stderr, "agent does not answer (%s): shown from the pinned maps\n",
			strerror(-err));
	return result;
}
