// SPDX-License-Identifier: Apache-2.0
/* Maps whose rows are under the hash of what they hold. */
#include <stdlib.h>

#include <bpf/bpf.h>

#include "pass.h"

static int compare_keys(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return (x > y) - (x < y);
}

static bool is_in(const __u64 *sorted, size_t count, __u64 key)
{
	return count && bsearch(&key, sorted, count, sizeof(key), compare_keys);
}

/* The keys of the map, which the caller frees. NULL without memory. */
static __u64 *keys_of(int fd, size_t *ret_count)
{
	__u64 *found = NULL, *added, *grown;
	size_t count = 0, room = 0;

	do {
		if (count == room) {
			room = room ? 2 * room : 64;
			grown = realloc(found, room * sizeof(*found));
			if (!grown) {
				free(found);
				return NULL;
			}
			found = grown;
		}
		added = &found[count];
	} while (!bpf_map_get_next_key(fd, count++ ? added - 1 : NULL, added));
	*ret_count = count - 1;
	return found;
}

void krl_contents_drop(int fd, __u64 *used, size_t used_count, struct krl_stale *stale)
{
	size_t count = 0, unused = 0, i;
	__u64 *found = keys_of(fd, &count);

	if (!found)
		return;
	qsort(used, used_count, sizeof(*used), compare_keys);
	for (i = 0; i < count; i++) {
		if (is_in(used, used_count, found[i]))
			continue;
		if (is_in(stale->keys, stale->count, found[i]))
			bpf_map_delete_elem(fd, &found[i]);
		else
			found[unused++] = found[i];
	}
	qsort(found, unused, sizeof(*found), compare_keys);
	free(stale->keys);
	stale->keys = found;
	stale->count = unused;
}
