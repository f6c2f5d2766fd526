// SPDX-License-Identifier: Apache-2.0
/* Taking in the connections that were open before their endpoint was protected. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "diag.h"
#include "netns.h"
#include "pass.h"
#include "takeover.h"

/* A packet of the least length that a test run takes. */
union join_packet {
	struct krl_open open;
	char bytes[64];
};

/* May it be of an endpoint, by its ports? */
static bool may_join(const struct krl_datapath *dp, const struct krl_flow *flow)
{
	return krl_port_is_in(dp->served_ports, flow->local_port) || krl_port_is_in(dp->dialled_ports, flow->remote_port);
}

static int join_one(void *ctx, const struct krl_diag_socket *socket)
{
	union join_packet packet = { .open = { .cookie = socket->cookie, .flow = socket->flow } };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &packet, .data_size_in = sizeof(packet), .repeat = 1);
	struct krl_pass *p = ctx;
	int err;

	if (!may_join(p->dp, &socket->flow) || krl_takeover_waits(p->dp, socket->cookie))
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
	return krl_diag_each(KRL_DIAG_STATE(TCP_ESTABLISHED) | KRL_DIAG_STATE(TCP_CLOSE_WAIT), join_one, ctx);
}

int krl_pass_join(struct krl_pass *p)
{
	return krl_netns_each(join_here, p);
}
