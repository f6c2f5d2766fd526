// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl get ratelimit-buckets */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <kmesh_rl/pins.h>

#include "agent/control/methods.h"
#include "buckets_view.h"
#include "cli.h"

#define DEFAULT_LIMIT 100

/* Of @text, or the default. Returns 0 or -EINVAL. */
static int parse_limit(const char *text, size_t *ret)
{
	unsigned long long limit = DEFAULT_LIMIT;
	char *end = NULL;

	errno = 0;
	if (text)
		limit = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
	if (text && (!end || *end || errno))
		return -EINVAL;
	*ret = limit;
	return 0;
}

/* Leave those of @stats that are asked for. */
static void choose(struct krl_stats *stats, const char *ns, const char *name)
{
	size_t i, kept = 0;

	for (i = 0; i < stats->count; i++)
		if ((!ns || !strcmp(ns, stats->rows[i].info.ns)) &&
		    (!name || !strcmp(name, stats->rows[i].info.name)))
			stats->rows[kept++] = stats->rows[i];
	stats->count = kept;
}

static bool is_table(const struct krl_cli *cli)
{
	return cli->output == KRL_CLI_TABLE || cli->output == KRL_CLI_WIDE;
}

static int show(const struct krl_buckets *buckets, const struct krl_cli *cli)
{
	json_t *value = krl_buckets_json(buckets);
	int err = value ? 0 : -ENOMEM;

	if (!err && !is_table(cli))
		err = krl_cli_write(value, cli->output, stdout);
	else if (!err && buckets->count)
		err = krl_buckets_print(value, cli->output == KRL_CLI_WIDE, stdout);
	json_decref(value);
	if (err || !is_table(cli))
		return err;
	fflush(stdout);
	if (!buckets->count)
		fprintf(stderr, "No buckets found.\n");
	else if (buckets->total > buckets->count)
		fprintf(stderr, "%zu more: --limit N shows more, --limit 0 all\n",
			buckets->total - buckets->count);
	return 0;
}

/* The buckets of the rules in @stats, at most @limit. */
static enum krl_cli_exit read_and_show(const struct krl_cli *cli, const char *bpffs,
				       const struct krl_stats *stats, size_t limit)
{
	struct krl_buckets buckets = {};
	char why[KRL_CLI_ERROR_BYTES];
	int err;

	err = krl_buckets_read(bpffs, stats, limit, &buckets);
	if (err) {
		krl_stats_explain(err, bpffs, why, sizeof(why));
		return krl_cli_fail("%s", why);
	}
	err = show(&buckets, cli);
	krl_buckets_free(&buckets);
	return err ? krl_cli_fail("%s", strerror(-err)) : KRL_CLI_GOOD;
}

enum krl_cli_exit krl_cli_get_buckets(const struct krl_cli *cli, const char *ns, const char *name)
{
	const char *bpffs = cli->bpffs ? cli->bpffs : KRL_DEFAULT_BPFFS;
	char why[KRL_CLI_ERROR_BYTES];
	struct krl_stats stats = {};
	enum krl_cli_exit status;
	size_t limit;
	int err;

	if (parse_limit(cli->limit, &limit))
		return krl_cli_misuse("--limit \"%s\": expected a number", cli->limit);
	err = krl_stats_read(bpffs, &stats);
	if (err) {
		krl_stats_explain(err, bpffs, why, sizeof(why));
		return krl_cli_fail("%s", why);
	}
	choose(&stats, ns, name);
	if (!stats.count && (name || is_table(cli)))
		status = krl_cli_none_found(ns, name);
	else
		status = read_and_show(cli, bpffs, &stats, limit);
	krl_stats_free(&stats);
	return status;
}
