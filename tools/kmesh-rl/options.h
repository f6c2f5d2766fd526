/* SPDX-License-Identifier: Apache-2.0 */
/* Flags as data, from which come parsing, help and suggestions. */
#ifndef KMESH_RL_TOOL_OPTIONS_H
#define KMESH_RL_TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define KRL_CLI_ERROR_BYTES 512

enum krl_cli_kind {
	KRL_CLI_SWITCH,		/* bool */
	KRL_CLI_TEXT,		/* const char *, not empty */
	KRL_CLI_CHOICE,		/* int: the value of one of choices */
	KRL_CLI_LIST,		/* struct krl_cli_list, one more each time */
};

/* Ends with a NULL name. */
struct krl_cli_choice {
	const char *name;
	int value;
};

/* Words of the command line; owns the array, not the words. */
struct krl_cli_list {
	const char **words;
	size_t count;
};

/* A table of these ends with a NULL name. */
struct krl_cli_option {
	char letter;			/* 0: none */
	const char *name;		/* without dashes */
	const char *value;		/* what follows, as the help names it; NULL for a switch */
	const char *help;
	enum krl_cli_kind kind;
	size_t offset;			/* of the field in the parsed struct */
	const struct krl_cli_choice *choices;
};

struct krl_cli_error {
	char text[KRL_CLI_ERROR_BYTES];
};

/* Parse @argv from @at on by the flags in @tables (ending with NULL) into the struct @ret. Words that
 * are no flags go to @ret_words; without @ret_words parsing ends before the first of them. "--" ends
 * the flags. Returns the index it stopped at, or -EINVAL with one line in @ret_error, or -ENOMEM. What
 * was parsed until then stays in @ret. */
int krl_cli_parse(const struct krl_cli_option *const *tables, int argc, char *const *argv, int at,
		  void *ret, struct krl_cli_list *ret_words, struct krl_cli_error *ret_error);

int krl_cli_list_add(struct krl_cli_list *list, const char *word);
void krl_cli_list_free(struct krl_cli_list *list);

void krl_cli_print_options(const struct krl_cli_option *options, FILE *out);

#endif
