/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The contract between the BPF programs and userspace: keys and values of the pinned maps.
 *
 * Every struct is fixed width with explicit padding; keys are zeroed before use. Addresses are 16
 * bytes in network byte order, IPv4 as ::ffff:a.b.c.d; ports are in host byte order. A change here
 * that alters a size or an offset must raise KRL_ABI_VERSION: an agent takes over from one of another version what it
 * can, see agent/datapath/takeover.h. For that, abi_version stays where it is in struct krl_config.
 */
#ifndef KMESH_RL_ABI_H
#define KMESH_RL_ABI_H

#include <linux/types.h>

#define KRL_ABI_VERSION 13

enum {
	KRL_MAX_RULES = 4096,		/* rows of krl_rules, on one node */
	KRL_MAX_ENDPOINTS = 16384,
	KRL_MAX_ENDPOINT_RULES = 64,	/* rules that count on one endpoint */
	KRL_MAX_BUCKETS = 1 << 20,
	KRL_MAX_CONNS = 65536,		/* enrolled connections on one node */
	KRL_MAX_RESPONDERS = 64,	/* AF_UNIX pairs that build full answers, one a CPU */
	KRL_LIMIT_TEXT_BYTES = 64,	/* "10 per 1 minute" */
	KRL_FORM_PIECES = 32,
	KRL_FORM_TEXT_BYTES = 2048,
	KRL_HEADERS_BYTES = 512,	/* no fields on the server's answers are longer, with the longest numbers */
	KRL_MAX_KEPT = 16384,		/* values that are kept for display */
	KRL_KEPT_VALUES = 4,		/* ... of those that pick one bucket together */
	KRL_KEPT_BYTES = 64,		/* ... of each */
	KRL_KEPT_NAME_BYTES = 32,	/* ... of the name of its header */
	KRL_PORT_WORDS = 65536 / 64,	/* of a bit for each port */
	KRL_MAX_HELD = 1 << 17,		/* connections that count in rules with maxConnections, on one node */
	KRL_HELD_KEYS = 4,		/* ... rules of one connection */
	KRL_MAX_NETNS = 16384,		/* network namespaces whose connections are judged as they come in */
	KRL_INCOMING_SLOTS = 4,		/* connections that a CPU judges at once, see bpf/lib/incoming.h */
	KRL_MAX_CPUS = 4096,
	KRL_CHARGE_KEYS = 8,		/* rules with LLMTokens that count for one request */
	KRL_MAX_CHARGES = 65536,	/* requests to model servers whose answers are not done, on one node */
	KRL_MAX_USED = 16384,		/* models, and values that pick a bucket, whose tokens are counted for display */
	KRL_MODEL_BYTES = 64,		/* of a model's name that are kept */
	KRL_MAX_COSTS = KRL_MAX_RULES,
};

/* Parameters of a token bucket; see docs/bucket.md. */
struct krl_settings {
	__u64 max_tokens;	/* 1 .. 2^63-1 */
	__u64 tokens_per_fill;	/* 1 .. 2^63-1 */
	__u64 fill_interval_ns;	/* 1 .. 2^63-1 */
};

/* last_topup_ns is CLOCK_BOOTTIME with flags in its two top bits. tokens may be negative (debt). Only
 * the functions of bpf/lib/bucket.h read or write the two, of a rule with maxConnections those of bpf/lib/gauge.h, and of
 * one with scope: Cluster those of bpf/lib/lease.h. */
struct krl_bucket {
	__u64 last_topup_ns;
	__s64 tokens;
};

/* Where the rules of an endpoint are asked: by which program, about what. */
enum krl_hook {
	KRL_HOOK_STREAM,	/* requests on accepted connections */
	KRL_HOOK_LOOKUP,	/* connections that come in */
	KRL_HOOK_CONNECT,	/* connections that go out, by the address that was dialled */
	KRL_HOOK_SEND,		/* requests on those */
	KRL_HOOK_MAX
};

struct krl_endpoint_key {
	__u8 addr[16];		/* all zero: any address; ::ffff:0.0.0.0: any IPv4 address */
	__u16 port;
	__u16 hook;		/* enum krl_hook */
	__u16 pad[2];
};

