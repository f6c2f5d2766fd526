// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl: the commands, help, and the exit status. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <kmesh_rl/pins.h>

#include "agent/base/nearest.h"
#include "cli.h"

static enum krl_cli_exit help(const struct krl_cli *cli);

static const struct krl_cli_command commands[] = {
	{ "get", "ratelimits|ratelimit-stats|ratelimit-buckets|ratelimit-tokens [NAME]\n"
	  "                [-n NAMESPACE | -A] [--limit N] [-o table|wide|json|yaml] [-w [--interval SECONDS]]",
	  "show rate limits, what they or their buckets have left, or what models used", krl_cli_get, krl_cli_get_options },
	{ "describe", "ratelimit NAME [-n NAMESPACE] [-o text|json|yaml]",
	  "show all that is known of a rate limit", krl_cli_describe, krl_cli_describe_options },
	{ "top", "[-n NAMESPACE] [--sort COLUMN] [--interval SECONDS]",
	  "show what rate limits do now, in a table that fills the terminal", krl_cli_top, krl_cli_top_options },
	{ "reset", "NAME [-n NAMESPACE] [--rule RULE] [--descriptor VALUE] [-o text|json|yaml]",
	  "fill the buckets of a rate limit", krl_cli_reset, krl_cli_reset_options },
	{ "validate", "-f FILE|DIR|- ...", "check documents without applying them", krl_cli_validate,
	  krl_cli_validate_options },
	{ "check", "-f FILE|DIR|- ... [--method METHOD] [--path PATH] [--header 'NAME: VALUE']...\n"
	  "                [--model NAME] [--source ADDRESS] [--endpoint IP:PORT|NAME] [--live] [-o table|json|yaml]",
	  "show which rules a request would meet, and why", krl_cli_check, krl_cli_check_options },
	{ "convert", "-f FILE|-", "turn rate limits of other systems into RateLimit documents", krl_cli_convert,
	  krl_cli_convert_options },
	{ "diagnose", "rate-limit [-o table|json|yaml]", "look whether this node limits as it should",
	  krl_cli_diagnose, krl_cli_diagnose_options },
	{ "version", "[--running] [-o json|yaml]", "show the versions of this program and of the agent",
	  krl_cli_version, krl_cli_version_options },
	{ "help", "[COMMAND]", "show how a command is used", help, krl_cli_no_options },
	{ NULL, NULL, NULL, NULL, NULL },
};

static const struct krl_cli_option global_options[] = {
	{ 0, "bpffs", "DIR", "where the agent pins its maps (" KRL_DEFAULT_BPFFS ")", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, bpffs), NULL },
	{ 0, "control-socket", "PATH", "where the agent listens (" KRL_DEFAULT_CONTROL_SOCKET ")",
	  KRL_CLI_TEXT, offsetof(struct krl_cli, control_socket), NULL },
	{ 'h', "help", NULL, "show how a command is used", KRL_CLI_SWITCH,
	  offsetof(struct krl_cli, help), NULL },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

/* Before any command. */
static const struct krl_cli_option lead_options[] = {
	{ 0, "version", NULL, "show the version of this program alone", KRL_CLI_SWITCH,
	  offsetof(struct krl_cli, version), NULL },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

static const struct krl_cli_command *find_command(const char *name, const char **ret_nearest)
{
	const struct krl_cli_command *command;

	*ret_nearest = NULL;
	for (command = commands; command->name; command++) {
		if (!strcmp(command->name, name))
			return command;
		*ret_nearest = krl_nearer(name, *ret_nearest, command->name);
	}
	return NULL;
}

static enum krl_cli_exit unknown_command(const char *name, const char *nearest)
{
	if (nearest)
		return krl_cli_misuse("unknown command \"%s\": did you mean \"%s\"?", name, nearest);
	return krl_cli_misuse("unknown command \"%s\": \"kmesh-rl help\" lists the commands", name);
}

static void print_overview(FILE *out)
{
	const struct krl_cli_command *command;

	fprintf(out, "Usage: kmesh-rl COMMAND [FLAG]...\n\n"
		     "Looks after the rate limits that kmesh-rl-agent keeps in the kernel.\n\n");
	for (command = commands; command->name; command++)
		fprintf(out, "  %-10s %s\n", command->name, command->help);
	fprintf(out, "\nFlags of every command:\n");
	krl_cli_print_options(global_options, out);
	fprintf(out, "\nFlags without a command:\n");
	krl_cli_print_options(lead_options, out);
	fprintf(out, "\nExit status: 0 good, 1 failed, 2 usage.\n");
}

static void print_help(const struct krl_cli_command *command)
{
	printf("Usage: kmesh-rl %s %s\n\n%c%s.\n", command->name, command->arguments,
	       command->help[0] - 'a' + 'A', command->help + 1);
	if (command->options->name) {
		printf("\nFlags:\n");
		krl_cli_print_options(command->options, stdout);
	}
	printf("\nFlags of every command:\n");
	krl_cli_print_options(global_options, stdout);
}

static enum krl_cli_exit help(const struct krl_cli *cli)
{
	const struct krl_cli_command *command;
	const char *nearest;

	if (!cli->words.count) {
		print_overview(stdout);
		return KRL_CLI_GOOD;
	}
	command = find_command(cli->words.words[0], &nearest);
	if (!command)
		return unknown_command(cli->words.words[0], nearest);
	print_help(command);
	return KRL_CLI_GOOD;
}

static enum krl_cli_exit run(int argc, char **argv, struct krl_cli *cli)
{
	const struct krl_cli_option *tables[] = { global_options, lead_options, NULL };
	const struct krl_cli_command *command;
	struct krl_cli_error error;
	const char *nearest;
	int at;

	at = krl_cli_parse(tables, argc, argv, 1, cli, NULL, &error);
	if (at < 0)
		return at == -EINVAL ? krl_cli_misuse("%s", error.text) : krl_cli_fail("out of memory");
	if (at == argc && cli->help) {
		print_overview(stdout);
		return KRL_CLI_GOOD;
	}
	if (cli->version && at < argc)
		return krl_cli_misuse("flag --version takes no command \"%s\"", argv[at]);
	if (cli->version)
		return krl_cli_version(cli);
	if (at == argc) {
		print_overview(stderr);
		return KRL_CLI_USAGE;
	}
	command = find_command(argv[at], &nearest);
	if (!command)
		return unknown_command(argv[at], nearest);
	tables[1] = command->options;
	at = krl_cli_parse(tables, argc, argv, at + 1, cli, &cli->words, &error);
	if (cli->help) {
		print_help(command);
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
