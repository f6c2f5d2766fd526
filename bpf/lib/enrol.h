/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The row of a connection that is taken in. */
#ifndef KMESH_RL_ENROL_H
#define KMESH_RL_ENROL_H

#include "../maps.h"

/* Too large for the stack. */
static const struct krl_conn krl_new_conn;

/* A fresh row for the socket @cookie, in place of one of before it was let go. Its rules are those of @key as it is
 * configured. NULL, counted: there is no room for it. */
static __always_inline struct krl_conn *krl_conn_new(__u64 cookie, const struct krl_endpoint_key *key,
						     __u64 netns_cookie)
{
	struct krl_conn *conn;

	bpf_map_update_elem(&krl_conns, &cookie, &krl_new_conn, BPF_ANY);
	conn = bpf_map_lookup_elem(&krl_conns, &cookie);
	if (!conn) {
		krl_count(KRL_REASON_CONN_TABLE_FULL);
		return 0;
	}
	conn->endpoint = *key;
	conn->judge.key.netns_cookie = netns_cookie;
	__builtin_memcpy(conn->judge.key.addr, key->addr, sizeof(key->addr));
	conn->judge.key.port = key->port;
	return conn;
}

/* Its socket is in no socket map. */
static __always_inline void krl_conn_not_enrolled(__u64 cookie)
{
	bpf_map_delete_elem(&krl_conns, &cookie);
	krl_count(KRL_REASON_NOT_ENROLLED);
}

#endif
