// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl describe ratelimit NAME */
#include <errno.h>
#include <string.h>

#include <kmesh_rl/pins.h>

#include "agent/base/nearest.h"
#include "buckets_view.h"
#include "cli.h"
#include "describe_view.h"
#include "events_feed.h"
#include "limits_view.h"

#define SUBJECT "ratelimit"
#define SUBJECT_PLURAL "ratelimits"
#define SUBJECT_SHORT "rl"
#define BUCKETS 10
#define EVENTS 10

static const struct krl_cli_choice outputs[] = {
	{ "text", KRL_CLI_TABLE },
	{ "json", KRL_CLI_JSON },
	{ "yaml", KRL_CLI_YAML },
	{ NULL, 0 },
};

const struct krl_cli_option krl_cli_describe_options[] = {
	{ 'n', "namespace", "NAMESPACE", "of the rate limit (" KRL_CLI_NAMESPACE ")", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, ns), NULL },
	{ 'o', "output", "FORMAT", "text (default), json or yaml", KRL_CLI_CHOICE, offsetof(struct krl_cli, output),
	  outputs },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

/* The emptiest buckets of @ns/@name, NULL: the maps cannot be read, or without memory. */
static json_t *buckets_of(const char *bpffs, const char *ns, const char *name)
{
	struct krl_buckets buckets = {};
	struct krl_stats stats = {};
	json_t *result = NULL;

	if (krl_stats_read(bpffs, &stats))
		return NULL;
	krl_stats_choose(&stats, ns, name);
	if (!krl_buckets_read(bpffs, &stats, BUCKETS, &buckets)) {
		result = krl_buckets_json(&buckets);
		krl_buckets_free(&buckets);
	}
	krl_stats_free(&stats);
	return result;
}

/* The last requests of @ns/@name that were limited, NULL: no agent says. */
static json_t *limited_of(const struct krl_cli *cli, const char *ns, const char *name)
{
	char why[KRL_CONTROL_ERROR_BYTES];
	struct krl_events_feed feed = {};
	json_t *items, *chosen = NULL;

	if ((cli->bpffs && !cli->control_socket) || krl_events_next(cli, &feed, &items, why))
		return NULL;
	chosen = krl_events_select(items, ns, name, EVENTS);
	krl_events_feed_end(&feed);
	json_decref(items);
	return chosen;
}

/* Give @limit its statistics, its buckets and who was limited. */
static void complete(const struct krl_cli *cli, json_t *limit, json_t *stats, const char *ns, const char *name)
{
	json_t *chosen = krl_cli_select(stats, ns, name);
	json_t *buckets = buckets_of(cli->bpffs ? cli->bpffs : KRL_DEFAULT_BPFFS, ns, name);

	json_object_set(limit, "statistics", json_object_get(chosen, "items"));
	if (buckets)
		json_object_set_new(limit, "buckets", buckets);
	json_decref(chosen);
	chosen = limited_of(cli, ns, name);
	if (chosen)
		json_object_set_new(limit, "lastLimited", chosen);
}

static enum krl_cli_exit describe(const struct krl_cli *cli, const char *ns, const char *name)
{
	json_t *stats, *known, *limits, *limit;
	enum krl_cli_exit status;
	int err = 0;

	stats = krl_cli_fetch_stats(cli);
	if (!stats)
		return KRL_CLI_FAILED;
	known = krl_cli_fetch_limits(cli);
	limits = krl_limits_join(known, stats, ns, name);
	limit = json_array_get(json_object_get(limits, "items"), 0);
	if (limit) {
		complete(cli, limit, stats, ns, name);
		err = cli->output == KRL_CLI_TABLE ? krl_describe_print(limit, stdout)
						   : krl_cli_write(limit, cli->output, stdout);
	}
	if (err || !limits)
		status = krl_cli_fail("%s", strerror(err ? -err : ENOMEM));
	else
		status = limit ? KRL_CLI_GOOD : krl_cli_none_found(cli, ns, name);
	json_decref(limits);
	json_decref(known);
	json_decref(stats);
	return status;
}

enum krl_cli_exit krl_cli_describe(const struct krl_cli *cli)
{
	const struct krl_cli_list *words = &cli->words;
	const char *name;
	size_t at;

	if (!words->count)
		return krl_cli_misuse("describe needs what to describe: " SUBJECT " NAME");
	if (!krl_cli_is_resource(words->words[0], SUBJECT, &name) && !krl_cli_is_resource(words->words[0], SUBJECT_PLURAL, &name) &&
	    !krl_cli_is_resource(words->words[0], SUBJECT_SHORT, &name))
		return krl_cli_misuse(krl_nearer(words->words[0], NULL, SUBJECT) ? "describe \"%s\": did you mean \"" SUBJECT "\"?"
										 : "describe \"%s\": expected " SUBJECT,
				      words->words[0]);
	at = name ? 0 : 1;
	if (words->count < at + 1)
		return krl_cli_misuse("describe " SUBJECT " needs its name");
	if (words->count > at + 1)
		return krl_cli_misuse("describe " SUBJECT " takes one name, not \"%s\" too", words->words[at + 1]);
	return describe(cli, krl_cli_namespace(cli), name ? name : words->words[1]);
}
