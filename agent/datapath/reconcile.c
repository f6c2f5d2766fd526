// SPDX-License-Identifier: Apache-2.0
/* Make the maps say what the plan says, changing only what differs.
 *
 * Order: rows of new and changed rules, then endpoints, then rows that nothing refers to any more. A
 * program that runs in between sees a rule that counts nowhere yet or a reference that no longer fits
 * its row, never a rule half written.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/lib/bucket.h"
#include "internal.h"

#define NO_SLOT UINT32_MAX

/* The state of one reconciliation. */
struct pass {
	struct krl_datapath *dp;
	const struct krl_plan *plan;
	__u32 *slots;			/* of each rule of the plan */
	bool keep[KRL_MAX_RULES];	/* rows that stay */
	bool retained[KRL_MAX_RULES];	/* ... though the plan does not have them */
	bool partial[KRL_MAX_RULES];	/* rows of the plan that may count on more endpoints than it has */
	struct krl_reconcile_result result;
};

static __u64 boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static bool same_rule(const struct krl_rule_info *info, const struct krl_plan_rule *rule)
{
	return !strcmp(info->rule, rule->rule) && !strcmp(info->name, rule->name) &&
	       !strcmp(info->ns, rule->ns) && !strcmp(info->service, rule->service);
}

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
		if (same_rule(&dp->infos[index->place[at] - 1], rule))
			return index->place[at] - 1;
	return NO_SLOT;
}

/* Write a row so that readers see all of it or retry; @id 0 frees it. The fence keeps the words after
 * the odd number, the release keeps them before the even one, on weakly ordered CPUs too. Each number is
 * stored whole: a reader that gives up waiting for an agent that died meanwhile takes them as they are. */
static void write_rule(struct krl_rule *row, __u32 id, const struct krl_settings *settings,
		       __u32 flags, const char *text)
{
	__u32 seq = __atomic_load_n(&row->seq, __ATOMIC_RELAXED);

	__atomic_store_n(&row->seq, seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&row->id, id, __ATOMIC_RELAXED);
	__atomic_store_n(&row->settings.max_tokens, settings->max_tokens, __ATOMIC_RELAXED);
	__atomic_store_n(&row->settings.tokens_per_fill, settings->tokens_per_fill, __ATOMIC_RELAXED);
	__atomic_store_n(&row->settings.fill_interval_ns, settings->fill_interval_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&row->flags, flags, __ATOMIC_RELAXED);
	memset(row->limit_text, 0, sizeof(row->limit_text));
	row->limit_text_len = strnlen(text, sizeof(row->limit_text));
	memcpy(row->limit_text, text, row->limit_text_len);
	__atomic_store_n(&row->seq, seq + 2, __ATOMIC_RELEASE);
}

static int write_info(struct pass *p, __u32 slot, __u32 id, const struct krl_plan_rule *rule)
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
 * full, as every bucket. */
static int clear_row(struct pass *p, __u32 slot, const struct krl_settings *settings)
{
	struct krl_bucket overflow = krl_bucket_full(settings, boot_ns());
	void *zero;
	int err;

	zero = calloc(libbpf_num_possible_cpus(), sizeof(struct krl_rule_stats));
	if (!zero)
		return -ENOMEM;
	err = bpf_map_update_elem(bpf_map__fd(p->dp->skel->maps.krl_rule_stats), &slot, zero, BPF_ANY);
	if (!err)
		err = bpf_map_update_elem(bpf_map__fd(p->dp->skel->maps.krl_overflow), &slot, &overflow,
					  BPF_ANY);
	free(zero);
	return err;
}

static int place_rule(struct pass *p, size_t n, const struct row_index *index, __u32 *next_free)
{
	const struct krl_plan_rule *rule = &p->plan->rules[n];
	__u32 slot = find_row(p->dp, index, rule);
	struct krl_rule *row;
	int err;

	if (slot != NO_SLOT) {
		row = &p->dp->rules[slot];
		p->slots[n] = slot;
		p->keep[slot] = true;
		if (!memcmp(&row->settings, &rule->settings, sizeof(row->settings)) &&
		    row->flags == rule->flags &&
		    !strcmp(p->dp->infos[slot].limit, rule->limit))
			return 0;
		write_rule(row, row->id, &rule->settings, rule->flags, rule->limit);
		p->result.rules_changed++;
		return write_info(p, slot, row->id, rule);
	}
	while (*next_free < KRL_MAX_RULES && p->dp->rules[*next_free].id)
		(*next_free)++;
	if (*next_free == KRL_MAX_RULES)
		return -ENOSPC;
	slot = (*next_free)++;
	p->slots[n] = slot;
	p->keep[slot] = true;
	err = clear_row(p, slot, &rule->settings);
	if (!err)
		err = write_info(p, slot, p->dp->last_rule_id + 1, rule);
	if (err)
		return err;
	write_rule(&p->dp->rules[slot], ++p->dp->last_rule_id, &rule->settings, rule->flags, rule->limit);
	p->result.rules_added++;
	return 0;
}

