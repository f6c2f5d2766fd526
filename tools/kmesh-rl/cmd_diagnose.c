// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl diagnose rate-limit */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <kmesh_rl/pins.h>

#include "agent/base/nearest.h"
#include "agent/control/server.h"
#include "agent/policy/explain.h"
#include "cli.h"
#include "colour.h"
#include "diagnose.h"
#include "listeners.h"

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

/* Whose endpoint it is. */
static const struct krl_rule_info *info_of(const struct krl_stats *stats, __u32 slot)
{
	size_t i;

	for (i = 0; i < stats->count; i++)
		if (stats->rows[i].slot == slot)
			return &stats->rows[i].info;
	return NULL;
}

static json_t *name_of(const struct krl_facts *f, const struct krl_inspect_endpoint *endpoint)
{
	const struct krl_rule_info *info = info_of(&f->stats, endpoint->slot);
	char text[KRL_ENDPOINT_BYTES];

	krl_explain_endpoint(&endpoint->key, text);
	return info ? json_sprintf("%s (%s/%s)", text, info->ns, info->name) : json_string(text);
}

/* What is to be released in the end. */
struct gathered {
	json_t *about, *limits, *unheard, *outside, *unseen;
};

/* Where nobody listens, as far as that can be told, and where rules do not apply to all that is spoken. */
static void gather_endpoints(struct krl_facts *f, struct gathered *g)
{
	struct krl_inspect_endpoint *endpoints = NULL;
	struct krl_listeners listeners = {}, outside = {};
	size_t count, i;

	if (krl_inspect_endpoints(f->bpffs, &endpoints, &f->endpoint_count))
		return;
	g->unheard = krl_listeners_read(&listeners) ? NULL : json_array();
	g->outside = !g->unheard || krl_inspect_outside(f->bpffs, &outside.list, &outside.count) ? NULL : json_array();
	g->unseen = json_array();
	for (i = 0; i < f->endpoint_count; i++) {
		count = krl_listeners_at(&listeners, &endpoints[i].key);
		if (g->unheard && !count)
			json_array_append_new(g->unheard, name_of(f, &endpoints[i]));
		/* One that is covered may be meant, and those of other namespaces not. */
		if (g->outside && count && endpoints[i].key.hook == KRL_HOOK_STREAM &&
		    krl_listeners_at(&outside, &endpoints[i].key) >= count)
			json_array_append_new(g->outside, name_of(f, &endpoints[i]));
		if (endpoints[i].unseen)
			json_array_append_new(g->unseen, name_of(f, &endpoints[i]));
	}
	krl_listeners_free(&listeners);
	krl_listeners_free(&outside);
	free(endpoints);
	f->unheard = g->unheard;
	f->outside = g->outside;
	f->unseen = g->unseen;
}

static void gather(const struct krl_cli *cli, struct krl_facts *f, struct gathered *g)
{
	char why[KRL_CONTROL_ERROR_BYTES];

	f->bpffs = cli->bpffs ? cli->bpffs : KRL_DEFAULT_BPFFS;
	f->control_socket = cli->control_socket ? cli->control_socket : KRL_DEFAULT_CONTROL_SOCKET;
	f->kernel = krl_inspect_kernel(f->release);
	f->feature_count = krl_inspect_features(f->features);
	f->bpffs_mount = krl_inspect_bpffs(f->bpffs);
	f->cgroup_mount = krl_inspect_cgroup(f->cgroup);
	f->pins = krl_inspect_pins(f->bpffs);
	if (krl_inspect_former(f->bpffs, &f->former))
		f->former = (struct krl_inspect_former){ 0 };
	f->agent = krl_cli_ask_agent(cli, "version", NULL, &g->about, why);
	f->about = g->about;
	/* One that does not answer is not waited for twice. */
	if (!f->agent && !krl_cli_ask_agent(cli, "ratelimits", NULL, &g->limits, why))
		f->limits = g->limits;
	f->programs = krl_inspect_programs(f->bpffs, f->program);
	f->others_read = krl_inspect_others(f->bpffs, &f->others);
	f->clock_read = krl_inspect_clock(f->bpffs, &f->clock);
	f->fill_count = krl_inspect_fills(f->bpffs, f->fills);
	f->connections_read = krl_inspect_connections(f->bpffs, &f->connections);
	f->stats_read = krl_stats_read(f->bpffs, &f->stats);
	gather_endpoints(f, g);
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
	size_t width = 0, i;
	const char *level;
	json_t *result;
	int err;

	if (output != KRL_CLI_TABLE) {
		result = findings_json(findings, count);
		err = result ? krl_cli_write(result, output, stdout) : -ENOMEM;
		json_decref(result);
		return err;
	}
	for (i = 0; i < count; i++)
		width = strlen(findings[i].name) > width ? strlen(findings[i].name) : width;
	for (i = 0; i < count; i++) {
		level = krl_finding_levels[findings[i].level];
		krl_colour_print(stdout, krl_colour_of(level), level);
		printf("%*s  %-*s  %s\n", (int)(4 - strlen(level)), "", (int)width, findings[i].name, findings[i].text);
	}
	return 0;
}

enum krl_cli_exit krl_cli_diagnose(const struct krl_cli *cli)
{
	struct krl_finding findings[KRL_DIAGNOSE_CHECKS];
	struct gathered gathered = {};
	struct krl_facts facts = {};
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
	gather(cli, &facts, &gathered);
	count = krl_diagnose_judge(&facts, findings);
	for (i = 0; i < count; i++)
		failed |= findings[i].level == KRL_FINDING_FAIL;
	err = print(findings, count, cli->output);
	krl_stats_free(&facts.stats);
	json_decref(gathered.about);
	json_decref(gathered.limits);
	json_decref(gathered.unheard);
	json_decref(gathered.outside);
	json_decref(gathered.unseen);
	if (err)
		return krl_cli_fail("%s", strerror(-err));
	return failed ? KRL_CLI_FAILED : KRL_CLI_GOOD;
}
