// SPDX-License-Identifier: Apache-2.0
/* The commands, in the order of the help, the man page and the completions, which are made of this. */
#include <string.h>

#include <kmesh_rl/pins.h>

#include "cli.h"

const struct krl_cli_command krl_cli_commands[] = {
	{ "get", "ratelimits|ratelimit-stats|ratelimit-buckets|ratelimit-tokens [NAME]\n"
	  "                [-n NAMESPACE | -A] [--limit N | --cluster] [-o table|wide|json|yaml]\n"
	  "                [-w [--interval SECONDS]]",
	  "show rate limits, what they or their buckets have left, or what models used", krl_cli_get, krl_cli_get_options,
	  "ratelimits ratelimit-stats ratelimit-buckets ratelimit-tokens", true },
	{ "describe", "ratelimit NAME [-n NAMESPACE] [-o text|json|yaml]",
	  "show all that is known of a rate limit", krl_cli_describe, krl_cli_describe_options, "ratelimit", true },
	{ "events", "[NAME] [-n NAMESPACE | -A] [-f] [-o table|wide|json]",
	  "show the limited requests of late, and those that come", krl_cli_events, krl_cli_events_options, NULL, true },
	{ "top", "[-n NAMESPACE] [--sort COLUMN] [--interval SECONDS]",
	  "show what rate limits do now, in a table that fills the terminal", krl_cli_top, krl_cli_top_options, NULL, false },
	{ "reset", "NAME [-n NAMESPACE] [--rule RULE] [--descriptor VALUE] [-o text|json|yaml]",
	  "fill the buckets of a rate limit", krl_cli_reset, krl_cli_reset_options, NULL, true },
	{ "validate", "-f FILE|DIR|- ...", "check documents without applying them", krl_cli_validate,
	  krl_cli_validate_options, NULL, false },
	{ "check", "-f FILE|DIR|- ... [--method METHOD] [--path PATH] [--header 'NAME: VALUE']...\n"
	  "                [--model NAME] [--source ADDRESS] [--pod FILE] [--endpoint IP:PORT|NAME] [--at TIME] [--live]\n"
	  "                [-o table|json|yaml]",
	  "show which rules a request would meet, and why", krl_cli_check, krl_cli_check_options, NULL, false },
	{ "convert", "-f FILE|-", "turn rate limits of other systems into RateLimit documents", krl_cli_convert,
	  krl_cli_convert_options, NULL, false },
	{ "diagnose", "rate-limit [-o table|json|yaml]", "look whether this node limits as it should",
	  krl_cli_diagnose, krl_cli_diagnose_options, "rate-limit", false },
	{ "version", "[--running] [-o json|yaml]", "show the versions of this program and of the agent",
	  krl_cli_version, krl_cli_version_options, NULL, false },
	{ "completion", "bash|zsh|fish", "print what makes a shell complete commands, flags and names",
	  krl_cli_completion, krl_cli_no_options, "bash zsh fish", false },
	{ "help", "[COMMAND]", "show how a command is used", krl_cli_help, krl_cli_no_options, NULL, false },
	{ NULL, NULL, NULL, NULL, NULL, NULL, false },
};

const struct krl_cli_option krl_cli_global_options[] = {
	{ 0, "bpffs", "DIR", "where the agent pins its maps (" KRL_DEFAULT_BPFFS ")", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, bpffs), NULL },
	{ 0, "control-socket", "PATH", "where the agent listens (" KRL_DEFAULT_CONTROL_SOCKET ")",
	  KRL_CLI_TEXT, offsetof(struct krl_cli, control_socket), NULL },
	{ 'h', "help", NULL, "show how a command is used", KRL_CLI_SWITCH,
	  offsetof(struct krl_cli, help), NULL },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

/* Before any command. */
const struct krl_cli_option krl_cli_lead_options[] = {
	{ 0, "version", NULL, "show the version of this program alone", KRL_CLI_SWITCH,
	  offsetof(struct krl_cli, version), NULL },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

const struct krl_cli_option krl_cli_no_options[] = {
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

const struct krl_cli_command *krl_cli_find_command(const char *name)
{
	const struct krl_cli_command *command;

	for (command = krl_cli_commands; command->name; command++)
		if (!strcmp(command->name, name))
			return command;
	return NULL;
}
