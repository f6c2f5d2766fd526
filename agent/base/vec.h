/* SPDX-License-Identifier: Apache-2.0 */
/* Growing arrays: a typed pointer and a count, both zero at first. Whoever owns the pointer frees it. */
#ifndef KMESH_RL_VEC_H
#define KMESH_RL_VEC_H

#include <stddef.h>

/* Make room for one more item of @size bytes after the @count at @items, and zero it. Returns where the
 * items are now; NULL without memory, @items is as before then. */
void *krl_vec_grow(void *items, size_t count, size_t size);

/* Append a zeroed item to the array *@items of *@count items. Evaluates to a pointer to it, of the
 * items' type; NULL without memory, nothing has changed then. */
#define krl_vec_add(items, count)                                                                  \
	({                                                                                         \
		__typeof__(items) items_ = (items);                                                \
		size_t *count_ = (count);                                                          \
		__typeof__(*items_) grown_ = krl_vec_grow(*items_, *count_, sizeof(**items_));     \
                                                                                                   \
		if (grown_)                                                                        \
			*items_ = grown_;                                                          \
		grown_ ? &grown_[(*count_)++] : NULL;                                              \
	})

#endif
