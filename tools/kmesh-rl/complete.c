// SPDX-License-Identifier: Apache-2.0
#include "complete.h"

#include <stdlib.h>
#include <string.h>

#include <kmesh_rl/pins.h>

#include "buckets_view.h"
#include "limits_view.h"
#include "top_view.h"

#define BUCKETS 200

/* What was typed until now. */
struct typed {
	struct krl_cli cli;
	const struct krl_cli_command *command;	/* NULL: none yet */
	bool unknown;				/* ... and what stands there is none */
	size_t positional;			/* words behind the command that are no flags */
	const char *subject;			/* the first of them; NULL: none yet */
	const char *name;			/* of a rate limit; NULL: none yet */
	const struct krl_cli_option *open;	/* a flag that waits for its value */
	const char *word;			/* that is being typed */
};

static void offer(const struct typed *t, const char *candidate, const char *help)
{
	if (strncmp(candidate, t->word, strlen(t->word)))
		return;
	printf("%s%s%s\n", candidate, help ? "\t" : "", help ? help : "");
}

static const struct krl_cli_option *find_in(const struct krl_cli_option *options, const char *word)
{
	for (; options->name; options++)
		if ((word[1] == '-' && !strcmp(word + 2, options->name)) ||
		    (options->letter && word[1] == options->letter && !word[2]))
			return options;
	return NULL;
}

static const struct krl_cli_option *find_option(const struct typed *t, const char *word)
{
	const struct krl_cli_option *option = find_in(krl_cli_global_options, word);

	if (!option)
		option = find_in(t->command ? t->command->options : krl_cli_lead_options, word);
	return option;
}

/* What of the flags says where names are to be looked for. */
static void take_value(struct typed *t, const char *value)
{
	if (t->open->kind == KRL_CLI_TEXT)
		*(const char **)((char *)&t->cli + t->open->offset) = value;
	t->open = NULL;
}

static void take_positional(struct typed *t, const char *word)
{
	if (!t->command) {
		t->command = krl_cli_find_command(word);
		t->unknown = !t->command;
		return;
	}
	if (t->command->names && t->positional == (t->command->subjects ? 1 : 0))
		t->name = word;
	if (!t->positional++)
		t->subject = word;
}

static void take(struct typed *t, const char *word)
{
	const struct krl_cli_option *option;

	if (t->open) {
		take_value(t, word);
	} else if (word[0] == '-' && word[1]) {
		option = find_option(t, word);
		if (option && option->kind == KRL_CLI_SWITCH)
			*(bool *)((char *)&t->cli + option->offset) = true;
		else
			t->open = option;
	} else {
		take_positional(t, word);
	}
}

static const char *text_of(const json_t *item, const char *field)
{
	const char *text = json_string_value(json_object_get(item, field));

	return text ? text : "";
}

/* Offer @field of each of @items that is of the namespace, where @own, and of the rate limit that were typed; each once
 * where the same come together. */
static void offer_field(const struct typed *t, const json_t *items, const char *field, const char *help_field, bool own)
{
	const char *ns = own ? krl_cli_namespace(&t->cli) : NULL, *text, *before = NULL, *help;
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item) {
		text = text_of(item, field);
		if ((ns && strcmp(ns, text_of(item, "namespace"))) || (t->name && strcmp(t->name, text_of(item, "name"))) ||
		    !*text || (before && !strcmp(before, text)))
			continue;
		before = text;
		help = help_field ? text_of(item, help_field) : "";
		offer(t, text, *help ? help : NULL);
	}
}

/* Of rate limits those that were not accepted too. */
static void offer_limits(const struct typed *t, const char *field, const char *help_field, bool own)
{
	char said[KRL_CLI_ERROR_BYTES];
	json_t *stats = krl_cli_read_stats(&t->cli, said), *known = krl_cli_fetch_limits(&t->cli);
	json_t *limits = stats ? krl_limits_join(known, stats, NULL, NULL) : NULL;

	offer_field(t, json_object_get(limits, "items"), field, help_field, own);
	json_decref(limits);
	json_decref(known);
	json_decref(stats);
}

