/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Room to write an answer in. Programs that may be preempted by each other on one CPU each take a slot that is
 * free. */
#ifndef KMESH_RL_SLOT_H
#define KMESH_RL_SLOT_H

#include "../maps.h"

static __always_inline struct krl_text_slot *krl_text_slot_take(void)
{
	struct krl_text_slot *slot;
	__u32 i, key;

	for (i = 0; i < KRL_TEXT_SLOTS; i++) {
		key = KRL_COUNTED_KEY(i);
		slot = bpf_map_lookup_elem(&krl_answer_text, &key);
		if (slot && !__sync_val_compare_and_swap(&slot->busy, 0, 1))
			return slot;
	}
	return 0;
}

#endif
