// SPDX-License-Identifier: Apache-2.0
/* The rows of rules: which is whose, and what is in them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/base/clock.h"
#include "bpf/lib/rule_bucket.h"
#include "pass.h"

/* Rows by identity: open addressing, twice as many places as rows. */
struct row_index {
	__u32 place[2 * KRL_MAX_RULES];	/* row + 1, 0 empty */
};

static __u32 hash_text(__u32 hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash * 16777619u;
}

static __u32 place_of(const char *ns, const char *name, const char *service, const char *rule)
{
	return hash_text(hash_text(hash_text(hash_text(2166136261u, ns), name), service), rule) %
	       (2 * KRL_MAX_RULES);
}

static void index_rows(const struct krl_datapath *dp, struct row_index *index)
{
	const struct krl_rule_info *info;
	__u32 row, at;

	memset(index, 0, sizeof(*index));
	for (row = 0; row < KRL_MAX_RULES; row++) {
		if (!dp->rules[row].id)
			continue;
		info = &dp->infos[row];
		at = place_of(info->ns, info->name, info->service, info->rule);
		while (index->place[at])
			at = (at + 1) % (2 * KRL_MAX_RULES);
		index->place[at] = row + 1;
	}
}

static __u32 find_row(const struct krl_datapath *dp, const struct row_index *index,
		      const struct krl_plan_rule *rule)
{
	__u32 at = place_of(rule->ns, rule->name, rule->service, rule->rule);

	for (; index->place[at]; at = (at + 1) % (2 * KRL_MAX_RULES))
		if (krl_pass_is_rule(&dp->infos[index->place[at] - 1], rule))
			return index->place[at] - 1;
	return KRL_PASS_NO_ROW;
}

/* Write a row so that readers see all of it or retry; id 0 frees it. The fence keeps the words after
 * the odd number, the release keeps them before the even one, on weakly ordered CPUs too. Each number is
 * stored whole: a reader that gives up waiting for an agent that died meanwhile takes them as they are. */
static void write_rule(struct krl_rule *row, const struct krl_rule *value)
{
	__u32 seq = __atomic_load_n(&row->seq, __ATOMIC_RELAXED);

	__atomic_store_n(&row->seq, seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&row->id, value->id, __ATOMIC_RELAXED);
	__atomic_store_n(&row->settings.max_tokens, value->settings.max_tokens, __ATOMIC_RELAXED);
	__atomic_store_n(&row->settings.tokens_per_fill, value->settings.tokens_per_fill, __ATOMIC_RELAXED);
	__atomic_store_n(&row->settings.fill_interval_ns, value->settings.fill_interval_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&row->flags, value->flags, __ATOMIC_RELAXED);
	__atomic_store_n(&row->status, value->status, __ATOMIC_RELAXED);
	__atomic_store_n(&row->form, value->form, __ATOMIC_RELAXED);
	__atomic_store_n(&row->headers, value->headers, __ATOMIC_RELAXED);
	__atomic_store_n(&row->cost, value->cost, __ATOMIC_RELAXED);
	__atomic_store_n(&row->reserve_default, value->reserve_default, __ATOMIC_RELAXED);
	__atomic_store_n(&row->reserve_max, value->reserve_max, __ATOMIC_RELAXED);
	__atomic_store_n(&row->credit, value->credit, __ATOMIC_RELAXED);
	__atomic_store_n(&row->local.max_tokens, value->local.max_tokens, __ATOMIC_RELAXED);
	__atomic_store_n(&row->local.tokens_per_fill, value->local.tokens_per_fill, __ATOMIC_RELAXED);
	__atomic_store_n(&row->local.fill_interval_ns, value->local.fill_interval_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&row->seq, seq + 2, __ATOMIC_RELEASE);
}

static bool same_rule(const struct krl_rule *a, const struct krl_rule *b)
{
	return a->id == b->id && !memcmp(&a->settings, &b->settings, sizeof(a->settings)) &&
	       a->flags == b->flags && a->status == b->status && a->form == b->form &&
	       a->headers == b->headers && a->cost == b->cost && a->reserve_default == b->reserve_default &&
	       a->reserve_max == b->reserve_max && a->credit == b->credit &&
	       !memcmp(&a->local, &b->local, sizeof(a->local));
}

