// SPDX-License-Identifier: Apache-2.0
/* The ports that connections go out to which some rule is for. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "pass.h"

void krl_pass_dialled_ports(struct krl_pass *p)
{
	int fd = bpf_map__fd(p->dp->skel->maps.krl_endpoints);
	struct krl_endpoint_key key, *at = NULL;
	__u64 ports[KRL_PORT_WORDS] = { 0 };
	__u32 i;

	for (; !bpf_map_get_next_key(fd, at, &key); at = &key)
		if (key.hook == KRL_HOOK_CONNECT || key.hook == KRL_HOOK_SEND)
			ports[key.port / 64] |= 1ULL << key.port % 64;
	for (i = 0; i < KRL_PORT_WORDS; i++)
		__atomic_store_n(&p->dp->dialled_ports[i], ports[i], __ATOMIC_RELAXED);
}
