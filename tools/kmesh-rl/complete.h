/* SPDX-License-Identifier: Apache-2.0 */
/* What may come next on a command line that is being typed, for the scripts of `kmesh-rl completion`. */
#ifndef KMESH_RL_TOOL_COMPLETE_H
#define KMESH_RL_TOOL_COMPLETE_H

#include "cli.h"

/* How those scripts call it. */
#define KRL_CLI_COMPLETE "__complete"

/* Where the names of files come next, this alone is printed. */
#define KRL_CLI_COMPLETE_FILES ":files"

/* Print what the last of @words, which may be empty, may become: a line each, with a tab and what it is behind it where there
 * is something to say. @words are those behind the program's name. Names are asked of the agent, or of the pinned maps, and
 * where there are none none are printed. */
enum krl_cli_exit krl_cli_complete(int count, char *const *words);

#endif
