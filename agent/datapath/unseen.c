// SPDX-License-Identifier: Apache-2.0
/* Where requests over HTTP/2 came lately that some rule did not apply to. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/base/clock.h"
#include "internal.h"

bool krl_datapath_unseen(void *ctx, const struct krl_endpoint_key *key)
{
	const struct krl_datapath *dp = ctx;
	struct krl_protocols protocols;

	return !bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.krl_protocols), key, &protocols) && protocols.unseen_ns &&
	       krl_boot_ns() - protocols.unseen_ns < KRL_DATAPATH_UNSEEN_NS;
}
