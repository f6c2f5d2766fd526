// SPDX-License-Identifier: Apache-2.0
/* Messages, and where statistics come from. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <kmesh_rl/pins.h>

#include "agent/control/client.h"
#include "agent/control/methods.h"
#include "cli.h"

#define ANSWER_TIMEOUT_MS 5000
#define DEFAULT_INTERVAL_S 2
#define INTERVAL_S_MIN 0.1
#define INTERVAL_S_MAX 3600

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

int krl_cli_ask_agent(const struct krl_cli *cli, const char *method, const json_t *params, json_t **ret_result,
		      char *ret_error)
{
	const char *path = cli->control_socket ? cli->control_socket : KRL_DEFAULT_CONTROL_SOCKET;

	return krl_control_call(path, method, params, ANSWER_TIMEOUT_MS, ret_result, ret_error);
}

static json_t *read_pinned(const struct krl_cli *cli, char ret_said[KRL_CLI_ERROR_BYTES])
{
	const char *bpffs = cli->bpffs ? cli->bpffs : KRL_DEFAULT_BPFFS;
	struct krl_stats stats = {};
	json_t *result;
	int err;

	err = krl_stats_read(bpffs, &stats);
	if (err) {
		krl_stats_explain(err, bpffs, ret_said, KRL_CLI_ERROR_BYTES);
		return NULL;
	}
	result = krl_stats_json(&stats);
	if (krl_stats_add_cluster(result, &stats, &(struct krl_seen){})) {
		json_decref(result);
		result = NULL;
	}
	krl_stats_free(&stats);
	if (!result)
		snprintf(ret_said, KRL_CLI_ERROR_BYTES, "out of memory");
	return result;
}

bool krl_cli_is_resource(const char *word, const char *resource, const char **ret_name)
{
	size_t length = strcspn(word, "/");

	*ret_name = word[length] && word[length + 1] ? word + length + 1 : NULL;
	return length == strlen(resource) && !strncmp(word, resource, length);
}

const char *krl_cli_namespace(const struct krl_cli *cli)
{
	return cli->all_namespaces ? NULL : cli->ns ? cli->ns : KRL_CLI_NAMESPACE;
}

int krl_cli_interval(const struct krl_cli *cli, unsigned int *ret_ms)
{
	double seconds = DEFAULT_INTERVAL_S;
	char *end = NULL;

	if (cli->interval) {
		seconds = *cli->interval >= '0' && *cli->interval <= '9' ? strtod(cli->interval, &end) : 0;
		if (!end || *end || !(seconds >= INTERVAL_S_MIN && seconds <= INTERVAL_S_MAX))
			return -EINVAL;
	}
	*ret_ms = (unsigned int)(seconds * 1000);
	return 0;
}

json_t *krl_cli_fetch_limits(const struct krl_cli *cli)
{
	char why[KRL_CONTROL_ERROR_BYTES] = "";
	json_t *result;
	int err;

	if (cli->bpffs && !cli->control_socket)
		return NULL;
	err = krl_cli_ask_agent(cli, "ratelimits", NULL, &result, why);
	/* That nobody answers is said where statistics are asked for. */
	if (err == -EREMOTEIO)
		fprintf(stderr, "the agent does not tell of its rate limits: %s\n", why);
	return err ? NULL : result;
}

json_t *krl_cli_read_stats(const struct krl_cli *cli, char ret_said[KRL_CLI_ERROR_BYTES])
{
	char why[KRL_CONTROL_ERROR_BYTES];
	json_t *result;
	int err;

	*ret_said = '\0';
	/* The agent behind the default socket may be another one than that of these maps. */
	if (cli->bpffs && !cli->control_socket)
		return read_pinned(cli, ret_said);
	err = krl_cli_ask_agent(cli, "stats", NULL, &result, why);
	if (!err)
		return result;
	if (err == -EREMOTEIO) {
		snprintf(ret_said, KRL_CLI_ERROR_BYTES, "the agent: %s", why);
		return NULL;
	}
	result = read_pinned(cli, ret_said);
	if (result && (err == -ENOENT || err == -ECONNREFUSED))
		snprintf(ret_said, KRL_CLI_ERROR_BYTES, "agent not running: shown from the pinned maps");
	else if (result)
		snprintf(ret_said, KRL_CLI_ERROR_BYTES, "agent does not answer (%s): shown from the pinned maps",
			 strerror(-err));
	return result;
}

json_t *krl_cli_fetch_stats(const struct krl_cli *cli)
{
	char said[KRL_CLI_ERROR_BYTES];
	json_t *result = krl_cli_read_stats(cli, said);

	if (!result)
		krl_cli_fail("%s", said);
	else if (*said)
		fprintf(stderr, "%s\n", said);
	return result;
}