static void offer_rules(const struct typed *t)
{
	char said[KRL_CLI_ERROR_BYTES];
	json_t *stats = krl_cli_read_stats(&t->cli, said);

	offer_field(t, json_object_get(stats, "items"), "rule", "limit", true);
	json_decref(stats);
}

static void offer_descriptors(const struct typed *t)
{
	const char *bpffs = t->cli.bpffs ? t->cli.bpffs : KRL_DEFAULT_BPFFS;
	struct krl_buckets buckets = {};
	struct krl_stats stats = {};
	json_t *value;

	if (krl_stats_read(bpffs, &stats))
		return;
	krl_stats_choose(&stats, krl_cli_namespace(&t->cli), t->name);
	if (!krl_buckets_read(bpffs, &stats, BUCKETS, &buckets)) {
		value = krl_buckets_json(&buckets);
		offer_field(t, json_object_get(value, "items"), "value", "rule", true);
		json_decref(value);
		krl_buckets_free(&buckets);
	}
	krl_stats_free(&stats);
}

static void offer_columns(const struct typed *t)
{
	size_t i;

	for (i = 0; i < krl_top_columns(); i++)
		offer(t, krl_top_title(i), NULL);
}

static void offer_value(const struct typed *t)
{
	static const char *const files[] = { "filename", "bpffs", "control-socket" };
	const struct krl_cli_option *option = t->open;
	const struct krl_cli_choice *choice;
	size_t i;

	for (choice = option->choices; choice && choice->name; choice++)
		offer(t, choice->name, NULL);
	for (i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (!strcmp(option->name, files[i]))
			puts(KRL_CLI_COMPLETE_FILES);
	if (!strcmp(option->name, "namespace"))
		offer_limits(t, "namespace", NULL, false);
	if (!strcmp(option->name, "rule"))
		offer_rules(t);
	if (!strcmp(option->name, "descriptor"))
		offer_descriptors(t);
	if (!strcmp(option->name, "sort"))
		offer_columns(t);
}

/* `get` refuses it of others. */
static bool is_refused(const struct typed *t, const struct krl_cli_option *option)
{
	return !strcmp(option->name, "limit") && t->subject && strcmp(t->subject, "ratelimit-buckets") &&
	       strcmp(t->subject, "ratelimit-tokens");
}

static void offer_options(const struct typed *t, const struct krl_cli_option *options)
{
	char flag[64];

	for (; options->name; options++) {
		snprintf(flag, sizeof(flag), "--%s", options->name);
		if (!is_refused(t, options))
			offer(t, flag, options->help);
	}
}

static void offer_commands(const struct typed *t)
{
	const struct krl_cli_command *command;

	for (command = krl_cli_commands; command->name; command++)
		offer(t, command->name, command->help);
}

/* Each of @words, which are separated by spaces. */
static void offer_words(const struct typed *t, const char *words)
{
	char word[64];
	size_t length;

	for (; *words; words += length + (words[length] == ' ')) {
		length = strcspn(words, " ");
		snprintf(word, sizeof(word), "%.*s", (int)length, words);
		offer(t, word, NULL);
	}
}

static void offer_positional(const struct typed *t)
{
	if (!t->command || (!strcmp(t->command->name, "help") && !t->positional))
		offer_commands(t);
	else if (t->command->subjects && !t->positional)
		offer_words(t, t->command->subjects);
	else if (t->command->names && !t->name)
		offer_limits(t, "name", "limit", true);
}

enum krl_cli_exit krl_cli_complete(int count, char *const *words)
{
	struct typed t = { .word = count ? words[count - 1] : "" };
	int i;

	for (i = 0; i + 1 < count; i++)
		take(&t, words[i]);
	if (t.unknown)
		return KRL_CLI_GOOD;
	if (t.open) {
		offer_value(&t);
	} else if (*t.word == '-') {
		offer_options(&t, t.command ? t.command->options : krl_cli_lead_options);
		offer_options(&t, krl_cli_global_options);
	} else {
		offer_positional(&t);
	}
	return KRL_CLI_GOOD;
}
