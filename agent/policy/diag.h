/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to say about documents: what is wrong with them, one line each, for people, and how many
 * are of kinds that do not concern us. */
#ifndef KMESH_RL_DIAG_H
#define KMESH_RL_DIAG_H

#include <stddef.h>

struct krl_diags {
	char **lines;
	size_t count;
	size_t ignored;
};

/* The files of lines that are of no file: what objects of an API server say together, and what the kernel did not take. */
#define KRL_DIAG_OBJECTS "kubernetes"
#define KRL_DIAG_KERNEL "kernel"

/* What @line says behind @file and ": "; NULL where it is not of that. */
const char *krl_diag_of(const char *line, const char *file);

/* "file:line:column: TEXT"; @line and @column count from 1, 0 leaves them out. */
void krl_diags_add(struct krl_diags *diags, const char *file, size_t line, size_t column,
		   const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* A copy of @line, which has been added before. */
void krl_diags_add_line(struct krl_diags *diags, const char *line);

void krl_diags_clear(struct krl_diags *diags);

/* Have @text be one line of valid UTF-8, for logs, terminals and JSON: other bytes become '?'. */
void krl_make_printable(char *text);

/* Whom a line is about. */
struct krl_diag_subject {
	char ns[64], name[256];
};

/* The RateLimit of an API server that @line is about, "RateLimit NS/NAME: ...", and what is said of it, within @line.
 * NULL: it is about none. */
const char *krl_diag_about(const char *line, struct krl_diag_subject *ret);

#endif
