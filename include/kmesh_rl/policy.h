/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The selectors of an endpoint's rules, as the kernel evaluates them: rows of krl_policies, keyed by the
 * hash of their content, so one that is there never changes.
 *
 * A request has fields: its source, its method, its path, the headers that some selector names. A
 * predicate is true or false of one field. An entry is true when all its predicates are; a tier, when it
 * has no entries or one of them is true. */
#ifndef KMESH_RL_POLICY_H
#define KMESH_RL_POLICY_H

#include <kmesh_rl/abi.h>

enum {
	KRL_MAX_FIELDS = 16,		/* of an endpoint */
	KRL_MAX_PREDICATES = 512,
	KRL_MAX_ENTRIES = 512,
	KRL_MAX_TIERS = KRL_MAX_ENDPOINT_RULES,
	KRL_MAX_RULE_ENTRIES = 16,
	KRL_MAX_METHOD_PREDICATES = 64,
	KRL_MAX_CIDR_PREDICATES = 128,
	KRL_MAX_PEER_PREDICATES = 64,
	KRL_MAX_ENTRY_PREDICATES = 8,
	KRL_VALUE_BYTES = 256,		/* of a value that is selected by, and of a header's name */
	KRL_VALUES_BYTES = 32768,	/* of all values of an endpoint */
	KRL_NAME_BYTES = 64,		/* of a header's name, the NUL included */
	KRL_MAX_CLIENT_HEADERS = 2,	/* that clients' addresses are taken from, of an endpoint */
	KRL_MAX_HOPS = 8,
	KRL_MAX_MODEL_HEADERS = 4,	/* that models are taken from, of an endpoint */
};

enum krl_field_kind {
	KRL_FIELD_HEADER,
	KRL_FIELD_PATH,		/* in its normal form, see bpf/lib/path.h */
	KRL_FIELD_METHOD,
	KRL_FIELD_SOURCE,	/* the client's address; there may be several, of clients by different headers */
	KRL_FIELD_MODEL,	/* of one of the model_headers, else of the body */
	KRL_FIELD_PEER,		/* the pod that has the peer's address; there may be one for each enum krl_peer_by */
};

#define KRL_NO_FIELD 0xff

/* Some entry wants a bucket for each value of the field. */
enum krl_distinct {
	KRL_DISTINCT = 1,
	KRL_DISTINCT_HIDDEN = 2,	/* ... and the values are not kept for display */
};

struct krl_policy_field {
	__u64 hash;		/* of a header: FNV-1a of its name; of others, of what they are */
	__u16 first;		/* its predicates stand together */
	__u16 predicate_count;
	__u8 kind;		/* enum krl_field_kind */
	__u8 distinct;		/* enum krl_distinct, or 0 */
	union {
		__u8 hops;	/* of a source: which address from the right; 0: the peer */
		__u8 by;	/* of a peer: enum krl_peer_by */
	};
	__u8 client_header;	/* ... of which of client_headers */
	union {
		char name[KRL_NAME_BYTES];	/* of a header, in lower case, NUL padded; of a peer, for people */
		__u64 masks[2][2];	/* of a source, IPv6 and IPv4: the bits that make a value */
	};
};

enum krl_predicate_kind {
	KRL_PREDICATE_PRESENT,
	KRL_PREDICATE_EXACT,
	KRL_PREDICATE_PREFIX,
	KRL_PREDICATE_PATH_PREFIX,	/* by whole segments */
	KRL_PREDICATE_METHODS,		/* word: a bit for each of enum krl_method */
	KRL_PREDICATE_CIDR,		/* its value: address and mask, 16 bytes each */
	KRL_PREDICATE_PEER,		/* word: the selector of struct krl_peer_meets */
};

struct krl_predicate {
	__u8 kind;		/* enum krl_predicate_kind */
	__u8 pad;
	__u16 len;		/* bytes of its value */
	__u32 at;		/* of its value in values, a multiple of 8 */
	__u64 word;		/* the first bytes of the value, so that most comparing ends here */
};

