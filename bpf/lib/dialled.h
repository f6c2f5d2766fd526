/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What sockets dialled, as connect.bpf.c notes it. */
#ifndef KMESH_RL_DIALLED_H
#define KMESH_RL_DIALLED_H

#include "../maps.h"

struct sock_common;

/* Are connections to the port counted, or requests on them? */
static __always_inline int krl_port_is_dialled(__u32 port)
{
	return krl_port_bit(&krl_dialled_ports, port);
}

/* What @skc dialled, if it was noted. NULL: it was accepted, or nothing was counted then where it went, and its peer is all
 * that is known. */
static __always_inline const struct krl_endpoint_key *krl_dialled_by(struct sock_common *skc)
{
	const struct krl_dial *dial = bpf_sk_storage_get(&krl_dials, skc, 0, 0);

	return dial && dial->dialled.port ? &dial->dialled : bpf_sk_storage_get(&krl_dialled, skc, 0, 0);
}

#endif
