/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Telling people of what rules refused. Each rule has a token bucket for that, and the node one: a flood is sampled, and
 * costs a look at a bucket. Nobody is woken: the agent looks ten times a second. */
#ifndef KMESH_RL_REPORT_LIB_H
#define KMESH_RL_REPORT_LIB_H

#include "judging.h"
#include "refusal.h"

/* Is one more refusal by the rule in row @slot told of? */
KRL_GLOBAL int krl_report_wanted(__u32 slot, __u64 now_ns)
{
	struct krl_settings s = { .tokens_per_fill = 1 };
	__u32 zero = 0, node = KRL_MAX_RULES;
	struct krl_config *config;
	struct krl_bucket *b;

	config = bpf_map_lookup_elem(&krl_config, &zero);
	s.max_tokens = config ? KRL_READ_ONCE(config->reports_per_s) : 0;
	if (!s.max_tokens)
		return 0;
	s.fill_interval_ns = KRL_NS_PER_S / s.max_tokens;
	b = bpf_map_lookup_elem(&krl_report_rates, &slot);
	if (!b || krl_rule_take(b, &s, now_ns, 1))
		return 0;
	s.max_tokens *= KRL_REPORT_RULES;
	s.fill_interval_ns /= KRL_REPORT_RULES;
	b = bpf_map_lookup_elem(&krl_report_rates, &node);
	return b && !krl_rule_take(b, &s, now_ns, 1);
}

/* What @judge refused, or where it did not what it let through in shadow mode, as a report of a connection without a
 * request line; the caller sets the flow, and submits it. NULL: it is not told of. */
static __always_inline struct krl_report *krl_report_begin(const struct krl_judge *judge, int refused, __u32 hook)
{
	const struct krl_refusing *by = refused ? &judge->refused : &judge->shadow;
	struct krl_report *r;

	if (!krl_report_wanted(by->slot, judge->now_ns))
		return 0;
	r = bpf_ringbuf_reserve(&krl_reports, sizeof(*r), 0);
	if (!r) {
		krl_count(KRL_REASON_REPORT_LOST);
		return 0;
	}
	r->time_ns = judge->now_ns;
	r->descriptor[0] = by->bucket.descriptor[0];
	r->descriptor[1] = by->bucket.descriptor[1];
	r->needed = by->needed;
	r->tokens = by->tokens;
	r->wait_ns = by->wait_ns;
	r->rule_id = by->bucket.rule_id;
	r->slot = by->slot;
	r->hook = hook;
	r->flags = refused ? 0 : KRL_REPORT_SHADOW;
	r->line_len = 0;
	r->model_len = 0;
	return r;
}

/* ... of the connection @flow. */
static __always_inline void krl_report_connection(const struct krl_judge *judge, int refused, __u32 hook,
						  const struct krl_flow *flow)
{
	struct krl_report *r = krl_report_begin(judge, refused, hook);

	if (!r)
		return;
	r->flow = *flow;
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
}

#endif