static bool is_named(const struct krl_rule_info *info, const char *ns, const char *name)
{
	return !strcmp(info->ns, ns) && !strcmp(info->name, name);
}

static bool is_refused(const struct krl_plan *plan, const struct krl_rule_info *info)
{
	size_t i;

	for (i = 0; i < plan->retain_count; i++)
		if (is_named(info, plan->retain[i].ns, plan->retain[i].name))
			return true;
	return false;
}

/* Is the RateLimit of @info in the plan, or was it in the one before? Then it was read. */
static bool is_read(const struct krl_plan *plan, const struct krl_rule_info *info)
{
	size_t i;

	for (; plan; plan = plan->before)
		for (i = 0; i < plan->rule_count; i++)
			if (is_named(info, plan->rules[i].ns, plan->rules[i].name))
				return true;
	return false;
}

/* Rows of documents that are refused now stay as they are. What could not even be named may be any RateLimit
 * of before this agent, and a Service or an EndpointSlice of any that it has. */
static void mark_retained(struct pass *p)
{
	const struct krl_rule_info *info;
	__u32 row;

	for (row = 0; row < KRL_MAX_RULES; row++) {
		if (!p->dp->rules[row].id)
			continue;
		info = &p->dp->infos[row];
		if (p->keep[row])
			p->partial[row] = p->plan->retain_all && *info->service;
		else
			p->retained[row] = is_refused(p->plan, info) ||
					   (p->plan->retain_all && !is_read(p->plan, info));
		p->keep[row] |= p->retained[row];
	}
}

static int compare_keys(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct krl_endpoint_key));
}

static const struct krl_plan_endpoint *find_endpoint(const struct krl_plan *plan,
						     const struct krl_endpoint_key *key)
{
	_Static_assert(!offsetof(struct krl_plan_endpoint, key), "compare_keys");

	if (!plan || !plan->endpoint_count)
		return NULL;
	return bsearch(key, plan->endpoints, plan->endpoint_count, sizeof(*plan->endpoints), compare_keys);
}

/* Did this agent itself put the row @slot on the endpoint @key, by the plan before? */
static bool was_planned(const struct pass *p, const struct krl_endpoint_key *key, __u32 slot)
{
	const struct krl_plan *before = p->plan->before;
	const struct krl_plan_endpoint *endpoint = find_endpoint(before, key);
	__u32 i;

	for (i = 0; endpoint && i < endpoint->rule_count; i++)
		if (same_rule(&p->dp->infos[slot], &before->rules[endpoint->rules[i]]))
			return true;
	return false;
}

static bool refers_to(const struct krl_endpoint *value, __u32 slot)
{
	__u32 i;

	for (i = 0; i < value->rule_count; i++)
		if (value->rules[i].slot == slot)
			return true;
	return false;
}

/* Append the references that @old has on the endpoint @key and that stay without the plan. */
static void append_retained(const struct pass *p, const struct krl_endpoint_key *key,
			    const struct krl_endpoint *old, struct krl_endpoint *value)
{
	__u32 i;

	for (i = 0; i < old->rule_count && value->rule_count < KRL_MAX_ENDPOINT_RULES; i++) {
		__u32 slot = old->rules[i].slot % KRL_MAX_RULES;

		/* A row that was given to another rule is not what is referred to. */
		if (old->rules[i].id != p->dp->rules[slot].id || refers_to(value, slot))
			continue;
		if (!p->retained[slot] && !(p->partial[slot] && !was_planned(p, key, slot)))
			continue;
		value->rules[value->rule_count++] = old->rules[i];
		value->flags |= old->flags;
	}
}

static int write_endpoint(struct pass *p, const struct krl_plan_endpoint *endpoint)
{
	int fd = bpf_map__fd(p->dp->skel->maps.krl_endpoints);
	struct krl_endpoint value = { .flags = endpoint->flags }, old;
	__u32 i;

	for (i = 0; i < endpoint->rule_count; i++) {
		__u32 slot = p->slots[endpoint->rules[i]];

		value.rules[value.rule_count++] =
			(struct krl_rule_ref){ .slot = slot, .scope = endpoint->scopes[i],
					       .id = p->dp->rules[slot].id };
	}
	if (bpf_map_lookup_elem(fd, &endpoint->key, &old)) {
		p->result.endpoints_added++;
		return bpf_map_update_elem(fd, &endpoint->key, &value, BPF_ANY);
	}
	append_retained(p, &endpoint->key, &old, &value);
	if (!memcmp(&old, &value, sizeof(value)))
		return 0;
	p->result.endpoints_changed++;
	return bpf_map_update_elem(fd, &endpoint->key, &value, BPF_EXIST);
}

