// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl get RESOURCE */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <kmesh_rl/pins.h>

#include "agent/base/nearest.h"
#include "agent/control/server.h"
#include "callers.h"
#include "cli.h"
#include "limits_view.h"

/* What is shown again is written at once, so that a terminal does not flicker. */
#define SCREEN_BYTES (1 << 16)

static const struct krl_cli_choice outputs[] = {
	{ "table", KRL_CLI_TABLE }, { "wide", KRL_CLI_WIDE }, { "json", KRL_CLI_JSON },
	{ "yaml", KRL_CLI_YAML },   { NULL, 0 },
};

const struct krl_cli_option krl_cli_get_options[] = {
	{ 'n', "namespace", "NAMESPACE", "of the rate limits (" KRL_CLI_NAMESPACE ")", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, ns), NULL },
	{ 'A', "all-namespaces", NULL, "rate limits of every namespace", KRL_CLI_SWITCH,
	  offsetof(struct krl_cli, all_namespaces), NULL },
	{ 'o', "output", "FORMAT", "table (default), wide, json or yaml", KRL_CLI_CHOICE,
	  offsetof(struct krl_cli, output), outputs },
	{ 0, "limit", "N", "buckets, or rows of tokens, to show at most (100), 0 for all", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, limit), NULL },
	{ 0, "cluster", NULL, "of ratelimit-stats: what all nodes counted", KRL_CLI_SWITCH, offsetof(struct krl_cli, cluster),
	  NULL },
	{ 'w', "watch", NULL, "show it again and again, until it is interrupted", KRL_CLI_SWITCH,
	  offsetof(struct krl_cli, watch), NULL },
	{ 0, "interval", "SECONDS", "with --watch: how often (2)", KRL_CLI_TEXT, offsetof(struct krl_cli, interval), NULL },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

int krl_cli_knows(const struct krl_cli *cli, const char *ns, const char *name)
{
	char why[KRL_CONTROL_ERROR_BYTES];
	json_t *limits = NULL, *no_stats, *joined;
	int err = krl_cli_ask_agent(cli, "ratelimits", NULL, &limits, why);
	bool known;

	if (err)
		return err;
	no_stats = json_pack("{s:[]}", "items");
	joined = krl_limits_join(limits, no_stats, ns, name);
	known = json_array_size(json_object_get(joined, "items"));
	json_decref(joined);
	json_decref(no_stats);
	json_decref(limits);
	return known;
}

enum krl_cli_exit krl_cli_none_found(const struct krl_cli *cli, const char *ns, const char *name)
{
	/* No rule of it is in force, or it would have been found. */
	if (name && krl_cli_knows(cli, ns, name) > 0)
		return krl_cli_fail("rate limit \"%s\" is in force nowhere here, or not now: `kmesh-rl describe ratelimit %s` says "
				    "why", name, name);
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
	json_t *items = json_object_get(chosen, "items"), *item;
	bool none = !json_array_size(items);
	int err = 0;
	size_t i;

	if (none && (name || cli->output == KRL_CLI_TABLE || cli->output == KRL_CLI_WIDE))
		return krl_cli_none_found(cli, ns, name);
	if (cli->output != KRL_CLI_TABLE)
		err = krl_callers_add(items, cli->bpffs ? cli->bpffs : KRL_DEFAULT_BPFFS);
	if (err)
		return krl_cli_fail("%s", strerror(-err));
	if (cli->output == KRL_CLI_JSON || cli->output == KRL_CLI_YAML)
		json_array_foreach(items, i, item)
			json_object_del(item, "callersText");
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
	if (cli->cluster)
		return krl_cli_get_cluster(cli, ns, name);
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

struct resource {
	const char *name;
	enum krl_cli_exit (*get)(const struct krl_cli *cli, const char *ns, const char *name);
};

static const struct resource resources[] = {
	{ "ratelimits", krl_cli_get_limits },
	{ "ratelimit", krl_cli_get_limits },
	{ "rl", krl_cli_get_limits },	/* the short name of the CustomResourceDefinition */
	{ "ratelimit-stats", get_stats },
	{ "ratelimit-buckets", krl_cli_get_buckets },
	{ "ratelimit-tokens", krl_cli_get_tokens },
};

#define RESOURCES "ratelimits, ratelimit-stats, ratelimit-buckets or ratelimit-tokens"

/* What comes between one showing and the next: the terminal is cleared, in one write with what follows. */
static void part(enum krl_cli_output output)
{
	if (isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	else if (output == KRL_CLI_YAML)
		puts("---");
	else if (output != KRL_CLI_JSON)
		putchar('\n');
}

/* Show it until that fails, or somebody interrupts. */
static enum krl_cli_exit watch(const struct krl_cli *cli, const struct resource *resource, const char *name)
{
	enum krl_cli_exit status;
	unsigned int interval_ms;
	bool again = false;

	if (krl_cli_interval(cli, &interval_ms))
		return krl_cli_misuse("--interval \"%s\": expected seconds, 0.1 to 3600", cli->interval);
	setvbuf(stdout, NULL, _IOFBF, SCREEN_BYTES);
	for (;;) {
		if (again || isatty(STDOUT_FILENO))
			part(cli->output);
		status = resource->get(cli, krl_cli_namespace(cli), name);
		if (status != KRL_CLI_GOOD || fflush(stdout))
			return status;
		usleep(interval_ms * 1000);
		again = true;
	}
}

/* @name: of RESOURCE/NAME; NULL: it is in a word of its own, if anywhere. */
static enum krl_cli_exit get(const struct krl_cli *cli, const struct resource *resource, const char *name)
{
	size_t words = name ? 1 : 2;

	if (cli->words.count > words)
		return krl_cli_misuse("get %s takes one name, not \"%s\" too", resource->name, cli->words.words[words]);
	if (cli->words.count > 1)
		name = cli->words.words[1];
	if (cli->cluster && strcmp(resource->name, "ratelimit-stats"))
		return krl_cli_misuse("flag --cluster is of ratelimit-stats");
	if (cli->interval && !cli->watch)
		return krl_cli_misuse("flag --interval is for --watch");
	return cli->watch ? watch(cli, resource, name) : resource->get(cli, krl_cli_namespace(cli), name);
}

enum krl_cli_exit krl_cli_get(const struct krl_cli *cli)
{
	const char *resource, *nearest = NULL, *name;
	size_t i;

	if (!cli->words.count)
		return krl_cli_misuse("get needs the name of what to show: " RESOURCES);
	resource = cli->words.words[0];
	for (i = 0; i < sizeof(resources) / sizeof(*resources); i++) {
		nearest = krl_nearer(resource, nearest, resources[i].name);
		if (krl_cli_is_resource(resource, resources[i].name, &name))
			return get(cli, &resources[i], name);
	}
	if (nearest)
		return krl_cli_misuse("get \"%s\": did you mean \"%s\"?", resource, nearest);
	return krl_cli_misuse("get \"%s\": expected " RESOURCES, resource);
}
