/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps of the datapath. maps.bpf.c defines them; the other hooks refer to them. */
#ifndef KMESH_RL_MAPS_H
#define KMESH_RL_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <kmesh_rl/abi.h>
#include <kmesh_rl/cluster.h>
#include <kmesh_rl/cost.h>
#include <kmesh_rl/histograms.h>
#include <kmesh_rl/lease.h>
#include <kmesh_rl/peers.h>
#include <kmesh_rl/reasons.h>
#include <kmesh_rl/report.h>
#include <kmesh_rl/usage.h>

#include "lib/conn.h"
#include "lib/llm.h"
#include "lib/request.h"

#ifndef KRL_DEFINE_MAPS
#define KRL_EXTERN extern
#else
#define KRL_EXTERN
#endif

/* What protects what; written by the agent. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_ENDPOINTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct krl_endpoint_key);
	__type(value, struct krl_endpoint);
} krl_endpoints SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KRL_MAX_RULES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct krl_rule);
} krl_rules SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct krl_config);
} krl_config SEC(".maps");

/* How many answers the kernel gives: the agent sees by it when carrying them in batches pays. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct krl_load);
} krl_load SEC(".maps");

/* The buckets; created full by the programs, removed by the agent with their rule. A plain hash: a
 * flood of fresh descriptors cannot evict a limited one. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_BUCKETS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct krl_bucket_key);
	__type(value, struct krl_bucket);
} krl_buckets SEC(".maps");

/* One per rule, for the descriptors that found krl_buckets full. The agent writes it full with the
 * rule. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KRL_MAX_RULES);
	__type(key, __u32);
	__type(value, struct krl_bucket);
} krl_overflow SEC(".maps");

/* The texts of answers. A row never changes; the agent removes it when no rule has had it for a while. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4 * KRL_MAX_RULES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct krl_form);
} krl_forms SEC(".maps");

/* The selectors of endpoints' rules. A row never changes, as with krl_forms. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * KRL_MAX_ENDPOINTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct krl_policy);
} krl_policies SEC(".maps");

/* The pods that have addresses, and which selectors each meets; written by the agent. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_PEERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u8[16]);
	__type(value, struct krl_peer);
} krl_peers SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_PEER_MEETS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct krl_peer_meets);
	__type(value, __u8);
} krl_peer_meets SEC(".maps");

/* The requests of connections to endpoints with selectors, by socket cookie. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_CONNS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct krl_match);
} krl_matches SEC(".maps");

/* What the requests of an skb took so far, while the program walks over it. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct krl_taken);
} krl_taken SEC(".maps");

/* What connections count in, of rules with maxConnections: by socket cookie, and half-open ones by their ends. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_HELD);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct krl_held);
} krl_held SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_HELD);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct krl_flow);
	__type(value, struct krl_held);
} krl_reserved SEC(".maps");

/* A bit for each port of connections that count as they come in. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KRL_PORT_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} krl_ports SEC(".maps");

/* The network namespaces in which they are judged, by cookie. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_NETNS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u8);
} krl_guarded SEC(".maps");

/* Where one judges it. In krl_netns is the cookie of the namespace, from the program that is attached there, which goes
 * on with the one in krl_lookup_progs. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KRL_INCOMING_SLOTS);
	__type(key, __u32);
	__type(value, struct krl_incoming);
} krl_incomings SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} krl_netns SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} krl_lookup_progs SEC(".maps");

#include "maps_llm.h"

/* Who was refused by a rule with values that pick a bucket. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KRL_MAX_USED);
	__type(key, struct krl_llm_user_key);
	__type(value, __u64);
} krl_limited SEC(".maps");

/* Whose buckets those of values are, for people. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KRL_MAX_KEPT);
	__type(key, __u64[2]);
	__type(value, struct krl_kept);
} krl_values SEC(".maps");

/* Counters. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KRL_MAX_RULES);
	__type(key, __u32);
	__type(value, struct krl_rule_stats);
} krl_rule_stats SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KRL_REASON_MAX);
	__type(key, __u32);
	__type(value, __u64);
} krl_reasons SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct krl_latency);
} krl_latency SEC(".maps");

/* The enrolled sockets by cookie, and what is known of each. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, KRL_MAX_CONNS);
	__type(key, __u64);
	__type(value, __u64);
} krl_sockets SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_CONNS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct krl_conn);
} krl_conns SEC(".maps");

/* Rows of krl_conns that the agent has to remove once their socket is not in krl_sockets: sockops is not told when
 * those close. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KRL_MAX_CONNS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u8);
} krl_loose SEC(".maps");

/* The agent's AF_UNIX pairs: a refused request is redirected into krl_bounce (key: responder
 * number), and arrives as a datagram at the other end, which is in krl_responders. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, KRL_MAX_RESPONDERS);
	__type(key, __u32);
	__type(value, __u64);
} krl_bounce SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, KRL_MAX_RESPONDERS);
	__type(key, __u32);
	__type(value, __u64);
} krl_responders SEC(".maps");

/* The receiving end of the pair through which the agent sends struct krl_command. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} krl_commands SEC(".maps");

/* An AF_UNIX socket whose pipe is broken. Redirecting there fails with -EIO in sk_psock_skb_redirect
 * (net/core/skmsg.c): the skb is dropped, and unlike with SK_DROP the server is not woken. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} krl_sink SEC(".maps");

/* Which endpoints' servers have to be followed, since their clients speak HTTP/2. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KRL_MAX_ENDPOINTS);
	__type(key, struct krl_endpoint_key);
	__type(value, struct krl_protocols);
} krl_protocols SEC(".maps");

/* Programs that another one goes on in (bpf_tail_call), each with a stack of its own. Pinned: without a process the
 * kernel would empty it (kernel/bpf/arraymap.c, prog_array_map_clear). */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, KRL_PROGRAMS);
	__type(key, __u32);
	__type(value, __u32);
} krl_programs SEC(".maps");

