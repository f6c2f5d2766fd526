// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl: which command is meant, and the exit status. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "complete.h"

static enum krl_cli_exit run(int argc, char **argv, struct krl_cli *cli)
{
	const struct krl_cli_option *tables[] = { krl_cli_global_options, krl_cli_lead_options, NULL };
	const struct krl_cli_command *command;
	struct krl_cli_error error;
	int at;

	/* For the completions: words as they are being typed. */
	if (argc > 1 && !strcmp(argv[1], KRL_CLI_COMPLETE))
		return krl_cli_complete(argc - 2, argv + 2);
	at = krl_cli_parse(tables, argc, argv, 1, cli, NULL, &error);
	if (at < 0)
		return at == -EINVAL ? krl_cli_misuse("%s", error.text) : krl_cli_fail("out of memory");
	if (at == argc && cli->help) {
		krl_cli_print_overview(stdout);
		return KRL_CLI_GOOD;
	}
	if (cli->version && at < argc)
		return krl_cli_misuse("flag --version takes no command \"%s\"", argv[at]);
	if (cli->version)
		return krl_cli_version(cli);
	if (at == argc) {
		krl_cli_print_overview(stderr);
		return KRL_CLI_USAGE;
	}
	command = krl_cli_find_command(argv[at]);
	if (!command)
		return krl_cli_unknown_command(argv[at]);
	tables[1] = command->options;
	at = krl_cli_parse(tables, argc, argv, at + 1, cli, &cli->words, &error);
	if (cli->help) {
		krl_cli_print_help(command);
		return KRL_CLI_GOOD;
	}
	if (at < 0)
		return at == -EINVAL ? krl_cli_misuse("%s", error.text) : krl_cli_fail("out of memory");
	return command->run(cli);
}

int main(int argc, char **argv)
{
	struct krl_cli cli = {};
	enum krl_cli_exit status;

	status = run(argc, argv, &cli);
	krl_cli_list_free(&cli.files);
	krl_cli_list_free(&cli.headers);
	krl_cli_list_free(&cli.words);
	/* Whoever closed the pipe has seen enough. */
	if (fflush(stdout) && errno != EPIPE)
		status = krl_cli_fail("writing the result: %s", strerror(errno));
	return status;
}
