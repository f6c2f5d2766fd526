// SPDX-License-Identifier: Apache-2.0
#include "index.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_ROOM 64

uint64_t krl_index_hash(const void *bytes, size_t len)
{
	const unsigned char *at = bytes;
	uint64_t hash = 14695981039346656037u;

	for (; len; len--)
		hash = (hash ^ *at++) * 1099511628211u;
	/* The low bits are what counts. */
	return hash ^ hash >> 32;
}

static struct krl_link **place_of(const struct krl_index *index, uint64_t hash)
{
	return &index->places[hash & (index->room - 1)];
}

static int grow(struct krl_index *index)
{
	struct krl_index grown = { .room = index->room ? 2 * index->room : FIRST_ROOM, .count = index->count };
	struct krl_link *link, *next;
	size_t i;

	grown.places = calloc(grown.room, sizeof(*grown.places));
	if (!grown.places)
		return -ENOMEM;
	for (i = 0; i < index->room; i++)
		for (link = index->places[i]; link; link = next) {
			next = link->next;
			link->next = *place_of(&grown, link->hash);
			*place_of(&grown, link->hash) = link;
		}
	free(index->places);
	*index = grown;
	return 0;
}

int krl_index_add(struct krl_index *index, struct krl_link *link, uint64_t hash)
{
	if (index->count == index->room && grow(index) && !index->room)
		return -ENOMEM;
	link->hash = hash;
	link->next = *place_of(index, hash);
	*place_of(index, hash) = link;
	index->count++;
	return 0;
}

static struct krl_link *same(struct krl_link *link, uint64_t hash)
{
	while (link && link->hash != hash)
		link = link->next;
	return link;
}

struct krl_link *krl_index_find(const struct krl_index *index, uint64_t hash)
{
	return index->room ? same(*place_of(index, hash), hash) : NULL;
}

struct krl_link *krl_index_next(const struct krl_link *link)
{
	return same(link->next, link->hash);
}

void krl_index_remove(struct krl_index *index, struct krl_link *link)
{
	struct krl_link **at = place_of(index, link->hash);

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	index->count--;
}

void krl_index_each(struct krl_index *index, void (*fn)(void *ctx, struct krl_link *link), void *ctx)
{
	struct krl_link *link, *next;
	size_t i;

	for (i = 0; i < index->room; i++)
		for (link = index->places[i]; link; link = next) {
			next = link->next;
			fn(ctx, link);
		}
}

void krl_index_clear(struct krl_index *index)
{
	free(index->places);
	*index = (struct krl_index){ 0 };
}
