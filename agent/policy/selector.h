/* SPDX-License-Identifier: Apache-2.0 */
/* Who a rule is for. A request meets a rule when it meets one of its selectors, and a selector when it meets
 * all its terms. */
#ifndef KMESH_RL_SELECTOR_H
#define KMESH_RL_SELECTOR_H

#include <stdbool.h>
#include <stddef.h>

#include <kmesh_rl/peers.h>
#include <kmesh_rl/policy.h>

#include "from.h"

/* One thing that is looked at in a request. */
struct krl_term {
	enum krl_field_kind field;
	enum krl_predicate_kind kind;
	bool invert;
	bool distinct;			/* each value has a bucket of its own */
	char name[KRL_NAME_BYTES];	/* of a header, in lower case */
	char value[KRL_VALUE_BYTES + 1];	/* of a header or a path, NUL-terminated */
	__u16 methods;			/* a bit for each of enum krl_method */
	__u8 addr[16], mask[16];	/* of a source: whom it is about */
	__u8 prefix_len[2];		/* of a distinct source: bits that make a value, IPv6 and IPv4 */
	enum krl_peer_by by;		/* of a distinct peer */
	struct krl_from *from;		/* of a peer, a reference: with KRL_PREDICATE_PEER, which pods */
};

struct krl_selector {
	struct krl_term terms[KRL_MAX_ENTRY_PREDICATES];
	size_t term_count;
};

static inline bool krl_selector_names_methods(const struct krl_selector *selector)
{
	size_t i;

	for (i = 0; i < selector->term_count; i++)
		if (selector->terms[i].field == KRL_FIELD_METHOD)
			return true;
	return false;
}

#endif