void krl_rows_set_local(struct krl_datapath *dp, __u32 row, const struct krl_settings *local)
{
	struct krl_rule value = dp->rules[row];

	value.local = *local;
	write_rule(&dp->rules[row], &value);
}

static int write_info(struct krl_pass *p, __u32 slot, __u32 id, const struct krl_plan_rule *rule)
{
	struct krl_rule_info *info = &p->dp->infos[slot];

	memset(info, 0, sizeof(*info));
	info->id = id;
	snprintf(info->ns, sizeof(info->ns), "%s", rule->ns);
	snprintf(info->name, sizeof(info->name), "%s", rule->name);
	snprintf(info->service, sizeof(info->service), "%s", rule->service);
	snprintf(info->rule, sizeof(info->rule), "%s", rule->rule);
	snprintf(info->limit, sizeof(info->limit), "%s", rule->limit);
	return bpf_map_update_elem(bpf_map__fd(p->dp->skel->maps.krl_rule_info), &slot, info, BPF_ANY);
}

/* A row that is taken anew must not inherit the counters of the rule before; its overflow bucket starts
 * as every bucket does. */
static int clear_row(struct krl_pass *p, __u32 slot, const struct krl_plan_rule *rule)
{
	struct krl_bucket overflow = krl_rule_bucket_new(&rule->settings, rule->flags, rule->credit, krl_boot_ns());
	static const struct krl_llm_stats nothing_used;
	void *zero;
	int err;

	zero = calloc(libbpf_num_possible_cpus(), sizeof(struct krl_rule_stats));
	if (!zero)
		return -ENOMEM;
	err = bpf_map_update_elem(bpf_map__fd(p->dp->skel->maps.krl_rule_stats), &slot, zero, BPF_ANY);
	if (!err)
		err = bpf_map_update_elem(bpf_map__fd(p->dp->skel->maps.krl_overflow), &slot, &overflow,
					  BPF_ANY);
	if (!err)
		err = bpf_map_update_elem(bpf_map__fd(p->dp->skel->maps.krl_llm_stats), &slot, &nothing_used, BPF_ANY);
	free(zero);
	return err;
}

static void drop_rule(struct krl_pass *p, __u32 row)
{
	static const struct krl_rule none;

	write_rule(&p->dp->rules[row], &none);
	memset(&p->dp->infos[row], 0, sizeof(p->dp->infos[row]));
	p->result.rules_removed++;
}

/* The rows that are left, from where the last one was found. */
struct row_search {
	__u32 free, unneeded;
	size_t idle;	/* rule of the plan */
};

/* A row that is free; or else one that nothing is to refer to any more; or that of a rule without endpoints, which would
 * only keep its counters. The rules that have rows already keep them. KRL_PASS_NO_ROW: there is none. */
static __u32 take_row(struct krl_pass *p, struct row_search *s)
{
	const struct krl_plan *plan = p->plan;
	__u32 row;

	for (; s->free < KRL_MAX_RULES; s->free++)
		if (!p->dp->rules[s->free].id)
			return s->free++;
	for (; s->unneeded < KRL_MAX_RULES; s->unneeded++) {
		if (p->keep[s->unneeded] || krl_pass_is_retained(p, s->unneeded))
			continue;
		drop_rule(p, s->unneeded);
		return s->unneeded++;
	}
	for (; s->idle < plan->rule_count; s->idle++) {
		row = plan->rules[s->idle].idle ? p->slots[s->idle] : KRL_PASS_NO_ROW;
		if (row == KRL_PASS_NO_ROW)
			continue;
		drop_rule(p, row);
		p->slots[s->idle++] = KRL_PASS_NO_ROW;
		return row;
	}
	return KRL_PASS_NO_ROW;
}

/* What the row of rule @n of the plan is to be, but for its id; it is like @before. */
static int value_of(struct krl_pass *p, size_t n, const struct krl_rule *before, struct krl_rule *ret)
{
	const struct krl_plan_rule *rule = &p->plan->rules[n];
	int err;

	*ret = (struct krl_rule){ .settings = rule->settings, .flags = rule->flags, .status = rule->status,
				  .reserve_default = rule->reserve_default, .reserve_max = rule->reserve_max,
				  .credit = rule->credit, .local = rule->settings };
	err = krl_pass_form(p, rule->form, before->form, &ret->form);
	if (!err && rule->headers)
		err = krl_pass_form(p, rule->headers, before->headers, &ret->headers);
	if (!err && rule->flags & KRL_RULE_LLM)
		err = krl_pass_cost(p, &rule->cost, &ret->cost);
	return err;
}

