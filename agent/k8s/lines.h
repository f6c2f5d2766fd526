/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that come in pieces of any size, put together whole or line by line, up to a bound. */
#ifndef KMESH_RL_K8S_LINES_H
#define KMESH_RL_K8S_LINES_H

#include <stdbool.h>
#include <stddef.h>

/* All zero at first. */
struct krl_lines {
	char *bytes;
	size_t len, size;
};

/* @line is gone when this returns; false: no more of them. */
typedef bool (*krl_line_fn)(void *arg, const char *line, size_t len);

/* Append @len bytes at @piece. 0; -EFBIG: it would be more than @max; or -ENOMEM. */
int krl_lines_add(struct krl_lines *lines, const char *piece, size_t len, size_t max);

/* Call @fn with each line that ends in @piece, without its end, in order; what follows the last one is kept. 0; -EFBIG:
 * one is longer than @max; -ECANCELED: @fn said so; or -ENOMEM. */
int krl_lines_split(struct krl_lines *lines, const char *piece, size_t len, size_t max, krl_line_fn fn, void *arg);

/* Forget what is kept, and give its memory back. */
void krl_lines_clear(struct krl_lines *lines);

#endif
