/* SPDX-License-Identifier: Apache-2.0 */
/* Chains of items by their hash; each item has a link in it. All zero at first. */
#ifndef KMESH_RL_INDEX_H
#define KMESH_RL_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct krl_link {
	struct krl_link *next;
	uint64_t hash;
};

struct krl_index {
	struct krl_link **places;
	size_t room;		/* places, a power of two, or 0 */
	size_t count;
};

/* FNV-1a. */
uint64_t krl_index_hash(const void *bytes, size_t len);

/* 0, or -ENOMEM. */
int krl_index_add(struct krl_index *index, struct krl_link *link, uint64_t hash);

/* The first link with @hash, and the one behind @link that has the same. NULL: there is none. */
struct krl_link *krl_index_find(const struct krl_index *index, uint64_t hash);
struct krl_link *krl_index_next(const struct krl_link *link);

/* @link is in @index. */
void krl_index_remove(struct krl_index *index, struct krl_link *link);

/* Call @fn with each link, which it may remove and free. */
void krl_index_each(struct krl_index *index, void (*fn)(void *ctx, struct krl_link *link), void *ctx);

/* The items are not its own. */
void krl_index_clear(struct krl_index *index);

#endif
