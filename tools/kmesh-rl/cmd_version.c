// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl version */
#include <errno.h>
#include <string.h>

#include "agent/control/server.h"
#include "cli.h"

static const struct krl_cli_choice outputs[] = {
	{ "json", KRL_CLI_JSON },
	{ "yaml", KRL_CLI_YAML },
	{ NULL, 0 },
};

const struct krl_cli_option krl_cli_version_options[] = {
	{ 0, "running", NULL, "fail unless an agent answers", KRL_CLI_SWITCH, offsetof(struct krl_cli, running),
	  NULL },
	{ 'o', "output", "FORMAT", "json or yaml", KRL_CLI_CHOICE, offsetof(struct krl_cli, output),
	  outputs },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

static void print_text(const json_t *agent, bool running)
{
	const char *version = json_string_value(json_object_get(agent, "version"));
	const char *source = json_string_value(json_object_get(agent, "source"));
	const json_t *error;
	size_t i;

	printf("Client Version: %s\n", KRL_VERSION);
	if (!agent) {
		printf("Agent Version: %s\n", running ? "unknown" : "not running");
		return;
	}
	printf("Agent Version: %s\n", version ? version : "unknown");
	printf("Agent: pid %" JSON_INTEGER_FORMAT ", source %s, %s\n",
	       json_integer_value(json_object_get(agent, "pid")), source ? source : "unknown",
	       json_is_true(json_object_get(agent, "ready")) ? "ready" : "not ready");
	json_array_foreach(json_object_get(agent, "errors"), i, error)
		printf("Agent Error: %s\n", json_string_value(error) ? json_string_value(error) : "");
}

enum krl_cli_exit krl_cli_version(const struct krl_cli *cli)
{
	char why[KRL_CONTROL_ERROR_BYTES] = "";
	json_t *agent = NULL, *both;
	bool running, answers;
	int err;

	if (cli->version) {
		puts("kmesh-rl " KRL_VERSION);
		return KRL_CLI_GOOD;
	}
	if (cli->words.count)
		return krl_cli_misuse("version takes no argument \"%s\"", cli->words.words[0]);
	err = krl_cli_ask_agent(cli, "version", NULL, &agent, why);
	running = err != -ENOENT && err != -ECONNREFUSED;
	if (err && running)
		fprintf(stderr, "agent does not answer: %s\n", *why ? why : strerror(-err));
	answers = !err;
	err = 0;
	if (cli->output == KRL_CLI_TABLE) {
		print_text(agent, running);
	} else {
		both = json_pack("{s:s, s:O?}", "clientVersion", KRL_VERSION, "agent", agent);
		err = both ? krl_cli_write(both, cli->output, stdout) : -ENOMEM;
		json_decref(both);
	}
	json_decref(agent);
	if (err)
		return krl_cli_fail("%s", strerror(-err));
	return answers || !cli->running ? KRL_CLI_GOOD : KRL_CLI_FAILED;
}
