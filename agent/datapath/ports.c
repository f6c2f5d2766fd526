// SPDX-License-Identifier: Apache-2.0
/* What programs need to know of krl_endpoints as a whole: the ports that some rule is for. */
#include <string.h>

#include "known.h"
#include "pass.h"

void krl_ports_of(const struct krl_datapath *dp, __u32 hooks, __u64 ret[KRL_PORT_WORDS])
{
	const struct krl_known_endpoint *at;

	memset(ret, 0, KRL_PORT_WORDS * sizeof(*ret));
	for (at = dp->known; at < dp->known + dp->known_count; at++)
		if (hooks >> at->key.hook & 1)
			ret[at->key.port / 64] |= 1ULL << at->key.port % 64;
}

bool krl_endpoints_hold(const struct krl_datapath *dp)
{
	const struct krl_known_endpoint *at;

	for (at = dp->known; at < dp->known + dp->known_count; at++)
		if (at->flags & KRL_ENDPOINT_CONCURRENT)
			return true;
	return false;
}

static void write_ports(const struct krl_datapath *dp, __u32 hooks, __u64 *to)
{
	__u64 ports[KRL_PORT_WORDS];
	__u32 i;

	krl_ports_of(dp, hooks, ports);
	for (i = 0; i < KRL_PORT_WORDS; i++)
		__atomic_store_n(&to[i], ports[i], __ATOMIC_RELAXED);
}

void krl_pass_ports(struct krl_pass *p)
{
	write_ports(p->dp, 1U << KRL_HOOK_CONNECT | 1U << KRL_HOOK_SEND, p->dp->dialled_ports);
	write_ports(p->dp, 1U << KRL_HOOK_STREAM, p->dp->served_ports);
}
