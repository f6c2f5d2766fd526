/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with documents: one line each, for people. */
#ifndef KMESH_RL_DIAG_H
#define KMESH_RL_DIAG_H

#include <stddef.h>

struct krl_diags {
	char **lines;
	size_t count;
};

/* "file:line:column: TEXT"; @line and @column count from 1, 0 leaves them out. */
void krl_diags_add(struct krl_diags *diags, const char *file, size_t line, size_t column,
		   const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void krl_diags_clear(struct krl_diags *diags);

#endif
