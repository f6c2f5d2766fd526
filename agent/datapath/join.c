// SPDX-License-Identifier: Apache-2.0
/* Taking in the connections that were open before their endpoint was protected. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "iter.h"
#include "netns.h"
#include "pass.h"
#include "takeover.h"

/* A packet of the least length that a test run takes. */
union join_packet {
	struct krl_open open;
	char bytes[64];
};

/* What krl_find wrote. */
static int join_one(void *ctx, const void *record)
{
	const struct krl_open *open = record;
	union join_packet packet = { .open = *open };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &packet, .data_size_in = sizeof(packet), .repeat = 1);
	struct krl_pass *p = ctx;
	int err;

	if (krl_takeover_waits(p->dp, open->cookie))
		return 0;
	err = bpf_prog_test_run_opts(bpf_program__fd(p->dp->skel->progs.krl_join), &opts);
	if (!err && opts.retval == KRL_JOINED)
		p->result.connections_joined++;
	if (!err && opts.retval == KRL_JOINED_BLOCKS)
		p->result.connections_left_out++;
	return err;
}

/* In the network namespace that the agent is in now. */
static int join_here(void *ctx)
{
	struct krl_pass *p = ctx;

	return krl_iter_each(p->dp->skel->progs.krl_find, NULL, sizeof(struct krl_open), join_one, p);
}

int krl_pass_join(struct krl_pass *p)
{
	return krl_netns_each(join_here, p);
}