/* Have rule @n of the plan in @row, where no rule is. */
static int fill_row(struct krl_pass *p, size_t n, __u32 row)
{
	const struct krl_plan_rule *rule = &p->plan->rules[n];
	struct krl_rule value;
	int err;

	p->slots[n] = row;
	p->keep[row] = true;
	err = value_of(p, n, &p->dp->rules[row], &value);
	value.id = p->dp->last_rule_id + 1;
	if (!err)
		err = clear_row(p, row, rule);
	if (!err)
		err = write_info(p, row, value.id, rule);
	if (err)
		return err;
	p->dp->last_rule_id = value.id;
	write_rule(&p->dp->rules[row], &value);
	p->result.rules_added++;
	return 0;
}

/* Have rule @n of the plan in its row, if it has one. */
static int keep_row(struct krl_pass *p, size_t n, const struct row_index *index)
{
	const struct krl_plan_rule *rule = &p->plan->rules[n];
	__u32 row = find_row(p->dp, index, rule);
	struct krl_rule value;
	int err;

	p->slots[n] = row;
	if (row == KRL_PASS_NO_ROW)
		return 0;
	/* Where nobody counts in it, it stays as it was, but for what it counted. */
	if (rule->idle) {
		p->keep[row] = true;
		return 0;
	}
	/* Its buckets say something else: another rule. */
	if ((p->dp->rules[row].flags ^ rule->flags) & (KRL_RULE_CONCURRENT | KRL_RULE_LLM | KRL_RULE_CLUSTER)) {
		drop_rule(p, row);
		return fill_row(p, n, row);
	}
	p->keep[row] = true;
	err = value_of(p, n, &p->dp->rules[row], &value);
	if (err)
		return err;
	value.id = p->dp->rules[row].id;
	/* This node's share of it. */
	if (!memcmp(&value.settings, &p->dp->rules[row].settings, sizeof(value.settings)))
		value.local = p->dp->rules[row].local;
	if (same_rule(&p->dp->rules[row], &value))
		return 0;
	write_rule(&p->dp->rules[row], &value);
	p->result.rules_changed++;
	return write_info(p, row, value.id, rule);
}

/* A rule that counts nowhere here needs no row. */
static int add_row(struct krl_pass *p, size_t n, struct row_search *search)
{
	__u32 row;

	if (p->slots[n] != KRL_PASS_NO_ROW || p->plan->rules[n].idle)
		return 0;
	row = take_row(p, search);
	return row == KRL_PASS_NO_ROW ? -ENOSPC : fill_row(p, n, row);
}

int krl_pass_rules(struct krl_pass *p, struct krl_error *ret_error)
{
	const struct krl_plan_rule *rules = p->plan->rules;
	struct row_search search = { 0 };
	struct row_index *index;
	size_t i, n = p->plan->rule_count;
	int err = 0;

	index = malloc(sizeof(*index));
	if (!index)
		return krl_error_set(ret_error, ENOMEM, "out of memory");
	index_rows(p->dp, index);
	for (i = 0; i < n; i++)
		p->slots[i] = KRL_PASS_NO_ROW;
	for (i = 0; !err && i < n; i++)
		if (!rules[i].outside)
			err = keep_row(p, i, index);
	for (i = err ? i : 0; !err && i < n; i++)
		if (!rules[i].outside)
			err = add_row(p, i, &search);
	free(index);
	if (err)
		return krl_error_set(ret_error, -err, "writing rule %s of %s/%s: %s", rules[i - 1].rule,
				     rules[i - 1].ns, rules[i - 1].name, strerror(-err));
	return 0;
}

void krl_pass_drop_rules(struct krl_pass *p)
{
	__u32 row;

	for (row = 0; row < KRL_MAX_RULES; row++)
		if (p->dp->rules[row].id && !p->keep[row])
			drop_rule(p, row);
}
