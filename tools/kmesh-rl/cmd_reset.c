// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl reset NAME */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <kmesh_rl/pins.h>

#include "agent/base/nearest.h"
#include "agent/control/methods.h"
#include "agent/datapath/reset.h"
#include "cli.h"
#include "values_view.h"

#define KRL_CLI_CLUSTER_RESET "where keys krl:*:b:NAMESPACE/NAME/* are to be deleted instead"

static const struct krl_cli_choice outputs[] = {
	{ "text", KRL_CLI_TABLE },
	{ "json", KRL_CLI_JSON },
	{ "yaml", KRL_CLI_YAML },
	{ NULL, 0 },
};

const struct krl_cli_option krl_cli_reset_options[] = {
	{ 'n', "namespace", "NAMESPACE", "of the rate limit (" KRL_CLI_NAMESPACE ")", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, ns), NULL },
	{ 0, "rule", "RULE", "the buckets of this rule alone", KRL_CLI_TEXT, offsetof(struct krl_cli, rule), NULL },
	{ 0, "descriptor", "VALUE", "those of this value alone, as get ratelimit-buckets shows it", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, descriptor), NULL },
	{ 'o', "output", "FORMAT", "text (default), json or yaml", KRL_CLI_CHOICE, offsetof(struct krl_cli, output),
	  outputs },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

/* Leave those of @stats whose rule is called @rule. @ret_nearest is what somebody may have meant. */
static void choose_rule(struct krl_stats *stats, const char *rule, char ret_nearest[64])
{
	const char *nearest = NULL;
	size_t i, kept = 0;

	for (i = 0; i < stats->count; i++) {
		nearest = krl_nearer(rule, nearest, stats->rows[i].info.rule);
		if (nearest)
			snprintf(ret_nearest, 64, "%s", nearest);
		if (!strcmp(rule, stats->rows[i].info.rule))
			stats->rows[kept++] = stats->rows[i];
	}
	stats->count = kept;
}

/* Those that say how many connections are open are no buckets. Returns whether all of @stats are such. */
static bool are_gauges(const struct krl_stats *stats)
{
	size_t gauges = 0, i;

	for (i = 0; i < stats->count; i++)
		gauges += stats->rows[i].flags & KRL_RULE_CONCURRENT ? 1 : 0;
	if (gauges && gauges < stats->count)
		fprintf(stderr, "rules with maxConnections are left out: they count what is open, there is nothing to fill\n");
	return gauges == stats->count;
}

/* Leave those of one node. Returns whether there is none. */
static bool are_of_the_cluster(struct krl_stats *stats)
{
	size_t all = stats->count, i, kept = 0;

	for (i = 0; i < all; i++)
		if (!(stats->rows[i].flags & KRL_RULE_CLUSTER))
			stats->rows[kept++] = stats->rows[i];
	if (kept && kept < all)
		fprintf(stderr, "rules with scope: Cluster are left out: their buckets are in Redis, " KRL_CLI_CLUSTER_RESET "\n");
	if (kept)
		stats->count = kept;
	return !kept;
}

/* Is it @wanted, written as it is shown, or without the name of the one value that picks it? */
static bool is_of(const struct krl_bucket_row *row, const char *wanted)
{
	json_t *value = row->overflow ? json_string("<overflow>") : krl_view_values(row->kept, row->key.descriptor);
	const char *text = value ? json_string_value(value) : "", *equals = strchr(text, '=');
	bool one = row->kept && row->kept->count == 1 && !row->kept->more;
	bool is = !strcmp(text, wanted) || (one && equals && !strcmp(equals + 1, wanted));

	json_decref(value);
	return is;
}

static void choose_descriptor(struct krl_buckets *buckets, const char *wanted)
{
	size_t i, kept = 0;

	for (i = 0; i < buckets->count; i++)
		if (is_of(&buckets->rows[i], wanted))
			buckets->rows[kept++] = buckets->rows[i];
	buckets->count = kept;
}

