// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "agent/source/directory.h"
#include "files.h"

enum krl_cli_exit krl_cli_require_files(const struct krl_cli_list *files, const char *command)
{
	size_t i, inputs = 0;

	if (!files->count)
		return krl_cli_misuse("%s needs what to check: -f FILE, -f DIR or -f -", command);
	for (i = 0; i < files->count; i++)
		inputs += !strcmp(files->words[i], "-");
	return inputs > 1 ? krl_cli_misuse("-f - can be given once") : KRL_CLI_GOOD;
}

enum krl_cli_exit krl_cli_read_files(const struct krl_cli_list *files, struct krl_store *store,
				     struct krl_diags *errors)
{
	enum krl_cli_exit status = KRL_CLI_GOOD;
	size_t i;
	int err;

	krl_store_begin(store);
	for (i = 0; i < files->count; i++) {
		err = krl_source_offer(files->words[i], store, errors);
		if (err)
			status = krl_cli_fail("%s: %s", files->words[i], strerror(-err));
	}
	krl_store_commit(store);
	return status;
}