/* Whose bucket a rule takes from: a rule of 0.0.0.0 or :: counts at the more exact endpoints too, and
 * keeps one bucket over all of them. */
enum krl_scope {
	KRL_SCOPE_EXACT,	/* the endpoint's own */
	KRL_SCOPE_ANY_IPV4,	/* that of ::ffff:0.0.0.0 */
	KRL_SCOPE_ANY,		/* that of :: */
};

/* A rule's row number, and the id it must carry: a row is reused only under another id. */
struct krl_rule_ref {
	__u16 slot;
	__u16 scope;		/* enum krl_scope */
	__u32 id;
};

enum {
	KRL_ENDPOINT_FAIL_CLOSED = 1U << 0,	/* failurePolicy: Closed */
	KRL_ENDPOINT_HEADERS = 1U << 1,	/* some rule has header fields on the server's answers */
	KRL_ENDPOINT_CONCURRENT = 1U << 2,	/* some rule has maxConnections */
	KRL_ENDPOINT_LLM = 1U << 3,	/* some rule counts LLMTokens: there is a policy, which has the fields model and path */
	/* ... and some of those needs the request's body before it judges: for its model, or for what it reserves */
	KRL_ENDPOINT_BODIES = 1U << 4,
	KRL_ENDPOINT_NO_CODING = 1U << 5,	/* dropAcceptEncoding: true */
	KRL_ENDPOINT_FOLLOWED = KRL_ENDPOINT_HEADERS | KRL_ENDPOINT_LLM,	/* what the server writes is followed */
};

struct krl_endpoint {
	__u32 flags;
	__u32 rule_count;
	__u64 policy;		/* key of krl_policies; 0: every rule counts, without a descriptor */
	struct krl_rule_ref rules[KRL_MAX_ENDPOINT_RULES];
};

/* One bucket per (netns, endpoint as configured, rule, descriptor). */
struct krl_bucket_key {
	__u64 netns_cookie;
	__u8 addr[16];		/* where the rule is configured, wildcards included */
	__u64 descriptor[2];	/* keyed hash of the values that pick the bucket; 0 without any */
	__u32 rule_id;
	__u16 port;
	__u16 slot;		/* the rule's row */
};

/* The two ends of a connection. */
struct krl_flow {
	__u64 netns_cookie;
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
	__u32 pad;
};

/* What a connection counts in of rules with maxConnections: row of krl_held by the cookie of its socket, of
 * krl_reserved by its ends while it is half open. */
struct krl_held {
	__u64 since_ns;		/* CLOCK_BOOTTIME */
	__u32 count;		/* of keys */
	__u32 followed;		/* sockops is told when the socket closes */
	__u32 overflow;		/* a bit for each key: it is the rule's overflow bucket */
	__u32 pad;
	struct krl_bucket_key keys[KRL_HELD_KEYS];
};

/* One of the values that pick a bucket, for people. */
enum krl_kept_how {
	KRL_KEPT_TEXT,
	KRL_KEPT_SHARED,	/* it was there twice or too long: all such values have one bucket */
	KRL_KEPT_HIDDEN,	/* it may be a secret: a part of its keyed hash stands for it */
	KRL_KEPT_SOURCE,
};

struct krl_kept_value {
	__u8 field;		/* enum krl_field_kind */
	__u8 how;		/* enum krl_kept_how */
	__u16 len;		/* of KRL_KEPT_TEXT: bytes of the value, of which KRL_KEPT_BYTES at most are kept */
	__u32 hash;		/* of KRL_KEPT_HIDDEN */
	char name[KRL_KEPT_NAME_BYTES];	/* of a header: its beginning, NUL padded */
	union {
		char text[KRL_KEPT_BYTES];	/* NUL padded; may hold NULs of a path */
		struct {
			__u8 address[16];	/* of a source: the bits that make the value */
			__u8 mask[16];		/* ... and which those are */
		};
	};
};

/* Whose bucket it is. Rows of krl_values, keyed by the descriptor; those that were not seen for longest go when
 * there is no room. */
