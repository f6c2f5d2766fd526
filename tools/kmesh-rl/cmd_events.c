// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl events */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "events_feed.h"
#include "events_view.h"

/* How often an agent is asked for more. */
#define POLL_MS 250

static const struct krl_cli_choice outputs[] = {
	{ "table", KRL_CLI_TABLE },
	{ "wide", KRL_CLI_WIDE },
	{ "json", KRL_CLI_JSON },
	{ NULL, 0 },
};

const struct krl_cli_option krl_cli_events_options[] = {
	{ 'n', "namespace", "NAMESPACE", "of the rate limits (" KRL_CLI_NAMESPACE ")", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, ns), NULL },
	{ 'A', "all-namespaces", NULL, "rate limits of every namespace", KRL_CLI_SWITCH,
	  offsetof(struct krl_cli, all_namespaces), NULL },
	{ 'f', "follow", NULL, "go on with those that come, until it is interrupted", KRL_CLI_SWITCH,
	  offsetof(struct krl_cli, follow), NULL },
	{ 'o', "output", "FORMAT", "table (default), wide, or json: one object a line", KRL_CLI_CHOICE,
	  offsetof(struct krl_cli, output), outputs },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

/* What is shown, and what was. */
struct events {
	const struct krl_cli *cli;
	const char *name;		/* of the rate limit; NULL: any */
	struct krl_events_feed feed;
	size_t count;			/* shown until now */
};

/* Show the next ones. 0, -ENOMEM, or as krl_events_next(). */
static int show_next(struct events *e, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	json_t *items, *chosen;
	int err = krl_events_next(e->cli, &e->feed, &items, ret_error);

	if (err)
		return err;
	/* Behind what was shown before. */
	if (e->feed.missed > 0 && !fflush(stdout))
		fprintf(stderr, "%" JSON_INTEGER_FORMAT " events are not remembered any more\n", e->feed.missed);
	chosen = krl_events_select(items, krl_cli_namespace(e->cli), e->name, 0);
	json_decref(items);
	if (!chosen)
		return -ENOMEM;
	if (e->cli->output == KRL_CLI_JSON)
		err = krl_events_print_lines(chosen, stdout);
	else if (!json_array_size(chosen))
		err = 0;
	else if (e->cli->follow)
		err = krl_events_print_on(chosen, e->cli->output == KRL_CLI_WIDE, e->count, stdout);
	else
		err = krl_events_print(chosen, e->cli->output == KRL_CLI_WIDE, stdout);
	e->count += json_array_size(chosen);
	json_decref(chosen);
	return err;
}

static enum krl_cli_exit fail(int err, const char *why)
{
	if (err == -ENOENT || err == -ECONNREFUSED)
		return krl_cli_fail("agent not running: nobody else remembers events");
	if (err == -EREMOTEIO)
		return krl_cli_fail("the agent: %s", why);
	if (err == -EPROTO)
		return krl_cli_fail("the agent's answer is not understood: is it of version %s?", KRL_VERSION);
	return krl_cli_fail("agent does not answer: %s", strerror(-err));
}

/* Wait until the agent is to be asked again. Returns whether anybody reads on. */
static bool wait_next(void)
{
	/* Whoever closed the pipe has seen enough, also when nothing more is to be written. */
	struct pollfd out = { .fd = STDOUT_FILENO };

	if (fflush(stdout))
		return false;
	return poll(&out, 1, POLL_MS) <= 0 || !(out.revents & (POLLERR | POLLHUP | POLLNVAL));
}

/* An agent that goes away is waited for: it is being upgraded. */
static enum krl_cli_exit follow(struct events *e)
{
	char why[KRL_CONTROL_ERROR_BYTES];
	bool away = false;
	int err;

	while (wait_next()) {
		err = show_next(e, why);
		if (err == -ENOMEM)
			return krl_cli_fail("%s", strerror(-err));
		if (err && !away)
			fprintf(stderr, "agent does not answer: waiting for one\n");
		away = err;
	}
	return KRL_CLI_GOOD;
}

static void say_none(const struct events *e)
{
	const char *ns = krl_cli_namespace(e->cli);

	fprintf(stderr, "No events found%s%s%s%s%s.\n", e->name ? " of rate limit " : "", e->name ? e->name : "",
		ns ? " in " : "", ns ? ns : "", ns ? " namespace" : "");
}

enum krl_cli_exit krl_cli_events(const struct krl_cli *cli)
{
	struct events e = { .cli = cli, .name = cli->words.count ? cli->words.words[0] : NULL };
	char why[KRL_CONTROL_ERROR_BYTES];
	enum krl_cli_exit status;
	bool unknown;
	int err;

	if (cli->words.count > 1)
		return krl_cli_misuse("events takes one name, not \"%s\" too", cli->words.words[1]);
	err = show_next(&e, why);
	unknown = !err && e.name && !e.count && !krl_cli_knows(cli, krl_cli_namespace(cli), e.name);
	if (unknown && cli->follow)
		fprintf(stderr, "rate limit \"%s\" is not there: waiting for it\n", e.name);
	if (err)
		status = fail(err, why);
	else if (unknown && !cli->follow)
		status = krl_cli_none_found(cli, krl_cli_namespace(cli), e.name);
	else
		status = cli->follow ? follow(&e) : KRL_CLI_GOOD;
	if (!err && !unknown && !cli->follow && !e.count && cli->output != KRL_CLI_JSON)
		say_none(&e);
	krl_events_feed_end(&e.feed);
	return status;
}
