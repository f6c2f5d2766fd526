/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading a rule that the agent may be writing. */
#ifndef KMESH_RL_RULE_H
#define KMESH_RL_RULE_H

#include <kmesh_rl/abi.h>

#include "compiler.h"

/* Tries; the agent writes a few words. */
#define KRL_SEQ_TRIES 8

/* Copy a rule's settings as one consistent set. Returns 0, or -1 when the row is no longer @id. */
static __always_inline int krl_rule_read(const struct krl_rule *rule, __u32 id, struct krl_settings *ret)
{
	__u32 seq;
	int i;

	for (i = 0; i < KRL_SEQ_TRIES; i++) {
		seq = KRL_READ_ONCE(rule->seq);
		if (seq & 1)
			continue;
		ret->max_tokens = KRL_READ_ONCE(rule->settings.max_tokens);
		ret->tokens_per_fill = KRL_READ_ONCE(rule->settings.tokens_per_fill);
		ret->fill_interval_ns = KRL_READ_ONCE(rule->settings.fill_interval_ns);
		if (KRL_READ_ONCE(rule->id) != id)
			return -1;
		if (KRL_READ_ONCE(rule->seq) == seq)
			break;
	}
	/* An agent that died while writing leaves seq odd: the words are still a rule's. */
	if (i == KRL_SEQ_TRIES) {
		*ret = rule->settings;
		if (KRL_READ_ONCE(rule->id) != id)
			return -1;
	}
	return ret->max_tokens && ret->tokens_per_fill && ret->fill_interval_ns ? 0 : -1;
}

#endif
