// SPDX-License-Identifier: Apache-2.0
/* Make the maps say what the plan says, changing only what differs.
 *
 * Order: rows of new and changed rules, then endpoints, then rows that nothing refers to any more. A
 * program that runs in between sees a rule that counts nowhere yet or a reference that no longer fits
 * its row, never a rule half written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/base/clock.h"
#include "bpf/lib/gauge.h"
#include "guard.h"
#include "pass.h"
#include "recount.h"
#include "walk.h"

#define NO_SLOT UINT32_MAX

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
	return NO_SLOT;
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
	__atomic_store_n(&row->seq, seq + 2, __ATOMIC_RELEASE);
}

static bool same_rule(const struct krl_rule *a, const struct krl_rule *b)
{
	return a->id == b->id && !memcmp(&a->settings, &b->settings, sizeof(a->settings)) &&
	       a->flags == b->flags && a->status == b->status && a->form == b->form &&
	       a->headers == b->headers && a->cost == b->cost && a->reserve_default == b->reserve_default &&
	       a->reserve_max == b->reserve_max;
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
	struct krl_bucket overflow = krl_rule_bucket_new(&rule->settings, rule->flags, krl_boot_ns());
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

static int place_rule(struct krl_pass *p, size_t n, const struct row_index *index, __u32 *next_free)
{
	const struct krl_plan_rule *rule = &p->plan->rules[n];
	__u32 slot = find_row(p->dp, index, rule);
	struct krl_rule value = { .settings = rule->settings, .flags = rule->flags, .status = rule->status,
				  .reserve_default = rule->reserve_default, .reserve_max = rule->reserve_max };
	int err;

	err = krl_pass_form(p, &rule->form, &value.form);
	if (!err && rule->headers.piece_count)
		err = krl_pass_form(p, &rule->headers, &value.headers);
	if (!err && rule->flags & KRL_RULE_LLM)
		err = krl_pass_cost(p, &rule->cost, &value.cost);
	if (err)
		return err;
	/* Its buckets say something else: another rule. */
	if (slot != NO_SLOT && (p->dp->rules[slot].flags ^ value.flags) & (KRL_RULE_CONCURRENT | KRL_RULE_LLM)) {
		drop_rule(p, slot);
		slot = NO_SLOT;
	}
	if (slot != NO_SLOT) {
		value.id = p->dp->rules[slot].id;
		p->slots[n] = slot;
		p->keep[slot] = true;
		if (same_rule(&p->dp->rules[slot], &value))
			return 0;
		write_rule(&p->dp->rules[slot], &value);
		p->result.rules_changed++;
		return write_info(p, slot, value.id, rule);
	}
	while (*next_free < KRL_MAX_RULES && p->dp->rules[*next_free].id)
		(*next_free)++;
	if (*next_free == KRL_MAX_RULES)
		return -ENOSPC;
	slot = (*next_free)++;
	p->slots[n] = slot;
	p->keep[slot] = true;
	value.id = p->dp->last_rule_id + 1;
	err = clear_row(p, slot, rule);
	if (!err)
		err = write_info(p, slot, value.id, rule);
	if (err)
		return err;
	p->dp->last_rule_id = value.id;
	write_rule(&p->dp->rules[slot], &value);
	p->result.rules_added++;
	return 0;
}

/* Free the rows that nothing refers to any more. */
static void drop_rules(struct krl_pass *p)
{
	__u32 row;

	for (row = 0; row < KRL_MAX_RULES; row++)
		if (p->dp->rules[row].id && !p->keep[row])
			drop_rule(p, row);
}

/* Is the rule of @bucket still where it is configured, at whatever hook? */
static bool is_used(const struct krl_pass *p, const struct krl_bucket_key *bucket)
{
	int fd = bpf_map__fd(p->dp->skel->maps.krl_endpoints);
	struct krl_endpoint_key key = { .port = bucket->port };
	struct krl_endpoint value;
	__u32 i;

	memcpy(key.addr, bucket->addr, sizeof(key.addr));
	for (key.hook = 0; key.hook < KRL_HOOK_MAX; key.hook++) {
		if (bpf_map_lookup_elem(fd, &key, &value))
			continue;
		for (i = 0; i < value.rule_count; i++)
			if (value.rules[i].id == bucket->rule_id)
				return true;
	}
	return false;
}

