// SPDX-License-Identifier: Apache-2.0
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

#define BLOCK_BYTES 4096

struct krl_arena_block {
	struct krl_arena_block *next;
	size_t used, size;
	alignas(max_align_t) char bytes[];
};

void *krl_arena_alloc(struct krl_arena *arena, size_t bytes)
{
	struct krl_arena_block *block = arena->blocks;
	size_t size, align = alignof(max_align_t);

	if (bytes > SIZE_MAX / 2)
		return NULL;
	bytes = (bytes + align - 1) & ~(align - 1);
	if (!block || block->size - block->used < bytes) {
		size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
		block = calloc(1, sizeof(*block) + size);
		if (!block)
			return NULL;
		block->size = size;
		block->next = arena->blocks;
		arena->blocks = block;
	}
	block->used += bytes;
	return block->bytes + block->used - bytes;
}

char *krl_arena_strndup(struct krl_arena *arena, const char *text, size_t len)
{
	char *copy = krl_arena_alloc(arena, len + 1);

	if (copy && len)
		memcpy(copy, text, len);
	return copy;
}

void krl_arena_free(struct krl_arena *arena)
{
	struct krl_arena_block *block;

	while ((block = arena->blocks)) {
		arena->blocks = block->next;
		free(block);
	}
}
