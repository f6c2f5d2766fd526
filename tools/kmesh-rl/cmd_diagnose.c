// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl diagnose rate-limit */
#include <errno.h>
#include <string.h>

#include <kmesh_rl/pins.h>

#include "agent/base/nearest.h"
#include "agent/control/server.h"
#include "cli.h"
#include "diagnose.h"

#define SUBJECT "rate-limit"
#define SUBJECT_ALIAS "ratelimit"

static const struct krl_cli_choice outputs[] = {
	{ "table", KRL_CLI_TABLE },
	{ "json", KRL_CLI_JSON },
	{ "yaml", KRL_CLI_YAML },
	{ NULL, 0 },
};

const struct krl_cli_option krl_cli_diagnose_options[] = {
	{ 'o', "output", "FORMAT", "table (default), json or yaml", KRL_CLI_CHOICE, offsetof(struct krl_cli, output),
	  outputs },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

static void gather(const struct krl_cli *cli, struct krl_facts *f, json_t **ret_about)
{
	char why[KRL_CONTROL_ERROR_BYTES];

	f->bpffs = cli->bpffs ? cli->bpffs : KRL_DEFAULT_BPFFS;
	f->control_socket = cli->control_socket ? cli->control_socket : KRL_DEFAULT_CONTROL_SOCKET;
	f->kernel = krl_inspect_kernel(f->release);
	f->bpffs_mount = krl_inspect_bpffs(f->bpffs);
	f->cgroup_mount = krl_inspect_cgroup(f->cgroup);
	f->pins = krl_inspect_pins(f->bpffs);
	f->agent = krl_cli_ask_agent(cli, "version", ret_about, why);
	f->about = *ret_about;
	f->programs = krl_inspect_programs(f->bpffs);
	f->connections_read = krl_inspect_connections(f->bpffs, &f->connections);
	f->stats_read = krl_stats_read(f->bpffs, &f->stats);
}

static json_t *findings_json(const struct krl_finding *findings, size_t count)
{
	json_t *checks = json_array();
	size_t i;

	for (i = 0; checks && i < count; i++)
		if (json_array_append_new(checks, json_pack("{s:s, s:s, s:s}", "name", findings[i].name,
							    "status", krl_finding_levels[findings[i].level],
							    "text", findings[i].text))) {
			json_decref(checks);
			return NULL;
		}
	return json_pack("{s:o}", "checks", checks);
}

/* Returns 0 or -ENOMEM. */
static int print(const struct krl_finding *findings, size_t count, enum krl_cli_output output)
{
	json_t *result;
	size_t i;
	int err;

	if (output != KRL_CLI_TABLE) {
		result = findings_json(findings, count);
		err = result ? krl_cli_write(result, output, stdout) : -ENOMEM;
		json_decref(result);
		return err;
	}
	for (i = 0; i < count; i++)
		printf("%-5s %-17s %s\n", krl_finding_levels[findings[i].level], findings[i].name, findings[i].text);
	return 0;
}

enum krl_cli_exit krl_cli_diagnose(const struct krl_cli *cli)
{
	struct krl_finding findings[KRL_DIAGNOSE_CHECKS];
	struct krl_facts facts = {};
	json_t *about = NULL;
	size_t count, i;
	bool failed = false;
	int err;

	if (!cli->words.count)
		return krl_cli_misuse("diagnose needs the name of what to look at: " SUBJECT);
	if (strcmp(cli->words.words[0], SUBJECT) && strcmp(cli->words.words[0], SUBJECT_ALIAS))
		return krl_cli_misuse(krl_nearer(cli->words.words[0], NULL, SUBJECT)
				      ? "diagnose \"%s\": did you mean \"" SUBJECT "\"?"
				      : "diagnose \"%s\": expected " SUBJECT, cli->words.words[0]);
	if (cli->words.count > 1)
		return krl_cli_misuse("diagnose %s takes no argument \"%s\"", cli->words.words[0], cli->words.words[1]);
	gather(cli, &facts, &about);
	count = krl_diagnose_judge(&facts, findings);
	for (i = 0; i < count; i++)
		failed |= findings[i].level == KRL_FINDING_FAIL;
	err = print(findings, count, cli->output);
	krl_stats_free(&facts.stats);
	json_decref(about);
	if (err)
		return krl_cli_fail("%s", strerror(-err));
	return failed ? KRL_CLI_FAILED : KRL_CLI_GOOD;
}
