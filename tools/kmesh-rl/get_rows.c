// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl get ratelimit-buckets, and ratelimit-tokens: rows of the pinned maps, of which there may be very many. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <kmesh_rl/pins.h>

#include "agent/control/methods.h"
#include "buckets_view.h"
#include "cli.h"
#include "tokens_view.h"

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

static bool is_table(const struct krl_cli *cli)
{
	return cli->output == KRL_CLI_TABLE || cli->output == KRL_CLI_WIDE;
}

/* Print the rows in @value, NULL without memory, of which @count are left of @total; @what they are called. */
static int show(json_t *value, const struct krl_cli *cli, const char *what, size_t count, size_t total,
		int (*print)(const json_t *value, const struct krl_cli *cli))
{
	int err = value ? 0 : -ENOMEM;

	if (!err && !is_table(cli))
		err = krl_cli_write(value, cli->output, stdout);
	else if (!err && count)
		err = print(value, cli);
	json_decref(value);
	if (err || !is_table(cli))
		return err;
	fflush(stdout);
	if (!count)
		fprintf(stderr, "No %s found.\n", what);
	else if (total > count)
		fprintf(stderr, "%zu more: --limit N shows more, --limit 0 all\n", total - count);
	return 0;
}

static int print_buckets(const json_t *value, const struct krl_cli *cli)
{
	return krl_buckets_print(value, cli->output == KRL_CLI_WIDE, stdout);
}

/* The buckets of the rules in @stats, at most @limit. 0, -errno, or what krl_stats_explain() is to explain in @ret_read. */
static int show_buckets(const struct krl_cli *cli, const char *bpffs, const struct krl_stats *stats, size_t limit,
			int *ret_read)
{
	struct krl_buckets buckets = {};
	int err;

	*ret_read = krl_buckets_read(bpffs, stats, limit, &buckets);
	if (*ret_read)
		return 0;
	err = show(krl_buckets_json(&buckets), cli, "buckets", buckets.count, buckets.total, print_buckets);
	krl_buckets_free(&buckets);
	return err;
}

static int print_tokens(const json_t *value, const struct krl_cli *cli)
{
	return krl_used_print(value, cli->all_namespaces, cli->output == KRL_CLI_WIDE, stdout);
}

/* As show_buckets(). */
static int show_tokens(const struct krl_cli *cli, const char *bpffs, const struct krl_stats *stats, size_t limit,
		       int *ret_read)
{
	struct krl_used used = {};
	int err;

	*ret_read = krl_used_read(bpffs, stats, limit, &used);
	if (*ret_read)
		return 0;
	err = show(krl_used_json(&used), cli, "rules that count LLMTokens", used.count, used.total, print_tokens);
	krl_used_free(&used);
	return err;
}

static enum krl_cli_exit get_rows(const struct krl_cli *cli, const char *ns, const char *name,
				  int (*show_of)(const struct krl_cli *cli, const char *bpffs,
						 const struct krl_stats *stats, size_t limit, int *ret_read))
{
	const char *bpffs = cli->bpffs ? cli->bpffs : KRL_DEFAULT_BPFFS;
	enum krl_cli_exit status = KRL_CLI_GOOD;
	char why[KRL_CLI_ERROR_BYTES];
	struct krl_stats stats = {};
	int err = 0, err_read;
	size_t limit;

	if (parse_limit(cli->limit, &limit))
		return krl_cli_misuse("--limit \"%s\": expected a number", cli->limit);
	err_read = krl_stats_read(bpffs, &stats);
	if (!err_read) {
		krl_stats_choose(&stats, ns, name);
		if (!stats.count && (name || is_table(cli)))
			status = krl_cli_none_found(cli, ns, name);
		else
			err = show_of(cli, bpffs, &stats, limit, &err_read);
		krl_stats_free(&stats);
	}
	if (err_read) {
		krl_stats_explain(err_read, bpffs, why, sizeof(why));
		return krl_cli_fail("%s", why);
	}
	return err ? krl_cli_fail("%s", strerror(-err)) : status;
}

enum krl_cli_exit krl_cli_get_buckets(const struct krl_cli *cli, const char *ns, const char *name)
{
	return get_rows(cli, ns, name, show_buckets);
}

enum krl_cli_exit krl_cli_get_tokens(const struct krl_cli *cli, const char *ns, const char *name)
{
	return get_rows(cli, ns, name, show_tokens);
}