struct krl_kept {
	__u32 count;		/* of values */
	__u32 more;		/* there were more than KRL_KEPT_VALUES */
	struct krl_kept_value values[KRL_KEPT_VALUES];
};

/* What a rule answers: text, with gaps for what is known at the verdict. Rows of krl_forms, keyed by
 * the hash of their content, so one that is there never changes. */
enum krl_gap {
	KRL_GAP_NONE,
	KRL_GAP_LENGTH,		/* bytes of the body */
	KRL_GAP_RETRY_AFTER,	/* whole seconds to the next fill */
	KRL_GAP_REMAINING,	/* tokens */
	KRL_GAP_RESET,		/* unix time of the next fill */
	KRL_GAP_CONNECTION,	/* "Connection: close\r\n", when the answer is the last */
	KRL_GAP_RESET_AFTER,	/* time to the next fill as Go writes durations, without fractions: "6m0s" */
	KRL_GAP_BODY,		/* here the body begins */
};

struct krl_piece {
	__u16 len;		/* bytes of text, after those of the pieces before */
	__u16 gap;		/* enum krl_gap, after them */
};

struct krl_form {
	__u16 piece_count;
	__u16 body_text;	/* bytes of text in the body */
	__u16 body_gaps;	/* gaps in the body, all of them KRL_GAP_RETRY_AFTER */
	__u16 pad;
	struct krl_piece pieces[KRL_FORM_PIECES];
	char text[KRL_FORM_TEXT_BYTES];
};

/* Rows of krl_programs. */
enum {
	KRL_PROGRAM_HTTP2,
	KRL_PROGRAM_LLM,	/* requests to model servers */
	KRL_PROGRAMS,
};

/* Rows of krl_reply_programs. */
enum {
	KRL_REPLY_PROGRAM_LLM,	/* answers of model servers */
	KRL_REPLY_PROGRAMS,
};

/* What an endpoint's clients speak, as far as it was seen. Rows of krl_protocols, keyed by the endpoint; those that
 * were not looked at for longest go when there is no room. */
enum {
	KRL_SPEAKS_HTTP1 = 1U << 0,
	KRL_SPEAKS_HTTP2 = 1U << 1,
};

struct krl_protocols {
	__u32 spoken;		/* KRL_SPEAKS_... */
	__u32 tried;		/* connections that were followed before anything was spoken */
	__u64 unseen_ns;	/* boot time, to a second, of the last request over HTTP/2 that a rule did not apply to; 0: none */
};

enum {
	KRL_RULE_SHADOW = 1U << 0,	/* mode: Shadow: what it would refuse is counted, and admitted */
	KRL_RULE_CONCURRENT = 1U << 1,	/* maxConnections: its bucket says what is open now, see bpf/lib/gauge.h */
	KRL_RULE_EPERM = 1U << 2,	/* onLimit: EPERM */
	KRL_RULE_LLM = 1U << 3,		/* count: LLMTokens: judged before, and debited after the answer */
	KRL_RULE_RESERVE = 1U << 4,	/* reserve: MaxTokens */
	KRL_RULE_REQUIRE_USAGE = 1U << 5,	/* requireUsage: true */
	KRL_RULE_CUT = 1U << 6,		/* onExhausted: Cut */
	KRL_RULE_CLUSTER = 1U << 7,	/* scope: Cluster: its buckets hold what this node leased, see bpf/lib/lease.h */
	KRL_RULE_AWAY_OPEN = 1U << 8,	/* whenUnavailable: Open */
	KRL_RULE_AWAY_CLOSED = 1U << 9,	/* whenUnavailable: Closed; neither: Local */
	KRL_RULE_OVERFLOW = 1U << 31,	/* in the kernel alone, while it judges: the bucket is the rule's overflow bucket */
};

/* One rule. The agent writes it through a shared mapping between two increments of seq; readers
 * retry while seq is odd or moves. id 0: the row is free. */
