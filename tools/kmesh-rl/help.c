// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl help, and what is said of commands that are not known. */
#include "agent/base/nearest.h"
#include "cli.h"

enum krl_cli_exit krl_cli_unknown_command(const char *name)
{
	const struct krl_cli_command *command;
	const char *nearest = NULL;

	for (command = krl_cli_commands; command->name; command++)
		nearest = krl_nearer(name, nearest, command->name);
	if (nearest)
		return krl_cli_misuse("unknown command \"%s\": did you mean \"%s\"?", name, nearest);
	return krl_cli_misuse("unknown command \"%s\": \"kmesh-rl help\" lists the commands", name);
}

void krl_cli_print_overview(FILE *out)
{
	const struct krl_cli_command *command;

	fprintf(out, "Usage: kmesh-rl COMMAND [FLAG]...\n\n"
		     "Looks after the rate limits that kmesh-rl-agent keeps in the kernel.\n\n");
	for (command = krl_cli_commands; command->name; command++)
		fprintf(out, "  %-10s %s\n", command->name, command->help);
	fprintf(out, "\nFlags of every command:\n");
	krl_cli_print_options(krl_cli_global_options, out);
	fprintf(out, "\nFlags without a command:\n");
	krl_cli_print_options(krl_cli_lead_options, out);
	fprintf(out, "\nExit status: 0 good, 1 failed, 2 usage.\n");
}

void krl_cli_print_help(const struct krl_cli_command *command)
{
	printf("Usage: kmesh-rl %s %s\n\n%c%s.\n", command->name, command->arguments,
	       command->help[0] - 'a' + 'A', command->help + 1);
	if (command->options->name) {
		printf("\nFlags:\n");
		krl_cli_print_options(command->options, stdout);
	}
	printf("\nFlags of every command:\n");
	krl_cli_print_options(krl_cli_global_options, stdout);
}

enum krl_cli_exit krl_cli_help(const struct krl_cli *cli)
{
	const struct krl_cli_command *command;

	if (!cli->words.count) {
		krl_cli_print_overview(stdout);
		return KRL_CLI_GOOD;
	}
	command = krl_cli_find_command(cli->words.words[0]);
	if (!command)
		return krl_cli_unknown_command(cli->words.words[0]);
	krl_cli_print_help(command);
	return KRL_CLI_GOOD;
}
