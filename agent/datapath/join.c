// SPDX-License-Identifier: Apache-2.0
/* Taking in the connections that were open before their endpoint was protected. */
#include "diag.h"
#include "netns.h"
#include "pass.h"
#include "takeover.h"

/* May it be of an endpoint, by its ports? */
static bool may_join(const struct krl_datapath *dp, const struct krl_flow *flow)
{
	return krl_port_is_in(dp->served_ports, flow->local_port) || krl_port_is_in(dp->dialled_ports, flow->remote_port);
}

static int join_one(void *ctx, const struct krl_diag_socket *socket)
{
	struct krl_open open = { .cookie = socket->cookie, .flow = socket->flow };
	struct krl_pass *p = ctx;
	__u32 joined;
	int err;

	if (!may_join(p->dp, &socket->flow) || krl_takeover_waits(p->dp, socket->cookie))
		return 0;
	err = krl_diag_run(p->dp->skel->progs.krl_join, socket, &open, sizeof(open), &joined);
	p->result.connections_joined += !err && joined == KRL_JOINED;
	p->result.connections_left_out += !err && joined == KRL_JOINED_BLOCKS;
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