/* An endpoint that the plan no longer has keeps what is retained, or goes. */
static int drop_endpoint(struct pass *p, const struct krl_endpoint_key *key)
{
	int fd = bpf_map__fd(p->dp->skel->maps.krl_endpoints);
	struct krl_endpoint value = {}, old;

	if (bpf_map_lookup_elem(fd, key, &old))
		return 0;
	append_retained(p, key, &old, &value);
	if (!value.rule_count) {
		p->result.endpoints_removed++;
		return bpf_map_delete_elem(fd, key);
	}
	if (!memcmp(&old, &value, sizeof(value)))
		return 0;
	p->result.endpoints_changed++;
	return bpf_map_update_elem(fd, key, &value, BPF_EXIST);
}

static int drop_endpoints(struct pass *p)
{
	int fd = bpf_map__fd(p->dp->skel->maps.krl_endpoints), err = 0;
	struct krl_endpoint_key *found, *at = NULL;
	size_t count = 0, i;

	found = calloc(KRL_MAX_ENDPOINTS, sizeof(*found));
	if (!found)
		return -ENOMEM;
	while (count < KRL_MAX_ENDPOINTS && !bpf_map_get_next_key(fd, at, &found[count]))
		at = &found[count++];
	for (i = 0; !err && i < count; i++)
		if (!find_endpoint(p->plan, &found[i]))
			err = drop_endpoint(p, &found[i]);
	free(found);
	return err;
}

/* Free the rows that nothing refers to any more. */
static void drop_rules(struct pass *p)
{
	static const struct krl_settings none;
	__u32 row;

	for (row = 0; row < KRL_MAX_RULES; row++) {
		if (!p->dp->rules[row].id || p->keep[row])
			continue;
		write_rule(&p->dp->rules[row], 0, &none, 0, "");
		memset(&p->dp->infos[row], 0, sizeof(p->dp->infos[row]));
		p->result.rules_removed++;
	}
}

/* Remove the buckets of rules and endpoints that are gone. */
static void drop_buckets(struct pass *p)
{
	int fd = bpf_map__fd(p->dp->skel->maps.krl_buckets);
	int endpoints = bpf_map__fd(p->dp->skel->maps.krl_endpoints);
	struct krl_bucket_key key, next;
	struct krl_endpoint_key endpoint;
	struct krl_endpoint value;
	bool have, used;
	__u32 i;

	have = !bpf_map_get_next_key(fd, NULL, &next);
	while (have) {
		key = next;
		have = !bpf_map_get_next_key(fd, &key, &next);
		memset(&endpoint, 0, sizeof(endpoint));
		memcpy(endpoint.addr, key.addr, sizeof(endpoint.addr));
		endpoint.port = key.port;
		used = false;
		if (!bpf_map_lookup_elem(endpoints, &endpoint, &value))
			for (i = 0; i < value.rule_count && !used; i++)
				used = value.rules[i].id == key.rule_id;
		if (!used)
			bpf_map_delete_elem(fd, &key);
	}
}

static int run(struct pass *p, struct krl_error *ret_error)
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
		err = place_rule(p, i, index, &next_free);
	free(index);
	if (err)
		return krl_error_set(ret_error, -err, "writing rule %s of %s/%s: %s",
				     p->plan->rules[i - 1].rule, p->plan->rules[i - 1].ns,
				     p->plan->rules[i - 1].name, strerror(-err));
	mark_retained(p);
	for (i = 0; !err && i < p->plan->endpoint_count; i++)
		err = write_endpoint(p, &p->plan->endpoints[i]);
	if (!err)
		err = drop_endpoints(p);
	if (err)
		return krl_error_set(ret_error, -err, "writing endpoints: %s", strerror(-err));
	drop_rules(p);
	if (p->result.rules_removed || p->result.endpoints_removed || p->result.endpoints_changed)
		drop_buckets(p);
	return 0;
}

int krl_datapath_reconcile(struct krl_datapath *dp, const struct krl_plan *plan,
			   struct krl_reconcile_result *ret_result, struct krl_error *ret_error)
{
	struct pass *p;
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
