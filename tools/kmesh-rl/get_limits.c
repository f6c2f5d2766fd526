// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl get ratelimits */
#include <string.h>

#include "cli.h"
#include "limits_view.h"

static enum krl_cli_exit show(const json_t *chosen, const struct krl_cli *cli, const char *ns, const char *name)
{
	bool table = cli->output == KRL_CLI_TABLE || cli->output == KRL_CLI_WIDE;
	int err;

	if (!json_array_size(json_object_get(chosen, "items")) && (name || table))
		return krl_cli_none_found(cli, ns, name);
	if (table)
		err = krl_limits_print(chosen, !ns, cli->output == KRL_CLI_WIDE, stdout);
	else
		err = krl_cli_write(chosen, cli->output, stdout);
	return err ? krl_cli_fail("%s", strerror(-err)) : KRL_CLI_GOOD;
}

enum krl_cli_exit krl_cli_get_limits(const struct krl_cli *cli, const char *ns, const char *name)
{
	json_t *stats, *known, *chosen;
	enum krl_cli_exit status;

	if (cli->limit)
		return krl_cli_misuse("flag --limit is of ratelimit-buckets and ratelimit-tokens");
	stats = krl_cli_fetch_stats(cli);
	if (!stats)
		return KRL_CLI_FAILED;
	known = krl_cli_fetch_limits(cli);
	chosen = krl_limits_join(known, stats, ns, name);
	json_decref(known);
	json_decref(stats);
	if (!chosen)
		return krl_cli_fail("the agent's answer is not understood: is it of version %s?", KRL_VERSION);
	status = show(chosen, cli, ns, name);
	json_decref(chosen);
	return status;
}
