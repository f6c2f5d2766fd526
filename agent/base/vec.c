// SPDX-License-Identifier: Apache-2.0
#include "vec.h"

#include <stdlib.h>
#include <string.h>

void *krl_vec_grow(void *items, size_t count, size_t size)
{
	char *grown = reallocarray(items, count + 1, size);

	return grown ? memset(grown + count * size, 0, size), grown : NULL;
}
