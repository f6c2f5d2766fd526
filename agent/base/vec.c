// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>
#include <stdlib.h>

#include "vec.h"

void *krl_vec_grow(void *items, size_t count, size_t *capacity, size_t item_bytes)
{
	size_t more;

	if (count < *capacity)
		return items;
	more = *capacity ? *capacity * 2 : 8;
	if (more > SIZE_MAX / item_bytes)
		return NULL;
	items = realloc(items, more * item_bytes);
	if (items)
		*capacity = more;
	return items;
}
