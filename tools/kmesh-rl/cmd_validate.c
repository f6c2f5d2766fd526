// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl validate */
#include <errno.h>
#include <string.h>

#include "agent/policy/compile.h"
#include "agent/policy/store.h"
#include "cli.h"
#include "files.h"

const struct krl_cli_option krl_cli_validate_options[] = {
	{ 'f', "filename", "FILE|DIR|-", "what to check; may be given several times", KRL_CLI_LIST,
	  offsetof(struct krl_cli, files), NULL },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

/* Read and compile what is given, as an agent would with all of it as its source. */
static enum krl_cli_exit check(const struct krl_cli *cli, struct krl_store *store, struct krl_diags *errors)
{
	enum krl_cli_exit status = krl_cli_read_files(&cli->files, store, errors);
	size_t line, decoded, valid, refused;
	struct krl_diags notes = {};
	struct krl_plan plan = {};
	int err;

	krl_store_count(store, &valid, &refused);
	decoded = errors->count;
	/* Whatever the time: nothing is refused because of a schedule. */
	err = krl_store_compile(store, 0, &plan, errors, &notes);
	krl_plan_clear(&plan);
	krl_diags_clear(&notes);
	if (err)
		return krl_cli_fail("%s", strerror(-err));
	for (line = 0; line < errors->count; line++)
		fprintf(stderr, "%s\n", errors->lines[line]);
	/* A line of the compiler refuses one document that was decoded well. */
	valid -= errors->count - decoded;
	refused += errors->count - decoded;
	printf("%zu documents valid, %zu refused", valid, refused);
	if (errors->ignored)
		printf(", %zu of other kinds ignored", errors->ignored);
	putchar('\n');
	return refused ? KRL_CLI_FAILED : status;
}

enum krl_cli_exit krl_cli_validate(const struct krl_cli *cli)
{
	struct krl_diags errors = {};
	enum krl_cli_exit status;
	struct krl_store *store;

	if (cli->words.count)
		return krl_cli_misuse("validate takes what to check with -f: -f %s", cli->words.words[0]);
	status = krl_cli_require_files(&cli->files, "validate");
	if (status)
		return status;
	store = krl_store_new();
	if (!store)
		return krl_cli_fail("out of memory");
	status = check(cli, store, &errors);
	krl_diags_clear(&errors);
	krl_store_free(store);
	return status;
}