/* Remove the buckets of rules and endpoints that are gone. */
static void drop_buckets(struct krl_pass *p)
{
	int fd = bpf_map__fd(p->dp->skel->maps.krl_buckets);
	struct krl_bucket_key key, next;
	bool have;

	have = !bpf_map_get_next_key(fd, NULL, &next);
	while (have) {
		key = next;
		have = !bpf_map_get_next_key(fd, &key, &next);
		if (!is_used(p, &key))
			bpf_map_delete_elem(fd, &key);
	}
}

static bool needs(const struct krl_pass *p, enum krl_hook hook)
{
	size_t i;

	for (i = 0; i < p->plan->endpoint_count; i++)
		if (p->plan->endpoints[i].key.hook == hook)
			return true;
	return false;
}

/* Has some rule of the plan @flag? */
static bool has_rule(const struct krl_pass *p, __u32 flag)
{
	size_t i;

	for (i = 0; i < p->plan->rule_count; i++)
		if (!p->plan->rules[i].outside && p->plan->rules[i].flags & flag)
			return true;
	return false;
}

static int run(struct krl_pass *p, struct krl_error *ret_error)
{
	struct row_index *index;
	__u32 next_free = 0;
	int err = 0;
	size_t i;

	index = malloc(sizeof(*index));
	if (!index)
		return krl_error_set(ret_error, ENOMEM, "out of memory");
	index_rows(p->dp, index);
	for (i = 0; !err && i < p->plan->rule_count; i++)
		if (!p->plan->rules[i].outside)
			err = place_rule(p, i, index, &next_free);
	free(index);
	if (err)
		return krl_error_set(ret_error, -err, "writing rule %s of %s/%s: %s",
				     p->plan->rules[i - 1].rule, p->plan->rules[i - 1].ns,
				     p->plan->rules[i - 1].name, strerror(-err));
	if (needs(p, KRL_HOOK_CONNECT) || needs(p, KRL_HOOK_SEND))
		err = krl_links_dial(p->dp, ret_error);
	if (err)
		return err;
	err = needs(p, KRL_HOOK_SEND) ? krl_senders_open(p->dp) : 0;
	if (err)
		return krl_error_set(ret_error, -err, "judging requests that go out: %s", strerror(-err));
	err = has_rule(p, KRL_RULE_LLM) ? krl_llm_open(p->dp) : 0;
	if (err)
		return krl_error_set(ret_error, -err, "judging requests to model servers: %s", strerror(-err));
	if (has_rule(p, KRL_RULE_CONCURRENT))
		p->dp->config->flags |= KRL_CONFIG_HOLDS;
	err = krl_pass_endpoints(p);
	if (err)
		return krl_error_set(ret_error, -err, "writing endpoints: %s", strerror(-err));
	krl_pass_ports(p);
	err = krl_guard_update(p->dp);
	if (err)
		return krl_error_set(ret_error, -err, "guarding network namespaces: %s", strerror(-err));
	err = p->result.endpoints_added ? krl_pass_join(p) : 0;
	if (!err && p->enlists)
		err = krl_walk_enlist(p->dp);
	if (!err && p->recounts)
		err = krl_recount(p->dp, true);
	if (!err && p->dp->config->flags & KRL_CONFIG_HOLDS && !krl_endpoints_hold(p->dp))
		p->dp->config->flags &= ~KRL_CONFIG_HOLDS;
	if (err)
		return krl_error_set(ret_error, -err, "walking over open connections: %s", strerror(-err));
	if (p->result.endpoints_removed)
		krl_walk_release(p->dp);
	drop_rules(p);
	krl_pass_drop_forms(p);
	krl_pass_drop_costs(p);
	krl_pass_drop_policies(p);
	if (p->result.rules_removed || p->result.endpoints_removed || p->result.endpoints_changed)
		drop_buckets(p);
	if (p->result.rules_removed)
		krl_pass_drop_used(p);
	return 0;
}

int krl_datapath_reconcile(struct krl_datapath *dp, const struct krl_plan *plan,
			   struct krl_reconcile_result *ret_result, struct krl_error *ret_error)
{
	struct krl_pass *p;
	int err;

	p = calloc(1, sizeof(*p));
	if (p)
		p->slots = calloc(plan->rule_count + 1, sizeof(*p->slots));
	if (!p || !p->slots) {
		free(p);
		return krl_error_set(ret_error, ENOMEM, "out of memory");
	}
	p->dp = dp;
	p->plan = plan;
	err = run(p, ret_error);
	if (!err)
		*ret_result = p->result;
	free(p->slots);
	free(p);
	return err;
}
