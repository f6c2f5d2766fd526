// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl validate */
#include <errno.h>
#include <string.h>

#include "agent/policy/compile.h"
#include "agent/policy/store.h"
#include "agent/source/directory.h"
#include "cli.h"

const struct krl_cli_option krl_cli_validate_options[] = {
	{ 'f', "filename", "FILE|DIR|-", "what to check; may be given several times", KRL_CLI_LIST,
	  offsetof(struct krl_cli, files), NULL },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

struct tally {
	size_t valid, refused, ignored;
};

/* Read and compile what one -f names, as an agent would with it as its source. */
static int check(const char *path, struct tally *tally, struct krl_diags *errors)
{
	struct krl_store *store = krl_store_new();
	struct krl_diags notes = {};
	struct krl_plan plan = {};
	size_t valid, refused, decoded;
	int err;

	if (!store)
		return -ENOMEM;
	err = krl_source_read(path, store, errors);
	decoded = errors->count;
	if (!err)
		err = krl_store_compile(store, &plan, errors, &notes);
	if (!err) {
		krl_store_count(store, &valid, &refused);
		/* A line of the compiler refuses one document that was decoded well. */
		tally->valid += valid - (errors->count - decoded);
		tally->refused += refused + (errors->count - decoded);
	}
	krl_plan_clear(&plan);
	krl_diags_clear(&notes);
	krl_store_free(store);
	return err;
}

static bool is_repeated(const struct krl_cli_list *files, const char *word)
{
	size_t i, times = 0;

	for (i = 0; i < files->count; i++)
		times += !strcmp(files->words[i], word);
	return times > 1;
}

enum krl_cli_exit krl_cli_validate(const struct krl_cli *cli)
{
	enum krl_cli_exit status = KRL_CLI_GOOD;
	struct krl_diags errors = {};
	struct tally tally = {};
	size_t i, line;
	int err;

	if (cli->words.count)
		return krl_cli_misuse("validate takes what to check with -f: -f %s", cli->words.words[0]);
	if (!cli->files.count)
		return krl_cli_misuse("validate needs what to check: -f FILE, -f DIR or -f -");
	if (is_repeated(&cli->files, "-"))
		return krl_cli_misuse("-f - can be given once");
	for (i = 0; i < cli->files.count; i++) {
		err = check(cli->files.words[i], &tally, &errors);
		for (line = 0; line < errors.count; line++)
			fprintf(stderr, "%s\n", errors.lines[line]);
		tally.ignored += errors.ignored;
		krl_diags_clear(&errors);
		if (err)
			status = krl_cli_fail("%s: %s", cli->files.words[i], strerror(-err));
	}
	printf("%zu documents valid, %zu refused", tally.valid, tally.refused);
	if (tally.ignored)
		printf(", %zu of other kinds ignored", tally.ignored);
	putchar('\n');
	return tally.refused ? KRL_CLI_FAILED : status;
}
