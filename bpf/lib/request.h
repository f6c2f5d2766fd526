/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is known of a request that selectors are evaluated for. */
#ifndef KMESH_RL_REQUEST_H
#define KMESH_RL_REQUEST_H

#include <kmesh_rl/policy.h>

#include "client.h"
#include "path.h"

/* Room behind a value, so that a word may be written or read at any byte of it. */
#define KRL_MATCH_SPARE 8

/* A request while it is matched: value of krl_matches, keyed by socket cookie. */
struct krl_match {
	__u64 policy;		/* key of krl_policies that the request is matched by */
	__u64 key[2];		/* of the hash of values */
	__u64 bits[KRL_MAX_PREDICATES / 64];	/* the predicates that are true */
	__u64 digests[KRL_MAX_FIELDS][2];	/* of the fields that are distinct */
	__u64 descriptors[KRL_MAX_TIERS][2];	/* of the tiers that count */
	__u16 picked[KRL_MAX_TIERS];	/* ... a bit for each field whose value made that */
	char kept_text[KRL_MAX_FIELDS][KRL_KEPT_BYTES];	/* of the fields that are distinct: values' beginnings */
	__s16 kept_len[KRL_MAX_FIELDS];	/* ... the bytes that they had; -1: one that shares its bucket */
	__u64 rules;		/* a bit for each rule of the endpoint that counts */
	__u64 groups;		/* ... for each group of which a tier counts */
	__u8 source[16];	/* the peer's address, IPv4 as ::ffff:a.b.c.d */
	__u8 peer[16];		/* by which krl_peers knows it: the same, or of a client krl_netns_address() */
	__u32 present;		/* a bit for each field that the request has */
	__u16 name_len;
	__u16 value_len;	/* bytes collected, at most KRL_VALUE_BYTES */
	__u16 value_end;	/* ... up to the last that is no white space */
	__u8 value_long;	/* there were more */
	__u8 field;		/* that is being collected, or KRL_NO_FIELD */
	__u8 ambiguous;		/* a distinct field is there twice, or too long */
	__u8 client_header;	/* that is being read, or KRL_NO_FIELD */
	__u8 blind;		/* the head cannot be read: entries that look at it do not hold */
	__u8 completions;	/* its path ends in /completions: OpenAI's streams tell their usage if they are asked to */
	__u8 tells_model;	/* the header that is being collected */
	__u8 blanks;		/* it is Accept-Encoding, and blanks are put in its place */
	__u8 open;		/* the model may be told yet: tiers that depend on it do not count */
	__u8 peered;		/* what is asked about the peer was evaluated */
	__u32 model_len;	/* 0: none is known */
	char model[KRL_MODEL_BYTES];	/* its first bytes, NUL padded */
	char name[KRL_NAME_BYTES + KRL_MATCH_SPARE];
	struct krl_client clients[KRL_MAX_CLIENT_HEADERS];	/* as the client_headers of the policy say */
	struct krl_path path;
	union {
		char value[KRL_VALUE_BYTES + KRL_MATCH_SPARE];
		char path_bytes[KRL_PATH_KEPT + KRL_MATCH_SPARE];
		struct krl_kept kept;	/* when the head ended: what is written to krl_values */
	};
};

/* Takes of the requests of one skb: value of krl_taken, keyed by socket cookie, while the skb is walked. */
#define KRL_MAX_TAKES 128

struct krl_take {
	__u64 descriptor[2];
	__u32 rule;		/* of the endpoint */
	__u32 shadowed;		/* it only counted what a rule in shadow mode would have refused */
};

struct krl_taken {
	__u64 count;
	struct krl_take takes[KRL_MAX_TAKES];
};

#endif
