/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who a pod is, as what picks a bucket: in userspace, which writes it into krl_peers. */
#ifndef KMESH_RL_IDENTITY_H
#define KMESH_RL_IDENTITY_H

#include <kmesh_rl/peers.h>

#include "siphash.h"

/* The digest of @name among those told apart by @by, with @key as krl_config.hash_key. */
static inline void krl_identity_digest(const __u64 key[2], enum krl_peer_by by, const char *name, __u64 ret[2])
{
	size_t len = __builtin_strlen(name), i;
	struct krl_sip sip;
	__u64 word;

	krl_sip_start(&sip, key);
	krl_sip_word(&sip, by);
	for (i = 0; i + 8 <= len; i += 8) {
		__builtin_memcpy(&word, name + i, sizeof(word));
		krl_sip_word(&sip, word);
	}
	word = 0;
	__builtin_memcpy(&word, name + i, len - i);
	krl_sip_end(&sip, word | (__u64)(len + 8) << 56, ret);
}

#endif