enum krl_method {
	KRL_METHOD_OTHER,
	KRL_METHOD_GET,
	KRL_METHOD_HEAD,
	KRL_METHOD_POST,
	KRL_METHOD_PUT,
	KRL_METHOD_DELETE,
	KRL_METHOD_CONNECT,
	KRL_METHOD_OPTIONS,
	KRL_METHOD_TRACE,
	KRL_METHOD_PATCH,
	KRL_METHOD_MAX
};

enum { KRL_ENTRY_INVERT = 0x8000 };

struct krl_entry {
	__u16 predicates[KRL_MAX_ENTRY_PREDICATES];	/* numbers of predicates, with KRL_ENTRY_INVERT */
	__u8 predicate_count;
	__u8 of_head;		/* it looks at more than who the peer is */
	__u16 distinct;		/* a bit for each field whose value picks the bucket */
};

enum {
	KRL_TIER_FIRST = 1U << 0,	/* it counts only when no tier of its group before it does */
	/* ... but for the one before it and those that this is said of, too: their rules have the same selectors, which do
	 * not say the same of rules that count LLMTokens and of others. */
	KRL_TIER_ALONG = 1U << 1,
	KRL_TIER_LAST = 1U << 2,	/* its rules have no selectors */
};

struct krl_tier {
	__u64 rules;		/* a bit for each rule of the endpoint that counts */
	__u16 first;		/* its entries stand together */
	__u16 entry_count;
	__u8 group;		/* the RateLimit: they do not know of each other */
	__u8 flags;		/* KRL_TIER_... */
	__u16 only;		/* number of a predicate without which it does not count, and 1; 0: none */
};

/* A header that says who the client is, or which model it asks for. */
struct krl_client_header {
	char name[KRL_NAME_BYTES];	/* in lower case, NUL padded */
};

struct krl_policy {
	__u16 field_count;
	__u16 predicate_count;
	__u16 entry_count;
	__u16 tier_count;
	__u8 path;		/* number of the field, or KRL_NO_FIELD */
	__u8 method;
	__u8 client_header_count;
	__u8 of_head;		/* some entry looks at more than who the peer is */
	__u8 model;		/* number of the field, or KRL_NO_FIELD */
	__u8 model_header_count;
	__u8 peers;		/* some field is KRL_FIELD_PEER */
	__u8 callers;		/* some tier has only */
	__u8 tier_of[KRL_MAX_ENDPOINT_RULES];	/* of each rule of the endpoint */
	struct krl_client_header client_headers[KRL_MAX_CLIENT_HEADERS];
	struct krl_client_header model_headers[KRL_MAX_MODEL_HEADERS];
	struct krl_policy_field fields[KRL_MAX_FIELDS];
	struct krl_predicate predicates[KRL_MAX_PREDICATES];
	struct krl_entry entries[KRL_MAX_ENTRIES];
	struct krl_tier tiers[KRL_MAX_TIERS];
	/* Each padded with NULs to a multiple of 8. Behind them is room for one more. */
	char values[KRL_VALUES_BYTES + KRL_VALUE_BYTES];
};

/* FNV-1a over the name in lower case (http://www.isthe.com/chongo/tech/comp/fnv/). */
#define KRL_NAME_HASH_START 0xcbf29ce484222325ULL
#define KRL_NAME_HASH_STEP 0x100000001b3ULL

_Static_assert(sizeof(struct krl_policy_field) == 16 + KRL_NAME_BYTES, "ABI");
_Static_assert(sizeof(struct krl_predicate) == 16, "ABI");
_Static_assert(sizeof(struct krl_entry) == 20, "ABI");
_Static_assert(sizeof(struct krl_tier) == 16, "ABI");
_Static_assert(sizeof(struct krl_policy) % 8 == 0, "ABI");

#endif
