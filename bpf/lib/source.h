/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The client's address, as a field of the policy has it. */
#ifndef KMESH_RL_SOURCE_H
#define KMESH_RL_SOURCE_H

#include "compiler.h"
#include "request.h"

static __always_inline const __u8 *krl_match_source_of(const struct krl_match *m,
						       const struct krl_policy_field *field)
{
	const struct krl_client *client = &m->clients[field->client_header & (KRL_MAX_CLIENT_HEADERS - 1)];
	const __u8 *address = field->hops ? krl_client_address(client, field->hops) : 0;

	return address ? address : m->source;
}

static __always_inline int krl_match_is_ipv4(const __u8 source[16])
{
	return !krl_load_word((const char *)source) && !source[8] && !source[9] && source[10] == 0xff &&
	       source[11] == 0xff;
}

#endif
