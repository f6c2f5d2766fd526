/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections that come in: what krl_incoming took for a packet, until it is known that the packet was a SYN.
 *
 * A program at sk_lookup does not see the packet's flags. It is asked about each that belongs to no socket: a SYN, the
 * last ACK where SYN cookies were sent, and segments of connections that are gone. So what it takes is given back unless
 * sockops, which the kernel runs behind it for the same packet, says that a connection begins: at
 * BPF_SOCK_OPS_RWND_INIT of a SYN that is answered (net/ipv4/tcp_input.c, tcp_conn_request), else when the
 * connection is established. Giving back happens before the next packet on the same CPU is judged, or, when there is
 * none, by whoever refuses one elsewhere and by the agent (krl_incoming_settle_all).
 *
 * Its place is one of a few of the CPU: sk_lookup runs in softirq, and also in processes, which that interrupts
 * (net/ipv4/inet_diag.c). */
#ifndef KMESH_RL_INCOMING_H
#define KMESH_RL_INCOMING_H

#include "../maps.h"
#include "admit.h"
#include "flow.h"

/* Long after whatever a CPU does for one packet, also one of a virtual machine that is not run for a while: what is
 * given back too early is taken by two. */
#define KRL_INCOMING_OLD_NS 1000000000ULL

/* How often who refuses looks for what is old. */
#define KRL_INCOMING_LOOK_NS 100000000ULL

/* Do connections to the port of this node count in some rule? */
static __always_inline int krl_port_counts(__u32 port)
{
	return krl_port_bit(&krl_ports, port);
}

/* Whoever has @in->busy calls it: give back what was taken, if it still is to be. Not global: to 6.1's verifier @in
 * would be memory of any kind, which is no value for a map. */
static __noinline int krl_incoming_settle(struct krl_incoming *in)
{
	struct krl_judging judging = {};
	struct krl_endpoint_key key;
	__u64 policy;

	if (__sync_val_compare_and_swap(&in->taken, 1, 0) != 1)
		return 0;
	key = in->endpoint;
	policy = in->policy;
	judging.judge = &in->judge;
	judging.held = &in->held;
	judging.endpoint = bpf_map_lookup_elem(&krl_endpoints, &key);
	/* Other rules by now. */
	if (!judging.endpoint || judging.endpoint->policy != policy ||
	    judging.endpoint->rule_count != in->rule_count) {
		krl_held_put(&in->held);
		return 0;
	}
	if (policy) {
		judging.policy = bpf_map_lookup_elem(&krl_policies, &policy);
		judging.match = &in->match;
	}
	krl_judge_undo(&judging);
	return 0;
}

static __always_inline int krl_incoming_lock(struct krl_incoming *in)
{
	return !__sync_val_compare_and_swap(&in->busy, 0, 1);
}

static __always_inline void krl_incoming_unlock(struct krl_incoming *in)
{
	__u64 was = __sync_fetch_and_and(&in->busy, 0);

	KRL_OPAQUE(was);
}

/* A free place of this CPU, locked, once nothing on it is left to be given back. NULL: there is none. */
static __always_inline struct krl_incoming *krl_incoming_take(void)
{
	struct krl_incoming *in, *found = 0;
	__u32 i, slot;

	for (i = 0; i < KRL_INCOMING_SLOTS; i++) {
		slot = KRL_COUNTED_KEY(i);
		in = bpf_map_lookup_elem(&krl_incomings, &slot);
		if (!in || (found && !in->taken) || !krl_incoming_lock(in))
			continue;
		krl_incoming_settle(in);
		if (found)
			krl_incoming_unlock(in);
		else
			found = in;
	}
	return found;
}

/* A connection of @flow begins: what was taken for it is not given back. NULL: nothing was, for this packet. */
static __always_inline struct krl_incoming *krl_incoming_confirm(const struct krl_flow *flow)
{
	struct krl_incoming *in;
	__u32 i, slot;

	for (i = 0; i < KRL_INCOMING_SLOTS; i++) {
		slot = KRL_COUNTED_KEY(i);
		in = bpf_map_lookup_elem(&krl_incomings, &slot);
		if (in && in->taken && krl_flow_same(&in->flow, flow) &&
		    __sync_val_compare_and_swap(&in->taken, 1, 0) == 1)
			return in;
	}
	return 0;
}

static long krl_incoming_settle_cpu(__u32 cpu, void *ctx)
{
	__u64 now_ns = *(__u64 *)ctx;
	struct krl_incoming *in;
	__u32 i, slot;

	for (i = 0; i < KRL_INCOMING_SLOTS; i++) {
		slot = KRL_COUNTED_KEY(i);
		in = bpf_map_lookup_percpu_elem(&krl_incomings, &slot, cpu);
		if (!in)
			return 1;
		if (!in->taken || now_ns - in->judge.now_ns < KRL_INCOMING_OLD_NS || !krl_incoming_lock(in))
			continue;
		krl_incoming_settle(in);
		krl_incoming_unlock(in);
	}
	return 0;
}

/* Give back what is left on CPUs that have had nothing to judge since. */
static __always_inline void krl_incoming_settle_all(__u64 now_ns)
{
	bpf_loop(KRL_MAX_CPUS, krl_incoming_settle_cpu, &now_ns, 0);
}

/* The same for who refuses one, now and then. Returns whether it has been looked at. */
static __always_inline int krl_incoming_settle_some(__u64 now_ns)
{
	struct krl_load *load;
	__u32 zero = 0;
	__u64 last;

	load = bpf_map_lookup_elem(&krl_load, &zero);
	if (!load)
		return 0;
	last = load->settled_ns;
	if (now_ns - last < KRL_INCOMING_LOOK_NS ||
	    __sync_val_compare_and_swap(&load->settled_ns, last, now_ns) != last)
		return 0;
	krl_incoming_settle_all(now_ns);
	return 1;
}

#endif
