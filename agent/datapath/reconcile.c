// SPDX-License-Identifier: Apache-2.0
/* Make the maps say what the plan says, changing only what differs.
 *
 * Order: rows of new and changed rules, then endpoints, then rows that nothing refers to any more. A
 * program that runs in between sees a rule that counts nowhere yet or a reference that no longer fits
 * its row, never a rule half written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "guard.h"
#include "known.h"
#include "late.h"
#include "pass.h"
#include "recount.h"
#include "walk.h"

/* Is the rule of @bucket still where it is configured, at whatever hook? */
static bool is_used(const struct krl_pass *p, const struct krl_bucket_key *bucket)
{
	int fd = bpf_map__fd(p->dp->skel->maps.krl_endpoints);
	struct krl_endpoint_key key = { .port = bucket->port };
	struct krl_endpoint value;
	__u32 i;

	memcpy(key.addr, bucket->addr, sizeof(key.addr));
	for (key.hook = 0; key.hook < KRL_HOOK_MAX; key.hook++) {
		if (!krl_known_find(p->dp, &key) || bpf_map_lookup_elem(fd, &key, &value))
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

/* Has some rule of the plan with a row @flag? */
static bool has_rule(const struct krl_pass *p, __u32 flag)
{
	size_t i;

	for (i = 0; i < p->plan->rule_count; i++)
		if (!p->plan->rules[i].outside && p->slots[i] != KRL_PASS_NO_ROW && p->plan->rules[i].flags & flag)
			return true;
	return false;
}

static int run(struct krl_pass *p, struct krl_error *ret_error)
{
	int err = krl_pass_rules(p, ret_error);

	if (err)
		return err;
	if (needs(p, KRL_HOOK_CONNECT) || needs(p, KRL_HOOK_SEND))
		err = krl_links_dial(p->dp, ret_error);
	if (err)
		return err;
	err = needs(p, KRL_HOOK_SEND) ? krl_senders_open(p->dp) : 0;
	if (err)
		return krl_late_error(p->dp, err, "judging requests that go out", ret_error);
	err = has_rule(p, KRL_RULE_LLM) ? krl_llm_open(p->dp) : 0;
	if (err)
		return krl_late_error(p->dp, err, "judging requests to model servers", ret_error);
	if (has_rule(p, KRL_RULE_CONCURRENT))
		p->dp->config->flags |= KRL_CONFIG_HOLDS;
	err = krl_pass_endpoints(p);
	if (err)
		return krl_error_set(ret_error, -err, "writing endpoints: %s", strerror(-err));
	krl_pass_ports(p);
	err = krl_guard_update(p->dp);
	if (err)
		return krl_late_error(p->dp, err, "guarding network namespaces", ret_error);
	err = p->result.endpoints_added ? krl_pass_join(p) : 0;
	if (!err && p->enlists)
		err = krl_walk_enlist(p->dp);
	if (!err && p->recounts)
		err = krl_recount(p->dp, true);
	if (!err && p->dp->config->flags & KRL_CONFIG_HOLDS && !krl_endpoints_hold(p->dp))
		p->dp->config->flags &= ~KRL_CONFIG_HOLDS;
	if (err)
		return krl_late_error(p->dp, err, "walking over open connections", ret_error);
	if (p->result.endpoints_removed)
		krl_walk_release(p->dp);
	krl_pass_drop_rules(p);
	krl_pass_drop_forms(p);
	krl_pass_drop_costs(p);
	krl_pass_drop_policies(p);
	krl_pass_redact(p);
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

	/* Here no start can fail any more. */
	err = krl_links_pin_reset(dp, ret_error);
	if (err)
		return err;
	p = calloc(1, sizeof(*p));
	if (p)
		p->slots = calloc(plan->rule_count + 1, sizeof(*p->slots));
	if (!p || !p->slots) {
		free(p);
		return krl_error_set(ret_error, ENOMEM, "out of memory");
	}
	p->dp = dp;
	p->plan = plan;
	dp->refused = 0;
	err = run(p, ret_error);
	if (!err)
		*ret_result = p->result;
	free(p->slots);
	free(p);
	return err;
}