struct krl_rule {
	__u32 seq;
	__u32 id;
	struct krl_settings settings;
	__u32 flags;		/* KRL_RULE_... */
	__u32 status;		/* of its answers, 400 to 599 */
	__u64 form;		/* key of krl_forms */
	__u64 headers;		/* ... of header fields on the server's answers; 0: none */
	__u64 cost;		/* of KRL_RULE_LLM: key of krl_costs */
	__u64 reserve_default;	/* of KRL_RULE_RESERVE: output of a request that names no limit; 0: any */
	__u64 reserve_max;	/* ... the most that one request holds: 1 .. max_tokens */
	__u64 credit;		/* of KRL_RULE_CLUSTER: initialCredit, 0 .. max_tokens */
	struct krl_settings local;	/* ... this node's share of the limit, for when Redis is away */
};

/* Where a rule comes from, for people; same row number as krl_rules. NUL-terminated strings. */
struct krl_rule_info {
	__u32 id;
	__u32 pad;
	char ns[64];
	char name[256];
	char service[256];
	char rule[64];
	char limit[KRL_LIMIT_TEXT_BYTES];
};

/* Per CPU and rule. A request that n rules judge counts in each; it is limited in the one that
 * refused it. */
struct krl_rule_stats {
	__u64 allowed;
	__u64 limited;
	__u64 shadow_limited;	/* of those allowed, what the rule would have refused */
};

enum {
	KRL_CONFIG_RECEIVERS = 1U << 0,	/* clients that do not block are put into krl_receivers, for FIONREAD */
	KRL_CONFIG_HOLDS = 1U << 1,	/* some rule has maxConnections: there may be rows in krl_held and krl_reserved */
	KRL_CONFIG_DIALS = 1U << 2,	/* some rule was for what goes out: the programs at connect() are attached */
};

/* Written by the agent alone, row 0 of krl_config. */
struct krl_config {
	__u32 abi_version;
	__u32 responders;	/* AF_UNIX pairs open now; 0: none, answer in place */
	__s64 wall_offset_ns;	/* CLOCK_REALTIME - CLOCK_BOOTTIME */
	__u64 alive_ns;		/* CLOCK_BOOTTIME, when the agent last went round its loop */
	__u64 batch_until_ns;	/* CLOCK_BOOTTIME, until when it looks every millisecond for answers to carry */
	__u64 hash_key[2];	/* of the descriptors; drawn once, when the maps are made */
	__u32 flags;		/* KRL_CONFIG_... */
	__u32 reports_per_s;	/* requests that each rule refuses and that krl_reports tells of; 0: none */
	__u64 cluster_until_ns;	/* CLOCK_BOOTTIME, until when leases count, since Redis answered; behind it, whenUnavailable */
	__u64 cluster_ahead_ns;	/* of the clock of Redis, before CLOCK_BOOTTIME: fills are due at multiples of their interval */
};

/* Written by the programs alone, row 0 of krl_load; all only grow. */
struct krl_load {
	__u64 answers;		/* from the kernel */
	__u64 left;		/* of those, left to the agent to carry */
	__u64 events_lost;	/* krl_events was full */
	__u64 buckets_made;	/* for values that had none */
	__u64 settled_ns;	/* CLOCK_BOOTTIME, when bpf/lib/incoming.h last looked at all CPUs */
};

/* From the kernel to the agent through krl_events. */
enum krl_event_kind {
	KRL_EVENT_CLOSE = 1,	/* the answer on its way is the last: end the connection after it */
	KRL_EVENT_DRAIN = 2,	/* an answer must wait until the server wrote what it owes */
	KRL_EVENT_CARRY = 3,	/* an answer was left to the agent, which sleeps */
	KRL_EVENT_DONE = 4,	/* the connection needs no command any more */
	KRL_EVENT_LISTEN = 5,	/* somebody listens in a network namespace, whose cookie it has, that is not guarded */
};

struct krl_event {
	__u64 cookie;
	__u32 kind;
	__u32 pad;
};

/* From the agent to the command program: one datagram into the command pair. Bytes of clients never
 * reach that pair. */
enum krl_command_kind {
	KRL_COMMAND_CLOSE = 1,	/* break the connection: its server reads EPIPE and closes */
	KRL_COMMAND_DRAIN = 2,	/* send the waiting answer if the server has been quiet */
	KRL_COMMAND_BREAK_SINK = 3,	/* go into the sink, whose pipe breaks by that */
	KRL_COMMAND_SWEEP = 5,	/* remove those of the buckets named behind it that are full */
	KRL_COMMAND_SETTLE = 6,	/* the connection is gone: give back what its request of the number in count reserved */
	KRL_COMMAND_RECALL = 4,	/* events were lost: send those again of connections that wait for a command */
};

