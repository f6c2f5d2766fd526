/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which endpoint an address belongs to. */
#ifndef KMESH_RL_ENDPOINT_H
#define KMESH_RL_ENDPOINT_H

#include "../maps.h"
#include "flow.h"

/* Find the endpoint as it was configured: the address itself, else any IPv4, else any at all.
 * Leaves @key as configured. NULL: there is none. */
static __always_inline struct krl_endpoint *krl_find_endpoint(struct krl_endpoint_key *key)
{
	__u32 *words = (__u32 *)key->addr;
	struct krl_endpoint *endpoint;

	endpoint = bpf_map_lookup_elem(&krl_endpoints, key);
	if (endpoint)
		return endpoint;
	if (krl_flow_is_ipv4(key->addr)) {
		words[3] = 0;
		endpoint = bpf_map_lookup_elem(&krl_endpoints, key);
		if (endpoint)
			return endpoint;
	}
	__builtin_memset(key->addr, 0, sizeof(key->addr));
	return bpf_map_lookup_elem(&krl_endpoints, key);
}

#endif
