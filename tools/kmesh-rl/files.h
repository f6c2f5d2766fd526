/* SPDX-License-Identifier: Apache-2.0 */
/* The documents that are given with -f. */
#ifndef KMESH_RL_TOOL_FILES_H
#define KMESH_RL_TOOL_FILES_H

#include "agent/policy/store.h"
#include "cli.h"

/* KRL_CLI_USAGE, and a message, where @files cannot be read for @command at all. */
enum krl_cli_exit krl_cli_require_files(const struct krl_cli_list *files, const char *command);

/* Read all of @files into @store as one source; complaints go to @errors. KRL_CLI_FAILED,
 * and a message, when one cannot be read. */
enum krl_cli_exit krl_cli_read_files(const struct krl_cli_list *files, struct krl_store *store,
				     struct krl_diags *errors);

#endif