struct krl_command {
	__u64 cookie;
	__u32 kind;
	__u32 count;		/* of keys behind it */
};

/* A connection that was open before its endpoint was protected: from the agent to krl_join. */
struct krl_open {
	__u64 cookie;
	struct krl_flow flow;
};

/* What krl_join says of it. */
enum krl_joined {
	KRL_JOINED_NOT,		/* there is no such connection, or there was no room for it */
	KRL_JOINED,
	/* Its server, or client, may wait in a blocking recv(): that of before, which does not see what the verdict lets
	 * through, or what the kernel answers. It would wait for good. */
	KRL_JOINED_BLOCKS,
};

/* What krl_cross_in and krl_cross_out say of a connection of another version's. */
enum krl_crossed {
	KRL_CROSSED_GONE,	/* it ended */
	KRL_CROSSED_NOT,	/* it stays with that version's programs, for now */
	KRL_CROSSED,
	KRL_CROSSED_NOWHERE,	/* it has no endpoint any more */
};

/* What krl_release says of one whose endpoint may be gone. */
enum krl_released {
	KRL_RELEASED,		/* or it has one, or ended, or is not to be waited for */
	KRL_RELEASED_LATER,
};

/* A connection and what it holds: what krl_counted says of it, and what is told to krl_recount. */
enum krl_counted_kind {
	KRL_COUNTED_NOT,	/* it holds nothing, and should not */
	KRL_COUNTED_NOWHERE,	/* it holds what no endpoint says */
	KRL_COUNTED_HERE,	/* it counts at endpoint */
	KRL_COUNTED_MISSING,	/* ... and holds nothing */
	KRL_COUNTED_HALF_OPEN,	/* to krl_recount: it is gone, and flow says which it was */
	KRL_COUNTED_GONE,
};

struct krl_counted {
	__u64 cookie;
	struct krl_flow flow;
	struct krl_endpoint_key endpoint;	/* its local end, or with KRL_HOOK_CONNECT what it dialled */
	__u32 kind;		/* enum krl_counted_kind */
	__u32 pad;
};

/* A KRL_COMMAND_SWEEP. */
#define KRL_SWEEP_KEYS 64

struct krl_sweep {
	struct krl_command command;
	struct krl_bucket_key keys[KRL_SWEEP_KEYS];
};

_Static_assert(sizeof(struct krl_settings) == 24, "ABI");
_Static_assert(sizeof(struct krl_bucket) == 16, "ABI");
_Static_assert(sizeof(struct krl_endpoint_key) == 24, "ABI");
_Static_assert(sizeof(struct krl_endpoint) == 16 + 8 * KRL_MAX_ENDPOINT_RULES, "ABI");
_Static_assert(sizeof(struct krl_bucket_key) == 48, "ABI");
_Static_assert(sizeof(struct krl_flow) == 48, "ABI");
_Static_assert(sizeof(struct krl_held) == 24 + 48 * KRL_HELD_KEYS, "ABI");
_Static_assert(sizeof(struct krl_counted) == 88, "ABI");
_Static_assert(sizeof(struct krl_kept) == 8 + 104 * KRL_KEPT_VALUES, "ABI");
_Static_assert(sizeof(struct krl_rule) == 112, "ABI");
_Static_assert(sizeof(struct krl_form) == 8 + 4 * KRL_FORM_PIECES + KRL_FORM_TEXT_BYTES, "ABI");
_Static_assert(sizeof(struct krl_rule_info) == 712, "ABI");
_Static_assert(sizeof(struct krl_config) == 72, "ABI");
_Static_assert(sizeof(struct krl_load) == 40, "ABI");
_Static_assert(sizeof(struct krl_event) == 16, "ABI");
_Static_assert(sizeof(struct krl_command) == 16, "ABI");
_Static_assert(sizeof(struct krl_open) == 56, "ABI");

#endif
