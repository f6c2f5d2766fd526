/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What connections hold of maxConnections. Who admits a connection gives krl_admit() a struct krl_held, as held of
 * struct krl_judging, to write down what it took, and keeps that with krl_held_keep() under the cookie of the socket.
 * From then on sockops sees to it: krl_held_follow() asks to be told when the socket closes, and krl_held_drop() gives
 * back. A row that is not followed a second later is one whose connection never began: the agent drops it.
 *
 *	cgroup/connect: if (krl_admit(&judging))
 *				refuse;
 *			krl_held_keep(bpf_get_socket_cookie(ctx), judging.held);
 *	sockops:	BPF_SOCK_OPS_TCP_CONNECT_CB: krl_held_follow(ops);
 *			TCP_CLOSE: krl_held_drop(cookie);
 *
 * held is best in a map: it has KRL_HELD_KEYS keys. Whoever gives up a connection that was admitted, before it is
 * kept, gives back with krl_held_put().
 */
#ifndef KMESH_RL_HELD_H
#define KMESH_RL_HELD_H

#include "../maps.h"
#include "gauge.h"

static __always_inline struct krl_bucket *krl_held_bucket(const struct krl_bucket_key *key, __u32 overflow)
{
	__u32 slot = key->slot;

	return overflow ? bpf_map_lookup_elem(&krl_overflow, &slot) : bpf_map_lookup_elem(&krl_buckets, key);
}

/* A bucket that is gone went with its rule. */
static __always_inline void krl_held_put_key(const struct krl_bucket_key *key, __u32 overflow)
{
	struct krl_bucket *b = krl_held_bucket(key, overflow);

	if (b && !krl_bucket_is_buried(b))
		krl_gauge_put(b);
}

/* Give back what @held says. */
KRL_GLOBAL int krl_held_put(const struct krl_held *held)
{
	struct krl_bucket_key key;
	__u32 i;

	if (!held)
		return 0;
	for (i = 0; i < KRL_HELD_KEYS; i++) {
		if (i >= held->count)
			break;
		key = held->keys[i];
		krl_held_put_key(&key, held->overflow >> i & 1);
	}
	return 0;
}

/* Take the row of @key out of @map, which is krl_held or krl_reserved. It is copied, since the memory of one that is
 * removed may be another's at once. Returns 0: what @ret holds is the caller's to give back. Else there was no row, or
 * another took it out. */
static __always_inline int krl_held_take(void *map, const void *key, struct krl_held *ret)
{
	const struct krl_held *row = bpf_map_lookup_elem(map, key);

	if (!row)
		return -1;
	*ret = *row;
	return bpf_map_delete_elem(map, key);
}

/* The socket @cookie is closed, or was never opened. */
KRL_GLOBAL int krl_held_drop(__u64 cookie)
{
	struct krl_held held;

	if (!krl_held_take(&krl_held, &cookie, &held))
		krl_held_put(&held);
	return 0;
}

static __always_inline int krl_held_take_reserved(const struct krl_flow *flow, struct krl_held *ret)
{
	struct krl_flow key;

	if (!flow)
		return -1;
	key = *flow;
	return krl_held_take(&krl_reserved, &key, ret);
}

/* Leave in @held the rules that are there still: the buckets of the others went with them. */
KRL_GLOBAL int krl_held_prune(struct krl_held *held)
{
	__u32 overflow = 0, n = 0, i, slot;
	struct krl_bucket_key key;
	struct krl_rule *rule;

	if (!held)
		return 0;
	for (i = 0; i < KRL_HELD_KEYS; i++) {
		if (i >= held->count)
			break;
		key = held->keys[i];
		slot = key.slot;
		rule = bpf_map_lookup_elem(&krl_rules, &slot);
		if (!rule || KRL_READ_ONCE(rule->id) != key.rule_id)
			continue;
		overflow |= (held->overflow >> i & 1) << n;
		held->keys[KRL_MASKED(n, KRL_HELD_KEYS)] = key;
		n++;
	}
	held->overflow = overflow;
	held->count = n;
	return 0;
}

/* The half-open connection of @flow is no more. */
KRL_GLOBAL int krl_held_unreserve(const struct krl_flow *flow)
{
	struct krl_held held;

	if (!krl_held_take_reserved(flow, &held))
		krl_held_put(&held);
	return 0;
}

static __always_inline void krl_held_no_room(struct krl_held *held)
{
	krl_held_put(held);
	held->count = 0;
	krl_count(KRL_REASON_CONN_TABLE_FULL);
}

/* The socket @cookie holds what @held says, which krl_admit() wrote. Returns 0; or -1 without room: then it holds
 * nothing. */
static __always_inline int krl_held_keep(__u64 cookie, struct krl_held *held)
{
	if (!held->count)
		return 0;
	/* Of a connection that came to nothing. */
	if (bpf_map_lookup_elem(&krl_held, &cookie))
		krl_held_drop(cookie);
	if (!bpf_map_update_elem(&krl_held, &cookie, held, BPF_NOEXIST))
		return 0;
	krl_held_no_room(held);
	return -1;
}

/* So does the half-open connection of @flow. */
static __always_inline void krl_held_reserve(const struct krl_flow *flow, struct krl_held *held)
{
	if (!held->count)
		return;
	if (bpf_map_lookup_elem(&krl_reserved, flow))
		krl_held_unreserve(flow);
	if (bpf_map_update_elem(&krl_reserved, flow, held, BPF_NOEXIST))
		krl_held_no_room(held);
}

/* What the half-open connection of @flow holds goes over to its socket, @cookie. */
KRL_GLOBAL int krl_held_move(const struct krl_flow *flow, __u64 cookie)
{
	struct krl_held held;

	if (!krl_held_take_reserved(flow, &held) && bpf_map_update_elem(&krl_held, &cookie, &held, BPF_NOEXIST))
		krl_held_no_room(&held);
	return 0;
}

/* May any connection hold something? */
static __always_inline int krl_holds(void)
{
	return krl_config_has(KRL_CONFIG_HOLDS);
}

/* In sockops: be told when the socket of @ops closes, if it holds anything. */
static __always_inline void krl_held_follow(struct bpf_sock_ops *ops)
{
	struct krl_held *held;
	__u64 cookie;

	if (!krl_holds())
		return;
	cookie = bpf_get_socket_cookie(ops);
	held = bpf_map_lookup_elem(&krl_held, &cookie);
	if (held && !bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG))
		held->followed = 1;
}

#endif