/* The same for sk_msg: an array has programs of one type. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, KRL_REPLY_PROGRAMS);
	__type(key, __u32);
	__type(value, __u32);
} krl_reply_programs SEC(".maps");

/* Those of krl_sockets whose answers get header fields, or whose clients may speak HTTP/2: what their servers write
 * goes through krl_reply. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, KRL_MAX_CONNS);
	__type(key, __u64);
	__type(value, __u64);
} krl_writers SEC(".maps");

/* A bit for each port to which connections that go out are counted, or requests on them, and for each on which requests
 * to this node are: all other traffic pays for a look at it. The agent writes them after krl_endpoints. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KRL_PORT_WORDS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} krl_dialled_ports SEC(".maps"), krl_served_ports SEC(".maps");

/* What a socket dialled, where requests to that are counted. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct krl_endpoint_key);
} krl_dialled SEC(".maps");

/* The last connect() of a socket to an endpoint whose connections are counted: room to judge in, and what it held then.
 * Not per CPU: a task that dials may be preempted by another that does. */
struct krl_dial {
	struct krl_judge judge;
	struct krl_held held;
	struct krl_endpoint_key dialled;	/* port 0: since then the socket dialled something else */
};

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct krl_dial);
} krl_dials SEC(".maps");

/* The sockets of clients whose requests are limited, by cookie: what they write goes through krl_send. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, KRL_MAX_CONNS);
	__type(key, __u64);
	__type(value, __u64);
} krl_senders SEC(".maps");

/* Those of krl_senders that need a verdict on what they receive, see receive.bpf.c. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, KRL_MAX_CONNS);
	__type(key, __u64);
	__type(value, __u64);
} krl_receivers SEC(".maps");

/* Room to write an answer in. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KRL_TEXT_SLOTS);
	__type(key, __u32);
	__type(value, struct krl_text_slot);
} krl_answer_text SEC(".maps");

/* Cookies of the connections whose answer waits for a datagram to carry it. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, KRL_MAX_CONNS);
	__type(value, __u64);
} krl_answers SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} krl_events SEC(".maps");

/* What is told to people of refused requests, and how often that is, by rule; the last row is the node's. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, KRL_REPORT_BYTES);
} krl_reports SEC(".maps");

KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KRL_MAX_RULES + 1);
	__type(key, __u32);
	__type(value, struct krl_bucket);
} krl_report_rates SEC(".maps");

/* Buckets of the cluster's that were asked for tokens; the agent looks each tick. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, KRL_ASKED_BYTES);
} krl_asked SEC(".maps");

/* What the agent remembers of Redis; no program looks at it. */
KRL_EXTERN struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct krl_redis_memory);
} krl_cluster SEC(".maps");

/* The bit of @port in @map, which is one of krl_..._ports, or krl_ports. */
static __always_inline int krl_port_bit(void *map, __u32 port)
{
	__u32 word = (port & 0xffff) / 64;
	__u64 *bits = bpf_map_lookup_elem(map, &word);

	return bits && *bits >> (port & 63) & 1;
}

/* Does krl_config have @flag, one of KRL_CONFIG_...? */
static __always_inline int krl_config_has(__u32 flag)
{
	struct krl_config *config;
	__u32 zero = 0;

	config = bpf_map_lookup_elem(&krl_config, &zero);
	return config && config->flags & flag;
}

static __always_inline void krl_count(__u32 reason)
{
	__u64 *n = bpf_map_lookup_elem(&krl_reasons, &reason);

	if (n)
		(*n)++;
}

static __always_inline void krl_send_event(__u64 cookie, __u32 kind)
{
	struct krl_event event = { .cookie = cookie, .kind = kind };
	struct krl_load *load;
	__u32 zero = 0;

	if (!bpf_ringbuf_output(&krl_events, &event, sizeof(event), 0))
		return;
	krl_count(KRL_REASON_EVENT_LOST);
	load = bpf_map_lookup_elem(&krl_load, &zero);
	if (load)
		__sync_fetch_and_add(&load->events_lost, 1);
}

/* Put @cookie into the queue of those whose conn->answer waits for a datagram. */
static __always_inline int krl_queue_answer(struct krl_conn *conn, __u64 cookie)
{
	conn->answer.queued = 1;
	if (!bpf_map_push_elem(&krl_answers, &cookie, BPF_ANY))
		return 0;
	conn->answer.queued = 0;
	return -1;
}

/* The cgroup whose sockets are covered; see maps.bpf.c. */
extern const volatile __u64 krl_cgroup_id;

#endif
