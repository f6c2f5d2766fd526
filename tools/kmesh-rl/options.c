// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/nearest.h"
#include "agent/base/vec.h"
#include "options.h"

#define WORD_MAX 64

struct parser {
	const struct krl_cli_option *const *tables;
	void *ret;
	struct krl_cli_error *error;
};

int krl_cli_list_add(struct krl_cli_list *list, const char *word)
{
	const char **added = krl_vec_add(&list->words, &list->count);

	if (!added)
		return -ENOMEM;
	*added = word;
	return 0;
}

void krl_cli_list_free(struct krl_cli_list *list)
{
	free(list->words);
	list->words = NULL;
	list->count = 0;
}

#define FAIL(p, ...) (snprintf((p)->error->text, KRL_CLI_ERROR_BYTES, __VA_ARGS__), -EINVAL)

static const struct krl_cli_option *find_letter(const struct parser *p, char letter)
{
	const struct krl_cli_option *const *table, *option;

	for (table = p->tables; *table; table++)
		for (option = *table; option->name; option++)
			if (option->letter == letter)
				return option;
	return NULL;
}

static const struct krl_cli_option *find_name(const struct parser *p, const char *name, size_t length)
{
	const struct krl_cli_option *const *table, *option;

	for (table = p->tables; *table; table++)
		for (option = *table; option->name; option++)
			if (strlen(option->name) == length && !memcmp(option->name, name, length))
				return option;
	return NULL;
}

static int unknown_name(const struct parser *p, const char *name, size_t length)
{
	const struct krl_cli_option *const *table, *option;
	const char *nearest = NULL;
	char typed[WORD_MAX + 1];

	snprintf(typed, sizeof(typed), "%.*s", (int)(length < WORD_MAX ? length : WORD_MAX), name);
	for (table = p->tables; *table; table++)
		for (option = *table; option->name; option++)
			nearest = krl_nearer(typed, nearest, option->name);
	if (nearest)
		return FAIL(p, "unknown flag \"--%s\": did you mean \"--%s\"?", typed, nearest);
	return FAIL(p, "unknown flag \"--%s\": --help lists the flags", typed);
}

/* "table, wide, json or yaml" */
static void list_choices(const struct krl_cli_choice *choices, char *ret_text, size_t size)
{
	size_t used = 0, i;

	for (i = 0; choices[i].name && used < size; i++)
		used += (size_t)snprintf(ret_text + used, size - used, "%s%s",
					 !i ? "" : choices[i + 1].name ? ", " : " or ",
					 choices[i].name);
}

static int set_choice(const struct parser *p, const struct krl_cli_option *option, const char *flag,
		      const char *value)
{
	const struct krl_cli_choice *choice;
	const char *nearest = NULL;
	char expected[128];

	for (choice = option->choices; choice->name; choice++) {
		if (!strcmp(choice->name, value)) {
			*(int *)((char *)p->ret + option->offset) = choice->value;
			return 0;
		}
		nearest = krl_nearer(value, nearest, choice->name);
	}
	list_choices(option->choices, expected, sizeof(expected));
	if (nearest)
		return FAIL(p, "%s \"%.64s\": expected %s; did you mean \"%s\"?", flag, value, expected,
			    nearest);
	return FAIL(p, "%s \"%.64s\": expected %s", flag, value, expected);
}

static int set_value(const struct parser *p, const struct krl_cli_option *option, const char *flag,
		     const char *value)
{
	void *field = (char *)p->ret + option->offset;

	if (!value || !*value)
		return FAIL(p, "flag %s needs a value: %s", flag, option->value);
	switch (option->kind) {
	case KRL_CLI_CHOICE:
		return set_choice(p, option, flag, value);
	case KRL_CLI_LIST:
		return krl_cli_list_add(field, value);
	default:
		*(const char **)field = value;
		return 0;
	}
}

/* "--name", "--name=value", "--name value". Returns the words used, or -errno. */
static int parse_name(const struct parser *p, const char *word, const char *next)
{
	const char *name = word + 2, *equals = strchr(name, '=');
	size_t length = equals ? (size_t)(equals - name) : strlen(name);
	const struct krl_cli_option *option = find_name(p, name, length);
	char flag[WORD_MAX + 3];
	int err;

	if (!option)
		return unknown_name(p, name, length);
	snprintf(flag, sizeof(flag), "--%s", option->name);
	if (option->kind == KRL_CLI_SWITCH) {
		if (equals)
			return FAIL(p, "flag %s takes no value", flag);
		*(bool *)((char *)p->ret + option->offset) = true;
		return 1;
	}
	err = set_value(p, option, flag, equals ? equals + 1 : next);
	return err ? err : equals ? 1 : 2;
}

/* "-n value", "-nvalue", "-n=value", "-Ah". Returns the words used, or -errno. */
static int parse_letters(const struct parser *p, const char *word, const char *next)
{
	const struct krl_cli_option *option;
	const char *at;
	int err;

	for (at = word + 1; *at; at++) {
		char flag[3] = { '-', *at, '\0' };

		option = find_letter(p, *at);
		if (!option)
			return FAIL(p, "unknown flag \"-%c\": --help lists the flags", *at);
		if (option->kind == KRL_CLI_SWITCH) {
			*(bool *)((char *)p->ret + option->offset) = true;
			continue;
		}
		if (!at[1]) {
			err = set_value(p, option, flag, next);
			return err ? err : 2;
		}
		err = set_value(p, option, flag, at[1] == '=' ? at + 2 : at + 1);
		return err ? err : 1;
	}
	return 1;
}

int krl_cli_parse(const struct krl_cli_option *const *tables, int argc, char *const *argv, int at,
		  void *ret, struct krl_cli_list *ret_words, struct krl_cli_error *ret_error)
{
	struct parser p = { .tables = tables, .ret = ret, .error = ret_error };
	bool flags = true;
	int used;

	while (at < argc) {
		const char *word = argv[at], *next = at + 1 < argc ? argv[at + 1] : NULL;

		if (flags && !strcmp(word, "--")) {
			flags = false;
			used = 1;
		} else if (flags && !strncmp(word, "--", 2)) {
			used = parse_name(&p, word, next);
		} else if (flags && word[0] == '-' && word[1]) {
			used = parse_letters(&p, word, next);
		} else if (!ret_words) {
			return at;
		} else {
			used = krl_cli_list_add(ret_words, word);
			used = used ? used : 1;
		}
		if (used < 0)
			return used;
		at += used;
	}
	return at;
}

void krl_cli_print_options(const struct krl_cli_option *options, FILE *out)
{
	char left[WORD_MAX];

	for (; options->name; options++) {
		snprintf(left, sizeof(left), "%c%c%c --%s%s%s", options->letter ? '-' : ' ',
			 options->letter ? options->letter : ' ', options->letter ? ',' : ' ',
			 options->name, options->value ? " " : "", options->value ? options->value : "");
		fprintf(out, "  %-28s %s\n", left, options->help);
	}
}
