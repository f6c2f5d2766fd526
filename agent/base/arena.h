/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is released all at once. */
#ifndef KMESH_RL_ARENA_H
#define KMESH_RL_ARENA_H

#include <stddef.h>

struct krl_arena {
	struct krl_arena_block *blocks;
};

/* @bytes of zeroes, aligned for any type; NULL without memory. */
void *krl_arena_alloc(struct krl_arena *arena, size_t bytes);

/* A NUL-terminated copy of @len bytes; NULL without memory. */
char *krl_arena_strndup(struct krl_arena *arena, const char *text, size_t len);

void krl_arena_free(struct krl_arena *arena);

#endif
