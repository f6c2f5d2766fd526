// SPDX-License-Identifier: Apache-2.0
/* The ports that some rule on connections, or on requests that go out, is for. */
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "pass.h"

void krl_ports_of(const struct krl_datapath *dp, __u32 hooks, __u64 ret[KRL_PORT_WORDS])
{
	int fd = bpf_map__fd(dp->skel->maps.krl_endpoints);
	struct krl_endpoint_key key, *at = NULL;

	memset(ret, 0, KRL_PORT_WORDS * sizeof(*ret));
	for (; !bpf_map_get_next_key(fd, at, &key); at = &key)
		if (hooks >> key.hook & 1)
			ret[key.port / 64] |= 1ULL << key.port % 64;
}

void krl_pass_dialled_ports(struct krl_pass *p)
{
	__u64 ports[KRL_PORT_WORDS];
	__u32 i;

	krl_ports_of(p->dp, 1U << KRL_HOOK_CONNECT | 1U << KRL_HOOK_SEND, ports);
	for (i = 0; i < KRL_PORT_WORDS; i++)
		__atomic_store_n(&p->dp->dialled_ports[i], ports[i], __ATOMIC_RELAXED);
}
