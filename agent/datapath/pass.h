/* SPDX-License-Identifier: Apache-2.0 */
/* One reconciliation, shared by its files: rows in rows.c, endpoints in endpoints.c, their selectors in
 * policies.c, what those hide in redact.c, the texts of answers in forms.c, what answers of model servers cost in costs.c and used in llm.c, open
 * connections in join.c and walk.c. */
#ifndef KMESH_RL_DATAPATH_PASS_H
#define KMESH_RL_DATAPATH_PASS_H

#include <string.h>

#include "internal.h"

#define KRL_PASS_NO_ROW UINT32_MAX

struct krl_pass {
	struct krl_datapath *dp;
	const struct krl_plan *plan;
	__u32 *slots;			/* of each rule of the plan that is in force, or KRL_PASS_NO_ROW */
	bool keep[KRL_MAX_RULES];	/* rows that stay */
	bool retained[KRL_MAX_RULES];	/* ... though the plan does not have them */
	bool partial[KRL_MAX_RULES];	/* rows of the plan that may count on more endpoints than it has */
	bool retaining;			/* there is any of the two */
	bool enlists;			/* some endpoint's servers are followed that were not */
	bool recounts;			/* some endpoint with maxConnections has other rules than before */
	struct krl_known_endpoint *known;	/* the endpoints as they are written */
	size_t known_count;
	struct krl_reconcile_result result;
};

static inline bool krl_pass_is_rule(const struct krl_rule_info *info, const struct krl_plan_rule *rule)
{
	return !strcmp(info->rule, rule->rule) && !strcmp(info->name, rule->name) &&
	       !strcmp(info->ns, rule->ns) && !strcmp(info->service, rule->service);
}

/* Have the rules of the plan in rows. 0, or -errno. */
int krl_pass_rules(struct krl_pass *pass, struct krl_error *ret_error);

/* Free the rows that nothing refers to any more. */
void krl_pass_drop_rules(struct krl_pass *pass);

/* Does @row, which is none of the plan's, stay? */
bool krl_pass_is_retained(const struct krl_pass *pass, __u32 row);

/* Once the rows of the plan are written: mark what stays without it, and make the endpoints refer to both.
 * 0, or -errno. */
int krl_pass_endpoints(struct krl_pass *pass);

/* Once the endpoints are there: say which ports connect() is to look at. */
void krl_pass_ports(struct krl_pass *pass);

/* Enrol the connections to the endpoints that were open before those were there. 0, or -errno. */
int krl_pass_join(struct krl_pass *pass);

/* Have @form in the kernel; @ret_key is where. @before: where one is for sure, 0: nowhere. 0, or -errno. */
int krl_pass_form(struct krl_pass *pass, const struct krl_form *form, __u64 before, __u64 *ret_key);

/* Remove the forms that no rule has any more. */
void krl_pass_drop_forms(struct krl_pass *pass);

/* The same with what answers cost. */
int krl_pass_cost(struct krl_pass *pass, const struct krl_cost *cost, __u64 *ret_key);
void krl_pass_drop_costs(struct krl_pass *pass);

/* Remove what was counted by model and by user of rules that are gone. */
void krl_pass_drop_used(struct krl_pass *pass);

/* Have @policy in the kernel under @key. 0, or -errno. */
int krl_pass_policy(struct krl_pass *pass, __u64 key, const struct krl_policy *policy);

/* Which rule of which policy a rule of an endpoint is: 0: of none, it has no selectors. */
struct krl_origin {
	__u64 policy;
	__u32 rule;
};

/* Have the policy of an endpoint in the kernel whose rules are those of @origins. 0, or -errno. */
int krl_pass_join_policies(struct krl_pass *pass, const struct krl_origin *origins, __u32 count,
			   __u64 *ret_key);

/* Does @policy hide values that are shown elsewhere? */
bool krl_pass_hides(const struct krl_policy *policy);

/* Where some policy that does so is new, remove the values that were kept of what policies hide. Those that are shown to rules
 * elsewhere the kernel keeps again when it meets them. */
void krl_pass_redact(struct krl_pass *pass);

/* Does the policy under @key look at the model? */
bool krl_pass_asks_model(struct krl_pass *pass, __u64 key);

/* Remove the policies that no endpoint has any more. */
void krl_pass_drop_policies(struct krl_pass *pass);

/* Of a map whose keys are hashes of its rows, remove those rows that are not among the @count @used, and were
 * not the pass before either: a program may still look for one that was in use until now. Sorts @used;
 * @stale is what is to be known the next time. */
void krl_contents_drop(int fd, __u64 *used, size_t count, struct krl_stale *stale);

#endif
