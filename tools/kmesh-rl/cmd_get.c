// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl get RESOURCE */
#include <string.h>

#include "agent/base/nearest.h"
#include "cli.h"

#define DEFAULT_NAMESPACE "default"

static const struct krl_cli_choice outputs[] = {
	{ "table", KRL_CLI_TABLE }, { "wide", KRL_CLI_WIDE }, { "json", KRL_CLI_JSON },
	{ "yaml", KRL_CLI_YAML },   { NULL, 0 },
};

const struct krl_cli_option krl_cli_get_options[] = {
	{ 'n', "namespace", "NAMESPACE", "of the rate limits (" DEFAULT_NAMESPACE ")", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, ns), NULL },
	{ 'A', "all-namespaces", NULL, "rate limits of every namespace", KRL_CLI_SWITCH,
	  offsetof(struct krl_cli, all_namespaces), NULL },
	{ 'o', "output", "FORMAT", "table (default), wide, json or yaml", KRL_CLI_CHOICE,
	  offsetof(struct krl_cli, output), outputs },
	{ 0, "limit", "N", "buckets, or rows of tokens, to show at most (100), 0 for all", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, limit), NULL },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

enum krl_cli_exit krl_cli_none_found(const char *ns, const char *name)
{
	if (name && ns)
		return krl_cli_fail("rate limit \"%s\" not found in namespace \"%s\"", name, ns);
	if (name)
		return krl_cli_fail("rate limit \"%s\" not found in any namespace", name);
	if (ns)
		fprintf(stderr, "No rate limits found in %s namespace.\n", ns);
	else
		fprintf(stderr, "No rate limits found.\n");
	return KRL_CLI_GOOD;
}

static enum krl_cli_exit show(const json_t *chosen, const struct krl_cli *cli, const char *ns, const char *name)
{
	bool none = !json_array_size(json_object_get(chosen, "items"));
	int err;

	if (none && (name || cli->output == KRL_CLI_TABLE || cli->output == KRL_CLI_WIDE))
		return krl_cli_none_found(ns, name);
	if (cli->output == KRL_CLI_JSON || cli->output == KRL_CLI_YAML)
		err = krl_cli_write(chosen, cli->output, stdout);
	else
		err = krl_cli_print_stats(chosen, cli->output == KRL_CLI_WIDE, stdout);
	return err ? krl_cli_fail("%s", strerror(-err)) : KRL_CLI_GOOD;
}

static enum krl_cli_exit get_stats(const struct krl_cli *cli, const char *ns, const char *name)
{
	json_t *stats, *chosen;
	enum krl_cli_exit status;

	if (cli->limit)
		return krl_cli_misuse("flag --limit is of ratelimit-buckets and ratelimit-tokens");
	stats = krl_cli_fetch_stats(cli);
	if (!stats)
		return KRL_CLI_FAILED;
	chosen = krl_cli_select(stats, ns, name);
	json_decref(stats);
	if (!chosen)
		return krl_cli_fail("the agent's answer is not understood: is it of version %s?",
				    KRL_VERSION);
	status = show(chosen, cli, ns, name);
	json_decref(chosen);
	return status;
}

static const struct {
	const char *name;
	enum krl_cli_exit (*get)(const struct krl_cli *cli, const char *ns, const char *name);
} resources[] = {
	{ "ratelimit-stats", get_stats },
	{ "ratelimit-buckets", krl_cli_get_buckets },
	{ "ratelimit-tokens", krl_cli_get_tokens },
};

#define RESOURCES "ratelimit-stats, ratelimit-buckets or ratelimit-tokens"

enum krl_cli_exit krl_cli_get(const struct krl_cli *cli)
{
	const char *ns = cli->all_namespaces ? NULL : cli->ns ? cli->ns : DEFAULT_NAMESPACE;
	const char *resource, *nearest = NULL;
	size_t i;

	if (!cli->words.count)
		return krl_cli_misuse("get needs the name of what to show: " RESOURCES);
	resource = cli->words.words[0];
	for (i = 0; i < sizeof(resources) / sizeof(*resources); i++) {
		nearest = krl_nearer(resource, nearest, resources[i].name);
		if (strcmp(resource, resources[i].name))
			continue;
		if (cli->words.count > 2)
			return krl_cli_misuse("get %s takes one name, not \"%s\" too", resource,
					      cli->words.words[2]);
		return resources[i].get(cli, ns, cli->words.count > 1 ? cli->words.words[1] : NULL);
	}
	if (nearest)
		return krl_cli_misuse("get \"%s\": did you mean \"%s\"?", resource, nearest);
	return krl_cli_misuse("get \"%s\": expected " RESOURCES, resource);
}
