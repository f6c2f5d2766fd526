/* SPDX-License-Identifier: Apache-2.0 */
/* Decoded documents. Strings are NUL-terminated and as long as the ABI allows; lists are owned by the
 * document, which krl_document_free releases. */
#ifndef KMESH_RL_MODEL_H
#define KMESH_RL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kmesh_rl/abi.h>
#include <kmesh_rl/cost.h>

#include "form.h"
#include "schedule.h"
#include "selector.h"

/* Names of ports, and of Services in Kubernetes, are DNS labels. */
#define KRL_PORT_NAME_BYTES 64

enum krl_kind { KRL_KIND_RATE_LIMIT, KRL_KIND_SERVICE, KRL_KIND_SLICE };
#define KRL_KINDS (KRL_KIND_SLICE + 1)

enum krl_mode { KRL_MODE_UNSET, KRL_MODE_ENFORCE, KRL_MODE_SHADOW };

/* What takes a token. */
enum krl_count { KRL_COUNT_UNSET, KRL_COUNT_REQUESTS, KRL_COUNT_CONNECTIONS, KRL_COUNT_LLM_TOKENS };

/* whenUnavailable: what becomes of a rule of the cluster without Redis. */
enum krl_away { KRL_AWAY_LOCAL, KRL_AWAY_OPEN, KRL_AWAY_CLOSED };

/* What a rule that counts LLMTokens says beyond a limit. */
struct krl_llm_spec {
	struct krl_cost cost;		/* tokens; the usual one is the total */
	bool reserves;			/* reserve: MaxTokens */
	__u64 reserve_default;		/* output tokens of a request that names no limit; 0: not given */
	__u64 reserve_max;		/* the most that one request holds, 1 to max_tokens of the limit */
	bool require_usage;
	bool cut;			/* onExhausted: Cut */
};

struct krl_rule_spec {
	char name[64];
	enum krl_mode mode;	/* of the rule, or else of the resource */
	enum krl_count count;
	bool concurrent;	/* maxConnections, which is max_tokens of settings */
	struct krl_settings settings;
	bool cluster;		/* scope: Cluster */
	__u64 credit;		/* ... initialCredit, 0 to max_tokens of settings */
	enum krl_away away;	/* ... whenUnavailable */
	struct krl_response *response;	/* owned; NULL: the usual one */
	struct krl_selector *selectors;	/* owned; without any, the rule is for all */
	size_t selector_count;
	struct krl_schedule *schedule;	/* owned; NULL: always */
	bool shares;			/* another limit of the rule before it, which owns those */
	struct krl_llm_spec *llm;	/* owned, also where it shares those; NULL: it does not count LLMTokens */
};

/* What a group of rules protects: a service by name, or addresses. */
struct krl_target {
	char service[250];		/* "" with addresses; with the port after it, it fits the ABI */
	__u16 port;			/* of the service; 0: what port_name says */
	char port_name[KRL_PORT_NAME_BYTES];	/* "": all of them */
	struct krl_endpoint_key *endpoints;
	size_t endpoint_count;
	struct krl_rule_spec *rules;
	size_t rule_count;
};

/* Who the client of a request is: the peer, or what a header says that proxies append to. */
struct krl_client_ip {
	char header[KRL_NAME_BYTES];	/* in lower case */
	__u8 hops;			/* which address from the right, 1 to KRL_MAX_HOPS; 0: the peer */
};

/* Which headers name the model that a request asks for, in this order; else its body does. */
struct krl_model_headers {
	char names[KRL_MAX_MODEL_HEADERS][KRL_NAME_BYTES];	/* in lower case */
	size_t count;
};

struct krl_rate_limit {
	bool fail_closed;
	bool match_all;		/* ruleMatch: All */
	bool outbound;		/* direction: Outbound: endpoints are what clients on this node dial */
	bool eperm;		/* onLimit: EPERM */
	struct krl_from *caller;	/* of outbound, a reference: the pods whose clients it is for */
	bool selects_callers;	/* clientSelector is given */
	struct krl_client_ip client_ip;
	enum krl_header_style style;
	bool headers_always;	/* responseHeaders: Always */
	struct krl_model_headers models;
	bool no_coding;		/* dropAcceptEncoding: true */
	bool redact;		/* values that pick buckets are not shown */
	struct krl_target *targets;
	size_t target_count;
};

struct krl_service_port {
	char name[KRL_PORT_NAME_BYTES];
	char target_name[KRL_PORT_NAME_BYTES];	/* "" when the target is a number */
	__u16 port;
	__u16 target_port;
};

struct krl_service {
	__u8 (*addrs)[16];	/* clusterIPs */
	size_t addr_count;
	struct krl_service_port *ports;
	size_t port_count;
};

struct krl_slice_port {
	char name[KRL_PORT_NAME_BYTES];
	__u16 port;
};

/* An EndpointSlice: the addresses, each on every port; apart, those on other nodes, which only clients here
 * dial. */
struct krl_slice {
	char service[256];
	struct krl_slice_port *ports;
	size_t port_count;
	__u8 (*addrs)[16];
	size_t addr_count;
	__u8 (*away)[16];
	size_t away_count;
};

struct krl_document {
	enum krl_kind kind;
	char ns[64];
	char name[256];
	size_t line;		/* where it begins in its file, from 1 */
	int64_t created_s;	/* by its metadata, in seconds since 1970; 0: they do not say */
	union {
		struct krl_rate_limit rate_limit;
		struct krl_service service;
		struct krl_slice slice;
	};
};

/* What the answers of @rule are made of; valid as long as @rule is. */
struct krl_form_spec krl_rule_form_spec(const struct krl_rule_spec *rule, enum krl_header_style style);

/* Free what @target owns. */
void krl_target_clear(struct krl_target *target);

/* Accepts NULL. */
void krl_document_free(struct krl_document *document);

#endif
