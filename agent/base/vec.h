/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that grow. */
#ifndef KMESH_RL_VEC_H
#define KMESH_RL_VEC_H

#include <stddef.h>

/* Make room for one more item behind the @count items of @item_bytes. Returns the array, which may have
 * moved, and updates @capacity; NULL without memory, the array is then as it was. Start with NULL and
 * capacity 0; free() releases it. */
void *krl_vec_grow(void *items, size_t count, size_t *capacity, size_t item_bytes);

#endif
