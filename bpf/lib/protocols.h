/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an endpoint's clients speak. An answer of the kernel's over HTTP/2 has to be put between two frames of the
 * server's, so what that writes is followed from the first byte on, which costs; HTTP/1.1 needs none of it. */
#ifndef KMESH_RL_PROTOCOLS_H
#define KMESH_RL_PROTOCOLS_H

#include "../maps.h"

/* Connections to an endpoint that are followed at a time while it is not known what its clients speak. */
#define KRL_PROTOCOLS_TRIES 4

#define KRL_PROTOCOLS_UNSEEN_NS 1000000000ULL

static __always_inline struct krl_protocols *krl_protocols_of(const struct krl_endpoint_key *key)
{
	struct krl_protocols none = {}, *p;

	p = bpf_map_lookup_elem(&krl_protocols, key);
	if (p)
		return p;
	bpf_map_update_elem(&krl_protocols, key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&krl_protocols, key);
}

/* The connection's first request says what is spoken. Global, for the stack of the caller. */
KRL_GLOBAL int krl_protocols_note(const struct krl_endpoint_key *endpoint, __u32 spoken)
{
	struct krl_endpoint_key key;
	struct krl_protocols *p;

	if (!endpoint)
		return 0;
	key = *endpoint;
	p = krl_protocols_of(&key);
	if (p && !(p->spoken & spoken))
		__sync_fetch_and_or(&p->spoken, spoken);
	return 0;
}

/* A request over HTTP/2 came that some rule of @endpoint does not apply to. */
KRL_GLOBAL int krl_protocols_unseen(const struct krl_endpoint_key *endpoint, __u64 now_ns)
{
	struct krl_endpoint_key key;
	struct krl_protocols *p;

	if (!endpoint)
		return 0;
	key = *endpoint;
	p = krl_protocols_of(&key);
	/* Once a second is enough, and leaves the line of the cache with others. */
	if (p && (!p->unseen_ns || now_ns - p->unseen_ns > KRL_PROTOCOLS_UNSEEN_NS))
		p->unseen_ns = now_ns;
	return 0;
}

/* Is the server of a fresh connection to be followed? */
static __always_inline int krl_protocols_follow(struct krl_conn *conn)
{
	struct krl_protocols *p = krl_protocols_of(&conn->endpoint);

	if (!p)
		return 0;
	if (p->spoken)
		return !!(p->spoken & KRL_SPEAKS_HTTP2);
	if (p->tried >= KRL_PROTOCOLS_TRIES)
		return 0;
	__sync_fetch_and_add(&p->tried, 1);
	conn->tried = 1;
	return 1;
}

/* The connection ends. Health checks say nothing, and leave the try to others. */
static __always_inline void krl_protocols_ended(const struct krl_conn *conn)
{
	struct krl_protocols *p;

	if (!conn->tried)
		return;
	p = bpf_map_lookup_elem(&krl_protocols, &conn->endpoint);
	if (p)
		__sync_fetch_and_add(&p->tried, -1);
}

#endif