static enum krl_cli_exit report(const struct krl_cli *cli, const char *ns, const char *name,
				const struct krl_reset_result *result)
{
	json_t *value;
	int err;

	fflush(stdout);
	if (result->busy)
		fprintf(stderr, "%llu buckets went away meanwhile, or were in use all the time\n",
			(unsigned long long)result->busy);
	if (cli->output == KRL_CLI_TABLE) {
		printf("ratelimit/%s reset: %llu buckets, %llu tokens\n", name, (unsigned long long)result->filled,
		       (unsigned long long)result->tokens);
		return KRL_CLI_GOOD;
	}
	value = json_pack("{s:s, s:s, s:I, s:I, s:I}", "namespace", ns, "name", name, "buckets",
			  (json_int_t)result->filled, "tokens", (json_int_t)result->tokens, "busy",
			  (json_int_t)result->busy);
	err = value ? krl_cli_write(value, cli->output, stdout) : -ENOMEM;
	json_decref(value);
	return err ? krl_cli_fail("%s", strerror(-err)) : KRL_CLI_GOOD;
}

/* What the maps said; a result that is good is reported. */
static enum krl_cli_exit fill(const struct krl_cli *cli, const char *bpffs, const struct krl_stats *stats,
			      const char *ns, const char *name)
{
	struct krl_reset_result result = {};
	struct krl_buckets buckets = {};
	char why[KRL_CLI_ERROR_BYTES];
	bool found;
	int err;

	err = krl_buckets_read(bpffs, stats, 0, &buckets);
	if (!err && cli->descriptor)
		choose_descriptor(&buckets, cli->descriptor);
	found = buckets.count;
	if (!err && (found || !cli->descriptor)) {
		err = krl_reset_buckets(bpffs, buckets.rows, buckets.count, &result);
		if (err == -ENOENT) {
			krl_buckets_free(&buckets);
			return krl_cli_fail("no " KRL_PIN_RESET " below %s: start an agent of this version", bpffs);
		}
	}
	krl_buckets_free(&buckets);
	if (err) {
		krl_stats_explain(err, bpffs, why, sizeof(why));
		return krl_cli_fail("%s", why);
	}
	if (!found && cli->descriptor)
		return krl_cli_fail("no bucket of \"%s\": who has none has all tokens, or see `kmesh-rl get ratelimit-buckets`",
				    cli->descriptor);
	return report(cli, ns, name, &result);
}

static enum krl_cli_exit reset(const struct krl_cli *cli, const char *ns, const char *name)
{
	const char *bpffs = cli->bpffs ? cli->bpffs : KRL_DEFAULT_BPFFS;
	char why[KRL_CLI_ERROR_BYTES], nearest[64] = "";
	enum krl_cli_exit status;
	struct krl_stats stats = {};
	int err = krl_stats_read(bpffs, &stats);

	if (err) {
		krl_stats_explain(err, bpffs, why, sizeof(why));
		return krl_cli_fail("%s", why);
	}
	krl_stats_choose(&stats, ns, name);
	if (!stats.count) {
		krl_stats_free(&stats);
		return krl_cli_none_found(cli, ns, name);
	}
	if (cli->rule)
		choose_rule(&stats, cli->rule, nearest);
	if (!stats.count)
		status = krl_cli_fail(*nearest ? "rate limit \"%s\" has no rule \"%s\": did you mean \"%s\"?"
					       : "rate limit \"%s\" has no rule \"%s\"", name, cli->rule, nearest);
	else if (are_of_the_cluster(&stats))
		status = krl_cli_fail("the buckets of scope: Cluster are in Redis, " KRL_CLI_CLUSTER_RESET);
	else if (are_gauges(&stats))
		status = krl_cli_fail("maxConnections counts the connections that are open: there is no bucket to fill");
	else
		status = fill(cli, bpffs, &stats, ns, name);
	krl_stats_free(&stats);
	return status;
}

enum krl_cli_exit krl_cli_reset(const struct krl_cli *cli)
{
	if (!cli->words.count)
		return krl_cli_misuse("reset needs the name of a rate limit");
	if (cli->words.count > 1)
		return krl_cli_misuse("reset takes one name, not \"%s\" too", cli->words.words[1]);
	return reset(cli, krl_cli_namespace(cli), cli->words.words[0]);
}
